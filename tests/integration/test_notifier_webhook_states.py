"""How posts to an organization's webhook fare is told when it changes, and at no other time."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from aiohttp import web

from shared.migrate import migrate
from tests.posting import MIGRATIONS, Bench, bench_on, receiver


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    await migrate(database_url, "notifier", MIGRATIONS)
    async with bench_on(database_url) as bench:
        yield bench


async def told(bench: Bench) -> list[tuple[int, int, str, str | None]]:
    """(version, revision, state, reason) of each event."""
    return [
        (event.version, event.revision, event.state, event.reason) for event in await bench.told()
    ]


async def test_a_change_is_told_once_and_since_when_it_is_so(bench: Bench) -> None:
    async with receiver(500, 500, 401, 200, 200) as theirs:
        await bench.hear(bench.settings(theirs.url))
        assert await told(bench) == []
        began_at = bench.clock.at
        await bench.hear(bench.provisioned("a"))
        for _ in range(4):
            await bench.post()
            bench.clock.advance(3_600)
        worked_at = bench.clock.at
        await bench.hear(bench.provisioned("b"))
        await bench.post()
    assert len(theirs.got) == 5
    assert await told(bench) == [
        (1, 1, "failing", "answered 500"),
        (1, 2, "failing", "answered 401"),
        (1, 3, "working", None),
    ]
    first, second, third = [event.state_since for event in await bench.told()]
    assert first == second == began_at < third < worked_at


async def test_it_tells_neither_the_address_nor_what_the_receiver_wrote(bench: Bench) -> None:
    async def repeats(request: web.Request) -> web.StreamResponse:
        return web.Response(status=404, text=f"no {request.path_qs} for hush-hush")

    async with receiver(repeats) as theirs:
        await bench.hear(bench.settings(theirs.url), bench.provisioned())
        await bench.post()
    assert await told(bench) == [(1, 1, "failing", "answered 404")]


async def test_a_forbidden_address_is_told_of_without_where_its_name_leads(bench: Bench) -> None:
    await bench.hear(bench.settings("https://localhost:1/x"), bench.provisioned())
    await bench.post(private_allowed=False)
    words = "the host's address is not of the open internet (loopback): nothing is posted there"
    assert await told(bench) == [(1, 1, "failing", words)]


async def test_a_receiver_that_wants_no_more_is_told_of_and_so_is_its_return(bench: Bench) -> None:
    async with receiver(410) as theirs:
        await bench.hear(bench.settings(theirs.url), bench.provisioned("a"))
        await bench.post()
        await bench.hear(bench.provisioned("b"))
        await bench.post()
        assert await told(bench) == [(1, 1, "stopped", "answered 410")]
        again = bench.settings(theirs.url, 2)
        await bench.hear(again, bench.provisioned("c"))
        await bench.post()
        # Heard late or twice, settings do not begin anew.
        await bench.hear(bench.settings(theirs.url), again, bench.provisioned("d"))
        await bench.post()
    assert await told(bench) == [
        (1, 1, "stopped", "answered 410"),
        (2, 1, "working", None),
    ]


async def test_an_answer_to_earlier_settings_says_nothing_of_the_later_ones(bench: Bench) -> None:
    async with receiver() as theirs:

        async def gone(_: web.Request) -> web.StreamResponse:
            await bench.hear(bench.settings(theirs.url, 2))
            return web.Response(status=410)

        theirs.answers.append(gone)
        await bench.hear(bench.settings(theirs.url), bench.provisioned())
        await bench.post()
        assert len(theirs.got) == 1
        assert await told(bench) == []
        await bench.post()
    assert await told(bench) == [(2, 1, "working", None)]


async def test_of_answers_that_come_at_once_each_change_has_its_own_number(bench: Bench) -> None:
    async with receiver(*[200, 500, 404] * 10) as theirs:
        await bench.hear(bench.settings(theirs.url))
        await bench.hear(*(bench.provisioned(f"c{index:02}") for index in range(30)))
        async with asyncio.timeout(20):
            while len(theirs.got) < 30:
                await asyncio.gather(bench.post(), bench.post())
    changes = await told(bench)
    assert [revision for _, revision, _, _ in changes] == list(range(1, len(changes) + 1))
    assert all(one[2:] != other[2:] for one, other in pairwise(changes))
    assert {state for _, _, state, _ in changes} == {"working", "failing"}
