"""Does what is due for numbers on their way back: claim, one call to the provider each, record."""

import random
import time

import structlog

from services.provisioner.domain import (
    Answer,
    AskCarriers,
    Attach,
    Done,
    LookUp,
    Moment,
    Patience,
)
from services.provisioner.leased import all_at_once, asked
from services.provisioner.providers import NumberProvider
from services.provisioner.rules.release import (
    Detach,
    GiveBack,
    LetGo,
    Number,
    ReleaseAct,
    ReleaseCall,
    Use,
    follow,
    intend,
    next_act,
    use_of,
)
from services.provisioner.store import numbers, release
from shared.database import Database
from shared.ids import new_id

NUMBERS_MOST = 10

log = structlog.get_logger(__name__)


class Releaser:
    """A worker; any number of them may run, in any number of replicas."""

    def __init__(
        self,
        database: Database,
        provider: NumberProvider,
        patience: Patience,
        *,
        lease_s: float,
        keep_last: bool = False,
    ) -> None:
        """`lease_s`: longer than one act can take; after it another worker takes a number up.
        `keep_last`: a use case's last number is not given back."""
        self._database = database
        self._provider = provider
        self._patience = patience
        self._lease_s = lease_s
        self._keep_last = keep_last

    async def step(self) -> bool:
        """Do what is due for a few numbers, all at once; whether there may be more."""
        lease = new_id()
        until_s = time.monotonic() + self._lease_s
        claimed = await self._claim(lease)
        again = await all_at_once(
            claimed,
            lambda number, act: self._do(number, act, lease, until_s),
            lambda number: {"number": number.number},
        )
        return len(claimed) == NUMBERS_MOST or again

    async def _claim(self, lease: str) -> list[tuple[Number, ReleaseAct]]:
        async with self._database.transaction() as tx:
            now = await tx.now()
            due = await release.lease_due(
                tx.sql, now=now, lease=lease, lease_s=self._lease_s, most=NUMBERS_MOST
            )
            acts = [next_act(number, now, self._patience) for number in due]
            intents = [intend(number, act, now) for number, act in zip(due, acts, strict=True)]
            if intents:
                await release.put_intents(tx.sql, intents)
        return list(zip(intents, acts, strict=True))

    async def _do(self, number: Number, act: ReleaseAct, lease: str, until_s: float) -> bool:
        """One act; whether the number's next one is due at once."""
        with structlog.contextvars.bound_contextvars(org_id=number.org_id):
            answer: Answer | None = Done()
            if not isinstance(act, LetGo):
                answer = await asked(act, self._answer, until_s=until_s)
            if answer is None:
                return False
            return await self._record(number, act, answer, lease)

    async def _answer(self, call: ReleaseCall) -> Answer:
        match call:
            case LookUp(reference):
                return await self._provider.look_up(reference)
            case Attach(number, provider_campaign_id):
                return await self._provider.attach(number, provider_campaign_id)
            case Detach(number):
                return await self._provider.detach(number)
            case AskCarriers(number):
                return await self._provider.ask_carriers(number)
            case GiveBack(number):
                return await self._provider.give_back(number)

    async def _record(
        self, number: Number, act: ReleaseAct, answer: Answer | Use, lease: str
    ) -> bool:
        async with self._database.transaction() as tx:
            if isinstance(act, LetGo):
                # A use case of one place would have none for another campaign, ever.
                keep_last = self._keep_last and not await numbers.is_place_waited_for(
                    tx.sql, number.org_id, number.use_case_id
                )
                held = await release.held(tx.sql, number, and_others=keep_last)
                answer = use_of(number.number, held, keep_last=keep_last)
            now = await tx.now()
            moment = Moment(now, self._patience, random.random())
            released = follow(number, act, answer, moment)
            after = released.number
            if not await release.put(tx.sql, after, lease):
                # It was taken back, or another worker has it by now and finds out by itself.
                log.warning("result came too late", act=type(act).__name__)
                return False
            if number.off_at is None and after.off_at is not None:
                await numbers.wake_for_places(tx.sql, number.org_id, number.use_case_id, now)
            tx.tell(*released.told)
        if after.step != number.step:
            log.info("number", step=after.step, number=after.number)
        return after.due_at is not None and after.due_at <= now
