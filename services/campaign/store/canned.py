"""A campaign's canned responses."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.database import Transaction


@dataclass(frozen=True, slots=True)
class CannedResponse:
    """A ready answer; its text may hold {fields} of the contact."""

    name: str
    text: str


async def replace(
    tx: Transaction, org_id: str, campaign_id: str, responses: Sequence[CannedResponse]
) -> None:
    """Write these in place of all that there were; the campaign is held."""
    await tx.sql.execute(
        "DELETE FROM canned_responses WHERE org_id = $1 AND campaign_id = $2", org_id, campaign_id
    )
    await tx.sql.execute(
        """
        INSERT INTO canned_responses (org_id, campaign_id, place, name, text)
        SELECT $1, $2, place, name, text
        FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS one (name, text, place)
        """,
        org_id,
        campaign_id,
        [response.name for response in responses],
        [response.text for response in responses],
    )


async def of_campaign(tx: Transaction, org_id: str, campaign_id: str) -> list[CannedResponse]:
    """A campaign's, in order."""
    rows = await tx.sql.fetch(
        """
        SELECT name, text FROM canned_responses
        WHERE org_id = $1 AND campaign_id = $2 ORDER BY place
        """,
        org_id,
        campaign_id,
    )
    return [CannedResponse(**row) for row in rows]


async def copy(tx: Transaction, org_id: str, *, of: str, to: str) -> None:
    """Give a new campaign those of another."""
    await tx.sql.execute(
        """
        INSERT INTO canned_responses (org_id, campaign_id, place, name, text)
        SELECT org_id, $3, place, name, text FROM canned_responses
        WHERE org_id = $1 AND campaign_id = $2
        """,
        org_id,
        of,
        to,
    )
