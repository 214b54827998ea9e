"""Counts that every service keeps of its events; a service adds its own beside its code."""

from prometheus_client import Counter, Gauge

HEARD = Counter("sluice_events_heard_total", "Events handled; texts that come again too", ["type"])
BURIED = Counter("sluice_events_buried_total", "Events sent to the dead letters", ["queue"])
PUBLISHED = Counter("sluice_events_published_total", "Events the broker has confirmed", ["type"])
UNROUTABLE = Counter("sluice_events_unroutable_total", "Publishes that no queue took", ["type"])
STEPS = Counter("sluice_steps_total", "Worker steps by outcome", ["worker", "outcome"])
OUTBOX = Gauge("sluice_outbox_events", "Events that wait to be published, as far as counted")
