"""Which notices there are, for whom, and whether they are right and wanted when they are due."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from aiohttp import ClientSession, web

from services.notifier.handlers import note_holds, note_launches
from services.notifier.letters import Writer
from services.notifier.page import NoticePage
from shared.events import Event, Person
from shared.http import problems, serve
from shared.rules.hours import Hours, Window
from tests.mail_room import ALL_KINDS, NOW, Bench, Inbox, mail_bench, mail_server

GRACE = Person(name="Grace", email="Grace@example.org")
LATER = Window(NOW + timedelta(days=7), NOW + timedelta(days=8))


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    async with mail_bench(database_url) as bench:
        yield bench


async def sent(bench: Bench, *batches: Event | tuple[Event, ...]) -> Inbox:
    """What arrives of these, each batch heard and mailed before the next one."""
    inbox = Inbox()
    async with mail_server(inbox) as port:
        mailer = bench.mailer(port)
        for batch in batches:
            await bench.hear(*(batch if isinstance(batch, tuple) else (batch,)))
            while await mailer.step():
                pass
        await mailer.aclose()
    return inbox


async def test_every_kind_of_notice_is_mailed_in_two_parts(bench: Bench) -> None:
    inbox = await sent(bench, bench.launch(), bench.failure(), bench.risk(), bench.hold())
    assert sorted(inbox.subjects) == [
        "Messages to T-Mobile on Hold: Spring drive",
        "Provisioning Failed: Spring drive",
        "Sending Window at Risk: Spring drive",
    ]
    for message in inbox.messages:
        parts = [part.get_content_type() for part in message.iter_parts()]
        assert parts == ["text/plain", "text/html"]


# --- once ----------------------------------------------------------------------------------------


async def test_complete_after_failed_is_a_second_notice_that_says_so(bench: Bench) -> None:
    inbox = await sent(
        bench, bench.failure(), bench.event(after_failure=True), bench.event(after_failure=True)
    )
    assert inbox.subjects == [
        "Provisioning Failed: Spring drive",
        "Provisioning Complete: Spring drive",
    ]
    text = inbox.messages[1].get_body(("plain",))
    assert text is not None
    assert "had failed before" in text.get_content()


async def test_a_failure_that_is_told_after_completion_is_not_mailed_any_more(
    bench: Bench,
) -> None:
    inbox = await sent(bench, bench.event(), bench.failure())
    assert inbox.subjects == ["Provisioning Complete: Spring drive"]
    assert await bench.states() == [("spring", "sent"), ("spring", "overtaken")]


async def test_a_failure_that_only_an_archive_made_is_no_news(bench: Bench) -> None:
    inbox = await sent(bench, bench.failure(archived=True))
    assert inbox.letters == []
    assert await bench.states() == []


async def test_a_risk_is_told_once_for_each_revision(bench: Bench) -> None:
    inbox = await sent(
        bench,
        bench.launch(),
        (bench.risk(), bench.risk(failing=7)),
        bench.risk(failing=8),
        bench.edit(2, LATER),
        bench.risk(revision=2, failing=9),
    )
    assert len(inbox.letters) == 2
    assert [state for _, state in await bench.states()] == ["sent", "sent"]


async def test_a_risk_of_a_window_that_was_edited_since_is_not_mailed(bench: Bench) -> None:
    inbox = await sent(bench, bench.launch(), (bench.edit(2, LATER), bench.risk(revision=1)))
    assert inbox.letters == []
    assert await bench.states() == [("spring", "overtaken")]


async def test_a_hold_is_told_once_for_each_carrier_and_state(bench: Bench) -> None:
    pending, refused = bench.hold(), bench.hold(state="refused")
    again = (pending, refused, bench.hold(carrier="att"))
    inbox = await sent(bench, bench.launch(), (pending, pending), refused, again)
    assert sorted(inbox.subjects) == [
        "Messages to AT&T on Hold: Spring drive",
        "Messages to T-Mobile on Hold: Spring drive",
        "Messages to T-Mobile on Hold: Spring drive",
    ]


async def test_two_notifiers_that_hear_the_same_at_once_mail_it_once(bench: Bench) -> None:
    events = [bench.event(f"c{index}") for index in range(10)]
    await asyncio.gather(*(bench.hear(*events) for _ in range(4)))
    inbox = await sent(bench, bench.event("c0"))
    assert len(inbox.letters) == 10


# --- for whom ------------------------------------------------------------------------------------


async def test_a_hold_waits_until_it_is_known_who_launched_the_campaign(bench: Bench) -> None:
    assert (await sent(bench, bench.hold())).letters == []
    inbox = await sent(bench, bench.launch(name="Autumn drive", launched_by=GRACE))
    assert [letter.rcpt_tos for letter in inbox.letters] == [["Grace@example.org"]]
    assert inbox.subjects == ["Messages to T-Mobile on Hold: Autumn drive"]
    assert (await sent(bench, bench.launch(launched_by=GRACE))).letters == []


@pytest.mark.parametrize("is_heard_of", [False, True])
@pytest.mark.parametrize("first", ["hold", "launch"])
async def test_a_hold_and_a_launch_that_are_heard_at_once_do_not_miss_each_other(
    bench: Bench, first: str, is_heard_of: bool
) -> None:
    launch, hold = bench.launch(), bench.hold()
    if is_heard_of:
        await bench.hear(bench.edit(2, LATER))
    async with bench.database.transaction() as tx:
        if first == "launch":
            await note_launches(tx, [launch])
        else:
            await note_holds(tx, [hold])
        other = asyncio.create_task(bench.hear(hold if first == "launch" else launch))
        await asyncio.sleep(0.3)
        assert not other.done()
    await other
    assert await bench.states() == [("spring", "due")]


async def test_window_and_zone_are_those_of_the_highest_revision_in_any_order(
    bench: Bench,
) -> None:
    tokyo = Hours.parse("10:00", "18:00", "Asia/Tokyo")
    for index, order in enumerate(permutations(range(3))):
        name = f"c{index}"
        edits = (bench.edit(2, LATER), bench.edit(3, LATER, tokyo))
        told: list[Event] = [bench.launch(campaign_id=name)]
        told += [edit.model_copy(update={"campaign_id": name}) for edit in edits]
        inbox = await sent(bench, *(told[place] for place in order), bench.event(name))
        text = inbox.messages[0].get_body(("plain",))
        assert text is not None
        said = " ".join(text.get_content().split())
        assert "Sending opens: Tuesday, January 8, 2030 at 9:00 PM JST" in said
        assert "Open hours: 10:00 AM to 6:00 PM" in said


# --- as wanted -----------------------------------------------------------------------------------


async def test_a_kind_that_an_admin_has_switched_off_is_not_mailed_to_them(bench: Bench) -> None:
    others = [kind for kind in ALL_KINDS if kind != "campaign held"]
    inbox = await sent(
        bench,
        bench.wishes(1, *others, email="grace@example.org"),
        (bench.launch(launched_by=GRACE), bench.hold(), bench.event(launched_by=GRACE)),
        (bench.launch(campaign_id="other"), bench.hold(campaign_id="other")),
    )
    assert sorted(inbox.subjects) == [
        "Messages to T-Mobile on Hold: Spring drive",
        "Provisioning Complete: Spring drive",
    ]
    assert await bench.states() == [
        ("other", "sent"),
        ("spring", "unwanted"),
        ("spring", "sent"),
    ]


async def test_many_notices_that_nobody_wants_hold_up_none_that_somebody_does(
    bench: Bench,
) -> None:
    unwanted = [bench.event(f"c{index:02}", launched_by=GRACE) for index in range(25)]
    inbox = await sent(
        bench, bench.wishes(1, email=GRACE.email), (*unwanted, bench.event("wanted"))
    )
    assert len(inbox.letters) == 1
    assert [state for _, state in await bench.states()] == 25 * ["unwanted"] + ["sent"]


async def test_what_is_switched_off_while_the_mail_server_is_away_is_not_mailed(
    bench: Bench,
) -> None:
    away = bench.mailer(1)
    await bench.hear(bench.event(launched_by=GRACE))
    await away.step()
    await bench.hear(bench.wishes(1, email="grace@example.org"))
    bench.clock.advance(600)
    inbox = await sent(bench, bench.launch())
    assert inbox.letters == []
    assert await bench.states() == [("spring", "unwanted")]


async def test_an_older_wish_changes_nothing(bench: Bench) -> None:
    inbox = await sent(
        bench,
        bench.wishes(2, *ALL_KINDS, email="ada@example.org"),
        bench.wishes(1, email="ada@example.org"),
        bench.event(),
    )
    assert len(inbox.letters) == 1


async def test_what_is_to_be_posted_is_left_to_those_who_post(bench: Bench) -> None:
    posted = bench.wishes(1, *ALL_KINDS, webhook_url="https://hooks.example.org/")
    inbox = await sent(bench, posted, bench.event())
    assert [letter.rcpt_tos for letter in inbox.letters] == [["ada@example.org"]]
    assert sorted(await bench.states()) == [("spring", "due"), ("spring", "sent")]


# --- the page ------------------------------------------------------------------------------------


async def shown(bench: Bench, status: int = 200, **query: str) -> Any:
    """`/notices`, as those who run the service see it."""
    app = web.Application(middlewares=[problems])
    app.router.add_get("/notices", NoticePage(bench.database).show)
    runner = await serve(app, "127.0.0.1", 0, grace_s=1)
    try:
        host, port = runner.addresses[0][:2]
        async with (
            ClientSession() as session,
            session.get(f"http://{host}:{port}/notices", params=query) as response,
        ):
            assert response.status == status
            return await response.json(content_type=None)
    finally:
        await runner.cleanup()


async def test_what_is_not_settled_and_what_came_to_no_good_is_shown(bench: Bench) -> None:
    inbox = Inbox({"RCPT": ["250 OK", "550 no such user"]})
    async with mail_server(inbox) as port:
        mailer = bench.mailer(port)
        for name in ("fine", "bad"):
            await bench.hear(bench.event(name))
            await mailer.step()
            bench.clock.advance(1)
        await mailer.aclose()
    await bench.hear(bench.event("waits"))
    await bench.mailer(1).step()
    answer = await shown(bench)
    assert [(line["campaign_id"], line["state"]) for line in answer["notices"]] == [
        ("waits", "due"),
        ("bad", "refused"),
    ]
    waits, bad = answer["notices"]
    assert waits["tries"] == 1
    assert waits["next_at"] > answer["at"]
    assert waits["address"] == "a***@example.org"
    assert "Error" in waits["error"]
    assert (bad["kind"], bad["channel"]) == ("provisioning complete", "email")
    assert (bad["error"], bad["answer"]) == ("550 no such user", None)
    assert bad["next_at"] is None
    assert answer["more_notices"] is False


async def test_the_page_does_not_repeat_the_address_that_a_server_repeats(bench: Bench) -> None:
    inbox = Inbox({"RCPT": ["550 <ADA@example.org>: no such user"]})
    async with mail_server(inbox) as port:
        await bench.hear(bench.event())
        await bench.mailer(port).step()
    (line,) = (await shown(bench))["notices"]
    assert line["error"] == "550 <a***@example.org>: no such user"


async def test_the_page_is_filtered(bench: Bench) -> None:
    inbox = Inbox()
    async with mail_server(inbox) as port:
        await bench.hear(bench.event("a"), bench.event("b"))
        await bench.mailer(port).step()
    assert (await shown(bench))["notices"] == []
    assert len((await shown(bench, state="sent"))["notices"]) == 2
    (line,) = (await shown(bench, state="sent", campaign_id="b"))["notices"]
    assert line["campaign_id"] == "b"
    assert (await shown(bench, state="sent", org_id="another"))["notices"] == []
    assert (await shown(bench, state="sent", org_id=bench.org_id))["notices"]
    first = await shown(bench, state="sent", limit="1")
    assert (len(first["notices"]), first["more_notices"]) == (1, True)


async def test_of_one_campaign_all_is_shown_whatever_became_of_it(bench: Bench) -> None:
    inbox = Inbox()
    async with mail_server(inbox) as port:
        await bench.hear(bench.event("a"), bench.event("b"))
        await bench.mailer(port).step()
    bench.clock.advance(8 * 86_400)
    (line,) = (await shown(bench, campaign_id="b"))["notices"]
    assert (line["campaign_id"], line["state"]) == ("b", "sent")


async def test_what_was_said_when_a_letter_was_sent_is_shown_and_no_error(bench: Bench) -> None:
    inbox = Inbox()
    async with mail_server(inbox) as port:
        await bench.hear(bench.event())
        await bench.mailer(port).step()
    (line,) = (await shown(bench, state="sent"))["notices"]
    assert line["error"] is None
    assert line["answer"].startswith("250")


async def test_what_came_to_no_good_long_ago_is_shown_when_asked_for(bench: Bench) -> None:
    inbox = Inbox({"RCPT": ["550 no such user"]})
    async with mail_server(inbox) as port:
        await bench.hear(bench.event())
        await bench.mailer(port).step()
    bench.clock.advance(8 * 86_400)
    assert (await shown(bench))["notices"] == []
    assert len((await shown(bench, state="refused"))["notices"]) == 1


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "x"}, {"state": "lost"}])
async def test_a_page_that_is_asked_for_wrongly_says_so(
    bench: Bench, query: dict[str, str]
) -> None:
    problem = await shown(bench, status=422, **query)
    assert problem["field"] in query


# --- a template that fails on real facts ---------------------------------------------------------


async def test_a_letter_that_cannot_be_written_is_tried_again_and_shown(
    bench: Bench, tmp_path: Any
) -> None:
    (tmp_path / "layout.txt").write_text("{{ 1 // (campaign | length - 12) }}")
    inbox = Inbox()
    async with mail_server(inbox) as port:
        mailer = bench.mailer(port, writer=Writer("s@example.com", folder=tmp_path))
        await bench.hear(bench.event("a"), bench.event("b", name="Autumn"))
        await mailer.step()
        await mailer.aclose()
    assert inbox.subjects == ["Provisioning Complete: Autumn"]
    (line,) = (await shown(bench))["notices"]
    assert "layout.txt, line 1" in line["error"]
    assert line["tries"] == 1
