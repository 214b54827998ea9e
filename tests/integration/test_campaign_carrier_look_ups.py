"""Unknown carriers are looked up in the background, and everybody sees how far that is."""

from services.campaign import worker
from services.campaign.worker import ask_for_carriers
from shared.events import CarriersAsked, CarriersFound
from shared.events.carriers import FoundCarrier
from tests.campaign_desk import Desk, Organization

PHONES = [f"+1303200{row:04d}" for row in range(1, 1204)]
TABLE = "\n".join(["phone,carrier", *PHONES, "+13033000001,att"]).encode()


async def asked(office: Desk, acme: Organization) -> list[tuple[str, ...]]:
    while await ask_for_carriers(office.database):
        pass
    return [event.phones for event in await office.told(CarriersAsked) if
            event.org_id == acme.org_id]  # fmt: skip


def found(acme: Organization, *carriers: tuple[str, str | None]) -> CarriersFound:
    return CarriersFound.model_validate(
        {
            "org_id": acme.org_id,
            "found": [FoundCarrier.model_validate({"phone": phone, "carrier": carrier})
                      for phone, carrier in carriers],
        }
    )  # fmt: skip


async def test_unknown_carriers_are_asked_for_in_bounded_batches(office: Desk) -> None:
    acme = await office.organization()
    made = await office.send_file("/contact-lists?name=x&look_up=true", acme.admin, TABLE)
    assert made["look_up"] == {
        "started_at": "2026-10-20T16:00:00Z",
        "contacts": 1203, "asked": 0, "found": 0, "unknown": 0, "left": 1203,
    }  # fmt: skip
    batches = await asked(office, acme)
    assert [len(phones) for phones in batches] == [500, 500, 203]
    assert [phone for phones in batches for phone in phones] == PHONES
    # Nothing is asked for twice.
    assert await asked(office, acme) == batches
    shown = await office.good("GET", f"/contact-lists/{made['contact_list_id']}", acme.admin)
    assert (shown["look_up"]["asked"], shown["look_up"]["left"]) == (1203, 1203)


async def test_a_long_list_is_asked_for_step_by_step(office: Desk) -> None:
    acme, other = await office.organization(), await office.organization("Other")
    phones = worker.ASKED_MOST * worker.PHONES_AN_EVENT + 1
    table = "\n".join(["phone", *(f"+1303{200_0000 + row}" for row in range(phones))]).encode()
    await office.send_file("/contact-lists?name=x&look_up=true", acme.admin, table)
    assert await ask_for_carriers(office.database)
    made = await office.send_file("/contact-lists?name=x&look_up=true", other.admin, TABLE)
    assert made["look_up"]["contacts"] == 1203
    batches = await asked(office, acme)
    assert sum(len(part) for part in batches) == len({*sum(batches, ())}) == phones


async def test_what_is_found_fills_every_list_and_every_text_that_waits(office: Desk) -> None:
    acme, other = await office.organization(), await office.organization("Other")
    lists = {
        admin: [
            (await office.send_file("/contact-lists?name=x", admin, TABLE))["contact_list_id"]
            for _ in range(2)
        ]
        for admin in (acme.admin, other.admin)
    }
    sue = await acme.sender()
    one, two = lists[acme.admin]
    unassigned = await acme.launch(contact_list_id=one, script="Hi")
    assigned = await acme.launch(sue, contact_list_id=two, script="Hi")
    started = await office.call("POST", f"/contact-lists/{one}/carrier-look-up", acme.admin)
    assert (started.status, started["contacts"]) == (202, 1203)
    await asked(office, acme)
    office.clock.advance(1)
    news = found(acme, (PHONES[0], "verizon"), (PHONES[1], "tmobile"), (PHONES[2], None),
                 ("+13033000001", "verizon"), ("+19995550000", "att"))  # fmt: skip
    await office.hear(news, found(acme, (PHONES[3], "att")))
    await office.hear(news)

    shown = await office.good("GET", f"/contact-lists/{one}", acme.admin)
    assert shown["look_up"] == {
        "started_at": "2026-10-20T16:00:00Z",
        "contacts": 1203, "asked": 1203, "found": 3, "unknown": 1, "left": 1199,
    }  # fmt: skip
    # What the file says counts for more than a look-up.
    carriers = {"att": 2, "tmobile": 1, "verizon": 1, "unknown": 1200}
    assert shown["carriers"] == carriers
    again = await office.good("GET", f"/contact-lists/{two}", acme.admin)
    assert (again["carriers"], again["look_up"]) == (carriers, None)
    for campaign_id in (unassigned, assigned):
        counts = (await acme.details(campaign_id))["counts_by_carrier"]
        assert {name: sum(of_it.values()) for name, of_it in counts.items()} == carriers
    for contact_list_id in lists[other.admin]:
        shown = await office.good("GET", f"/contact-lists/{contact_list_id}", other.admin)
        assert shown["carriers"] == {"att": 1, "unknown": 1203}


async def test_who_asks_again_gets_the_rest_looked_up_anew(office: Desk) -> None:
    acme = await office.organization()
    table = "\n".join(["phone", *PHONES[:3]]).encode()
    made = await office.send_file("/contact-lists?name=x", acme.admin, table)
    path = f"/contact-lists/{made['contact_list_id']}/carrier-look-up"
    await office.good("POST", path, acme.admin)
    # Twice at once is once.
    await office.good("POST", path, acme.admin)
    assert await asked(office, acme) == [tuple(PHONES[:3])]
    await office.hear(found(acme, (PHONES[0], "att"), (PHONES[1], None)))
    office.clock.advance(60)
    going = await office.good("POST", path, acme.admin)
    assert {name: going[name] for name in ("contacts", "asked", "found", "unknown", "left")} == {
        "contacts": 2, "asked": 0, "found": 0, "unknown": 0, "left": 2,
    }  # fmt: skip
    assert (await asked(office, acme))[1:] == [tuple(PHONES[1:3])]
    await office.hear(found(acme, (PHONES[1], None), (PHONES[2], "other")))
    shown = await office.good("GET", f"/contact-lists/{made['contact_list_id']}", acme.admin)
    assert [shown["look_up"][name] for name in ("found", "unknown", "left")] == [1, 1, 0]


async def test_a_list_whose_carriers_are_all_known_asks_nothing(office: Desk) -> None:
    acme = await office.organization()
    contact_list_id = await acme.contacts(3)
    going = await office.good("POST", f"/contact-lists/{contact_list_id}/carrier-look-up",
                              acme.admin)  # fmt: skip
    assert (going["contacts"], going["left"]) == (0, 0)
    assert await asked(office, acme) == []
    reply = await office.call("POST", "/contact-lists/nowhere/carrier-look-up", acme.admin)
    assert reply.status == 404
