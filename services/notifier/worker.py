"""Sends the e-mails that are due: claim, hand over, record."""

import asyncio
import random
import time
from collections.abc import Collection, Sequence
from datetime import datetime

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
    settled,
)
from services.notifier.letters import Letter, Unaddressable, Writer
from services.notifier.smtp import Conversation, Line, MailServer, Unreachable
from services.notifier.store import deliveries, wishes
from services.notifier.templating import BadTemplate
from shared.database import PASSING, Database
from shared.ids import new_id

LETTERS_MOST = 10
RECORD_AGAIN_S = 0.5

Wish = tuple[str, str, str]
"""Organization, address, kind."""

NOTICES = Counter("sluice_notices_total", "Tries to deliver notices", ["kind", "state"])

log = structlog.get_logger(__name__)


class Mailer:
    """A worker with a line of its own; any number of them may run, here and in other replicas."""

    def __init__(
        self, database: Database, server: MailServer, writer: Writer, *, lease_s: float
    ) -> None:
        """`lease_s`: longer than the server may take to answer to a letter's content. A letter that
        is offered more slowly may be taken over by another worker; then it is not ours to send."""
        self._database = database
        self._line = Line(server)
        self._writer = writer
        self._lease_s = lease_s

    async def step(self) -> bool:
        """Send a few e-mails over one connection; whether there may be more."""
        lease = new_id()
        left, may_be_more = await self._claim(lease)
        if not left:
            await self._line.rest()
        try:
            while left:
                await self._talk(await self._line.take(), left, lease)
        except Unreachable as error:
            log.warning("mail server", error=str(error))
            await self._record(left, NotTaken(str(error)), lease)
            return False
        return may_be_more

    async def aclose(self) -> None:
        """Leave the mail server."""
        await self._line.aclose()

    async def _claim(self, lease: str) -> tuple[list[Delivery], bool]:
        """E-mails that are due, and that are wanted and right still; whether there may be more."""
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
            wanted = await wishes.wanted(tx.sql, {_wish(one) for one in due})
            ended = [ended for one in due if (ended := _ended(one, wanted, now)) is not None]
            if ended:
                await deliveries.put(tx.sql, ended, lease)
        for delivery in ended:
            self._tell(delivery)
        over = {delivery.notice.notice_id for delivery in ended}
        left = [delivery for delivery in due if delivery.notice.notice_id not in over]
        return left, len(due) == LETTERS_MOST

    async def _talk(self, conversation: Conversation, left: list[Delivery], lease: str) -> None:
        """Send what is left, as long as the server listens."""
        try:
            while left and conversation.is_open:
                await self._send(conversation, left.pop(0), lease)
        except BaseException:
            conversation.abort()
            raise
        await self._line.give_back(conversation)

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
        letter = self._written(delivery)
        if not isinstance(letter, Letter):
            await self._record([delivery], letter, lease)
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
        await self._record_answer(delivery, await conversation.hand_over(letter), lease)

    def _written(self, delivery: Delivery) -> Letter | Refused | NotTaken:
        try:
            return self._writer.write(delivery)
        except Unaddressable as error:
            return Refused(str(error))
        except BadTemplate as error:
            log.exception("letter not written", notice_id=delivery.notice.notice_id)
            return NotTaken(f"it could not be written: {error}")
        except Exception as error:
            # A fault of ours, which passes with the next release or never: shown, tried ever more
            # rarely, and given up like any other.
            log.exception("letter not written", notice_id=delivery.notice.notice_id)
            return NotTaken(f"it could not be written: {type(error).__name__}")

    async def _intend(self, delivery: Delivery, lease: str) -> bool:
        """Commit that the server may have it from here on."""
        async with self._database.transaction() as tx:
            return await deliveries.put_sending(
                tx.sql, delivery, now=await tx.now(), lease=lease, lease_s=self._lease_s
            )

    async def _record_answer(self, delivery: Delivery, outcome: Outcome, lease: str) -> None:
        """Record what came of the content, as soon as the database is there. Without these words
        the letter counts as unclear: one that was put off would never be sent."""
        until_s = time.monotonic() + self._lease_s
        while True:
            try:
                return await self._record([delivery], outcome, lease)
            except PASSING as error:
                if time.monotonic() >= until_s:
                    raise
                log.warning("answer not recorded yet", error=repr(error))
            await asyncio.sleep(RECORD_AGAIN_S)

    async def _record(self, tried: Sequence[Delivery], outcome: Outcome, lease: str) -> None:
        async with self._database.transaction() as tx:
            now = await tx.now()
            after = [followed(delivery, outcome, now, random.random()) for delivery in tried]
            ours = await deliveries.put(tx.sql, after, lease)
        for delivery in ours:
            self._tell(delivery)
        if len(ours) < len(tried):
            log.warning("results came too late", letters=len(tried) - len(ours))

    def _tell(self, delivery: Delivery) -> None:
        """In metrics and logs."""
        NOTICES.labels(delivery.notice.kind, delivery.state).inc()
        log.info(
            "notice",
            org_id=delivery.notice.org_id,
            campaign_id=delivery.notice.campaign_id,
            kind=delivery.notice.kind,
            state=delivery.state,
            tries=delivery.tries,
        )


def _wish(delivery: Delivery) -> Wish:
    return delivery.notice.org_id, delivery.address, delivery.notice.kind


def _ended(delivery: Delivery, wanted: Collection[Wish], now: datetime) -> Delivery | None:
    """The delivery's end, if it is not to be sent any more."""
    if delivery.state == "sending":
        return abandoned(delivery, now)
    if _wish(delivery) not in wanted:
        return settled(delivery, "unwanted", "the admin has switched such notices off", now)
    why = overtaken(delivery)
    return None if why is None else settled(delivery, "overtaken", why, now)
