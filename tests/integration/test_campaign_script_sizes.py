"""How many segments a script takes, at its longest and typically."""

from services.campaign.store.audiences import sample
from tests.campaign_desk import Desk

NUMBER = "+12125550100"
TONIGHT = "2026-10-21T01:00:00Z"


async def test_a_scripts_longest_and_typical_rendering_are_shown_with_the_traps(
    office: Desk,
) -> None:
    acme = await office.organization()
    rows = [f"+1303{200 + row % 700}{row:04d},{'Jo' if row else 'Ж' * 80}" for row in range(300)]
    table = "\n".join(["phone,first_name", *rows]).encode()
    made = await office.send_file("/contact-lists?name=all", acme.admin, table)
    draft = await acme.draft(
        contact_list_id=made["contact_list_id"], script="Hi {first_name}, will you vote?"
    )
    size = (await acme.details(draft))["script_size"]
    assert (size["longest"]["segments"], size["longest"]["encoding"]) == (2, "ucs2")
    (trap,) = size["longest"]["traps"]
    assert trap == {
        "character": "Ж",
        "code": "U+0416",
        "name": "CYRILLIC CAPITAL LETTER ZHE",
    }
    assert size["typical"] == {"segments": 1, "encoding": "gsm7", "units": 21, "traps": []}


async def test_the_typical_size_is_out_of_a_bounded_sample_from_all_over_the_list(
    office: Desk,
) -> None:
    acme = await office.organization()
    contact_list_id = await acme.contacts(2000)
    async with office.database.transaction() as tx:
        found = await sample(tx, acme.org_id, contact_list_id)
        places = sorted(int(row["phone"][-4:]) for row in found)
        assert len(places) == 100
        assert (places[0], places[-1] > 1850) == (0, True)
        few = await sample(tx, acme.org_id, await acme.contacts(3))
        assert len(few) == 3
        empty = await office.send_file("/contact-lists?name=e", acme.admin, b"phone\n")
        assert list(await sample(tx, acme.org_id, empty["contact_list_id"])) == []
