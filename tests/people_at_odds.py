"""What admins, senders, contacts and other systems say in the state machine's world: to the engine,
and into the books that its doings are held against."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, get_args

from services.sandbox.hours import PromisedHours
from shared.events import (
    CampaignArchived,
    CampaignPaused,
    CampaignResumed,
    CarrierAnswered,
    ContactOptedIn,
    ContactOptedOut,
    Event,
    NumberProvisioned,
    QueueWithdrawn,
    UnclearSettled,
    WindowChanged,
    WindowClosed,
)
from shared.fields import Carrier
from shared.rules.hours import Hours, Window, clock_text
from tests.books import Said
from tests.engine import Engine, phone

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
Word = Literal[
    "launch", "close", "pause", "resume", "hold", "let go", "withdraw", "archive", "confirm",
    "provision", "again", "stop", "all sent", "all failed",
]  # fmt: skip
WORDS: tuple[Word, ...] = get_args(Word)
EDITS_S = (-3600, -1, 0.2, 3, 40, 600, 43_200, 200_000)


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


class People:
    """All who talk to the engine; each method is one thing that is said."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.said = Said()
        self.limits: dict[tuple[str, Carrier, str | None], dict[str, Any]] = {}
        self.windows: dict[Place, tuple[Window, Hours]] = {}
        self._launched: set[Place] = set()
        self._provisioned: set[Place] = set()
        self._revisions: dict[Place, int] = {}
        self._version = 0

    async def launch(self, place: Place) -> None:
        """Launch a campaign, once; its carriers know its number at once."""
        if place in self._launched:
            return
        self._launched.add(place)
        window, hours = self.windows.get(place) or (
            Window(self.engine.now - timedelta(hours=1), self.engine.now + timedelta(hours=18)),
            Hours.parse(*place.hours),
        )
        await self.engine.launch(
            opens_at=window.opens_at, closes_at=window.closes_at, campaign_id=place.campaign_id,
            opens=clock_text(hours.opens), closes=clock_text(hours.closes),
            time_zone=hours.time_zone, number=place.number, org_id=place.org_id,
            use_case_id=place.use_case_id,
        )  # fmt: skip
        if place not in self.windows:
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
            self.said.accepted[key], self.said.accepted_at[key] = one, self.engine.now
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
        elif word in ("hold", "let go"):
            await self.hold(place, on=word == "hold")
        elif word == "provision":
            await self.provision(place)
        elif word == "withdraw":
            await self.withdraw(place)
        elif word == "archive":
            await self.archive(place)
        elif word == "confirm":
            for carrier in CARRIERS:
                await self.confirm(place, carrier)
        elif word == "stop":
            for carrier in CARRIERS:
                await self.hear_of_a_contact(place, carrier, 0, wants_texts=False)
        elif word in ("all sent", "all failed"):
            await self._hear(
                UnclearSettled(
                    org_id=place.org_id, campaign_id=place.campaign_id, settled_at=self.engine.now,
                    outcome="sent" if word == "all sent" else "failed",
                )
            )  # fmt: skip
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
        await self.tell_limit(place.org_id, carrier, place.use_case_id if own else None, caps)

    async def tell_limit(
        self, org_id: str, carrier: Carrier, use_case_id: str | None, caps: dict[str, Any]
    ) -> None:
        self._version += 1
        self.limits[org_id, carrier, use_case_id] = caps
        await self.engine.limit(
            carrier, version=self._version, org_id=org_id, use_case_id=use_case_id, **caps
        )

    async def edit_window(
        self, place: Place, closes_in_s: float, hours: tuple[str, str, str]
    ) -> None:
        closes_at = self.engine.now + timedelta(seconds=closes_in_s)
        opens_at = min(self.engine.now, closes_at) - timedelta(days=1)
        await self._edit(place, Window(opens_at, closes_at), Hours.parse(*hours))

    async def hold(self, place: Place, *, on: bool) -> None:
        """It is to wait for its number's provisioning from now on, or not."""
        if place not in self.windows:
            return
        await self._edit(place, *self.windows[place], hold=on)
        if place not in self._provisioned:
            self.said.held[place.key].turn(self.engine.now, on)

    async def _edit(
        self, place: Place, window: Window, hours: Hours, hold: bool | None = None
    ) -> None:
        revision = self._revisions[place] = self._revisions.get(place, 1) + 1
        await self._hear(
            WindowChanged(
                org_id=place.org_id, campaign_id=place.campaign_id, revision=revision,
                window=window, hours=hours, hold_until_provisioned=hold,
            )
        )  # fmt: skip
        self._promise(place, window, hours)

    async def provision(self, place: Place) -> None:
        """All carriers know its number, for good."""
        confirmed = {"state": "confirmed", "at": self.engine.now}
        window = {"opens_at": self.engine.now, "closes_at": self.engine.now + timedelta(hours=1)}
        await self._hear(
            NumberProvisioned.model_validate(
                {
                    "org_id": place.org_id, "campaign_id": place.campaign_id, "name": "Vote",
                    "number": place.number, "outcome": "complete", "took_s": 1, "window": window,
                    "carriers": {"att": confirmed, "tmobile": confirmed, "verizon": confirmed},
                    "launched_by": {"name": "Ada", "email": "ada@example.org"},
                }
            )
        )  # fmt: skip
        self._provisioned.add(place)
        self.said.held[place.key].turn(self.engine.now, False)

    async def close(self, place: Place) -> None:
        """The window is said to be closed, by whoever tells such things."""
        await self._hear(
            WindowClosed(
                org_id=place.org_id, campaign_id=place.campaign_id, closed_at=self.engine.now,
                revision=self._revisions.get(place, 1),
            )
        )  # fmt: skip
        if place in self.windows:
            window, hours = self.windows[place]
            if window.opens_at < self.engine.now < window.closes_at:
                self._promise(place, Window(window.opens_at, self.engine.now), hours)

    async def pause(self, place: Place, *, on: bool) -> None:
        revision = self._revisions[place] = self._revisions.get(place, 1) + 1
        common = {"org_id": place.org_id, "campaign_id": place.campaign_id, "revision": revision}
        event: Event = (
            CampaignPaused.model_validate({**common, "paused_at": self.engine.now})
            if on
            else CampaignResumed.model_validate({**common, "resumed_at": self.engine.now})
        )
        await self._hear(event)
        self.said.paused[place.key].turn(self.engine.now, on)

    async def withdraw(self, place: Place) -> None:
        await self._hear(
            QueueWithdrawn(
                org_id=place.org_id, campaign_id=place.campaign_id, withdrawn_at=self.engine.now
            )
        )
        self.said.withdrawn[place.key].append((self.engine.now, self.engine.now))

    async def archive(self, place: Place) -> None:
        await self._hear(
            CampaignArchived(
                org_id=place.org_id, campaign_id=place.campaign_id, archived_at=self.engine.now
            )
        )
        last = self.said.promised[place.number]
        archived = PromisedHours(archived_at=self.engine.now)
        last.append((self.engine.now, archived))
        self.engine.world.judge.tell_hours(self.engine.now, place.number, archived)

    async def hear_of_a_contact(
        self, place: Place, carrier: Carrier, index: int, *, wants_texts: bool
    ) -> None:
        contact = phone(carrier, index)
        common = {"org_id": place.org_id, "phone": contact}
        event: Event = (
            ContactOptedIn.model_validate({**common, "opted_in_at": self.engine.now})
            if wants_texts
            else ContactOptedOut.model_validate({**common, "opted_out_at": self.engine.now})
        )
        await self._hear(event)
        self.said.opted_out[place.org_id, contact].turn(self.engine.now, not wants_texts)

    def _promise(self, place: Place, window: Window, hours: Hours) -> None:
        """What a campaign promises from now on; an archive is for ever."""
        self.windows[place] = (window, hours)
        told = self.said.promised[place.number]
        if any(one.archived_at for _, one in told):
            return
        told.append((self.engine.now, self.engine.promise(window, hours, number=place.number)))

    async def _hear(self, *events: Event) -> None:
        """Each event may come in a batch of its own, in whatever order."""
        await self.engine.hear(*events)

    async def confirm(self, place: Place, carrier: Carrier) -> None:
        common = {"org_id": place.org_id, "campaign_id": place.campaign_id}
        answer = {"carrier": carrier, "answer": "confirmed", "answered_at": self.engine.now}
        await self._hear(
            CarrierAnswered.model_validate({**common, **answer, "number": place.number})
        )
