"""Posts the webhooks that are due: claim, post, record; many at once, few of one organization.

A slow receiver holds up nobody else's: a claim waits for no answer.
"""

import asyncio
import random
from datetime import datetime
from typing import Self

import structlog
from prometheus_client import Counter

from services.notifier import posts as rules
from services.notifier.domain import Delivery
from services.notifier.posts import Answer, NoAnswer, Post
from services.notifier.store import deliveries, posts, wishes
from services.notifier.webhooks import TOTAL_S, Webhooks
from shared.database import PASSING, Database
from shared.events import WebhookStateChanged
from shared.ids import new_id

HANDS = 64
# Of one organization in a claim; it has its next ones when all of these have come to an end.
HANDS_EACH = 5
# By then a post has certainly come to an end: without a result, its replica has died.
LEASE_S = TOTAL_S + 15

WEBHOOKS = Counter("sluice_webhooks_total", "Tries to post notices", ["kind", "state"])

log = structlog.get_logger(__name__)


class Poster:
    """A worker, and what is in its hands; any number of replicas may run it."""

    def __init__(self, database: Database, webhooks: Webhooks, master: bytes) -> None:
        """`master`: the platform's key, of which the organizations' are derived."""
        self._database = database
        self._webhooks = webhooks
        self._master = master
        self._calls: dict[asyncio.Task[None], str] = {}
        self.wake = asyncio.Event()
        """Set when there are hands again."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Wait for the posts under way: what is cut short is posted once more."""
        while self._calls:
            await asyncio.wait(self._calls)

    async def step(self) -> bool:
        """Start posts that are due; whether there may be more."""
        lease = new_id()
        async with self._database.transaction() as tx:
            now = await tx.now()
            due = await posts.lease_due(
                tx.sql,
                now=now,
                lease=lease,
                lease_s=LEASE_S,
                most=HANDS - len(self._calls),
                most_each=HANDS_EACH,
                beside=set(self._calls.values()),
            )
            looked_at = [(post, rules.withheld(post, now)) for post in due]
            if ended := [end for _, end in looked_at if end is not None]:
                await deliveries.put(tx.sql, ended, lease)
        for delivery in ended:
            _tell(delivery, None)
        for post, end in looked_at:
            if end is not None:
                continue
            call = asyncio.create_task(self._call(post, now, lease))
            self._calls[call] = post.delivery.notice.org_id
            call.add_done_callback(self._free)
        return bool(due)

    def _free(self, call: asyncio.Task[None]) -> None:
        del self._calls[call]
        self.wake.set()

    async def _call(self, post: Post, now: datetime, lease: str) -> None:
        notice, receiver = post.delivery.notice, post.receiver
        try:
            content = rules.body(notice)
            keys = rules.keys(self._master, notice.org_id, receiver, now)
            headers = rules.signed(notice.notice_id, now, content, keys)
            answer = await self._webhooks.post(receiver.url or "", headers, content)
            await self._record(post, answer, lease)
        except PASSING as error:
            # Its lease runs out, and it is posted again: receivers know it by its id.
            log.warning("post not recorded", notice_id=notice.notice_id, error=repr(error))
        except Exception:
            log.exception("post failed", org_id=notice.org_id, notice_id=notice.notice_id)

    async def _record(self, post: Post, answer: Answer | NoAnswer, lease: str) -> None:
        notice = post.delivery.notice
        async with self._database.transaction() as tx:
            # Held: who changes the settings at this moment either is seen, or sees what we write.
            receiver = await wishes.hold_receiver(tx.sql, notice.org_id)
            now = await tx.now(afresh=True)
            is_current = receiver.version == post.receiver.version
            after = rules.after(post, answer, now, random.random(), is_current=is_current)
            ours = await deliveries.put(tx.sql, [after], lease)
            reception = rules.received(receiver.reception, answer, now)
            if ours and is_current and reception != receiver.reception:
                await wishes.put_reception(tx.sql, notice.org_id, reception)
                tx.tell(
                    WebhookStateChanged(
                        org_id=notice.org_id,
                        version=receiver.version,
                        revision=reception.revision,
                        state=reception.state,
                        reason=reception.reason,
                        state_since=reception.since,
                    )
                )
        if not ours:
            log.warning("result came too late", notice_id=notice.notice_id)
            return
        _tell(after, answer.status if isinstance(answer, Answer) else None)


def _tell(delivery: Delivery, status: int | None) -> None:
    """In metrics and logs."""
    notice = delivery.notice
    WEBHOOKS.labels(notice.kind, delivery.state).inc()
    log.info(
        "webhook",
        org_id=notice.org_id,
        campaign_id=notice.campaign_id,
        kind=notice.kind,
        state=delivery.state,
        tries=delivery.tries,
        status=status,
    )
