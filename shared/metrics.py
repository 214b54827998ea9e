"""Counters that every service keeps about its events; a service adds its own beside its code."""

from prometheus_client import Counter

HEARD = Counter("sluice_events_heard_total", "Events handled for the first time", ["type"])
BURIED = Counter("sluice_events_buried_total", "Events sent to the dead letters", ["queue"])
PUBLISHED = Counter("sluice_events_published_total", "Events the broker has confirmed", ["type"])
UNROUTABLE = Counter("sluice_events_unroutable_total", "Publishes that no queue took", ["type"])
STEPS = Counter("sluice_steps_total", "Worker steps by outcome", ["worker", "outcome"])
