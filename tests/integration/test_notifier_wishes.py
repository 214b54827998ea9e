"""Which notices are wanted, and where: settings in any order, changed while something waits."""

import asyncio
from collections.abc import AsyncIterator
from itertools import permutations

import pytest
from aiohttp import web

from services.notifier.handlers import note_wishes
from services.notifier.store import wishes
from shared.events import NoticeSettingsChanged
from shared.migrate import migrate
from tests.posting import MIGRATIONS, Bench, bench_on, receiver


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    await migrate(database_url, "notifier", MIGRATIONS)
    async with bench_on(database_url) as bench:
        yield bench


async def test_the_highest_version_wins_in_whichever_order_settings_come(bench: Bench) -> None:
    async with receiver() as theirs:
        for order in permutations((1, 2, 3)):
            org = bench.organization()
            urls = {1: "https://first.example", 2: None, 3: theirs.url}
            for version in order:
                await org.hear(org.settings(urls[version], version))
            await org.hear(org.provisioned())
            await org.post()
            assert await org.states() == ["sent"]
            together = bench.organization()
            await together.hear(*(together.settings(urls[one], one) for one in order))
            await together.hear(together.provisioned())
            await together.post()
            assert await together.states() == ["sent"]
    assert len(theirs.got) == 12


async def test_nothing_is_posted_where_nobody_asked_for_it(bench: Bench) -> None:
    async with receiver() as theirs:
        await bench.hear(bench.provisioned("no-settings-yet"))
        await bench.hear(bench.settings(theirs.url, 1, notices=["daily digest"]))
        await bench.hear(bench.provisioned("of-another-kind"))
        await bench.hear(bench.settings(None, 2))
        await bench.hear(bench.digest("no-address"))
        await bench.post()
    assert theirs.got == []
    assert await bench.states() == []


async def test_a_changed_address_is_used_at_once_for_what_was_not_delivered(bench: Bench) -> None:
    async with receiver(*[500] * 9) as old, receiver() as new:
        await bench.hear(bench.settings(old.url), bench.provisioned())
        for _ in range(6):
            await bench.post()
            bench.clock.advance(3_600)
        tried = len(old.got)
        await bench.hear(bench.settings(new.url, 2))
        await bench.post()
        assert len(old.got) == tried > 3
    assert [got.notice_id for got in new.got] == [old.got[0].notice_id]
    assert await bench.states() == ["sent"]


@pytest.mark.parametrize("answer", [500, 410])
async def test_an_address_that_changes_during_a_try_is_the_next_one(
    bench: Bench, answer: int
) -> None:
    async with receiver() as new:

        async def changes(request: web.Request) -> web.StreamResponse:
            await bench.hear(bench.settings(new.url, 2))
            return web.Response(status=answer)

        async with receiver(changes) as old:
            await bench.hear(bench.settings(old.url), bench.provisioned())
            await bench.post()
            await bench.post()
    assert len(old.got) == len(new.got) == 1
    assert await bench.states() == ["sent"]


async def test_a_change_and_an_answer_that_are_written_down_at_once_do_not_miss_each_other(
    bench: Bench,
) -> None:
    async with receiver() as new:
        changed = asyncio.Event()

        async def change() -> None:
            async with bench.database.transaction() as tx:
                await note_wishes(tx, [bench.settings(new.url, 2)])
                changed.set()
                await asyncio.sleep(0.3)

        async def fails(request: web.Request) -> web.StreamResponse:
            changing.append(asyncio.create_task(change()))
            await changed.wait()
            return web.Response(status=500)

        changing: list[asyncio.Task[None]] = []
        async with receiver(fails) as old:
            await bench.hear(bench.settings(old.url), bench.provisioned())
            await bench.post()
            await changing[0]
            # At once, at the new address.
            await bench.post()
    assert len(new.got) == 1


async def test_what_is_under_way_when_the_settings_change_is_not_posted_a_second_time(
    bench: Bench,
) -> None:
    async with receiver() as new:

        async def changes(request: web.Request) -> web.StreamResponse:
            await bench.hear(bench.settings(new.url, 2))
            # Another replica, at this very moment.
            await bench.post()
            return web.Response()

        async with receiver(changes) as old:
            await bench.hear(bench.settings(old.url), bench.provisioned())
            await bench.post()
    assert new.got == []
    assert await bench.states() == ["sent"]


async def test_without_an_address_what_is_left_ends_as_unwanted(bench: Bench) -> None:
    async with receiver(500) as theirs:
        await bench.hear(bench.settings(theirs.url), bench.provisioned())
        await bench.post()
        await bench.hear(bench.settings(None, 2))
        await bench.post()
        bench.clock.advance(86_400)
        await bench.post()
    assert len(theirs.got) == 1
    assert await bench.posts() == [
        ("provisioning complete", "unwanted", "no address is set any more")
    ]


async def test_for_a_day_after_a_rotation_both_secrets_verify(bench: Bench) -> None:
    async with receiver() as theirs:
        await bench.hear(bench.settings(theirs.url, 1), bench.provisioned("a"))
        await bench.post()
        # Half a day ago: verifiers go by the true time.
        bench.clock.advance(-43_200)
        await bench.hear(bench.settings(theirs.url, 2, secret_version=2))
        bench.clock.advance(43_200)
        # Another change does not make the day longer.
        await bench.hear(bench.settings(theirs.url, 3, secret_version=2), bench.provisioned("b"))
        await bench.post()
        bench.clock.advance(43_200)
        await bench.hear(bench.provisioned("c"))
        await bench.post()
    before, during, past = (got.headers["webhook-signature"].split(" ") for got in theirs.got)
    assert [len(before), len(during), len(past)] == [1, 2, 1]
    assert theirs.got[0].read(bench.org_id, 1)
    assert theirs.got[1].read(bench.org_id, 1) == theirs.got[1].read(bench.org_id, 2)


async def test_an_admin_gets_every_kind_until_they_say_which(bench: Bench) -> None:
    kinds = ("provisioning complete", "window at risk")
    letters = [(bench.org_id, who, kind) for who in ("Ada@Example.org", "bo@b") for kind in kinds]
    other = bench.organization()

    async def wanted() -> list[tuple[str, str]]:
        async with bench.database.connection() as sql:
            found = await wishes.wanted(sql, letters)
        return sorted((email, kind) for _, email, kind in found)

    def wish(version: int, *notices: str, of: Bench = bench) -> NoticeSettingsChanged:
        return of.settings(None, version, email="ada@example.org", notices=notices)

    everything = sorted((email, kind) for _, email, kind in letters)
    assert await wanted() == everything
    await other.hear(wish(9, of=other))
    assert await wanted() == everything
    await bench.hear(wish(2, "window at risk"), wish(1))
    await bench.hear(wish(1))
    assert await wanted() == [
        ("Ada@Example.org", "window at risk"),
        ("bo@b", "provisioning complete"),
        ("bo@b", "window at risk"),
    ]
    await bench.hear(wish(3, *kinds))
    assert await wanted() == everything


async def test_what_an_admin_wants_as_mail_says_nothing_of_the_organizations_posts(
    bench: Bench,
) -> None:
    async with receiver() as theirs:
        await bench.hear(bench.settings(theirs.url, 1))
        await bench.hear(bench.settings(None, 2, email="ada@example.org", notices=[]))
        await bench.hear(bench.provisioned())
        await bench.post()
    assert await bench.states() == ["sent"]
