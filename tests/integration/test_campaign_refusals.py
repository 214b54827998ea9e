"""What the API refuses, and in which words: before anything is written, with the field's name."""

from collections.abc import AsyncIterator

import pytest

from tests.campaign_desk import NEW_YORK, Desk, desk


@pytest.fixture
async def office(database_url: str) -> AsyncIterator[Desk]:
    async with desk(database_url) as found:
        yield found


@pytest.mark.parametrize("script", ["", "   ", "\n\t "])
async def test_a_script_without_a_word_is_refused_when_it_is_saved(
    office: Desk, script: str
) -> None:
    acme = await office.organization()
    draft = await acme.draft()
    edit = await office.call("PATCH", f"/campaigns/{draft}", acme.admin, script=script)
    assert (edit.status, edit["field"]) == (422, "script")
    made = await office.call(
        "POST", "/campaigns", acme.admin, name="Spring", use_case_id=acme.use_case_id,
        contact_list_id=await acme.contacts(1), script=script, hours=NEW_YORK,
    )  # fmt: skip
    assert (made.status, made["field"]) == (422, "script")


async def test_an_mms_may_be_its_files_alone(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(
        sue, channel="mms", script="", media_urls=["https://example.org/poster.png"]
    )
    work = await office.good("GET", f"/campaigns/{campaign_id}/assignment", sue.token)
    path = f"/messages/{work['messages'][0]['message_id']}/send"
    sent = await office.call("POST", path, sue.token)
    assert (sent.status, sent["text"]) == (202, "")
    back = await office.call(
        "PATCH", f"/campaigns/{await acme.draft()}", acme.admin, script=" ", channel="sms"
    )
    assert (back.status, back["field"]) == (422, "script")


async def test_a_script_that_is_empty_for_every_contact_is_not_launched(office: Desk) -> None:
    acme = await office.organization()
    nameless = await office.send_file(
        "/contact-lists?name=x", acme.admin, b"phone,first_name\n+13032000001,\n+13032000002, \n"
    )
    draft = await acme.draft(
        contact_list_id=nameless["contact_list_id"], script=" {first_name} {last_name}"
    )
    reply = await office.call("POST", f"/campaigns/{draft}/launch", acme.admin)
    assert (reply.status, reply["field"]) == (409, "script")
    await office.good("PATCH", f"/campaigns/{draft}", acme.admin, script="Hi {first_name}")
    await office.good("POST", f"/campaigns/{draft}/launch", acme.admin)
