"""The forecast, held against the real engine in virtual time: random organizations, each with its
limits, campaigns, windows, hours, use cases, replies and pauses.

SLUICE_FORECAST_CASES is how many cases are tried (200); SLUICE_FORECAST_SEED moves on to others.
"""

import os
from collections.abc import Mapping, Sequence
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
        self.checked = 0
        self.found: list[tuple[Case, Part, CarrierForecast]] = []
        for case in race.cases:
            outlook = forecast(self.at, buckets[case.seed], loads[case.seed])
            self.found += [
                (case, (campaign.campaign_id, one.carrier), one)
                for campaign in case.campaigns
                for one in outlook.carriers(campaign.campaign_id)
                if not race.remembers(case, one.carrier, loads[case.seed])
            ]

    def faults(self) -> list[str]:
        """Each with the case's seed."""
        ends = self.race.ends(self.at)
        return [
            f"seed {case.seed} ({self.name}): {part}: {fault}; {said}; {ends[case.seed][part]}"
            for case, part, said in self.found
            for fault in self._faults_of(case, said, ends[case.seed][part])
        ]

    def _faults_of(self, case: Case, said: CarrierForecast, end: Ends) -> list[str]:
        self.checked += 1
        found = []
        texts = max(1.0, WITHIN * case.texts(said.carrier))
        if abs(said.failing - end.failed) > texts or abs(said.sent - end.sent) > texts:
            found.append(f"more than {texts:.1f} texts off")
        if said.refused != end.refused:
            found.append("others are refused")
        if said.finishes_at is None or end.last_sent_at is None:
            return found
        real_s = (end.last_sent_at - self.at).total_seconds()
        off_s = (said.finishes_at - end.last_sent_at).total_seconds()
        [carrier] = [one for one in case.carriers if one == said.carrier]
        most_s = max(WITHIN * real_s, SHORT_S, case.tick_s(carrier))
        if abs(off_s) > most_s and said.sent == end.sent:
            found.append(f"finishes {off_s:+.1f} s off {real_s:.1f} s, allowed {most_s:.1f} s")
        return found
