"""Events that no service listens to: facts wait for a listener, states do not pile up."""

from datetime import UTC, datetime

from prometheus_client import REGISTRY

from shared.bus import Publisher
from shared.database import Database
from shared.events import BucketState, ContactOptedOut
from shared.migrate import migrate
from shared.relay import Relay

NOW = datetime(2026, 10, 20, 16, tzinfo=UTC)
FACT = ContactOptedOut(org_id="acme", phone="+13032000001", opted_out_at=NOW)
STATE = BucketState(
    org_id="acme", carrier="att", backlog=1, replies=0, oldest_queued_at=NOW, sent_per_minute=0,
    room=1, day_quota_left=None, slowed=False, at=NOW,
)  # fmt: skip


async def test_a_fact_waits_for_a_listener_and_a_state_does_not(
    database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    await migrate(database_url, "unheard")
    database = await Database.open(database_url, "unheard")
    publisher = Publisher(amqp_url, bus_prefix, "unheard")
    relay = Relay(database, publisher, [])
    try:
        async with database.transaction() as tx:
            tx.tell(FACT, FACT, STATE)
        await relay.show()
        assert REGISTRY.get_sample_value("sluice_outbox_events") == 3
        await relay.step()
        async with database.connection() as connection:
            rows = await connection.fetch("SELECT topic, count FROM outbox")
        assert [tuple(row) for row in rows] == [("ContactOptedOut", 2)]
        await relay.show()
        assert REGISTRY.get_sample_value("sluice_outbox_events") == 2
    finally:
        await publisher.close()
        await database.close()
