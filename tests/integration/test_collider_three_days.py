"""Three days of two organizations with all carriers, the clocks changed on the second: in virtual
time, judged by the sandbox's rules, and every text accounted for in the end."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.sandbox.behaviour import Behaviour
from services.sandbox.judge import Entry
from shared.events import MessageFailed, MessageQueued, MessageReceived, WindowChanged
from shared.fields import Carrier
from shared.rules.hours import Hours, Window, open_interval, parse_clock
from tests.books import Said, imbalances, losses, misdated
from tests.engine import Engine, engine

LOS_ANGELES = "America/Los_Angeles"
NEW_YORK = "America/New_York"
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Campaign:
    org_id: str
    use_case_id: str
    campaign_id: str
    number: str
    hours: tuple[str, str, str]


# Oak's two share T-Mobile's day; each has an AT&T minute of its own. Elm's never sleeps.
EAST = Campaign("oak", "oak-east", "east", "+12125550101", ("09:00", "21:00", NEW_YORK))
WEST = Campaign("oak", "oak-west", "west", "+13105550102", ("10:00", "20:00", LOS_ANGELES))
NIGHT = Campaign("elm", "elm-news", "night", "+13105550103", ("00:00", "24:00", LOS_ANGELES))
BRIEF = Campaign("elm", "elm-news", "brief", "+12125550104", ("08:30", "17:00", NEW_YORK))
CAMPAIGNS = (EAST, WEST, NIGHT, BRIEF)


class Story:
    """The engine, and all that was said to it."""

    def __init__(self, collider: Engine, first: date) -> None:
        self.collider = collider
        self.first = first
        self.said = Said()
        self.windows: dict[Campaign, Window] = {}
        self._answered = 0

    def at(self, day: int, clock: str, zone: str = LOS_ANGELES) -> datetime:
        """A time of day by a zone's clocks, so many days after the first."""
        when = datetime.combine(self.first + timedelta(days=day), time(), ZoneInfo(zone))
        return when.replace(hour=parse_clock(clock).hour, minute=parse_clock(clock).minute)

    async def launch(self, campaign: Campaign, closes_at: datetime) -> None:
        opens, closes, zone = campaign.hours
        self.windows[campaign] = Window(self.collider.now, closes_at)
        await self.collider.launch(
            opens_at=self.collider.now, closes_at=closes_at, campaign_id=campaign.campaign_id,
            opens=opens, closes=closes, time_zone=zone, number=campaign.number,
            org_id=campaign.org_id, use_case_id=campaign.use_case_id,
        )  # fmt: skip
        self._promise(campaign)

    async def extend(self, campaign: Campaign, closes_at: datetime) -> None:
        window = self.windows[campaign] = Window(self.windows[campaign].opens_at, closes_at)
        await self.collider.hear(
            WindowChanged(
                org_id=campaign.org_id, campaign_id=campaign.campaign_id, revision=2,
                window=window, hours=Hours.parse(*campaign.hours),
            )
        )  # fmt: skip
        self._promise(campaign)

    def _promise(self, campaign: Campaign) -> None:
        hours = Hours.parse(*campaign.hours)
        promised = self.collider.promise(self.windows[campaign], hours, number=campaign.number)
        self.said.promised[campaign.number].append((self.collider.now, promised))

    async def queue(
        self, campaign: Campaign, carrier: Carrier, count: int, **fields: Any
    ) -> list[MessageQueued]:
        common = {"org_id": campaign.org_id, "campaign_id": campaign.campaign_id}
        texts = self.collider.texts(carrier, count, **common, **fields)
        for text in texts:
            self.said.accepted[text.org_id, text.message_id] = text
        await self.collider.hear(*texts)
        return texts

    async def go_to(self, until: datetime) -> None:
        """Time passes; whoever texts back is answered within ten minutes."""
        while self.collider.now < until:
            await self.collider.go_to(min(until, self.collider.now + 10 * MINUTE))
            heard = self.collider.told(MessageReceived)
            for one in heard[self._answered :]:
                [campaign] = [of for of in CAMPAIGNS if of.campaign_id == one.campaign_id]
                await self.queue(campaign, _carrier_of(one.sender), 1, kind="reply", to=one.sender)
            self._answered = len(heard)

    def arrivals(self, **wanted: object) -> list[Entry]:
        """Requests that the sandbox saw, by brand, carrier, use case, kind."""
        return [
            entry
            for entry in self.collider.world.judge.page(0, 10**9)
            if all(
                (entry.kind if name == "kind" else getattr(entry.text, name)) == value
                for name, value in wanted.items()
            )
        ]

    def by_day(self, entries: Sequence[Entry]) -> list[int]:
        """Segments on each of the three civil days of Los Angeles."""
        days: Counter[date] = Counter()
        for entry in entries:
            days[entry.arrived_at.astimezone(ZoneInfo(LOS_ANGELES)).date()] += entry.text.segments
        return [days[self.first + timedelta(days=day)] for day in range(3)]


def _carrier_of(phone: str) -> Carrier:
    found: dict[str, Carrier] = {"2": "att", "4": "tmobile", "6": "verizon", "8": "other"}
    return found[phone[5]]


@pytest.fixture(params=[date(2026, 10, 31), date(2027, 3, 13)], ids=["autumn", "spring"])
async def story(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Story]:
    first = request.param
    begin = datetime.combine(first, time(4), ZoneInfo(LOS_ANGELES))
    async with engine(database_url, begin) as collider:
        collider.start_replica()
        collider.world.behave(Behaviour(receipt_delay_s=5, sent_webhooks=False, reply_share=0.03))
        yield Story(collider, first)


MORNINGS: tuple[tuple[Campaign, Carrier, str], ...] = (
    (EAST, "att", "sms"),
    (EAST, "verizon", "sms"),
    (WEST, "att", "sms"),
    (WEST, "other", "mms"),
    (BRIEF, "att", "sms"),
)
MORNING_TEXTS = 120
PER_MINUTE = {("att", "sms"): 75, ("verizon", "sms"): 60, ("other", "mms"): 90}


@pytest.mark.timeout(240)
async def test_three_days_with_a_change_of_clocks_keep_every_limit_hour_and_text(
    story: Story,
) -> None:
    await _tell_limits(story)
    await story.launch(EAST, story.at(2, "20:00", NEW_YORK))
    await story.launch(WEST, story.at(1, "18:00"))
    await story.launch(NIGHT, story.at(2, "21:00"))
    await story.launch(BRIEF, story.at(1, "16:00", NEW_YORK))

    # The first day, from four in the morning in Los Angeles on.
    await story.queue(NIGHT, "tmobile", 1_450)
    await story.queue(EAST, "tmobile", 1_000)
    await story.queue(WEST, "tmobile", 1_250)
    await _queue_a_morning(story)
    await story.go_to(story.at(0, "22:00"))

    # The second: the night in which the clocks change, a limit raised at noon, a window that is
    # extended ten minutes before it ends, another that ends.
    await _queue_a_morning(story)
    await story.go_to(story.at(1, "12:00"))
    await story.collider.limit("tmobile", version=2, org_id="oak", segments_per_day=1_000)
    await story.go_to(story.at(1, "17:50"))
    await story.extend(WEST, story.at(2, "19:00"))
    await story.go_to(story.at(1, "22:00"))

    # The third, and the morning after it for replies that its quota had no room for.
    await _queue_a_morning(story)
    await story.go_to(story.at(3, "10:30"))

    verdict = story.collider.world.judge.verdict()
    assert verdict["ok"], verdict
    assert not [fault for entry in story.arrivals() for fault in story.said.trespasses(entry)]
    assert await losses(story.collider, story.said) == []
    assert await imbalances(story.collider, story.said) == []
    assert await misdated(story.collider, LOS_ANGELES) == []
    _check_days(story)
    _check_mornings(story)
    _check_replies(story)
    await _check_ends(story)


async def _tell_limits(story: Story) -> None:
    limit = story.collider.limit
    for org_id, per_day in (("oak", 750), ("elm", 450)):
        await limit("tmobile", org_id=org_id, segments_per_day=per_day)
        await limit("verizon", org_id=org_id, sms_per_minute=60, sms_unit="message")
        await limit("other", org_id=org_id, sms_per_minute=90, mms_per_minute=90)
    for use_case_id in ("oak-east", "oak-west"):
        await limit(
            "att", org_id="oak", use_case_id=use_case_id, sms_per_minute=75, mms_per_minute=50
        )
    await limit("att", org_id="elm", sms_per_minute=75, mms_per_minute=50)


async def _queue_a_morning(story: Story) -> None:
    """What waits for the next opening: of each limit a minute, a few minutes' worth."""
    for campaign, carrier, channel in MORNINGS:
        fields: dict[str, Any] = {"channel": channel}
        if channel == "mms":
            fields["media_urls"] = ("https://example.org/poster.png",)
        if carrier == "verizon":
            fields["text"] = "Will you vote? " * 20  # of two segments, and counted as one message
        await story.queue(campaign, carrier, MORNING_TEXTS, **fields)


def _check_days(story: Story) -> None:
    """Each civil day's quota is used to the last segment while there is backlog, whether the day
    has 23, 24 or 25 hours; a quota raised at noon lets out the rest at noon."""
    elm = story.arrivals(brand="elm", carrier="tmobile")
    assert story.by_day(elm) == [450, 450, 450]
    oak = story.arrivals(brand="oak", carrier="tmobile")
    assert story.by_day(oak)[:2] == [750, 1_000]
    raised_at = story.at(1, "12:00")
    after = [one for one in oak if raised_at <= one.arrived_at < raised_at + 2 * MINUTE]
    assert len(after) == 250
    # The night campaign's day begins at the carrier's midnight, on its clocks.
    for day in (1, 2):
        midnight = story.at(day, "0:00")
        first = min(one.arrived_at for one in elm if one.arrived_at > midnight - MINUTE)
        assert midnight <= first < midnight + timedelta(seconds=1)
    hours = (story.at(2, "0:00").timestamp() - story.at(1, "0:00").timestamp()) / 3600
    assert hours in (23, 25)


def _check_mornings(story: Story) -> None:
    """Each limit a minute is used from the opening on, to 98 hundredths and more."""
    for campaign, carrier, channel in MORNINGS:
        per_minute = PER_MINUTE[carrier, channel]
        for day in range(2 if campaign is BRIEF else 3):
            opens_at = story.at(day, *campaign.hours[::2])
            entries = [
                entry
                for entry in story.arrivals(
                    number=campaign.number, carrier=carrier, channel=channel, kind="initial"
                )
                if opens_at <= entry.arrived_at < opens_at + 5 * MINUTE
            ]
            assert len(entries) == MORNING_TEXTS, (campaign, carrier, day)
            first, last = entries[0].arrived_at, entries[-1].arrived_at
            assert first < opens_at + timedelta(seconds=1)
            allowed = per_minute * (last - first).total_seconds() / 60
            assert len(entries) >= 0.98 * allowed


def _check_replies(story: Story) -> None:
    """Replies go at once, or at the next opening, as fast as a few can that come together; only
    T-Mobile's day may keep them longer."""
    hours = {campaign.campaign_id: Hours.parse(*campaign.hours) for campaign in CAMPAIGNS}
    replies = [one for one in story.arrivals(kind="reply") if one.text.carrier != "tmobile"]
    assert len(replies) > 20
    for entry in replies:
        assert entry.message is not None
        text = story.said.accepted[entry.message]
        may_go_at = max(
            text.queued_at, open_interval(hours[text.campaign_id], text.queued_at).opens_at
        )
        assert entry.arrived_at - may_go_at < timedelta(seconds=10)


async def _check_ends(story: Story) -> None:
    """What could not go failed for its window's end, and nothing else did."""
    assert (await story.collider.statuses()).keys() == {"delivered", "sending failed"}
    failed = Counter(event.campaign_id for event in story.collider.told(MessageFailed))
    night = len(story.arrivals(number=NIGHT.number, kind="initial"))
    # The brief one's texts of the third morning came after its end.
    assert failed == {"brief": MORNING_TEXTS, "night": 1_450 - night}
