"""Random cases of the forecast in the real engine, and what came of them.

Each case is an organization of its own. Many of them share one engine and its virtual time: a step
lets all of them do what is due, so that fifty cases cost hardly more steps than one.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from unittest import mock

from services.collider import survey, worker
from services.collider.state import State
from shared.events import (
    CampaignPaused,
    CampaignResumed,
    MessageFailed,
    MessageQueued,
    MessageSent,
)
from shared.fields import Carrier
from shared.ids import new_id
from shared.rules.forecast import Bucket, BucketSeen, Load
from shared.rules.hours import civil_day, clock_text, sendable_interval
from shared.rules.limits import ORGANIZATION, Limits
from shared.rules.meters import REMEMBER_S
from tests.engine import Engine, phone
from tests.forecast_cases import LATER_S, Batch, Campaign, Case

LATER = timedelta(seconds=LATER_S)
STEP_S = 0.25
"""Between two claims, at least: meters allow for as much."""

Part = tuple[str, str]
"""Of a case: campaign and carrier."""


@dataclass
class Ends:
    """What became of the initials of one campaign with one carrier."""

    sent: int = 0
    failed: int = 0
    refused: int = 0
    last_sent_at: datetime | None = None


@dataclass
class Race:
    """Cases in the engine, and what is told of their texts."""

    engine: Engine
    cases: Sequence[Case]
    ids: dict[str, tuple[Case, Batch, int]] = field(default_factory=dict)
    begun_at: datetime = field(init=False)
    steps: int = 0

    def __post_init__(self) -> None:
        # As many hands as if each organization had them for itself.
        self.engine.replicas = []
        self.engine.start_replica(calls_most=1_000_000)

    async def begin(self) -> None:
        """Launch and queue everything."""
        self.begun_at = self.engine.now
        for case in self.cases:
            for carrier, scopes in case.limits.items():
                for scope, limits in scopes.items():
                    await self._tell(case, carrier, scope, limits)
            for campaign in case.campaigns:
                await self._launch(case, campaign)
        await self.queue([(case, batch) for case in self.cases for batch in case.batches])

    async def _tell(self, case: Case, carrier: Carrier, scope: str, limits: Limits) -> None:
        await self.engine.limit(
            carrier, org_id=case.org_id, use_case_id=scope or None,
            sms_per_minute=limits.sms_per_minute, sms_unit=limits.sms_unit,
            mms_per_minute=limits.mms_per_minute, segments_per_day=limits.segments_per_day,
            day_zone=limits.day_zone,
        )  # fmt: skip

    async def _launch(self, case: Case, campaign: Campaign) -> None:
        hours = campaign.hours
        await self.engine.launch(
            opens_at=campaign.window.opens_at, closes_at=campaign.window.closes_at,
            campaign_id=campaign.campaign_id, org_id=case.org_id,
            use_case_id=campaign.use_case_id, number=campaign.number,
            opens=clock_text(hours.opens), closes=clock_text(hours.closes),
            time_zone=hours.time_zone,
        )  # fmt: skip
        if campaign.pause != "none":
            await self.engine.hear(
                CampaignPaused(
                    org_id=case.org_id, campaign_id=campaign.campaign_id, revision=2,
                    paused_at=self.engine.now,
                )
            )  # fmt: skip

    async def go_on(self) -> None:
        """What happens in the midst of it."""
        for case in self.cases:
            for campaign in case.campaigns:
                if campaign.pause == "for a while":
                    await self.engine.hear(
                        CampaignResumed(
                            org_id=case.org_id, campaign_id=campaign.campaign_id, revision=3,
                            resumed_at=self.engine.now,
                        )
                    )  # fmt: skip
        await self.queue([(case, batch) for case in self.cases for batch in case.later])

    async def go_to(self, until: datetime) -> None:
        """Let time pass, from one due time to the next. Receipts are not waited for: the carriers
        have the limits that the engine has, and nothing is refused."""
        engine = self.engine
        with mock.patch.object(worker, "TEXTS_MOST", 100_000):
            while engine.now < until:
                claims_at, campaigns_at = await self._due()
                dues = [at for at in (claims_at, campaigns_at) if at is not None]
                least = engine.now + timedelta(seconds=STEP_S)
                engine.clock.at = min(until, max(least, min(dues, default=until)))
                if campaigns_at is not None and campaigns_at <= engine.now:
                    await engine.keep_up()
                engine.world.advance(engine.now)
                engine.world.take_webhooks()
                await engine.send()
                self.steps += 1
        await engine.collect()

    async def _due(self) -> tuple[datetime | None, datetime | None]:
        async with self.engine.database.connection() as connection:
            row = await connection.fetchrow(
                """
                SELECT least((SELECT min(due_at) FROM standings),
                             (SELECT max($1::timestamptz) FROM wakes)),
                       (SELECT min(least(turn_at, close_due_at)) FROM campaigns)
                """,
                self.engine.now,
            )
        assert row is not None
        return row[0], row[1]

    async def queue(self, batches: Sequence[tuple[Case, Batch]]) -> None:
        """Queue these texts, in this order."""
        texts: list[MessageQueued] = []
        for case, batch in batches:
            for index, segments in enumerate(batch.segments):
                text = self._text(case, batch, index, segments)
                self.ids[text.message_id] = (case, batch, segments)
                texts.append(text)
        await self.engine.hear(*texts)

    def _text(self, case: Case, batch: Batch, index: int, segments: int) -> MessageQueued:
        fields: dict[str, Any] = {"text": "Vote!" if segments == 1 else "x" * (153 * segments - 9)}
        if batch.channel == "mms":
            fields = {"text": "", "media_urls": ("https://example.org/poster.png",)}
        return MessageQueued(
            org_id=case.org_id, campaign_id=batch.campaign.campaign_id, message_id=new_id(),
            kind=batch.kind, channel=batch.channel, to=phone(batch.carrier, index),
            carrier=batch.carrier, queued_at=self.engine.now, **fields,
        )  # fmt: skip

    # --- what the campaign service would know --------------------------------------------------

    def planned(self, case: Case) -> list[Load]:
        """All that it queues, now and later."""
        return [
            _load(batch, Counter(batch.segments), self.begun_at, index, later=batch in case.later)
            for index, batch in enumerate((*case.batches, *case.later))
        ]

    async def queued(self) -> dict[int, list[Load]]:
        """What is queued still, by case."""
        async with self.engine.database.connection() as connection:
            rows = await connection.fetch(
                "SELECT message_id FROM messages WHERE status = 'queued' ORDER BY position"
            )
        left: dict[int, dict[int, Counter[int]]] = defaultdict(dict)
        those: dict[int, Batch] = {}
        for row in rows:
            case, batch, segments = self.ids[row["message_id"]]
            those[id(batch)] = batch
            left[case.seed].setdefault(id(batch), Counter())[segments] += 1
        return defaultdict(list) | {
            seed: [
                replace(_load(those[key], texts, self.begun_at, index), not_before=None)
                for index, (key, texts) in enumerate(found.items())
            ]
            for seed, found in left.items()
        }

    def remembers(self, case: Case, carrier: str, loads: Sequence[Load]) -> bool:
        """Whether a meter may still keep room for a text larger than all that wait there: it goes
        slower for a minute then, and no BucketState tells of it."""
        waiting = [
            size
            for one in loads
            if one.carrier == carrier and not one.paused
            if (run := sendable_interval(one.kind, one.window, one.hours, self.engine.now))
            if self.engine.now in run
            for size in one.texts
        ]
        since = self.engine.now - timedelta(seconds=REMEMBER_S)
        lately = [
            self.ids[event.message_id]
            for event in [*self.engine.told(MessageSent), *self.engine.told(MessageFailed)]
            if event.at > since and event.carrier == carrier
        ]
        gone = [segments for one, _, segments in lately if one is case]
        return max(gone, default=0) > max(waiting, default=0)

    async def buckets(self) -> dict[int, list[Bucket]]:
        """What BucketState tells now, and what was sent today, by case."""
        keys = [(case.org_id, one) for case in self.cases for one in case.carriers]
        async with self.engine.database.transaction() as tx:
            states = {state.key: state for state in await survey.look(tx, keys)}
        spent: Counter[tuple[str, str, str, date]] = Counter()
        for event in self.engine.told(MessageSent):
            case, batch, segments = self.ids[event.message_id]
            scope = batch.campaign.use_case_id
            limits = case.limits.get(batch.carrier, {}).get(scope)
            if limits is not None:
                day = civil_day(limits.day_zone, event.at)
                spent[case.org_id, batch.carrier, scope, day] += segments
        return {
            case.seed: [
                Bucket(
                    carrier,
                    told := case.limits.get(carrier, {}),
                    _seen(states[case.org_id, carrier], self.engine.now),
                    {
                        scope: limits.segments_per_day - spent[case.org_id, carrier, scope, day]
                        for scope, limits in told.items()
                        if scope != ORGANIZATION and limits.segments_per_day is not None
                        for day in [civil_day(limits.day_zone, self.engine.now)]
                    },
                )
                for carrier in case.carriers
            ]
            for case in self.cases
        }

    # --- what became of it ---------------------------------------------------------------------

    def ends(self, since: datetime) -> dict[int, dict[Part, Ends]]:
        """What became of initials after this time, by case."""
        found: dict[int, dict[Part, Ends]] = defaultdict(lambda: defaultdict(Ends))
        for event in [*self.engine.told(MessageSent), *self.engine.told(MessageFailed)]:
            case, batch, _ = self.ids[event.message_id]
            if batch.kind != "initial" or event.at <= since:
                continue
            part = found[case.seed][batch.campaign.campaign_id, batch.carrier]
            if isinstance(event, MessageSent):
                part.sent += 1
                part.last_sent_at = max(part.last_sent_at or event.at, event.at)
            elif event.reason == "sending failed":
                part.failed += 1
            else:
                part.refused += 1
        return found


def _load(
    batch: Batch, texts: Mapping[int, int], begun_at: datetime, index: int, *, later: bool = False
) -> Load:
    campaign = batch.campaign
    return Load(
        campaign.campaign_id,
        campaign.use_case_id,
        batch.carrier,
        batch.kind,
        batch.channel,
        texts,
        campaign.window,
        campaign.hours,
        begun_at + timedelta(microseconds=index),
        paused=campaign.pause == "for good",
        not_before=begun_at + LATER if later or campaign.pause == "for a while" else None,
    )


def _seen(state: State, at: datetime) -> BucketSeen:
    return BucketSeen(
        at, state.backlog, state.replies, state.sent_per_minute, state.room, state.day_quota_left,
        state.slowed,
    )  # fmt: skip
