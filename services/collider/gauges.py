"""What Prometheus is shown of the buckets: the survey's last word, the same on every replica."""

from collections.abc import Callable, Iterable
from datetime import datetime

from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.collider.state import State
from services.collider.store.survey import Seen


def _waited_s(since: datetime | None, now: datetime) -> float | None:
    return None if since is None else max(0.0, (now - since).total_seconds())


# Name, meaning, and the value of a state at a time; None: there is no such thing, and no sample.
_OF_A_BUCKET: tuple[tuple[str, str, Callable[[State, datetime], float | None]], ...] = (
    ("sluice_bucket_backlog", "Texts queued", lambda state, _: state.backlog),
    ("sluice_bucket_replies", "Replies among the texts queued", lambda state, _: state.replies),
    (
        "sluice_bucket_ready",
        "Texts queued that may go now: open, not held, with room",
        lambda state, _: state.ready,
    ),
    (
        "sluice_bucket_oldest_waiting_seconds",
        "How long the oldest text queued has waited",
        lambda state, now: _waited_s(state.oldest_queued_at, now) or 0.0,
    ),
    (
        "sluice_bucket_oldest_reply_waiting_seconds",
        "How long the oldest reply of an open campaign has waited",
        lambda state, now: _waited_s(state.oldest_reply_at, now) or 0.0,
    ),
    (
        "sluice_bucket_sent_per_minute",
        "Texts handed over in the last minute",
        lambda state, _: state.sent_per_minute,
    ),
    (
        "sluice_bucket_limit_per_minute",
        "The organization's own SMS limit; missing: no cap",
        lambda state, _: state.per_minute,
    ),
    (
        "sluice_bucket_room",
        "What the organization's own SMS limit has room for now; missing: no cap",
        lambda state, _: state.room,
    ),
    (
        "sluice_bucket_day_quota_left",
        "Segments that may go today still; missing: no cap",
        lambda state, _: state.day_quota_left,
    ),
    (
        "sluice_bucket_slowed",
        "1 while the carrier's word 'too fast' holds",
        lambda state, _: state.slowed,
    ),
)


class BucketGauges(Collector):
    """Gauges of the buckets that are busy; one that falls quiet, or is gone, is not shown.

    The last picture is put in place of the one before as a whole, so that who reads it meanwhile
    sees one or the other.
    """

    def __init__(self) -> None:
        self._picture: tuple[Seen, datetime] | None = None

    def show(self, seen: Seen, now: datetime) -> None:
        """Show this from now on."""
        self._picture = (seen, now)

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """All names, whatever there is to show."""
        return self._families(None)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The picture as samples."""
        return self._families(self._picture)

    def _families(self, picture: tuple[Seen, datetime] | None) -> Iterable[GaugeMetricFamily]:
        for name, meaning, value in _OF_A_BUCKET:
            family = GaugeMetricFamily(name, meaning, labels=["org_id", "carrier"])
            if picture is not None:
                seen, now = picture
                for state in seen.states:
                    if (sample := value(state, now)) is not None:
                        family.add_metric([*state.key], sample)
            yield family
        yield from _of_all(picture)


def _of_all(picture: tuple[Seen, datetime] | None) -> Iterable[GaugeMetricFamily]:
    busy = GaugeMetricFamily("sluice_buckets_busy", "Buckets in which anything waits or goes")
    unrouted = GaugeMetricFamily("sluice_unrouted", "Texts whose campaign is not launched yet")
    surveyed = GaugeMetricFamily(
        "sluice_survey_timestamp_seconds", "When the last round of the survey ended, Unix time"
    )
    paused = GaugeMetricFamily(
        "sluice_provider_pause_seconds",
        "How long the provider's account rests still",
        labels=["provider"],
    )
    if picture is not None:
        seen, now = picture
        busy.add_metric([], seen.busy)
        unrouted.add_metric([], seen.unrouted)
        if seen.surveyed_at is not None:
            surveyed.add_metric([], seen.surveyed_at.timestamp())
        for provider, until in seen.paused.items():
            paused.add_metric([provider], max(0.0, (until - now).total_seconds()))
    return (busy, unrouted, surveyed, paused)


BUCKETS = BucketGauges()
REGISTRY.register(BUCKETS)
