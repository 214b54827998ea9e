"""Sends the e-mails that are due: claim, hand over, record."""

import random
from collections.abc import Sequence

import structlog
from prometheus_client import Counter

from services.notifier.domain import (
    Delivery,
    NotTaken,
    Outcome,
    Refused,
    abandoned,
    followed,
    overtaken,
    withheld,
)
from services.notifier.letters import Unaddressable, Writer
from services.notifier.smtp import Conversation, MailServer, Unreachable
from services.notifier.store import deliveries
from shared.database import PASSING, Database
from shared.ids import new_id

LETTERS_MOST = 10

NOTICES = Counter("sluice_notices_total", "Tries to deliver notices", ["kind", "state"])

log = structlog.get_logger(__name__)


class Mailer:
    """A worker; any number of replicas may run it."""

    def __init__(
        self, database: Database, server: MailServer, writer: Writer, *, lease_s: float
    ) -> None:
        """`lease_s`: longer than the server may take to answer to a letter's content. A letter that
        is offered more slowly may be taken over by another worker; then it is not ours to send."""
        self._database = database
        self._server = server
        self._writer = writer
        self._lease_s = lease_s

    async def step(self) -> bool:
        """Send a few e-mails over one connection; whether there may be more."""
        lease = new_id()
        waiting = await self._claim(lease)
        left = list(waiting)
        while left:
            try:
                async with self._server.conversation() as conversation:
                    while left and conversation.is_open:
                        await self._send(conversation, left.pop(0), lease)
            except Unreachable as error:
                log.warning("mail server", error=str(error))
                await self._record(left, NotTaken(str(error)), lease)
                break
        return len(waiting) == LETTERS_MOST

    async def _claim(self, lease: str) -> list[Delivery]:
        async with self._database.transaction() as tx:
            now = await tx.now()
            due = await deliveries.lease_due(
                tx.sql,
                channel="email",
                now=now,
                lease=lease,
                lease_s=self._lease_s,
                most=LETTERS_MOST,
            )
            wanted = []
            for delivery in due:
                if delivery.state == "sending":
                    await deliveries.put(tx.sql, abandoned(delivery, now), lease)
                    log.warning("unclear", org_id=delivery.notice.org_id)
                elif why := overtaken(delivery):
                    after = withheld(delivery, "overtaken", why, now)
                    await deliveries.put(tx.sql, after, lease)
                else:
                    wanted.append(delivery)
        return wanted

    async def _send(self, conversation: Conversation, delivery: Delivery, lease: str) -> None:
        try:
            await self._hand_over(conversation, delivery, lease)
        except PASSING:
            raise
        except Exception:
            # A fault of ours with one letter is no reason to stop all others; its lease runs out,
            # and it comes up again, or is unclear if the server may have it.
            log.exception("letter failed", notice_id=delivery.notice.notice_id)
            conversation.abort()

    async def _hand_over(self, conversation: Conversation, delivery: Delivery, lease: str) -> None:
        try:
            letter = self._writer.write(delivery)
        except Unaddressable as error:
            await self._record([delivery], Refused(str(error)), lease)
            return
        declined = await conversation.offer(letter)
        if declined is not None:
            await self._record([delivery], declined, lease)
            return
        try:
            ours = await self._intend(delivery, lease)
        except BaseException:
            conversation.abort()
            raise
        if not ours:
            conversation.abort()
            return
        await self._record([delivery], await conversation.hand_over(letter), lease)

    async def _intend(self, delivery: Delivery, lease: str) -> bool:
        """Commit that the server may have it from here on."""
        async with self._database.transaction() as tx:
            return await deliveries.put_sending(
                tx.sql, delivery, now=await tx.now(), lease=lease, lease_s=self._lease_s
            )

    async def _record(self, tried: Sequence[Delivery], outcome: Outcome, lease: str) -> None:
        async with self._database.transaction() as tx:
            now = await tx.now()
            for delivery in tried:
                after = followed(delivery, outcome, now, random.random())
                if not await deliveries.put(tx.sql, after, lease):
                    log.warning("result came too late", notice_id=delivery.notice.notice_id)
                    continue
                NOTICES.labels(delivery.notice.kind, after.state).inc()
                log.info(
                    "notice",
                    org_id=delivery.notice.org_id,
                    campaign_id=delivery.notice.campaign_id,
                    kind=delivery.notice.kind,
                    state=after.state,
                    tries=after.tries,
                )
