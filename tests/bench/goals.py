"""Every figure that was asked for, with its goal; and whether it was reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Figures = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Goal:
    """At least, or at most, a number, or so many times another figure of the same run; with none
    of them the figure is only reported."""

    name: str
    least: float | None = None
    most: float | None = None
    most_times: tuple[float, str] | None = None

    def bound(self, figures: Figures) -> float | None:
        """What the figure is held against; None: nothing, or nothing that was measured."""
        if self.most_times is not None:
            factor, other = self.most_times
            base = figures.get(other)
            return factor * base if isinstance(base, int | float) else None
        return self.least if self.least is not None else self.most

    def wanted(self) -> str:
        """The goal in signs."""
        if self.most_times is not None:
            return f"≤ {self.most_times[0]:g} × {self.most_times[1].rpartition('.')[2]}"
        if self.least is not None:
            return f"≥ {self.least:g}"
        return "reported" if self.most is None else f"≤ {self.most:g}"

    def verdict(self, figures: Figures) -> str:
        """Whether it was reached, or by how much not; empty when it is only reported."""
        figure, bound = figures.get(self.name), self.bound(figures)
        if figure is None:
            return "not measured"
        if bound is None or not isinstance(figure, int | float):
            return ""
        missing = bound - figure if self.least is not None else figure - bound
        if missing <= 0:
            return "reached"
        share = f" ({missing / bound:.0%})" if bound else ""
        return f"missed by {missing:.3g}{share}"


GOALS = (
    Goal("unthrottled.msgs_per_s"),
    Goal("unthrottled.peers.dramatiq"),
    Goal("unthrottled.peers.taskiq"),
    Goal("unthrottled.peers.celery"),
    Goal("unthrottled.ratio_best_peer", least=2),
    Goal("exact.peak_over_limit", most=0),
    Goal("exact.utilisation_median", least=0.99),
    Goal("exact.utilisation_min", least=0.98),
    Goal("exact.handoff_p99_ms", most=250),
    Goal("exact.celery_utilisation"),
    Goal("growth.claim_ratio_backlog", most=1.2),
    Goal("growth.claim_ratio_buckets", most=1.5),
    Goal("growth.claim_ratio_held_xmin", most=2),
    # The same claims without intake are measured in the same run.
    Goal("intake.claim_p99_ms", most_times=(2, "intake.quiet_p99_ms")),
    Goal("memory.replica_mb", most=150),
    # "About 0": a few deliveries of a batch each may be under way at the moment of the look.
    Goal("memory.broker_depth", most=10),
    Goal("reply.p99_ms", most=1000),
    Goal("close.seconds", most=30),
    Goal("close.sent_after_end", most=0),
    Goal("scale.linearity_4"),
    Goal("api.sends_per_s"),
    Goal("api.p99_ms"),
    Goal("api.lost", most=0),
    Goal("provisioning.seconds"),
    Goal("provisioning.p50_s"),
    Goal("provisioning.p99_s"),
    Goal("provisioning.speedup_2"),
    Goal("provisioning.calls"),
    Goal("provisioning.wrong", most=0),
)


def flat(figures: Figures, above: str = "") -> dict[str, object]:
    """Nested figures by their dotted names."""
    found: dict[str, object] = {}
    for name, value in figures.items():
        dotted = f"{above}.{name}" if above else name
        if isinstance(value, Mapping):
            found |= flat(value, dotted)
        else:
            found[dotted] = value
    return found
