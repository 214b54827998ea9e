"""Random cases for the forecast: organizations with their limits, campaigns and texts."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from shared.fields import Carrier, Channel, Kind
from shared.rules.hours import Hours, Window
from shared.rules.limits import ORGANIZATION, Limits

LOS_ANGELES, NEW_YORK = "America/Los_Angeles", "America/New_York"
CARRIERS: tuple[Carrier, ...] = ("att", "tmobile", "verizon", "other")
PER_MINUTE = (15, 15, 30, 60, 75, 120, 240, 600, 2_400, 4_500, 6_000, 9_000)
TEXTS_MOST = 90
"""Of one carrier and campaign: the engine takes about a millisecond for each."""

LATER_S = 60
"""When something happens in the midst of it: a campaign is resumed, replies come in."""

Pause = Literal["none", "for a while", "for good"]


@dataclass(frozen=True)
class Campaign:
    campaign_id: str
    use_case_id: str
    number: str
    window: Window
    hours: Hours
    pause: Pause


@dataclass(frozen=True)
class Batch:
    """Texts of one campaign, kind and channel to one carrier; `segments` of each, as queued."""

    campaign: Campaign
    carrier: Carrier
    kind: Kind
    channel: Channel
    segments: tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """An organization with its limits and what it queues; `later` comes in after LATER_S."""

    seed: int
    limits: Mapping[Carrier, Mapping[str, Limits]]
    campaigns: tuple[Campaign, ...]
    batches: tuple[Batch, ...]
    later: tuple[Batch, ...] = ()

    @property
    def org_id(self) -> str:
        return f"org-{self.seed}"

    def texts(self, carrier: str) -> int:
        """How many it queues there."""
        those = [*self.batches, *self.later]
        return sum(len(batch.segments) for batch in those if batch.carrier == carrier)

    @property
    def carriers(self) -> list[Carrier]:
        return list(dict.fromkeys(batch.carrier for batch in self.batches))


def draw(seed: int, now: datetime) -> Case:
    """A case that begins now."""
    return _Drawing(seed, now).case()


class _Drawing:
    def __init__(self, seed: int, now: datetime) -> None:
        self.seed = seed
        self.now = now
        self.dice = random.Random(seed)

    def case(self) -> Case:
        dice = self.dice
        carriers = dice.sample(CARRIERS, dice.choice((1, 1, 2, 3)))
        use_cases = [f"use-case-{self.seed}-{index}" for index in range(dice.choice((1, 1, 2, 3)))]
        limits = {carrier: self._limits(carrier, use_cases) for carrier in carriers}
        campaigns = [
            self._campaign(index, dice.choice(use_cases)) for index in range(dice.choice((1, 2, 3)))
        ]
        batches = [
            batch
            for carrier in carriers
            for campaign in campaigns
            for batch in self._batches(campaign, carrier)
        ]
        if not batches:
            batches = [Batch(campaigns[0], carriers[0], "initial", "sms", (1,) * 20)]
        dice.shuffle(batches)
        told = {carrier: one for carrier, one in limits.items() if one}
        later = tuple(
            Batch(batch.campaign, batch.carrier, "reply", "sms", (1, 2)) for batch in batches[:1]
        )
        return Case(self.seed, told, tuple(campaigns), tuple(batches), later)

    def _limits(self, carrier: Carrier, use_cases: Sequence[str]) -> dict[str, Limits]:
        dice = self.dice
        shape = dice.choice(("organization", "use cases", "both", "day", "day", "default"))
        if shape == "default":
            return {}
        found = {}
        if shape in ("organization", "both"):
            found[ORGANIZATION] = self._minutes(ORGANIZATION)
        if shape in ("use cases", "both"):
            found |= {one: self._minutes(one) for one in use_cases}
        if shape == "day":
            found[ORGANIZATION] = Limits(
                ORGANIZATION,
                dice.choice((None, None, 120, 600)),
                "segment",
                dice.choice((None, 60)),
                dice.choice((60, 100, 200)),
                dice.choice((LOS_ANGELES, NEW_YORK)),
            )
            if dice.random() < 0.2:
                found[use_cases[0]] = Limits(use_cases[0], None, "segment", None, 40)
        return found

    def _minutes(self, scope: str) -> Limits:
        dice = self.dice
        unit: Literal["segment", "message"] = "segment" if dice.random() < 0.7 else "message"
        return Limits(
            scope,
            dice.choice(PER_MINUTE),
            unit,
            dice.choice(PER_MINUTE),
            dice.choice((None, None, None, 200)),
        )

    def _campaign(self, index: int, use_case_id: str) -> Campaign:
        dice = self.dice
        zone = dice.choice((LOS_ANGELES, NEW_YORK))
        here = self.now.astimezone(ZoneInfo(zone))
        minute = here.replace(second=0, microsecond=0)
        opens, closes = "00:00", "24:00"
        shape = dice.choice(("day", "day", "always", "closing", "opening"))
        if shape == "day":
            opens, closes = "9:00", "21:00"
        elif shape == "closing":
            closes = f"{minute + timedelta(minutes=dice.choice((2, 3))):%H:%M}"
        elif shape == "opening":
            opens = f"{minute + timedelta(minutes=dice.choice((2, 3))):%H:%M}"
        if closes < "00:10" or opens > "23:50":
            opens, closes = "00:00", "24:00"
        ends = dice.choice((1, 2, 3, 4, 24 * 60, 40 * 60, 72 * 60))
        seconds = 60 * ends * dice.uniform(0.7, 1.1)
        starts = timedelta(seconds=dice.choice((0, 0, 0, 20)))
        number = f"+1{(212, 310, 415)[index]}555{self.seed % 10_000:04d}"
        return Campaign(
            f"campaign-{self.seed}-{index}",
            use_case_id,
            number,
            Window(self.now + starts, self.now + timedelta(seconds=max(LATER_S + 50.0, seconds))),
            Hours.parse(opens, closes, zone),
            pause=dice.choices(("none", "for a while", "for good"), (90, 6, 4))[0],
        )

    def _batches(self, campaign: Campaign, carrier: Carrier) -> list[Batch]:
        dice = self.dice
        found = []
        if dice.random() < 0.9:
            found.append(Batch(campaign, carrier, "initial", "sms", self._segments()))
        if dice.random() < 0.25:
            count = dice.randint(5, TEXTS_MOST // 2)
            found.append(Batch(campaign, carrier, "initial", "mms", (1,) * count))
        if dice.random() < 0.3:
            found.append(Batch(campaign, carrier, "reply", "sms", self._segments()[:8]))
        return found

    def _segments(self) -> tuple[int, ...]:
        dice = self.dice
        count = dice.randint(10, TEXTS_MOST)
        size = dice.choice((1, 1, 1, 2, 3, 10))
        shape = dice.choice(("one size", "one size", "two sizes"))
        if shape == "one size":
            return (size,) * max(5, count // size)
        # Dealt evenly: which of them come first nobody can forecast.
        share, offset = dice.uniform(0.15, 0.6), dice.random()
        sizes = [
            size + int((index + 1) * share + offset) - int(index * share + offset)
            for index in range(max(5, count // size))
        ]
        return tuple(min(10, one) for one in sizes)
