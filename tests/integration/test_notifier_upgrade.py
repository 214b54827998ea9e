"""A notifier whose database was filled before it heard of launches, holds and webhooks."""

import shutil
from pathlib import Path

import asyncpg

from services.notifier import samples
from shared.migrate import migrate
from tests.mail_room import MIGRATIONS, Inbox, mail_bench, mail_server

OLD_NOTICE = """
INSERT INTO notices VALUES ('acme', $1, $1, 'provisioning complete', $2, now());
"""
OLD_DELIVERY = """
INSERT INTO deliveries (org_id, notice_id, channel, address, state, state_since, tries, due_at)
VALUES ('acme', $1, 'email', 'ada@example.org', $2, now(), 0, $3);
"""


async def test_what_waited_is_mailed_once_and_admins_of_before_are_told_of_holds(
    database_url: str, tmp_path: Path
) -> None:
    old = tmp_path / "notifier" / "migrations"
    old.mkdir(parents=True)
    shutil.copy(MIGRATIONS / "0001_notices.sql", old)
    await migrate(database_url, "notifier", old)
    connection = await asyncpg.connect(
        database_url, server_settings={"search_path": "notifier"}, timeout=10
    )
    for name, state, due_at in (("told", "sent", None), ("waits", "due", samples.NOW)):
        facts = samples.provisioned(campaign_id=name, name=f"{name} before").model_dump_json()
        await connection.execute(OLD_NOTICE, name, facts)
        await connection.execute(OLD_DELIVERY, name, state, due_at)
    await connection.close(timeout=10)
    inbox = Inbox()
    async with mail_bench(database_url, emptied=False) as bench, mail_server(inbox) as port:
        bench.org_id = "acme"
        mailer = bench.mailer(port)
        await bench.hear(bench.hold(campaign_id="told", state="confirmed"))
        await mailer.step()
        # Nobody here has heard of its launch, and will not.
        await bench.hear(bench.event("late", name="late"))
        await bench.hear(bench.hold(campaign_id="late", carrier="other"))
        await mailer.step()
    assert sorted(inbox.subjects) == [
        "Messages to Smaller Carriers on Hold: late",
        "Messages to T-Mobile on Hold: told before",
        "Provisioning Complete: late",
        "Provisioning Complete: waits before",
    ]
