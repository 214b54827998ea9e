"""The world that the state machine plays in: two organizations with four campaigns, a few contacts,
up to three replicas on one database, the sandbox's provider and carriers, and a clock.

Each method is one thing that may happen. It happens to the engine, and is written down for the
ledgers that are compared with what the engine did.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, get_args
from zoneinfo import ZoneInfo

from services.sandbox.domain import Webhook
from services.sandbox.hours import PromisedHours
from shared.clock import ManualClock
from shared.database import PASSING
from shared.events import (
    CampaignArchived,
    CampaignPaused,
    CampaignResumed,
    CarrierAnswered,
    ContactOptedIn,
    ContactOptedOut,
    Event,
    QueueWithdrawn,
    WindowChanged,
    WindowClosed,
)
from shared.fields import Carrier
from shared.migrate import migrate
from shared.rules.hours import Hours, Window, clock_text, next_midnight, open_interval
from tests.books import Said, imbalances, losses
from tests.engine import MIGRATIONS, Engine, empty, phone
from tests.replicas import Fate, Replica, WeakDatabase, virtual_time

Result = TypeVar("Result")

LOS_ANGELES = "America/Los_Angeles"
CARRIERS: tuple[Carrier, ...] = ("att", "tmobile")
CAPS = (None, None, 0, 1, 2, 7, 15, 60, 240)
SEGMENTS = (1, 2, 10)
HOURS = (
    ("09:00", "21:00", LOS_ANGELES),
    ("00:00", "24:00", LOS_ANGELES),
    ("01:00", "03:00", "America/New_York"),
    ("08:00", "22:00", "America/New_York"),
)
CODES = (
    "40018", "40011", "40016", "40014", "40019", "40010", "40002", "40300", "40001", None,
)  # fmt: skip
"""Too fast, the day used up, expired, not registered, spam, opted out, no mobile; all is well."""
Word = Literal["launch", "close", "pause", "resume", "withdraw", "archive", "confirm", "again"]
WORDS: tuple[Word, ...] = get_args(Word)
EDITS_S = (-3600, -1, 0.2, 3, 40, 600, 43_200, 200_000)
STRIDES_S = (0.001, 0.05, 0.1, 0.24, 0.25, 0.26, 1, 3, 5.001, 11, 15.001, 61, 400, 3600, 43_200)
STARTS = (
    "2026-10-20 09:00:00", "2026-10-20 08:59:58", "2026-10-31 20:59:30", "2026-10-31 23:59:50",
    "2026-11-01 00:59:55", "2026-11-01 23:59:00", "2027-03-13 22:59:55", "2027-03-14 01:59:55",
)  # fmt: skip
"""By clocks in Los Angeles: at openings, closes and midnights, on days of change."""


@dataclass(frozen=True)
class Place:
    """One campaign, and the number it has all to itself."""

    org_id: str
    use_case_id: str
    campaign_id: str
    number: str
    hours: tuple[str, str, str]

    @property
    def key(self) -> tuple[str, str]:
        return (self.org_id, self.campaign_id)

    def __repr__(self) -> str:
        return f"{self.org_id}/{self.campaign_id}"


PLACES = (
    Place("org-a", "case-a1", "all-day", "+12125550101", HOURS[1]),
    Place("org-b", "case-b1", "daytime", "+12125550102", HOURS[0]),
    Place("org-a", "case-a2", "new-york", "+12125550103", HOURS[3]),
    Place("org-b", "case-b1", "all-day", "+12125550104", HOURS[1]),
)


class Stage:
    """What all stories share: an event loop and the database."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._loop = asyncio.new_event_loop()
        self.database: WeakDatabase

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._loop.run_until_complete(work)

    def __enter__(self) -> Self:
        self.run(migrate(self._url, "collider", MIGRATIONS))
        database = self.run(WeakDatabase.open(self._url, "collider"))
        assert isinstance(database, WeakDatabase)
        self.database = database
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.run(self.database.close())
        self._loop.close()


class WorldAtOdds:
    """See the module's text."""

    engine: Engine

    def __init__(self, stage: Stage) -> None:
        self.database = stage.database
        self.said = Said()
        self._looked_at = 0
        self._launched: set[Place] = set()
        self._windows: dict[Place, tuple[Window, Hours]] = {}
        self._revisions: dict[Place, int] = {}
        self._version = 0
        self._limits: dict[tuple[str, Carrier, str | None], dict[str, Any]] = {}
        self._bag: list[Webhook] = []
        self._patches = ExitStack()

    @property
    def now(self) -> datetime:
        return self.engine.now

    async def begin(self, at: str, caps: Sequence[int | None]) -> None:
        """An empty schema, at this time of Los Angeles, and two replicas. Limits are told first,
        and of four campaigns one is to be launched later."""
        start = datetime.fromisoformat(at).replace(tzinfo=ZoneInfo(LOS_ANGELES))
        clock = ManualClock(start.astimezone(ZoneInfo("UTC")))
        self.database.clock = clock
        self.database.next_commit = None
        await empty(self.database)
        self._patches.enter_context(virtual_time(clock))
        self.engine = Engine(self.database, clock)
        self.engine.start_replica(calls_most=40)
        buckets = [(org_id, carrier) for org_id in ("org-a", "org-b") for carrier in CARRIERS]
        for (org_id, carrier), cap in zip(buckets, caps, strict=True):
            day = None if cap is None else 40 * cap
            told = {"sms_per_minute": cap, "mms_per_minute": 30, "segments_per_day": day}
            await self._tell_limit(org_id, carrier, None, told)
        for place in PLACES[:3]:
            await self.launch(place)

    # --- people ------------------------------------------------------------------------------

    async def launch(self, place: Place) -> None:
        """Launch a campaign, once; its carriers know its number at once."""
        if place in self._launched:
            return
        self._launched.add(place)
        window, hours = self._windows.get(place) or (
            Window(self.now - timedelta(hours=1), self.now + timedelta(hours=18)),
            Hours.parse(*place.hours),
        )
        await self.engine.launch(
            opens_at=window.opens_at, closes_at=window.closes_at, campaign_id=place.campaign_id,
            opens=clock_text(hours.opens), closes=clock_text(hours.closes),
            time_zone=hours.time_zone, number=place.number, org_id=place.org_id,
            use_case_id=place.use_case_id,
        )  # fmt: skip
        if place not in self._windows:
            self._promise(place, window, hours)

    async def queue(
        self, place: Place, carrier: Carrier, count: int, segments: int, *, is_reply: bool,
        is_mms: bool,
    ) -> None:  # fmt: skip
        start = len(self.said.accepted)
        media = ("https://example.org/poster.png",) if is_mms else ()
        texts = [
            one.model_copy(update={"message_id": f"m{start + index}", "to": phone(carrier, index)})
            for index, one in enumerate(
                self.engine.texts(
                    carrier, count, org_id=place.org_id, campaign_id=place.campaign_id,
                    text="Will you vote? " * 10 * segments,
                    kind="reply" if is_reply else "initial", channel="mms" if is_mms else "sms",
                    media_urls=media,
                )
            )
        ]  # fmt: skip
        for one in texts:
            key = (one.org_id, one.message_id)
            self.said.accepted[key], self.said.accepted_at[key] = one, self.now
        await self._hear(*texts)

    async def say(self, place: Place, word: Word) -> None:
        """An admin's word about a campaign, a carrier's about its number, or, `again`, all that the
        senders said before."""
        if word == "launch":
            await self.launch(place)
        elif word == "close":
            await self.close(place)
        elif word in ("pause", "resume"):
            await self.pause(place, on=word == "pause")
        elif word == "withdraw":
            await self.withdraw(place)
        elif word == "archive":
            await self.archive(place)
        elif word == "confirm":
            for carrier in CARRIERS:
                await self.confirm(place, carrier)
        else:
            await self._hear(*list(self.said.accepted.values())[:200])

    async def limit(
        self, place: Place, carrier: Carrier, sms: int | None, mms: int | None, day: int | None,
        *, own: bool, by_message: bool,
    ) -> None:  # fmt: skip
        caps = {
            "sms_per_minute": sms,
            "mms_per_minute": mms,
            "segments_per_day": day if day is None else 3 * day,
            "sms_unit": "message" if by_message else "segment",
        }
        await self._tell_limit(place.org_id, carrier, place.use_case_id if own else None, caps)

    async def _tell_limit(
        self, org_id: str, carrier: Carrier, use_case_id: str | None, caps: dict[str, Any]
    ) -> None:
        self._version += 1
        self._limits[org_id, carrier, use_case_id] = caps
        await self.engine.limit(
            carrier, version=self._version, org_id=org_id, use_case_id=use_case_id, **caps
        )

    async def edit_window(
        self, place: Place, closes_in_s: float, hours: tuple[str, str, str]
    ) -> None:
        closes_at = self.now + timedelta(seconds=closes_in_s)
        opens_at = min(self.now, closes_at) - timedelta(days=1)
        revision = self._revisions[place] = self._revisions.get(place, 1) + 1
        window, parsed = Window(opens_at, closes_at), Hours.parse(*hours)
        await self._hear(
            WindowChanged(
                org_id=place.org_id, campaign_id=place.campaign_id, revision=revision,
                window=window, hours=parsed,
            )
        )  # fmt: skip
        self._promise(place, window, parsed)

    async def close(self, place: Place) -> None:
        """The window is said to be closed, by whoever tells such things."""
        await self._hear(
            WindowClosed(
                org_id=place.org_id, campaign_id=place.campaign_id, closed_at=self.now,
                revision=self._revisions.get(place, 1),
            )
        )  # fmt: skip
        if place in self._windows:
            window, hours = self._windows[place]
            if window.opens_at < self.now < window.closes_at:
                self._promise(place, Window(window.opens_at, self.now), hours)

    async def pause(self, place: Place, *, on: bool) -> None:
        revision = self._revisions[place] = self._revisions.get(place, 1) + 1
        common = {"org_id": place.org_id, "campaign_id": place.campaign_id, "revision": revision}
        event: Event = (
            CampaignPaused.model_validate({**common, "paused_at": self.now})
            if on
            else CampaignResumed.model_validate({**common, "resumed_at": self.now})
        )
        await self._hear(event)
        self.said.paused[place.key].turn(self.now, on)

    async def withdraw(self, place: Place) -> None:
        await self._hear(
            QueueWithdrawn(
                org_id=place.org_id, campaign_id=place.campaign_id, withdrawn_at=self.now
            )
        )
        self.said.withdrawn[place.key].append((self.now, self.now))

    async def archive(self, place: Place) -> None:
        await self._hear(
            CampaignArchived(
                org_id=place.org_id, campaign_id=place.campaign_id, archived_at=self.now
            )
        )
        last = self.said.promised[place.number]
        archived = PromisedHours(archived_at=self.now)
        last.append((self.now, archived))
        self.engine.world.judge.tell_hours(self.now, place.number, archived)

    async def hear_of_a_contact(
        self, place: Place, carrier: Carrier, index: int, *, wants_texts: bool
    ) -> None:
        contact = phone(carrier, index)
        common = {"org_id": place.org_id, "phone": contact}
        event: Event = (
            ContactOptedIn.model_validate({**common, "opted_in_at": self.now})
            if wants_texts
            else ContactOptedOut.model_validate({**common, "opted_out_at": self.now})
        )
        await self._hear(event)
        self.said.opted_out[place.org_id, contact].turn(self.now, not wants_texts)

    def _promise(self, place: Place, window: Window, hours: Hours) -> None:
        """What a campaign promises from now on; an archive is for ever."""
        self._windows[place] = (window, hours)
        told = self.said.promised[place.number]
        if any(one.archived_at for _, one in told):
            return
        told.append((self.now, self.engine.promise(window, hours, number=place.number)))

    async def _hear(self, *events: Event) -> None:
        """Each event may come in a batch of its own, in whatever order."""
        await self.engine.hear(*events)

    # --- time and workers --------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """The clock goes on, and all replicas are frozen meanwhile."""
        self.engine.clock.advance(seconds)

    def wait_for_a_border(self, before_s: float) -> None:
        """To just before the next close, window's end or midnight, or just after it."""
        borders = [next_midnight(LOS_ANGELES, self.now)]
        for window, hours in self._windows.values():
            borders += [open_interval(hours, self.now).closes_at, window.closes_at]
            borders.append(open_interval(hours, self.now).opens_at)
        ahead = [at - timedelta(seconds=before_s) for at in borders]
        later = [at for at in ahead if at > self.now]
        if later:
            self.engine.clock.at = min(later)

    async def go_on(self, seconds: float, every_s: float) -> None:
        """Everybody does their work for a while."""
        await self.engine.run(seconds, every_s=every_s)

    def replica(self, index: int) -> Replica:
        return self.engine.replicas[index % len(self.engine.replicas)]

    async def claim(self, index: int) -> None:
        await self.replica(index).claimer.step()

    async def dispatch(self, index: int, fates: Sequence[Fate]) -> None:
        replica = self.replica(index)
        replica.line.fates.extend(fates)
        await replica.dispatch()
        replica.line.fates.clear()

    async def all_at_once(self, fates: Sequence[Fate]) -> None:
        """Everybody works in the same moment, statement by statement between each other."""
        works: list[Callable[[], Awaitable[object]]] = [
            self.engine.upkeep.turn, self.engine.upkeep.close,
            self.engine.upkeep.reap, self.engine.upkeep.route,
        ]  # fmt: skip
        for replica in self.engine.replicas:
            replica.line.fates.extend(fates)
            works += [replica.work, replica.work]
        await asyncio.gather(*(_again(work) for work in works))
        for replica in self.engine.replicas:
            replica.line.fates.clear()

    # --- the provider and its carriers -------------------------------------------------------

    async def let_go(self, index: int, *, answered: bool) -> None:
        replica = self.replica(index)
        replica.line.let_go(answered=answered)
        await replica.dispatch()

    async def receipts(self, share: int, dice: int) -> None:
        """Some of the receipts that are under way come in: in any order, some of them twice."""
        self._fill_bag()
        rolls = random.Random(dice)
        rolls.shuffle(self._bag)
        most = (len(self._bag) * (share + 1) + 99) // 100
        come, self._bag = self._bag[:most], self._bag[most:]
        come += rolls.sample(come, len(come) // 3)
        try:
            await self.engine.receive(come)
        except PASSING:
            # The provider tries again.
            self._bag += come
            raise

    def _fill_bag(self) -> None:
        self.engine.world.advance(self.now)
        self._bag += self.engine.world.take_webhooks()

    def spoil(self, carrier: Carrier, index: int, code: str | None) -> None:
        """From now on every text to this phone comes to nothing, with this code."""
        self.engine.world.phones.spoil(phone(carrier, index), code)

    async def confirm(self, place: Place, carrier: Carrier) -> None:
        common = {"org_id": place.org_id, "campaign_id": place.campaign_id}
        answer = {"carrier": carrier, "answer": "confirmed", "answered_at": self.now}
        await self._hear(
            CarrierAnswered.model_validate({**common, **answer, "number": place.number})
        )

    # --- misfortune --------------------------------------------------------------------------

    def crash(self, index: int, calls_most: int) -> None:
        """A replica forgets all that it had in its hands, and another starts; a third may come
        besides."""
        replicas = self.engine.replicas
        if index < len(replicas):
            replicas.pop(index).die()
        self.engine.start_replica(calls_most=calls_most)

    async def lose_a_commit(self, index: int, what: str, *, is_made: bool) -> None:
        replica = self.replica(index)
        self.database.next_commit = "answer lost" if is_made else "unmade"
        try:
            if what == "keep up":
                await self.engine.upkeep.reap()
            elif what == "receipts":
                await self.receipts(50, 1)
            else:
                step = replica.claimer.step if what == "claim" else replica.dispatcher.step
                await step()
        finally:
            self.database.next_commit = None

    # --- what may never be -------------------------------------------------------------------

    def faults(self) -> list[str]:
        """What the judge and the books of what was said have against the last arrivals."""
        if not self._launched:
            return []
        fresh = self.engine.world.judge.page(self._looked_at, 10**9)
        self._looked_at += len(fresh)
        found = [fault for entry in fresh for fault in self.said.trespasses(entry)]
        verdict = self.engine.world.judge.verdict()
        if not verdict["ok"]:
            wrong = {key: verdict[key] for key in ("doubles", "outside_hours")}
            over = [
                line
                for key in ("buckets", "days")
                for line in verdict[key]  # type: ignore[attr-defined]
                if line["over"]
            ]
            found.append(f"the judge: {over} {wrong}")
        return found

    async def come_to_rest(self) -> list[str]:
        """Let all troubles pass and days go by; what is wrong in the end."""
        try:
            if not self._launched:
                return []
            await self._lift_troubles()
            self.engine.start_replica()
            for stride_s in (0.3, 1, 4, 15, 45, 65, 65, 120):
                await self._stride(stride_s)
            for _ in range(52):
                await self._stride(3600)
            return [
                *self.faults(),
                *await losses(self.engine, self.said),
                *await imbalances(self.engine, self.said),
            ][:5]
        finally:
            for replica in self.engine.replicas:
                replica.die()
            self._patches.close()

    async def _stride(self, seconds: float) -> None:
        self.engine.clock.advance(seconds)
        self._fill_bag()
        bag, self._bag = self._bag, []
        await self.engine.receive(bag)
        for _ in range(2):
            await self.engine.step()
        while await self.engine.upkeep.expire():
            pass

    async def _lift_troubles(self) -> None:
        for place in PLACES:
            await self.launch(place)
            for carrier in CARRIERS:
                await self.confirm(place, carrier)
            if self.said.paused[place.key].turns:
                await self.pause(place, on=False)
        for carrier in CARRIERS:
            for index in range(3):
                self.engine.world.phones.spoil(phone(carrier, index), None)
        for org_id, carrier, use_case_id in list(self._limits):
            await self._tell_limit(org_id, carrier, use_case_id, {})
        for replica in self.engine.replicas:
            while replica.line.held:
                replica.line.let_go()
                await replica.dispatch()


async def _again(work: Callable[[], Awaitable[object]]) -> None:
    """As the runtime does it: what only passes is tried again at the next turn."""
    try:
        await work()
    except PASSING:
        return
