"""Signed webhooks: posted to real receivers on this machine, by a notifier on a real database."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from standardwebhooks import WebhookVerificationError

from services.notifier.page import NoticePage
from services.notifier.poster import HANDS_EACH, LEASE_S, Poster
from services.notifier.posts import Post
from services.notifier.store import posts
from services.notifier.webhooks import Webhooks
from shared.database import Transaction
from shared.migrate import migrate
from tests.posting import MASTER, MIGRATIONS, Bench, bench_on, hang, receiver


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    await migrate(database_url, "notifier", MIGRATIONS)
    async with bench_on(database_url) as bench:
        yield bench


async def test_an_outcome_is_posted_signed_to_the_organizations_address(bench: Bench) -> None:
    async with receiver() as theirs:
        await bench.hear(bench.settings(theirs.url))
        event = bench.provisioned()
        await bench.hear(event, event)
        await bench.post()
        await bench.hear(event)
        await bench.post()
    (got,) = theirs.got
    said = got.read(bench.org_id)
    assert said["type"] == "NumberProvisioned"
    assert said["timestamp"] == bench.clock.at.isoformat().replace("+00:00", "Z")
    assert said["data"] == json.loads(event.model_dump_json())
    assert got.path == "/notices?token=secret%2F1"
    assert got.headers["content-type"] == "application/json"
    assert await bench.posts() == [("provisioning complete", "sent", "answered 200")]


async def test_nobody_else_can_sign_for_us(bench: Bench) -> None:
    async with receiver() as theirs:
        await bench.hear(bench.settings(theirs.url), bench.provisioned())
        await bench.post()
    (got,) = theirs.got
    with pytest.raises(WebhookVerificationError):
        got.read("another organization")
    with pytest.raises(WebhookVerificationError):
        got.read(bench.org_id, secret_version=2)


async def test_the_daily_digest_is_posted_once_for_each_report(bench: Bench) -> None:
    async with receiver() as theirs:
        await bench.hear(bench.settings(theirs.url))
        await bench.hear(bench.digest("monday"), bench.digest("monday"), bench.digest("tuesday"))
        await bench.hear(bench.digest("monday"))
        await bench.post()
    assert {got.read(bench.org_id)["data"]["report_id"] for got in theirs.got} == {
        "monday",
        "tuesday",
    }
    assert len(theirs.got) == 2
    assert theirs.got[0].read(bench.org_id)["type"] == "DeliverabilityReported"


@pytest.mark.parametrize("status", [500, 400, 404, 429, 503, 302, 204 + 100])
async def test_what_was_not_taken_is_posted_again_under_the_same_id(
    bench: Bench, status: int
) -> None:
    async with receiver(status) as theirs:
        await bench.hear(bench.settings(theirs.url), bench.provisioned())
        await bench.post()
        assert await bench.states() == ["due"]
        await bench.post()
        bench.clock.advance(5)
        await bench.post()
    first, again = theirs.got
    assert first.notice_id == again.notice_id
    assert first.content == again.content
    assert first.headers["webhook-timestamp"] < again.headers["webhook-timestamp"]
    assert first.read(bench.org_id) == again.read(bench.org_id)
    assert await bench.states() == ["sent"]


async def test_a_failure_that_is_heard_after_the_completion_is_not_posted(bench: Bench) -> None:
    """Receivers go by `timestamp`, and would take it for the last word."""
    async with receiver() as theirs:
        await bench.hear(bench.settings(theirs.url), bench.provisioned())
        bench.clock.advance(60)
        await bench.hear(bench.provisioned(outcome="failed"))
        await bench.post()
    assert [got.read(bench.org_id)["data"]["outcome"] for got in theirs.got] == ["complete"]
    assert await bench.states() == ["sent", "overtaken"]


async def test_a_failure_that_is_heard_first_is_posted_whatever_follows(bench: Bench) -> None:
    async with receiver(500) as theirs:
        await bench.hear(bench.settings(theirs.url), bench.provisioned(outcome="failed"))
        await bench.post()
        bench.clock.advance(60)
        await bench.hear(bench.provisioned(after_failure=True))
        await bench.post()
    said = [got.read(bench.org_id) for got in theirs.got[1:]]
    said.sort(key=lambda one: str(one["timestamp"]))
    assert [one["data"]["outcome"] for one in said] == ["failed", "complete"]


async def test_a_redirect_is_not_followed(bench: Bench) -> None:
    async def elsewhere(request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": other.url})

    async with receiver() as other, receiver(elsewhere) as theirs:
        await bench.hear(bench.settings(theirs.url), bench.provisioned())
        await bench.post()
    assert len(theirs.got) == 1
    assert other.got == []
    assert await bench.posts() == [("provisioning complete", "due", "answered 307")]


async def test_a_receiver_that_is_gone_gets_nothing_more_until_the_settings_change(
    bench: Bench,
) -> None:
    async with receiver(410) as theirs:
        await bench.hear(bench.settings(theirs.url), bench.provisioned("a"))
        await bench.post()
        await bench.hear(bench.provisioned("b"))
        await bench.post()
        assert await bench.states() == ["refused", "refused"]
        assert len(theirs.got) == 1
        await bench.hear(bench.settings(theirs.url, 2), bench.provisioned("c"))
        await bench.post()
    assert await bench.states() == ["refused", "refused", "sent"]
    assert len(theirs.got) == 2


async def test_a_receiver_says_when_it_wants_to_be_asked_again(bench: Bench) -> None:
    async def busy(request: web.Request) -> web.StreamResponse:
        return web.Response(status=429, headers={"Retry-After": "120"}, text="too\x00 many\r\n now")

    async with receiver(busy) as theirs:
        await bench.hear(bench.settings(theirs.url), bench.provisioned())
        await bench.post()
        assert (await bench.posts())[0][2] == "answered 429: too many now"
        bench.clock.advance(119)
        await bench.post()
        assert len(theirs.got) == 1
        bench.clock.advance(1)
        await bench.post()
    assert len(theirs.got) == 2


async def test_an_answer_that_never_ends_counts_by_its_status(bench: Bench) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"x" * 10_000)
        return await hang(request)

    async with receiver(drip) as theirs:
        await bench.hear(bench.settings(theirs.url), bench.provisioned())
        await bench.post(total_s=0.5)
    assert await bench.states() == ["sent"]


async def test_a_receiver_that_hangs_is_asked_again_and_holds_up_nobody_else(bench: Bench) -> None:
    other = bench.organization()
    async with receiver(*[hang] * 40) as slow, receiver() as theirs:
        await bench.hear(bench.settings(slow.url), other.settings(theirs.url))
        await bench.hear(*(bench.provisioned(f"c{index:02}") for index in range(20)))
        await bench.hear(other.provisioned())
        async with (
            Webhooks(private_allowed=True, total_s=4) as webhooks,
            Poster(bench.database, webhooks, MASTER) as poster,
        ):
            while await poster.step():
                pass
            async with asyncio.timeout(3):
                while await other.states() != ["sent"]:
                    await asyncio.sleep(0.02)
            assert len(slow.got) == HANDS_EACH
            # Hands are free again: the worker need not rest first.
            assert poster.wake.is_set()
        assert {error for _, _, error in await bench.posts() if error} == {"no answer within 4 s"}
        assert await bench.states() == ["due"] * 20


async def test_after_three_days_it_is_no_news_any_more(bench: Bench) -> None:
    async with receiver(*[500] * 100) as theirs:
        await bench.hear(bench.settings(theirs.url), bench.provisioned())
        for _ in range(80):
            await bench.post()
            bench.clock.advance(3_600)
    assert await bench.posts() == [("provisioning complete", "expired", "answered 500")]
    assert 12 <= len(theirs.got) <= 30


async def test_two_replicas_post_once_where_answers_are_clear(bench: Bench) -> None:
    async with receiver() as theirs:
        await bench.hear(bench.settings(theirs.url))
        await bench.hear(*(bench.provisioned(f"c{index:02}") for index in range(30)))

        async def replica() -> None:
            while "due" in await bench.states():
                await bench.post()

        async with asyncio.timeout(30):
            await asyncio.gather(replica(), replica())
    assert len(theirs.got) == 30
    assert len({got.notice_id for got in theirs.got}) == 30
    assert set(await bench.states()) == {"sent"}


async def test_where_hands_are_few_each_organization_has_its_turn(bench: Bench) -> None:
    others = [bench.organization() for _ in range(2)]
    for one in (bench, *others):
        await one.hear(one.settings("https://hooks.example.org/"))
        await one.hear(*(one.provisioned(f"c{index}") for index in range(4)))
        bench.clock.advance(1)
    async with bench.database.transaction() as tx:
        taken = await posts.lease_due(
            tx.sql, now=bench.clock.at, lease="mine", lease_s=9, most=4, most_each=3, beside=()
        )
    turns = Counter(post.delivery.notice.org_id for post in taken)
    assert turns == {bench.org_id: 2, others[0].org_id: 1, others[1].org_id: 1}


async def test_what_one_replica_is_claiming_is_passed_over_by_another(bench: Bench) -> None:
    await bench.hear(bench.settings("https://hooks.example.org/"), bench.provisioned())

    async def claimed(tx: Transaction) -> list[Post]:
        at = bench.clock.at
        return await posts.lease_due(
            tx.sql, now=at, lease="mine", lease_s=9, most=9, most_each=9, beside=()
        )

    async with bench.database.transaction() as one, bench.database.transaction() as other:
        assert len(await claimed(one)) == 1
        assert await claimed(other) == []


async def test_a_post_whose_replica_died_is_posted_again_under_the_same_id(bench: Bench) -> None:
    async with receiver(hang) as theirs:
        await bench.hear(bench.settings(theirs.url), bench.provisioned())
        webhooks = Webhooks(private_allowed=True)
        poster = Poster(bench.database, webhooks, MASTER)
        await poster.step()
        async with asyncio.timeout(5):
            while not theirs.got:
                await asyncio.sleep(0.01)
        for call in list(poster._calls):
            call.cancel()
        await asyncio.gather(*poster._calls, return_exceptions=True)
        await webhooks.__aexit__()
        await bench.post()
        assert len(theirs.got) == 1
        bench.clock.advance(LEASE_S)
        await bench.post()
    first, again = theirs.got
    assert first.notice_id == again.notice_id
    assert await bench.states() == ["sent"]


async def test_the_address_is_in_no_log(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    async with receiver(410, 500) as theirs:
        await bench.hear(bench.settings(theirs.url), bench.provisioned())
        await bench.post()
    await bench.hear(bench.settings(theirs.url, 2), bench.provisioned("after"))
    await bench.post()
    printed = capfd.readouterr()
    assert "webhook" in printed.out + printed.err
    assert "secret" not in printed.out + printed.err
    assert "secret" not in json.dumps(await bench.posts())


async def test_what_a_receiver_repeats_of_its_address_and_of_people_is_not_kept(
    bench: Bench,
) -> None:
    async def repeats(request: web.Request) -> web.StreamResponse:
        said = await request.json()
        number, email = said["data"]["number"], said["data"]["launched_by"]["email"]
        text = f"Cannot POST {request.path_qs} of {number} (<{email}>, {request.query})"
        return web.Response(status=404, text=text)

    async with receiver(repeats) as theirs:
        await bench.hear(bench.settings(theirs.url), bench.provisioned())
        await bench.post()
    ((_, _, words),) = await bench.posts()
    assert words is not None
    assert words.startswith("answered 404: Cannot POST /...?token=... of ... (<...>")
    assert "secret" not in words


async def test_each_post_is_shown_with_what_came_of_its_last_try(bench: Bench) -> None:
    async def shown(state: str) -> list[tuple[str, str, int, str]]:
        request = make_mocked_request("GET", f"/notices?state={state}&org_id={bench.org_id}")
        answer = await NoticePage(bench.database).show(request)
        lines = json.loads(answer.text or "")["notices"]
        what = "answer" if state == "sent" else "error"
        return [(one["channel"], one["address"], one["tries"], one[what]) for one in lines]

    async with receiver(500) as theirs:
        await bench.hear(bench.settings(theirs.url), bench.digest())
        await bench.post()
        host = "http://127.0.0.1/..."
        assert await shown("due") == [("webhook", host, 1, "answered 500")]
        bench.clock.advance(5)
        await bench.post()
        assert await shown("sent") == [("webhook", host, 1, "answered 200")]
        await bench.hear(bench.settings(None, 2))
        assert await shown("sent") == [("webhook", "none", 1, "answered 200")]
