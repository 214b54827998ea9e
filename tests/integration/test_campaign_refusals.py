"""What the API refuses, and in which words: before anything is written, with the field's name."""

from typing import Any

import pytest

from tests.campaign_desk import NEW_YORK, Desk


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


# --- fields -----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [True, "12", 12.0, 12.5, -1, [12], {}])
async def test_a_limit_is_a_whole_number_or_null_and_nothing_like_it(
    office: Desk, value: Any
) -> None:
    acme = await office.organization()
    path = f"/organizations/{acme.org_id}/limits/att"
    limits = {"sms_per_minute": 60, "mms_per_minute": None, "segments_per_day": None}
    for field in limits:
        reply = await office.call(
            "PUT", path, office.operator, **{**limits, field: value}, sms_unit="segment"
        )
        assert (reply.status, reply["field"]) == (422, field)
    assert (await office.good("GET", "/limits", acme.admin))["items"] == []


@pytest.mark.parametrize(
    "value", [1_800_000_000, "1800000000", 1.8e9, "2026-10-21", "2026-10-21T21:00", "soon", None]
)
async def test_a_time_is_a_text_with_its_offset(office: Desk, value: Any) -> None:
    acme = await office.organization()
    draft = await acme.draft()
    reply = await office.call(
        "PATCH", f"/campaigns/{draft}", acme.admin, window={"closes_at": value}
    )
    assert (reply.status, reply["field"]) == (422, "window.closes_at")
    assert "such as" in reply["detail"]


@pytest.mark.parametrize("name", ["", " ", "\n", "Max\r\nBcc: x@example.org", "a\x00b", "a\u2028b"])
async def test_a_name_is_one_line_and_not_blank(office: Desk, name: str) -> None:
    acme = await office.organization()
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("/organizations", office.operator, {}),
        ("/people", acme.admin, {"email": "max@example.org"}),
        (
            f"/organizations/{acme.org_id}/use-cases",
            office.operator,
            {"provider_campaign_id": "C1"},
        ),
    ]
    for path, token, more in calls:
        reply = await office.call("POST", path, token, name=name, **more)
        assert (reply.status, reply["field"]) == (422, "name"), path
    reply = await office.call("PATCH", f"/campaigns/{await acme.draft()}", acme.admin, name=name)
    assert (reply.status, reply["field"]) == (422, "name")


async def test_a_name_is_kept_without_the_spaces_around_it(office: Desk) -> None:
    made = await office.good("POST", "/organizations", office.operator, name="  Acme Inc. \n")
    assert made["name"] == "Acme Inc."


# --- words ------------------------------------------------------------------------------------


async def test_a_field_that_there_is_not_is_told_before_one_that_is_missing(office: Desk) -> None:
    reply = await office.call("POST", "/organizations", office.operator, nam="x")
    assert (reply["field"], reply["detail"]) == ("nam", "there is no such field")


@pytest.mark.parametrize(
    ("differs", "field", "words"),
    [
        ({"area_codes": "212"}, "area_codes", "must be a list"),
        ({"area_codes": ["012"]}, "area_codes.0", "three digits"),
        ({"media_urls": ["ftp://example.org"]}, "media_urls.0", "http or https"),
        ({"use_case_id": "a b"}, "use_case_id", "without a space"),
        ({"window": 3}, "window", "must be an object"),
        ({"channel": "fax"}, "channel", "must be 'sms' or 'mms'"),
        ({"name": 5}, "name", "must be a text"),
        ({"script": "x" * 1601}, "script", "at most 1600 characters"),
        ({"self_assign": {"enabled": "yes"}}, "self_assign.enabled", "true or false"),
        ({"self_assign": {"batch_size": 0}}, "self_assign.batch_size", "at least 1"),
        ({"hours": {"opens": "9"}}, "hours.opens", "not a time of day"),
    ],
)
async def test_a_fault_is_told_in_plain_words(
    office: Desk, differs: dict[str, Any], field: str, words: str
) -> None:
    acme = await office.organization()
    reply = await office.call("PATCH", f"/campaigns/{await acme.draft()}", acme.admin, **differs)
    assert (reply.status, reply["field"]) == (422, field)
    assert words in reply["detail"]
    for jargon in ("Input", "Value error", "tuple", "dictionary", "pattern"):
        assert jargon not in reply["detail"]


@pytest.mark.parametrize("data", [b"[1]", b'"x"', b"null", b"3"])
async def test_a_body_that_is_no_object_is_told_so(office: Desk, data: bytes) -> None:
    reply = await office.send_file("/organizations", office.operator, data)
    assert (reply.status, reply["title"]) == (422, "The body must be an object")
