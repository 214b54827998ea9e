"""Does what is due for number orders: claim, one call to the provider each, record."""

import random
import time

import structlog
from prometheus_client import Counter

from services.provisioner.domain import (
    BUYING,
    SETTLED,
    Act,
    Answer,
    AskCarriers,
    Attach,
    Buy,
    Call,
    CarriersSaid,
    Done,
    Drop,
    Found,
    LookUp,
    Moment,
    Order,
    Patience,
    Search,
    SeeOrder,
    SetProfile,
    TakePlace,
)
from services.provisioner.facts import record_facts
from services.provisioner.leased import all_at_once, asked
from services.provisioner.providers import NumberProvider
from services.provisioner.rules import words
from services.provisioner.rules.moves import Followed
from services.provisioner.rules.steps import follow, intend, next_act, with_profile
from services.provisioner.store import numbers, orders
from shared.database import Database, Transaction
from shared.events import Event, NumberProvisioned, NumberPurchased
from shared.ids import new_id

ORDERS_MOST = 5

ENDED = Counter("sluice_numbers_provisioned_total", "Number orders that ended", ["outcome"])

log = structlog.get_logger(__name__)


class Provisioner:
    """A worker; any number of them may run, in any number of replicas."""

    def __init__(
        self,
        database: Database,
        provider: NumberProvider,
        patience: Patience,
        *,
        lease_s: float,
        numbers_most: int = 49,
        profile_id: str | None = None,
    ) -> None:
        """`lease_s`: longer than one act can take; after it another worker takes an order up.
        `numbers_most`: on one use case at once, pending ones too.
        `profile_id`: the messaging profile where a use case names none."""
        self._database = database
        self._provider = provider
        self._patience = patience
        self._lease_s = lease_s
        self._numbers_most = numbers_most
        self._profile_id = profile_id

    async def step(self) -> bool:
        """Do what is due for a few orders, all at once; whether there may be more."""
        lease = new_id()
        until_s = time.monotonic() + self._lease_s
        claimed = await self._claim(lease)
        again = await all_at_once(
            claimed,
            lambda order, act: self._do(order, act, lease, until_s),
            lambda order: {"order_id": order.order_id},
        )
        return len(claimed) == ORDERS_MOST or again

    async def _claim(self, lease: str) -> list[tuple[Order, Act]]:
        async with self._database.transaction() as tx:
            now = await tx.now()
            due = await orders.lease_due(
                tx.sql, now=now, lease=lease, lease_s=self._lease_s, most=ORDERS_MOST
            )
            due = [with_profile(order, self._profile_id) for order in due]
            acts = [next_act(order, now, self._patience) for order in due]
            intents = [intend(order, act, now) for order, act in zip(due, acts, strict=True)]
            if intents:
                await orders.put_intents(tx.sql, intents)
        return list(zip(intents, acts, strict=True))

    async def _do(self, order: Order, act: Act, lease: str, until_s: float) -> bool:
        """One act of an order; whether its next one is due at once."""
        with structlog.contextvars.bound_contextvars(
            org_id=order.launch.org_id, campaign_id=order.launch.campaign_id
        ):
            answer: Answer | None = Done()
            if isinstance(act, Call):
                answer = await asked(act, self._answer, until_s=until_s)
            if answer is None:
                return False
            return await self._record(order, act, answer, lease)

    async def _answer(self, call: Call) -> Answer:
        provider = self._provider
        match call:
            case Search(area_code, state):
                return await provider.search(area_code=area_code, state=state)
            case Buy(number, reference, messaging_profile_id):
                return await provider.buy(number, reference, messaging_profile_id)
            case LookUp(reference):
                return await provider.look_up(reference)
            case SeeOrder(provider_order_id):
                return await provider.see_order(provider_order_id)
            case SetProfile(number, messaging_profile_id):
                return await provider.set_profile(number, messaging_profile_id)
            case Attach(number, provider_campaign_id):
                return await provider.attach(number, provider_campaign_id)
            case AskCarriers(number):
                return await provider.ask_carriers(number)

    async def _record(self, order: Order, act: Act, answer: Answer, lease: str) -> bool:
        async with self._database.transaction() as tx:
            if isinstance(answer, CarriersSaid):
                # It holds for all campaigns on the number. Before the order is held: whoever brings
                # carriers' words takes these first.
                said = words.polled(order, answer, await tx.now())
                await record_facts(tx, said, asked_by=order.order_id)
            held = await orders.hold(tx.sql, order, lease)
            if held is None:
                # Another worker has it by now, and finds out by itself what came of this act.
                log.warning("result came too late", act=type(act).__name__)
                return False
            if isinstance(act, TakePlace):
                answer = await numbers.room(tx.sql, order, self._numbers_most)
            elif isinstance(answer, Found):
                # For sale, and not surely gone for us: whoever bought it would lose it to the
                # request that gives it back, when that is made again.
                ours = await numbers.of_any_organization(tx.sql, answer.numbers)
                answer = Found(tuple(one for one in answer.numbers if one not in ours))
            now = await tx.now()
            moment = Moment(now, self._patience, random.random())
            followed = follow(held, act, answer, moment)
            await orders.put(tx.sql, followed.order, now)
            await _book(tx, order, act, followed)
            tx.tell(*followed.told)
        if followed.order.step != order.step:
            log.info("step", step=followed.order.step, number=followed.order.number)
        for event in followed.told:
            if isinstance(event, NumberProvisioned):
                ENDED.labels(event.outcome).inc()
        return followed.order.due_at is not None and followed.order.due_at <= now


def _decides(event: Event) -> bool:
    """Whether it says that a number was not confirmed, or was so after all."""
    if not isinstance(event, NumberProvisioned) or event.number is None:
        return False
    return event.after_failure or event.outcome == "failed"


async def _book(tx: Transaction, before: Order, act: Act, followed: Followed) -> None:
    """What the end of an act means for the number, and for the places on its use case."""
    order, launch, now = followed.order, followed.order.launch, await tx.now()
    # What is there already has been booked, and goes straight to its carriers.
    is_bought = order.step in ("profile", "attach") and any(
        isinstance(event, NumberPurchased) for event in followed.told
    )
    # What ends with its campaign alone says nothing of the number.
    is_decided = not isinstance(act, Drop) and any(_decides(event) for event in followed.told)
    if is_bought:
        await numbers.book(tx.sql, order)
    if launch.dedicated and is_decided:
        await numbers.rededicate(tx.sql, order)
    if launch.dedicated and (is_bought or is_decided):
        await numbers.wake_for_places(tx.sql, launch.org_id, launch.use_case_id, now)
    if followed.sought is not None:
        await numbers.seek(tx.sql, followed.sought, now)
    if order.step == "place":
        await numbers.consider_kept(tx.sql, launch.org_id, launch.use_case_id, now)
    if order.step not in SETTLED:
        return
    if order.purchased_at is None and before.step in BUYING:
        await numbers.wake_for_places(tx.sql, launch.org_id, launch.use_case_id, now)
    if order.purchased_at is not None and order.number is not None and order.archived:
        await numbers.consider(tx.sql, {(launch.org_id, order.number)}, now)
