"""What a collider of an earlier version wrote down is read rightly by this one."""

import shutil
from pathlib import Path

from services.collider.store import campaigns
from shared.database import Database
from shared.migrate import migrate
from tests.engine import MIGRATIONS

OLD = """
    INSERT INTO campaigns (org_id, campaign_id, use_case_id, number) VALUES
        ('org', 'complete', 'use-case', '+12125550101'),
        ('org', 'refused', 'use-case', '+12125550102'),
        ('org', 'pending', 'use-case', '+12125550103');
    INSERT INTO registrations (org_id, campaign_id, carrier, confirmed_at, refused_at)
    SELECT 'org', campaign_id, carrier, '2026-10-20 16:00Z',
        CASE WHEN campaign_id = 'refused' AND carrier = 'att' THEN '2026-10-20 17:00Z'::timestamptz
        END
    FROM unnest(ARRAY['complete', 'refused', 'pending']) AS campaign_id,
        unnest(ARRAY['att', 'tmobile', 'verizon']) AS carrier
    WHERE campaign_id <> 'pending' OR carrier <> 'tmobile';
    INSERT INTO look_ups (org_id, phone, asked_at, due_at)
    VALUES ('org', '+13034000001', '2026-10-20 16:00Z', '2026-10-20 16:00Z');
"""


async def test_numbers_that_were_confirmed_before_are_known_as_provisioned(
    database_url: str, tmp_path: Path
) -> None:
    before = tmp_path / "collider" / "migrations"
    before.mkdir(parents=True)
    for file in MIGRATIONS.glob("000[1-8]_*.sql"):
        shutil.copy(file, before)
    await migrate(database_url, "collider", before)
    database = await Database.open(database_url, "collider")
    try:
        async with database.connection() as connection:
            await connection.execute(OLD)
        await migrate(database_url, "collider", MIGRATIONS)
        async with database.transaction() as tx:
            keys = [("org", name) for name in ("complete", "refused", "pending")]
            known = await campaigns.known(tx, keys)
            held = {name for _, name in keys if known["org", name].provisioned_at is None}
            numbers = await tx.sql.fetch("SELECT number FROM numbers")
            [phone] = await tx.sql.fetch("SELECT for_text, for_list FROM look_ups")
    finally:
        await database.close()
    assert held == {"refused", "pending"}
    assert [row["number"] for row in numbers] == ["+12125550101"]
    # A text waited for it.
    assert tuple(phone) == (True, False)
