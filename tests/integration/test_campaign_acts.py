"""What is written down of what admins do to campaigns: who, when, before and after."""

from tests.campaign_desk import NEW_YORK, NOON, Desk

NUMBER = "+12125550100"
TONIGHT = "2026-10-21T01:00:00Z"


async def test_each_act_on_a_campaign_is_written_down_with_before_and_after(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    path = f"/campaigns/{campaign_id}"
    await office.good("PATCH", path, acme.admin, window={"closes_at": "2026-10-22T01:00:00Z"})
    await office.good("PATCH", path, acme.admin, hours={"closes": "20:00"}, name="Autumn")
    for what in ("pause", "resume", "withdraw", "archive"):
        await office.good("POST", f"{path}/{what}", acme.admin)
    async with office.database.connection() as connection:
        rows = await connection.fetch(
            """
            SELECT act, before, after, person_id, at FROM audit
            WHERE org_id = $1 AND subject_id = $2 ORDER BY audit_id
            """,
            acme.org_id,
            campaign_id,
        )
    me = await office.good("GET", "/me", acme.admin)
    assert {(row["person_id"], row["at"]) for row in rows} == {(me["person_id"], NOON)}
    assert [row["act"] for row in rows] == [
        "campaign launched",
        "campaign edited",
        "campaign edited",
        "campaign paused",
        "campaign resumed",
        "queue withdrawn",
        "campaign archived",
    ]
    assert rows[0]["after"]["window"]["closes_at"] == "2026-10-21T01:00:00+00:00"
    assert rows[1]["before"] == {
        "window": {
            "opens_at": "2026-10-20T13:00:00+00:00",
            "closes_at": "2026-10-21T01:00:00+00:00",
        }
    }
    assert rows[1]["after"]["window"]["closes_at"] == "2026-10-22T01:00:00+00:00"
    assert rows[2]["after"] == {
        "hours": {**NEW_YORK, "opens": "09:00", "closes": "20:00"},
        "name": "Autumn",
    }
    assert (rows[6]["before"], rows[6]["after"]) == ({"status": "active"}, {"status": "archived"})
