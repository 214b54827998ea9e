"""What time does by itself: openings, ends, leases that run out, texts that wait for a launch."""

from datetime import datetime

from services.collider import domain, intake, outcomes
from services.collider.domain import Campaign
from services.collider.store import campaigns, results
from services.collider.store import intake as intake_store
from services.collider.store.intake import Place
from services.collider.store.results import Ended
from shared.database import Database

CAMPAIGNS_MOST = 200
MESSAGES_MOST = 1000


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
        """Mark initials that are left behind their window's end as `sending failed`."""
        async with self._database.transaction() as tx:
            due = await campaigns.due_closings(tx, most=CAMPAIGNS_MOST)
            now = await tx.now()
            ended = [one for one in due if one.closes_at <= now]
            left = await results.lock_left_behind(
                tx, [one.key for one in ended], most=MESSAGES_MOST
            )
            await outcomes.end(
                tx,
                [Ended(one, "sending failed", reason=domain.SENDING_FAILED) for one in left],
            )
            if len(left) < MESSAGES_MOST:
                again = [(*one.key, _close_again_at(one, now)) for one in due]
                await campaigns.close_again(tx, again)
        return len(left) == MESSAGES_MOST

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
        return len(expired) == MESSAGES_MOST

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


def _close_again_at(campaign: Campaign, now: datetime) -> datetime | None:
    """When to look for what is left behind a campaign's end; None: no transaction from before the
    end, or from before it was learnt, can bring another text."""
    if campaign.closes_at > now:
        return campaign.closes_at
    learnt_at = campaign.ended_at or campaign.closes_at
    return None if now - learnt_at > domain.CLOSING_TAIL else now + domain.CLOSING_AGAIN
