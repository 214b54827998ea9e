"""The export as a file that people open, and methods that a path does not know."""

import csv
import io
from datetime import datetime, timedelta

import pytest

from services.campaign.api.app import ROUTES
from services.campaign.domain import RANKS
from services.campaign.rules.export_rows import COLUMNS, WORDS, reason_of
from shared.events import (
    ContactOptedOut,
    MessageDelivered,
    MessageFailed,
    MessageReceived,
    MessageSent,
)
from tests.campaign_desk import NOON, Desk, Organization, Sender

TEXTS = ['=HYPERLINK("https://example.org")', "+1 for you", "-2", "@all", "\tx", "\r=1", "Hi = you"]


async def rows_of(office: Desk, acme: Organization, path: str) -> list[dict[str, str]]:
    export = await office.good("GET", path, acme.admin)
    assert export.headers["Content-Type"].startswith("text/csv")
    assert export.body.startswith(",".join(COLUMNS))
    return list(csv.DictReader(io.StringIO(export.body, newline="")))


async def send_all(office: Desk, campaign_id: str, sue: Sender, every_s: int) -> list[str]:
    sent: list[str] = []
    while True:
        work = await office.good("GET", f"/campaigns/{campaign_id}/assignment", sue.token)
        if not work["messages"]:
            return sent
        for shown in work["messages"]:
            await office.good("POST", f"/messages/{shown['message_id']}/send", sue.token)
            sent.append(shown["message_id"])
            office.clock.advance(every_s)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


async def test_a_row_says_whose_text_it_is_and_what_became_of_it_and_why(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    contact_list_id = await acme.contacts(6)
    campaign_id = await acme.launch(sue, contact_list_id=contact_list_id)
    phone = "+13032000005"
    await office.hear(ContactOptedOut(org_id=acme.org_id, phone=phone, opted_out_at=NOON))
    ids = await send_all(office, campaign_id, sue, 60)
    told = {"org_id": acme.org_id, "campaign_id": campaign_id, "carrier": "att", "segments": 1}
    await office.hear(
        *(MessageSent.model_validate({**told, "message_id": one, "provider_id": f"p-{one[-1]}",
                                      "at": at(600)}) for one in ids[:3]),
        MessageDelivered.model_validate({**told, "message_id": ids[0], "provider_id": "p-1",
                                         "at": at(601)}),
        *(MessageFailed.model_validate({**told, "message_id": one, "at": at(700),
                                        "reason": reason, "code": code})
          for one, reason, code in ((ids[1], "spam filter", "40002"),
                                    (ids[3], "sending failed", None),
                                    (ids[4], "withdrawn", None))),
    )  # fmt: skip
    await office.hear(
        MessageReceived(org_id=acme.org_id, campaign_id=campaign_id, sender="+13032000000",
                        to="+12125550100", text="=1+1", received_at=at(650)),
    )  # fmt: skip

    *out, answer = await rows_of(office, acme, f"/campaigns/{campaign_id}/messages.csv")
    assert [(row["status"], row["code"]) for row in out] == [
        ("delivered", ""), ("failed", "40002"), ("sent", ""), ("sending failed", ""),
        ("failed", ""), ("opted out", ""),
    ]  # fmt: skip
    assert [row["reason"] for row in out] == [
        "it has arrived",
        "spam filter",
        "the provider has taken it, and the carrier has not said yet what became of it",
        "the window for initial messages ended before it could be sent",
        "withdrawn",
        "the contact has opted out",
    ]
    assert {name: out[0][name] for name in COLUMNS} == {
        "message_id": ids[0], "campaign_id": campaign_id, "campaign": "Spring",
        "direction": "out", "kind": "initial", "channel": "sms", "phone": "+13032000000",
        "first_name": "Carl0", "last_name": "", "sender": "Sue",
        "sender_email": "sue@example.org", "carrier": "att", "segments": "1",
        "status": "delivered", "reason": "it has arrived", "code": "",
        "queued_at": "2026-10-20T16:00:00Z", "sent_at": "2026-10-20T16:10:00Z",
        "delivered_at": "2026-10-20T16:10:01Z", "failed_at": "", "received_at": "",
        "provider_id": "p-1", "text": "Hi Carl0 of Boulder",
    }  # fmt: skip
    assert (answer["direction"], answer["kind"], answer["status"]) == ("in", "answer", "received")
    assert (answer["first_name"], answer["sender"], answer["text"]) == ("Carl0", "Sue", "'=1+1")
    assert (answer["received_at"], answer["queued_at"]) == ("2026-10-20T16:10:50Z", "")

    delivery = (await acme.details(campaign_id))["delivery"]
    assert delivery["att"] == delivery["all"] == {
        "delivered": 1, "undelivered": 1, "on_the_way": 1, "unclear": 0, "rate": 0.5
    }  # fmt: skip


async def test_dates_bind_when_a_text_was_queued_or_received(office: Desk) -> None:
    acme, other = await office.organization(), await office.organization("Other")
    sue = await acme.sender()
    first = await acme.launch(sue, contact_list_id=await acme.contacts(3))
    second = await acme.launch(sue, contact_list_id=await acme.contacts(3, first=10), name="Autumn")
    ids = await send_all(office, first, sue, 3600)
    await office.hear(
        *(MessageReceived(org_id=acme.org_id, campaign_id=first, sender="+13032000000",
                          to="+12125550100", text=f"{hour}", received_at=at(3600 * hour))
          for hour in (0, 1, 2)),
    )  # fmt: skip

    async def found(path: str, query: str) -> list[str]:
        rows = await rows_of(office, acme, f"{path}?{query}")
        return [row["message_id"] if row["direction"] == "out" else row["text"] for row in rows]

    path = f"/campaigns/{first}/messages.csv"
    hour = "from=2026-10-20T17:00:00Z&to=2026-10-20T18:00:00Z"
    assert await found(path, hour) == [ids[1], "1"]
    assert await found("/messages.csv", hour) == [ids[1], "1"]
    assert await found(path, "from=2026-10-20T17:00:00Z") == [*ids[1:], "1", "2"]
    assert await found(path, "to=2026-10-20T17:00:00Z") == [ids[0], "0"]
    assert await found(path, "from=2026-10-20&to=2026-10-21") == [*ids, "0", "1", "2"]
    assert await found(path, "from=2026-10-21") == []
    everything = await rows_of(office, acme, "/messages.csv")
    assert [(row["campaign"], row["status"]) for row in everything] == [
        *[("Spring", "queued")] * 3, *[("Spring", "received")] * 3, *[("Autumn", "assigned")] * 3
    ]  # fmt: skip
    assert {row["campaign_id"] for row in everything} == {first, second}
    assert await rows_of(office, other, "/messages.csv") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=2026-10-20&to=2026-10-20", "to"),
        ("from=yesterday", "from"),
        ("to=1760918400", "to"),
        ("from=2026-10-20T00:00:00", "from"),
        ("from=2026-02-30", "from"),
        ("since=2026-10-20", "since"),
    ],
)
async def test_dates_that_mean_nothing_are_refused(office: Desk, query: str, field: str) -> None:
    acme = await office.organization()
    reply = await office.call("GET", f"/messages.csv?{query}", acme.admin)
    assert (reply.status, reply["field"]) == (422, field), reply.body


def test_every_status_has_its_reason_in_words() -> None:
    assert set(WORDS) == set(RANKS)
    assert reason_of("failed", "landline") == "landline"
    assert reason_of("campaign closed", "campaign closed") == WORDS["campaign closed"]
    assert reason_of("received", None) == ""


async def test_no_cell_of_the_export_is_run_by_a_spreadsheet(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    contacts = await acme.contacts(len(TEXTS))
    campaign_id = await acme.launch(sue, contact_list_id=contacts, senders_may_edit=True)
    work = await office.good("GET", f"/campaigns/{campaign_id}/assignment", sue.token)
    for shown, text in zip(work["messages"], TEXTS, strict=True):
        await office.good("POST", f"/messages/{shown['message_id']}/send", sue.token, text=text)
    export = await office.good("GET", f"/campaigns/{campaign_id}/messages.csv", acme.admin)
    rows = list(csv.DictReader(io.StringIO(export.body, newline="")))
    assert [row["text"] for row in rows] == [f"'{text}" for text in TEXTS[:-1]] + [TEXTS[-1]]
    assert rows[0]["phone"] == "+13032000000"
    # The API itself gives the words as they are.
    shown = await office.good("GET", f"/messages/{rows[0]['message_id']}", acme.admin)
    assert shown["text"] == TEXTS[0]


async def test_a_method_that_a_path_does_not_know_is_told_which_it_does(office: Desk) -> None:
    reply = await office.call("DELETE", "/campaigns", office.operator)
    assert reply.status == 405
    allowed = {route.method for route in ROUTES if route.path == "/campaigns"}
    assert set(reply.headers["Allow"].split(",")) - {"HEAD"} == allowed
