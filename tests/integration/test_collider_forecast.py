"""The forecast, held against the real engine in virtual time: random organizations, each with its
limits, campaigns, windows, hours, use cases, replies and pauses.

SLUICE_FORECAST_CASES is how many cases are tried (200); SLUICE_FORECAST_SEED moves on to others.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from shared.rules.forecast import Bucket, CarrierForecast, Load, forecast
from tests.engine import engine
from tests.forecast_cases import LOS_ANGELES, Case, draw
from tests.forecast_race import LATER, Ends, Part, Race

CASES = int(os.environ.get("SLUICE_FORECAST_CASES", "200"))
SEED = int(os.environ.get("SLUICE_FORECAST_SEED", "0"))
BEGINS = (
    "2026-10-20 10:00:20", "2026-10-20 20:56:40", "2026-10-31 23:56:30", "2027-03-13 12:30:10",
)  # fmt: skip
"""By clocks in Los Angeles: by day, before the close, before midnight of a day of change."""

WITHIN = 0.02
"""Of the time until the finish, and of the texts."""
SHORT_S = 1.5
"""Of forecasts that are shorter than a minute or so."""


# It takes some 20 s, but on a busy machine several times as long.
@pytest.mark.timeout(600)
@pytest.mark.parametrize("begins", BEGINS)
async def test_the_forecast_is_within_two_hundredths_of_the_engine(
    database_url: str, begins: str
) -> None:
    begun_at = datetime.fromisoformat(begins).replace(tzinfo=ZoneInfo(LOS_ANGELES))
    async with engine(database_url, begun_at) as collider:
        first = SEED + BEGINS.index(begins)
        seeds = range(first, SEED + CASES, len(BEGINS))
        cases = [draw(seed, collider.now) for seed in seeds]
        race = Race(collider, cases)
        await race.begin()
        loads = {case.seed: race.planned(case) for case in cases}
        wrong = _Check(race, "before", await race.buckets(), loads)
        await race.go_to(race.begun_at + LATER)
        await race.go_on()
        loads = await race.queued()
        wrong_live = _Check(race, "live", await race.buckets(), loads)
        await race.go_to(race.begun_at + timedelta(days=4))
        assert collider.world.judge.verdict()["ok"]
        found = [*wrong.faults(), *wrong_live.faults()]
        assert not found, "\n".join(found)
        assert wrong.checked > 2 * len(cases)
        assert wrong.by_a_text < 0.05 * wrong.checked
        assert wrong_live.checked > len(cases) // 4


class _Check:
    """Forecasts that were made at one time, and what is wrong with them in the end."""

    def __init__(
        self,
        race: Race,
        name: str,
        buckets: Mapping[int, Sequence[Bucket]],
        loads: Mapping[int, list[Load]],
    ) -> None:
        self.race = race
        self.name = name
        self.at = race.engine.now
        self.checked = self.by_a_text = 0
        self.found: list[tuple[Case, Part, CarrierForecast, list[datetime]]] = []
        for case in race.cases:
            mine = loads[case.seed]
            outlook = forecast(self.at, buckets[case.seed], mine)
            beside = [
                forecast(self.at, buckets[case.seed], _texts_more(mine, by)) for by in (-1, 1)
            ]
            for campaign_id in dict.fromkeys(one.campaign_id for one in mine):
                for one in outlook.carriers(campaign_id):
                    if not race.remembers(case, one.carrier, mine):
                        ends = [
                            other.finishes_at or self.at
                            for near in (outlook, *beside)
                            for other in near.carriers(campaign_id)
                            if other.carrier == one.carrier
                        ]
                        self.found.append((case, (campaign_id, one.carrier), one, ends))

    def faults(self) -> list[str]:
        """Each with the case's seed."""
        real = self.race.ends(self.at)
        return [
            f"seed {case.seed} ({self.name}): {part}: {fault}; {said}; {real[case.seed][part]}"
            for case, part, said, ends in self.found
            for fault in self._faults_of(case, said, ends, real[case.seed][part])
        ]

    def _faults_of(
        self, case: Case, said: CarrierForecast, ends: Sequence[datetime], real: Ends
    ) -> list[str]:
        self.checked += 1
        found = []
        texts = max(1.0, WITHIN * case.texts(said.carrier))
        if abs(said.failing - real.failed) > texts or abs(said.sent - real.sent) > texts:
            found.append(f"more than {texts:.1f} texts off")
        if said.refused != real.refused:
            found.append("others are refused")
        # Where some fail, it finishes with the window.
        if said.finishes_at and real.last_sent_at and not said.failing and not real.failed:
            real_s = (real.last_sent_at - self.at).total_seconds()
            slack = timedelta(seconds=max(WITHIN * real_s, SHORT_S))
            if not min(ends) - slack <= real.last_sent_at <= max(ends) + slack:
                found.append(f"finishes {said.finishes_at - real.last_sent_at} off {real_s:.1f} s")
            elif abs(said.finishes_at - real.last_sent_at) > slack:
                self.by_a_text += 1
        return found


def _texts_more(loads: Sequence[Load], by: int) -> list[Load]:
    """A forecast is no finer than a text: one of ten segments under 15 a minute takes 100 s, and
    may or may not go before a close."""
    found = []
    for one in loads:
        usual = max(one.texts, key=lambda size: one.texts[size])
        found.append(replace(one, texts={**one.texts, usual: one.texts[usual] + by}))
    return found
