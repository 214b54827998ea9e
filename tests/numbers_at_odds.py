"""The world that the provisioner's state machine plays in: an organization with two use cases and a
few campaigns, two replicas, the sandbox's provider and carriers, and a clock.

Each method is one thing that may happen.
"""

import asyncio
import json
import random
from collections import deque
from collections.abc import Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from asyncpg import Record

from services.provisioner import api
from services.provisioner.api import Signed
from services.provisioner.domain import CARRIERS, Carrier
from services.provisioner.handlers import HANDLERS
from services.provisioner.providers.telnyx_webhooks import read_number_update
from services.provisioner.reconciler import Overtaken, Reconciler
from services.provisioner.store import numbers
from services.sandbox.behaviour import Behaviour
from services.sandbox.domain import Webhook
from services.sandbox.registry import Word
from services.sandbox.world import World
from shared.consumer import record
from shared.database import PASSING
from shared.envelope import Received
from shared.events import CampaignArchived, CampaignLaunched, Event, Person, UseCaseRegistered
from shared.ids import new_id
from shared.rules.hours import Hours, Window
from tests.number_books import Books, read
from tests.number_line import FATES, Fate, Under
from tests.number_stage import (
    LEASE_S,
    LOST,
    PATIENCE,
    QUICK,
    START,
    TABLES,
    TROUBLES,
    Commit,
    Replica,
    Stage,
    Table,
)

ORG = "acme"
USE_CASES = ("votes", "surveys")
CAMPAIGNS_MOST = 12
STRIDES_S = (1, 5, 21, 61, 125, 310, 1300, 3700)
Plan = Literal["own", "dedicated", "follow-up"]
Deed = Plan | Literal["clone", "archive", "hear"]
DEEDS: tuple[Deed, ...] = ("own", "own", "dedicated", "follow-up", "clone", "archive", "hear")


class NumbersAtOdds:
    """See the module's text."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.database = stage.database
        self.clock = stage.clock
        self.under = Under()
        self.replicas = [Replica(stage, self.under) for _ in range(2)]
        self.reconciler = Reconciler(
            stage.database, stage.lists, every_s=3600, look_up_s=PATIENCE.look_up_s,
            lease_s=LEASE_S, profile_id="profile",
        )  # fmt: skip
        self._bag: list[Webhook] = []
        self.launched: list[str] = []
        self.undedicated = 0

    @property
    def world(self) -> World:
        return self.stage.sandbox.world

    async def begin(self) -> None:
        """Two use cases, one of which is known already."""
        await self.stage.clear()
        for use_case_id in USE_CASES:
            self.world.registry.campaign(f"C-{use_case_id}").webhook_url = "http://us"
        await self.register("votes")

    # --- people ------------------------------------------------------------------------------

    async def hear(self, *events: Event) -> None:
        read = [Received(f"test {new_id()}", event, {}) for event in events]
        await record(self.database, "test", HANDLERS, read)

    async def register(self, use_case_id: str) -> None:
        await self.hear(
            UseCaseRegistered(
                org_id=ORG, use_case_id=use_case_id, provider_campaign_id=f"C-{use_case_id}"
            )
        )

    def campaign(self, index: int) -> str:
        """One of those that were launched."""
        return self.launched[index % len(self.launched)]

    async def launch(
        self,
        use_case_id: str,
        plan: Plan,
        *,
        area_codes: Sequence[str] = ("212", "646"),
        of: int = 0,
        again: bool = False,
    ) -> None:
        """Another campaign. `of`: the one that it follows, if that has a number; else it gets its
        own. `again`: one that was launched already is told once more, otherwise."""
        followed = self.campaign(of) if self.launched else ""
        campaign_id = followed if again else f"c{len(self.launched)}"
        if not again:
            if len(self.launched) == CAMPAIGNS_MOST:
                return
            self.launched.append(campaign_id)
        number = None
        if plan == "follow-up":
            order = await self._order_of(followed)
            if order["purchased_at"] is not None:
                number, use_case_id = order["number"], order["use_case_id"]
        await self.hear(
            CampaignLaunched(
                org_id=ORG,
                campaign_id=campaign_id,
                use_case_id=use_case_id,
                name="Drive",
                launched_by=Person(name="Ada", email="ada@example.org"),
                area_codes=tuple(area_codes),
                window=Window(START, START + timedelta(days=2)),
                hours=Hours.parse("9:00", "21:00", "America/New_York"),
                revision=1,
                number=number,
                dedicated_number=plan == "dedicated",
            )
        )

    async def clone(self, index: int) -> None:
        """On the same afternoon: the old one is archived, the new one launched."""
        order = await self._order_of(self.campaign(index))
        await self.archive(index)
        await self.launch(order["use_case_id"], "own")

    async def crowd(self, use_case_id: str, plan: Plan, count: int) -> None:
        """Several at once, and everybody takes them up at once."""
        for _ in range(count):
            await self.launch(use_case_id, plan)
        await self.all_at_once([])

    async def archive(self, index: int, *, early: bool = False) -> None:
        """`early`: the next campaign, whose launch is heard later if at all."""
        campaign_id = f"c{len(self.launched)}" if early else self.campaign(index)
        await self.hear(
            CampaignArchived(org_id=ORG, campaign_id=campaign_id, archived_at=self.clock.at)
        )

    async def undedicate(self, use_case_id: str) -> None:
        async with self.database.transaction() as tx:
            number = await tx.sql.fetchval(
                "SELECT number FROM numbers WHERE use_case_id = $1 AND dedicated", use_case_id
            )
            if number is not None:
                self.undedicated += 1
                await numbers.undedicate(tx.sql, ORG, number, self.clock.at)

    async def _order_of(self, campaign_id: str) -> Record:
        query = "SELECT * FROM orders WHERE campaign_id = $1"
        async with self.database.connection() as connection:
            row = await connection.fetchrow(query, campaign_id)
        assert row is not None
        return row

    # --- time and workers --------------------------------------------------------------------

    async def wait(self, seconds: float) -> None:
        """The clock goes on, and all replicas are frozen meanwhile."""
        until = self.clock.at + timedelta(seconds=seconds)
        while (at := self.under.next_at) is not None and at <= until:
            self.clock.at = max(at, self.clock.at)
            await self.under.land(self.clock.at)
        self.clock.at = until
        self.world.advance(until)

    async def meet(self, index: int, table: Table, step: str, fates: Sequence[Fate]) -> None:
        """All goes well until a row comes to this step; from there on its acts have these fates."""
        left, row_id = deque(fates), None
        for _ in range(60):
            due = await self._due(table)
            if due is None:
                if not await self._work_other(table):
                    return
                continue
            if row_id is None and due["step"] == step:
                row_id = due["id"]
            fate = left.popleft() if due["id"] == row_id else "answered"
            await self.replicas[index].step(table, fate)
            if not left:
                return

    async def _work_other(self, table: Table) -> bool:
        """What is due besides; else time passes to what is due next. False: nothing ever is."""
        other: Table = "numbers" if table == "orders" else "orders"
        if await self._due(other):
            await self.replicas[0].step(other, "answered")
            return True
        at = await self._next_at()
        if at is None:
            return False
        await self.wait(max(0.0, (at - self.clock.at).total_seconds()))
        return True

    async def go_on(self, seconds: float, *, share: float = 0, dice: int = 0) -> None:
        """Everybody works for a while. `share`: of the acts to which something happens."""
        rolls = self._rolls(dice)
        until = self.clock.at + timedelta(seconds=seconds)
        while True:
            await self._work_off(rolls, share)
            at = await self._next_at()
            if at is None or at > until:
                break
            await self.wait(max(0.0, (at - self.clock.at).total_seconds()))
        await self.wait(max(0.0, (until - self.clock.at).total_seconds()))

    def _rolls(self, dice: int) -> random.Random:
        """What is drawn is often drawn again: no two turns are to be alike, in any story."""
        self.stage.turns += 1
        return random.Random(f"{dice} {self.stage.turns}")

    async def live_on(self, share: float, dice: int) -> None:
        """Some minutes of an office's life, with troubles in between."""
        rolls = self._rolls(dice)
        for _ in range(4):
            index, use_case_id = rolls.randrange(9), rolls.choice(("votes", *USE_CASES))
            match rolls.choice(DEEDS):
                case "clone":
                    await self.clone(index)
                case "archive":
                    await self.archive(index)
                case "hear":
                    word: Word = rolls.choice(("confirmed", "refused", "refused"))
                    self.speak(index, rolls.choice(CARRIERS), word, rolls.choice((0, 5, 300)))
                    await self.receive(rolls.randrange(100), dice)
                case plan:
                    await self.launch(use_case_id, plan, of=index)
            await self.go_on(rolls.choice((3, 10, 30, 130)), share=share, dice=dice)

    async def _work_off(self, rolls: random.Random, share: float) -> None:
        """All that is due by now."""
        for _ in range(200):
            due = [table for table in TABLES if await self._due(table)]
            if not due:
                return
            for table in due:
                await self._act(table, rolls, share)
        raise AssertionError("it never comes to rest: something is due at once, again and again")

    async def _act(self, table: Table, rolls: random.Random, share: float) -> None:
        """The next row's act; one in five troubles is the database's."""
        fate: Fate = "answered"
        if rolls.random() < share:
            if rolls.random() < 0.2:
                self.database.commits.extend(rolls.choice(LOST))
            else:
                fate = rolls.choice(FATES)
        try:
            await rolls.choice(self.replicas).step(table, fate)
        except PASSING:
            return
        finally:
            self.database.commits.clear()

    async def _due(self, table: Table) -> Record | None:
        """The row that is taken up next."""
        row_id = "order_id" if table == "orders" else "number"
        async with self.database.connection() as connection:
            return await connection.fetchrow(
                f"""
                SELECT {row_id} AS id, step FROM {table} WHERE due_at <= $1
                ORDER BY due_at LIMIT 1
                """,
                self.clock.at,
            )

    async def _next_at(self) -> datetime | None:
        """When something is due next: a row, or a request that is under way."""
        async with self.database.connection() as connection:
            due_at = await connection.fetchval(
                "SELECT least((SELECT min(due_at) FROM orders), (SELECT min(due_at) FROM numbers))"
            )
        return min((at for at in (due_at, self.under.next_at) if at is not None), default=None)

    async def all_at_once(self, fates: Sequence[Fate]) -> None:
        """Everybody works in the same moment, statement by statement between each other."""
        works: list[Coroutine[Any, Any, object]] = [self.receive(99, 7)]
        for replica in self.replicas:
            replica.line.fates.extend(fate for fate in fates if fate != "hangs")
            works += [replica.orders.step() for _ in range(3)]
            works += [replica.numbers.step() for _ in range(2)]
        await asyncio.gather(*(_passing(work) for work in works))
        for replica in self.replicas:
            replica.line.fates.clear()

    async def let_go(self, index: int) -> None:
        await self.replicas[index].let_go()

    async def reconcile(self) -> None:
        try:
            await self.reconciler.run_now()
        except Overtaken:
            return

    # --- the provider and its carriers -------------------------------------------------------

    def trouble(self, name: str) -> None:
        """From now on; what is under way keeps the delays that it was given."""
        self.world.advance(self.clock.at)
        self.world.behave(Behaviour(**{**QUICK, **TROUBLES[name]}))

    def speak(self, index: int, carrier: Carrier, word: Word, ago_s: float) -> None:
        """A carrier gives its word (again), as of some time ago."""
        self.world.advance(self.clock.at)
        there = self.world.registry.attachments()
        if there:
            attachment = there[index % len(there)]
            said_at = max(attachment.created_at, self.clock.at - timedelta(seconds=ago_s))
            self.world.registry.speak(
                self.clock.at, attachment.phone, carrier, word, said_at=said_at
            )

    async def receive(self, share: int, dice: int, *, lose: bool = False) -> None:
        """Some of the webhooks that are under way come in, in any order, some of them twice."""
        self.world.advance(self.clock.at)
        self._bag += self.world.take_webhooks()
        rolls = random.Random(dice)
        rolls.shuffle(self._bag)
        most = (len(self._bag) * (share + 1) + 99) // 100
        come, left = self._bag[:most], self._bag[most:]
        come += rolls.sample(come, len(come) // 3)
        self._bag = left
        if come and not lose:
            await self._take(come)

    async def _take(self, webhooks: Sequence[Webhook]) -> None:
        signed = []
        for webhook in webhooks:
            body = json.dumps({"data": webhook.data}).encode()
            says = read_number_update(body, self.clock.at)
            signed.append(Signed(self.clock.at, new_id().encode(), says))
        async with self.database.transaction() as tx:
            await api.record(tx, signed)

    async def lose_webhooks_commit(self, commit: Commit) -> None:
        """The provider tries again in the first case, and in the second too."""
        self.world.advance(self.clock.at)
        self._bag += self.world.take_webhooks()
        again = list(self._bag)
        self.database.commits.append(commit)
        try:
            await self.receive(99, 3)
        except PASSING:
            self._bag = again
        finally:
            self.database.commits.clear()

    # --- what came of it -----------------------------------------------------------------------

    async def books(self) -> Books:
        late = self.under.too_late
        return await read(self.database, self.world, too_late=late, undedicated=self.undedicated)

    # --- the end -----------------------------------------------------------------------------

    async def come_to_rest(self) -> None:
        """All troubles pass, and everything that was begun comes to its end."""
        self.trouble("none")
        for replica in self.replicas:
            await replica.let_go()
        for use_case_id in USE_CASES:
            await self.register(use_case_id)
        await self.receive(99, 5)
        await self.go_on(1.5 * PATIENCE.limit_s)

    async def be_reconciled(self) -> None:
        """Some hours more, with what they bring."""
        for _ in range(3):
            await self.receive(99, 5)
            await self.reconcile()
            await self.go_on(PATIENCE.limit_s / 2)


async def _passing(work: Coroutine[Any, Any, object]) -> None:
    """As the runtime does it: what only passes is tried again at the next turn."""
    try:
        await work
    except PASSING:
        return
