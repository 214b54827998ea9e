"""Where carriers said "too fast": the paces that are imposed, under their buckets' locks."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from services.collider.bucket import BucketKey
from services.collider.pace import Pace, PaceKey
from services.collider.store.results import AttemptKey
from shared.database import Transaction, columns
from shared.fields import Carrier, Channel

ScopeKey = tuple[str, str, str, Channel]
"""Organization, carrier, use case, channel."""


async def read(
    tx: Transaction, keys: Collection[BucketKey]
) -> Mapping[BucketKey, dict[PaceKey, Pace]]:
    """The paces under these buckets (organization, carrier), by use case and channel."""
    rows = await tx.sql.fetch(
        """
        SELECT paces.* FROM paces
        JOIN unnest($1::text[], $2::text[]) AS key (org_id, carrier) USING (org_id, carrier)
        """,
        *columns(keys, 2),
    )
    found: dict[BucketKey, dict[PaceKey, Pace]] = defaultdict(dict)
    for row in rows:
        scope = (row["use_case_id"], row["channel"])
        found[row["org_id"], row["carrier"]][scope] = Pace(row["refused"], row["cut_at"])
    return found


async def write(tx: Transaction, paces: Mapping[ScopeKey, Pace]) -> None:
    """Impose these paces."""
    await tx.sql.execute(
        """
        INSERT INTO paces (org_id, carrier, use_case_id, channel, refused, cut_at)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[],
                             $5::real[], $6::timestamptz[])
        ON CONFLICT (org_id, carrier, use_case_id, channel) DO UPDATE
        SET refused = excluded.refused, cut_at = excluded.cut_at
        """,
        *columns([(*key, pace.refused, pace.cut_at) for key, pace in paces.items()], 6),
    )


async def lift(tx: Transaction, keys: Collection[ScopeKey]) -> None:
    """Impose these no longer."""
    await tx.sql.execute(
        """
        DELETE FROM paces USING unnest($1::text[], $2::text[], $3::text[], $4::text[])
            AS key (org_id, carrier, use_case_id, channel)
        WHERE paces.org_id = key.org_id AND paces.carrier = key.carrier
          AND paces.use_case_id = key.use_case_id AND paces.channel = key.channel
        """,
        *columns(sorted(keys), 4),
    )


@dataclass(frozen=True, slots=True)
class Refused:
    """What a carrier refused of one use case and channel: `claimed_at` is the latest claim among
    it, `mean_segments` what a text of it costs."""

    org_id: str
    carrier: Carrier
    use_case_id: str
    channel: Channel
    claimed_at: datetime
    mean_segments: float

    @property
    def bucket(self) -> BucketKey:
        """Organization and carrier."""
        return (self.org_id, self.carrier)

    @property
    def scope(self) -> PaceKey:
        """Use case and channel."""
        return (self.use_case_id, self.channel)


async def refused(tx: Transaction, attempts: Collection[AttemptKey]) -> list[Refused]:
    """What these attempts were, together by use case and channel."""
    rows = await tx.sql.fetch(
        """
        SELECT messages.org_id, messages.carrier, lanes.use_case_id, messages.channel,
               max(claimed_at) AS claimed_at, avg(segments)::float8 AS mean_segments
        FROM messages
        JOIN unnest($1::text[], $2::text[], $3::int[]) AS key (org_id, message_id, attempt)
            USING (org_id, message_id, attempt)
        JOIN lanes USING (lane_id)
        GROUP BY messages.org_id, messages.carrier, lanes.use_case_id, messages.channel
        """,
        *columns(sorted(attempts), 3),
    )
    return [Refused(**row) for row in rows]
