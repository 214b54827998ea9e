"""Whom a campaign is for, and the initials that its launch makes for them."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Record

from services.campaign.domain import RANKS, Audience, Campaign
from shared.database import Transaction

# A launch writes a row for each contact, and they may be a million.
LAUNCH_S = 180

# What else a contact of the campaign has to fulfil than to be untexted: with the organization, the
# parameters are those of `_conditions`.
_FITS = """
    ($4::boolean IS NULL OR $4 = EXISTS (
        SELECT FROM received AS r
        WHERE r.org_id = $1 AND r.campaign_id = $2 AND r.phone = o.phone))
    AND (cardinality($5::text[]) = 0 OR o.status = ANY($5))
    AND (cardinality($6::text[]) = 0 OR o.code = ANY($6))
    AND (cardinality($7::text[]) = 0 OR EXISTS (
        SELECT FROM contact_tags AS t
        WHERE t.org_id = $1 AND t.campaign_id = $2 AND t.phone = o.phone AND t.tag = ANY($7)))
"""
_BY_CARRIER = """
    SELECT carrier, count(*) AS texts FROM messages AS o
    WHERE o.org_id = $1 AND o.campaign_id = $2 AND o.kind = 'initial'
      AND (NOT $3 OR o.taken_by IS NULL AND (
          o.queued_at IS NULL
          OR o.sent_at IS NULL AND o.status IN ('sending failed', 'campaign closed')))
      AND {fits}
      AND NOT EXISTS (
          SELECT FROM opt_outs AS q WHERE q.org_id = $1 AND q.phone = o.phone AND q.stands)
    GROUP BY carrier
"""


async def by_carrier(
    tx: Transaction, campaign: Campaign, audience: Audience
) -> dict[str | None, int]:
    """How many contacts of another campaign a launch would text now, by carrier.

    Untexted are those to whom nothing was sent there: never clicked, or ended before it could go.
    Whom a clone has taken over already is that clone's.
    """
    rows = await tx.sql.fetch(
        _BY_CARRIER.format(fits=_FITS),
        campaign.org_id,
        *_conditions(audience),
    )
    return {row["carrier"]: row["texts"] for row in rows}


def _conditions(audience: Audience) -> tuple[object, ...]:
    return (
        audience.of,
        audience.untexted,
        audience.replied,
        audience.statuses,
        audience.codes,
        audience.tags,
    )


async def sample(tx: Transaction, org_id: str, contact_list_id: str) -> Sequence[Record]:
    """Some contacts from all over a list, about a hundred: a handful of look-ups in an index.

    From places at even distances between its first and last number: numbers say nothing of names,
    as the order of a file may.
    """
    # Of a list that nobody has analyzed yet the planner reads and sorts all, for each place anew.
    await tx.sql.execute("SET LOCAL enable_sort = off")
    found = await tx.sql.fetch(
        """
        WITH ends AS (
            SELECT substr((SELECT phone FROM contacts WHERE org_id = $1 AND contact_list_id = $2
                           ORDER BY phone LIMIT 1), 2)::bigint AS first,
                   substr((SELECT phone FROM contacts WHERE org_id = $1 AND contact_list_id = $2
                           ORDER BY phone DESC LIMIT 1), 2)::bigint AS last
        )
        SELECT DISTINCT ON (phone) phone, first_name, last_name, fields
        FROM ends, generate_series(0, 19) AS place, LATERAL (
            SELECT phone, first_name, last_name, fields FROM contacts AS c
            WHERE c.org_id = $1 AND c.contact_list_id = $2
              AND c.phone >= '+' || (first + (last - first) * place / 20)
            ORDER BY c.phone LIMIT 5) AS found
        ORDER BY phone
        """,
        org_id,
        contact_list_id,
    )
    await tx.sql.execute("SET LOCAL enable_sort = on")
    return found


async def take_over(tx: Transaction, clone: Campaign, of: str, at: datetime) -> int:
    """Give a clone the contacts whom another campaign has not texted; how many these are.

    What that campaign still had to send them ends here and now, in the transaction of the clone's
    launch: a click that comes first has texted the contact, who then is not taken; one that comes
    later finds nothing to send. So nobody gets both, whatever becomes of the two campaigns.
    """
    await tx.sql.execute(f"SET LOCAL statement_timeout = '{LAUNCH_S}s'")
    # Locked in one order first: clicks that are under way are waited for, and the second statement
    # sees what they have left. Each reads the campaign's texts once, whatever the planner knows.
    await tx.sql.execute(
        """
        SELECT FROM messages
        WHERE org_id = $1 AND campaign_id = $2 AND kind = 'initial'
          AND status IN ('unassigned', 'assigned', 'skipped')
        ORDER BY message_id FOR NO KEY UPDATE
        """,
        clone.org_id,
        of,
        timeout=LAUNCH_S + 5,
    )
    status = await tx.sql.execute(
        """
        UPDATE messages AS o SET
            taken_by = $3,
            status = CASE WHEN rank < $4 THEN 'campaign closed' ELSE status END,
            rank = $4,
            status_at = CASE WHEN rank < $4 THEN $5 ELSE status_at END,
            failed_at = CASE WHEN rank < $4 THEN $5 ELSE failed_at END,
            reason = CASE WHEN rank < $4 THEN 'a clone of the campaign texts this contact'
                          ELSE reason END
        WHERE org_id = $1 AND campaign_id = $2 AND kind = 'initial' AND taken_by IS NULL
          AND (queued_at IS NULL
               OR sent_at IS NULL AND status IN ('sending failed', 'campaign closed'))
          AND NOT EXISTS (
              SELECT FROM opt_outs AS q WHERE q.org_id = $1 AND q.phone = o.phone AND q.stands)
        """,
        clone.org_id,
        of,
        clone.campaign_id,
        RANKS["campaign closed"],
        at,
        timeout=LAUNCH_S + 5,
    )
    return int(status.split()[-1])


_INITIALS = """
    INSERT INTO messages (org_id, campaign_id, message_id, kind, channel, phone, contact_id,
                          carrier, sender_id, status, rank, status_at)
    SELECT $1, $8, $9 || '-' || lpad(place::text, 7, '0'), 'initial', $10, phone, contact_id,
           carrier,
           coalesce(($11::text[])[1 + (place - 1) % greatest(cardinality($11), 1)], ''),
           CASE cardinality($11) WHEN 0 THEN 'unassigned' ELSE 'assigned' END, 0, $12
    FROM (
        SELECT phone, contact_id, carrier, row_number() OVER (ORDER BY contact_id) AS place
        FROM (
            SELECT phone, contact_id, carrier FROM contacts
            WHERE org_id = $1 AND contact_list_id = $13 AND $2::text IS NULL
            UNION ALL
            SELECT o.phone, o.contact_id, o.carrier FROM messages AS o
            WHERE o.org_id = $1 AND o.campaign_id = $2 AND o.kind = 'initial'
              AND (NOT $3 OR o.taken_by = $8) AND {fits}
        ) AS chosen
        WHERE NOT EXISTS (
            SELECT FROM opt_outs AS q WHERE q.org_id = $1 AND q.phone = chosen.phone
                                        AND q.stands)
    ) AS contact
"""


async def make_initials(
    tx: Transaction, campaign: Campaign, *, launch_id: str, senders: Sequence[str], at: datetime
) -> int:
    """Write an initial for each of its contacts who has not opted out, and how many these are.

    They are split evenly among the senders, in turns; without any they are unassigned. A message's
    id is the launch's with its place in the list behind: in one statement, and in order. Of the
    untexted a clone texts those whom it has taken over. A contact's carrier is what was learned of
    it when they were texted.
    """
    audience = campaign.audience
    await tx.sql.execute(f"SET LOCAL statement_timeout = '{LAUNCH_S}s'")
    status = await tx.sql.execute(
        _INITIALS.format(fits=_FITS),
        campaign.org_id,
        *((None, False, None, (), (), ()) if audience is None else _conditions(audience)),
        campaign.campaign_id,
        launch_id,
        campaign.plan.channel,
        senders,
        at,
        campaign.plan.contact_list_id,
        timeout=LAUNCH_S + 5,
    )
    return int(status.split()[-1])
