"""What an admin says of a campaign under way, the collider does: with real processes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import aiohttp

from deploy.demo.api import Site
from deploy.local.platform import Platform
from tests.engine import phone

PER_MINUTE = 600
PROFILE = "profile"
CONTACTS = 250
LEFT = 5
"""How many texts nobody clicks before the withdrawal."""
HOLDS_WITHIN = timedelta(seconds=1)


class Campaign:
    """An active campaign on a platform of its own, with an admin, a sender and the judge."""

    def __init__(
        self, admin: Site, sender: Site, sender_id: str, sandbox: Site, campaign_id: str
    ) -> None:
        self.admin = admin
        self.sender = sender
        self.sender_id = sender_id
        self.sandbox = sandbox
        self.path = f"/campaigns/{campaign_id}"

    async def launch(self, draft: Any) -> "Campaign":
        """Launch another of the admin's campaigns, with the same sender."""
        found = Campaign(
            self.admin, self.sender, self.sender_id, self.sandbox, draft["campaign_id"]
        )
        await self.admin.post(f"{found.path}/senders", person_ids=[self.sender_id])
        await self.admin.post(f"{found.path}/launch")
        return found

    async def details(self) -> Any:
        return await self.admin.get(self.path)

    async def ledger(self) -> list[Any]:
        """What has arrived at the provider, oldest first."""
        page = await self.sandbox.get("/judge/messages", limit=2000)
        return list(page["messages"])

    async def until_arrived(self, count: int) -> None:
        await until(self.ledger, lambda entries: len(entries) >= count)

    async def texts(self, status: str) -> list[Any]:
        page = await self.admin.get(f"{self.path}/messages", status=status, limit=1000)
        return list(page["items"])

    async def click(self, message_id: str) -> None:
        await self.sender.post(f"/messages/{message_id}/send")


async def until(look: Callable[[], Any], good: Callable[[Any], bool], within_s: float = 20) -> Any:
    async with asyncio.timeout(within_s):
        while not good(found := await look()):
            await asyncio.sleep(0.05)
    return found


@asynccontextmanager
async def campaign(
    database_url: str,
    amqp_url: str,
    prefix: str,
    settings: Mapping[str, Mapping[str, str]] | None = None,
) -> AsyncIterator[Campaign]:
    async with (
        Platform(
            database_url=database_url,
            amqp_url=amqp_url,
            bus_prefix=prefix,
            services=("campaign", "provisioner", "collider"),
            settings=settings,
        ) as platform,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as session,
    ):
        api = Site(session, f"{platform.url('campaign')}/api/v1")
        sandbox = Site(session, platform.url("sandbox"))
        await sandbox.put(
            f"/sandbox/messaging_profiles/{PROFILE}",
            webhook_url=f"{platform.url('collider')}/webhooks/telnyx",
        )
        await sandbox.put(
            "/sandbox/campaigns/C1",
            brand="B1",
            webhook_url=f"{platform.url('provisioner')}/webhooks/telnyx/numbers",
        )
        operator = api.as_person(await platform.operator_token())
        yield await _launch(api, operator, sandbox)


async def _launch(api: Site, operator: Site, sandbox: Site) -> Campaign:
    org = f"/organizations/{(await operator.post('/organizations', name='A'))['organization_id']}"
    limits = {"sms_per_minute": PER_MINUTE, "sms_unit": "segment"}
    await operator.put(f"{org}/limits/att", carrier_class="A", **limits)
    await sandbox.put("/sandbox/limits/B1/att", **limits)
    use_case = await operator.post(
        f"{org}/use-cases",
        name="Votes",
        provider_campaign_id="C1",
        messaging_profile_id=PROFILE,
    )
    ada = await operator.post(f"{org}/people", name="Ada", email="ada@example.org", role="admin")
    admin = api.as_person(ada["token"])
    sue = await admin.post("/people", name="Sue", email="sue@example.org")
    rows = [f"{phone('att', index)},att" for index in range(CONTACTS)]
    table = "\n".join(["phone,carrier", *rows]).encode()
    contacts = await admin.upload("/contact-lists", table, name="all")
    now = datetime.now(UTC)
    made = await admin.post(
        "/campaigns",
        name="Spring",
        use_case_id=use_case["use_case_id"],
        contact_list_id=contacts["contact_list_id"],
        script="Will you vote?",
        window={
            "opens_at": now.isoformat(),
            "closes_at": (now + timedelta(hours=1)).isoformat(),
        },
        # Noon where it is noon now: the test may run at any hour.
        hours={"opens": "1:00", "closes": "23:00", "time_zone": _zone_at_noon(now)},
    )
    anybody = Campaign(admin, api.as_person(sue["token"]), sue["person_id"], sandbox, "")
    found = await anybody.launch(made)
    await until(found.details, lambda details: details["provisioning"]["status"] == "complete")
    return found


def _zone_at_noon(now: datetime) -> str:
    """A zone in which it is about noon (its sign is turned round: Etc/GMT-2 is east)."""
    return f"Etc/GMT{now.hour - 12:+d}" if now.hour != 12 else "Etc/UTC"


def last_arrival(entries: list[Any]) -> datetime:
    return max(datetime.fromisoformat(entry["arrived_at"]) for entry in entries)


async def test_pause_resume_and_withdraw_hold_within_a_second(
    database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    async with campaign(database_url, amqp_url, bus_prefix) as run:
        assigned = await run.texts("assigned")
        ids = [text["message_id"] for text in assigned]
        clicked, left = ids[:-LEFT], ids[-LEFT:]
        for start in range(0, len(clicked), 10):
            await asyncio.gather(*map(run.click, clicked[start : start + 10]))
        await run.until_arrived(20)

        paused = await run.admin.post(f"{run.path}/pause")
        assert paused["status"] == "paused"
        await asyncio.sleep(3)
        before = await run.ledger()
        held_by = datetime.fromisoformat(paused["paused_at"]) + HOLDS_WITHIN
        assert last_arrival(before) <= held_by
        assert len(before) < len(clicked)

        await run.admin.post(f"{run.path}/resume")
        await run.until_arrived(len(before) + 20)

        withdrawn = await run.admin.post(f"{run.path}/withdraw")
        assert withdrawn["queued"] > 20
        details = await until(run.details, lambda details: "queued" not in details["counts"])
        failed = await run.texts("failed")
        assert len(failed) > 20
        assert {text["reason"] for text in failed} == {"withdrawn by an admin before it was sent"}
        assert details["counts"]["assigned"] == LEFT
        await asyncio.sleep(1.5)
        went = await run.ledger()
        assert (
            last_arrival(went) <= datetime.fromisoformat(withdrawn["withdrawn_at"]) + HOLDS_WITHIN
        )
        arrived = [entry["message_id"] for entry in went]
        assert sorted(arrived + [text["message_id"] for text in failed]) == sorted(clicked)

        # Whoever clicks after a withdrawal means it.
        await run.click(left[0])
        await run.until_arrived(len(went) + 1)
        verdict = await run.sandbox.get("/judge")
        assert verdict["ok"], verdict


async def test_texts_whose_answer_was_lost_are_settled_by_an_admin(
    database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    async with campaign(database_url, amqp_url, bus_prefix) as run:
        lost = {"call": "send", "kind": "reset", "taken": False, "times": 4}
        await run.sandbox.put("/sandbox/behaviour", answers=[lost])
        ids = [text["message_id"] for text in await run.texts("assigned")]
        await asyncio.gather(*map(run.click, ids[:6]))
        unclear = await until(
            partial(run.texts, "unclear"), lambda texts: len(texts) == 4, within_s=30
        )

        one, *others = [text["message_id"] for text in unclear]
        await run.admin.post(f"/messages/{one}/settle", outcome="sent")
        await until(partial(run.texts, "unclear"), lambda texts: len(texts) == 3)
        shown = await run.admin.get(f"/messages/{one}")
        assert shown["status"] == "sent"
        settled = await run.admin.post(f"{run.path}/unclear/settle", outcome="failed")
        assert settled["unclear"] == 3
        failed = await until(partial(run.texts, "failed"), lambda texts: len(texts) == 3)
        assert sorted(text["message_id"] for text in failed) == sorted(others)
        assert all(text["reason"] for text in failed)
        assert await run.texts("unclear") == []
        assert len(await run.ledger()) == 6
