"""Provisioning that takes its time, and comes to its end all the same, in a campaign's details."""

from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

from shared.events import (
    CarrierAnswered,
    Carriers,
    CarrierState,
    Event,
    NumberProvisioned,
    NumberPurchased,
    Person,
    ProvisioningDelayed,
)
from shared.rules.hours import Window
from tests.campaign_desk import NOON, Desk, Organization

NUMBER = "+12125550100"
PROVIDER = "the number provider: it does not say what the carriers answered"


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def delayed(acme: Organization, campaign_id: str, waits_for: str, at: float) -> Event:
    return ProvisioningDelayed(
        org_id=acme.org_id, campaign_id=campaign_id, waits_for=waits_for, delayed_at=later(at)
    )


def purchased(acme: Organization, campaign_id: str) -> Event:
    return NumberPurchased(
        org_id=acme.org_id, campaign_id=campaign_id, use_case_id=acme.use_case_id,
        number=NUMBER, purchased_at=later(10),
    )  # fmt: skip


def confirmed(acme: Organization, campaign_id: str, carrier: Any, at: float) -> Event:
    return CarrierAnswered(
        org_id=acme.org_id, campaign_id=campaign_id, number=NUMBER, carrier=carrier,
        answer="confirmed", answered_at=later(at),
    )  # fmt: skip


def ended(acme: Organization, campaign_id: str, outcome: Any, at: float) -> Event:
    """The provisioner's word, at first without Verizon's."""
    said = {
        carrier: CarrierState(state="confirmed", at=later(20)) for carrier in ("att", "tmobile")
    }
    said["verizon"] = CarrierState(
        state="confirmed" if outcome == "complete" else "pending", at=later(at)
    )
    return NumberProvisioned(
        org_id=acme.org_id, campaign_id=campaign_id, name="Spring", number=NUMBER,
        outcome=outcome, carriers=Carriers(**said), launched_by=Person(name="Ada",
        email="ada@example.org"), window=Window(NOON, later(3600)), took_s=at,
        reason=None if outcome == "complete" else "Not confirmed by Verizon within 72 hours.",
        after_failure=outcome == "complete",
    )  # fmt: skip


async def shown(acme: Organization, campaign_id: str) -> Any:
    return (await acme.details(campaign_id))["provisioning"]


async def test_the_details_say_what_is_waited_for(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    assert (await shown(acme, campaign_id))["waits_for"] == "a number, which is being bought"
    await office.hear(delayed(acme, campaign_id, "the number provider: no answer", 5))
    flag = await shown(acme, campaign_id)
    assert (flag["status"], flag["waits_for"]) == ("provisioning", "the number provider: no answer")
    assert flag["delayed_at"] == "2026-10-20T16:00:05Z"
    await office.hear(purchased(acme, campaign_id), confirmed(acme, campaign_id, "tmobile", 20))
    flag = await shown(acme, campaign_id)
    assert flag["waits_for"] == "AT&T and Verizon to confirm the number"
    assert flag["delayed_at"] is None
    await office.hear(delayed(acme, campaign_id, PROVIDER, 60))
    assert (await shown(acme, campaign_id))["waits_for"] == PROVIDER
    await office.hear(ended(acme, campaign_id, "complete", 90))
    flag = await shown(acme, campaign_id)
    assert (flag["status"], flag["waits_for"], flag["delayed_at"]) == ("complete", None, None)


async def test_in_whatever_order_it_is_heard_the_details_come_out_the_same(office: Desk) -> None:
    acme = await office.organization()
    contact_list_id = await acme.contacts(1)
    orders = list(permutations(range(4)))
    found = []
    for order in orders:
        one = await acme.launch(contact_list_id=contact_list_id)
        events = [
            delayed(acme, one, "the number provider: no answer", 5),
            purchased(acme, one),
            confirmed(acme, one, "att", 20),
            delayed(acme, one, PROVIDER, 60),
        ]
        for place in order:
            await office.hear(events[place])
        # Told twice, it changes nothing.
        await office.hear(events[order[0]])
        found.append(await shown(acme, one))
    assert {(one["waits_for"], one["delayed_at"]) for one in found} == {
        (PROVIDER, "2026-10-20T16:01:00Z")
    }
    assert all(one == found[0] for one in found)


async def test_several_words_in_one_batch_leave_the_last_of_each_campaign(office: Desk) -> None:
    acme = await office.organization()
    first, second = [await acme.launch(contact_list_id=await acme.contacts(1)) for _ in "ab"]
    await office.hear(
        *(delayed(acme, first, f"word {n}", n) for n in (3, 9, 6)),
        delayed(acme, second, "another's", 1),
        delayed(acme, "of-another-system", "somebody else's", 1),
    )
    assert (await shown(acme, first))["waits_for"] == "word 9"
    assert (await shown(acme, second))["waits_for"] == "another's"
    assert await office.rows("provisioning_delays WHERE campaign_id = 'of-another-system'") == 0


async def test_a_follow_up_waits_for_what_its_number_waits_for(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    await office.hear(purchased(acme, campaign_id), delayed(acme, campaign_id, PROVIDER, 60))
    made = await office.good(
        "POST", f"/campaigns/{campaign_id}/follow-up", acme.admin, name="Again", script="Hi"
    )
    follow_up = made["campaign_id"]
    await office.good("POST", f"/campaigns/{follow_up}/launch", acme.admin)
    flag = await shown(acme, follow_up)
    assert (flag["number"], flag["waits_for"]) == (NUMBER, PROVIDER)


async def test_a_late_completion_turns_the_red_flag_green(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    failed = ended(acme, campaign_id, "failed", 60)
    await office.hear(purchased(acme, campaign_id), failed)
    flag = await shown(acme, campaign_id)
    assert (flag["flag"], flag["colour"]) == ("Provisioning Failed", "red")
    assert (flag["waits_for"], flag["carriers"]["verizon"]["state"]) == (None, "pending")
    await office.hear(
        confirmed(acme, campaign_id, "verizon", 7200), ended(acme, campaign_id, "complete", 7200)
    )
    green = await shown(acme, campaign_id)
    assert (green["flag"], green["colour"]) == ("Provisioning Complete", "green")
    assert (green["reason"], green["since"]) == (None, "2026-10-20T18:00:00Z")
    assert {one["state"] for one in green["carriers"].values()} == {"confirmed"}
    assert (await acme.details(campaign_id))["alerts"] == []
    # What is heard late of the failure takes nothing of it back.
    await office.hear(failed, delayed(acme, campaign_id, PROVIDER, 9000))
    assert await shown(acme, campaign_id) == green


async def test_what_another_organization_hears_of_a_number_is_not_shown(office: Desk) -> None:
    acme, zenith = await office.organization("Acme"), await office.organization("Zenith")
    campaign_id = await acme.launch()
    await office.hear(
        ProvisioningDelayed(
            org_id=zenith.org_id, campaign_id=campaign_id, waits_for="x", delayed_at=NOON
        )
    )
    assert (await shown(acme, campaign_id))["waits_for"] == "a number, which is being bought"
    path = f"/campaigns/{campaign_id}"
    assert (await office.call("GET", path, zenith.admin)).status == 404
