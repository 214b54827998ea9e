"""The export as a file that people open, and methods that a path does not know."""

import csv
import io

from services.campaign.api.app import ROUTES
from tests.campaign_desk import Desk

TEXTS = ['=HYPERLINK("https://example.org")', "+1 for you", "-2", "@all", "\tx", "\r=1", "Hi = you"]


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
