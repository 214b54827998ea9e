"""What time does by itself: openings, ends, leases that run out, texts that wait for a launch."""

import collections

import structlog
from prometheus_client import Counter

from services.collider import domain, intake, outcomes
from services.collider.domain import Leftover
from services.collider.store import campaigns, results, settlements, sweeps
from services.collider.store import intake as intake_store
from services.collider.store.intake import Place
from services.collider.store.results import Ended
from shared.database import Database

CAMPAIGNS_MOST = 200
MESSAGES_MOST = 1000

LEASES_LOST = Counter(
    "sluice_leases_lost_total",
    "Texts that were in the hands of a replica that died, by their status then",
    ["org_id", "carrier", "status"],
)

log = structlog.get_logger(__name__)


class Upkeep:
    """Workers that find rows that are due; any number of replicas may do each of these."""

    def __init__(self, database: Database, *, unrouted_most_s: float, reply_most_s: float) -> None:
        self._database = database
        self._unrouted_most_s = unrouted_most_s
        self._reply_most_s = reply_most_s

    async def turn(self) -> bool:
        """Find the next opening of campaigns that have just closed for the day."""
        async with self._database.transaction() as tx:
            found = await campaigns.turn_schedules(tx, most=CAMPAIGNS_MOST)
        return found == CAMPAIGNS_MOST

    async def close(self) -> bool:
        """End what is left of campaigns whose time is over, that are archived, or whose texts were
        withdrawn."""
        async with self._database.transaction() as tx:
            due = await sweeps.due(tx, most=CAMPAIGNS_MOST)
            now = await tx.now()
            by_end: dict[tuple[str, str], list[Leftover]] = collections.defaultdict(list)
            for leftover in (one for campaign in due for one in domain.leftovers(campaign, now)):
                by_end[leftover.status, leftover.reason].append(leftover)
            unfinished: set[tuple[str, str]] = set()
            for (status, reason), those in by_end.items():
                left = await sweeps.lock_left(tx, those, most=MESSAGES_MOST)
                await outcomes.end(tx, [Ended(one, status, reason=reason) for one in left])
                unfinished |= {(one.org_id, one.campaign_id) for one in left}
            done = [one for one in due if one.key not in unfinished]
            again = [(*one.key, domain.look_again_at(one, now)) for one in done]
            await sweeps.look_again(tx, again)
        return bool(unfinished)

    async def route(self) -> bool:
        """Put texts that came before their campaign's launch into its lanes."""
        async with self._database.transaction() as tx:
            texts = await intake_store.lock_unrouted(tx, most=MESSAGES_MOST)
            if texts:
                places = await intake.place(tx, texts)
                await intake_store.settle(tx, texts, places)
                await intake.tell_failed(tx, texts, places)
        return len(texts) == MESSAGES_MOST

    async def reap(self) -> bool:
        """Messages whose replica has died: those it had only claimed go back; of those it was
        calling nobody knows."""
        async with self._database.transaction() as tx:
            expired = await results.lock_expired(tx, most=MESSAGES_MOST)
            claimed = [one for one in expired if one.status == "claimed"]
            if claimed:
                await results.put_back(tx, claimed)
            calling = [one for one in expired if one.status == "calling"]
            await outcomes.end(
                tx, [Ended(one, "unclear", reason=domain.ANSWER_LOST) for one in calling]
            )
        lost = collections.Counter((*one.bucket, one.status) for one in expired)
        for (org_id, carrier, status), texts in lost.items():
            LEASES_LOST.labels(org_id, carrier, status).inc(texts)
            log.warning("lease lost", org_id=org_id, carrier=carrier, status=status, texts=texts)
        return len(expired) == MESSAGES_MOST

    async def settle(self) -> bool:
        """Carry out what an admin decided of texts whose answer was lost."""
        async with self._database.transaction() as tx:
            decided = await settlements.lock_next(tx)
            if decided is None:
                return False
            texts = await settlements.lock_unclear(tx, decided, most=MESSAGES_MOST)
            reason = domain.SETTLED_AS_FAILED if decided.outcome == "failed" else None
            await outcomes.end(tx, [Ended(one, decided.outcome, reason=reason) for one in texts])
            if not texts:
                await settlements.forget(tx, decided)
        return True

    async def expire(self) -> bool:
        """Fail replies, and texts of campaigns that nobody launches, that waited too long."""
        async with self._database.transaction() as tx:
            old = await results.lock_old_replies(
                tx, most=MESSAGES_MOST, older_than_s=self._reply_most_s
            )
            await outcomes.end(
                tx, [Ended(one, "failed", reason=domain.REPLY_TOO_OLD) for one in old]
            )
            texts = await intake_store.lock_unknown(
                tx, most=MESSAGES_MOST, older_than_s=self._unrouted_most_s
            )
            if texts:
                places = [Place("failed", reason=domain.UNKNOWN_CAMPAIGN)] * len(texts)
                await intake_store.settle(tx, texts, places)
                await intake.tell_failed(tx, texts, places)
        return max(len(old), len(texts)) == MESSAGES_MOST
