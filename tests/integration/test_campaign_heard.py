"""What the campaign service makes of events, in any order and more than once."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

from shared.events import (
    CarrierAnswered,
    Carriers,
    CarrierState,
    ContactOptedOut,
    Event,
    MessageDelivered,
    MessageFailed,
    MessageOutcome,
    MessageReceived,
    MessageSent,
    MessageUnclear,
    NumberProvisioned,
    NumberPurchased,
    Person,
)
from shared.rules.hours import Window
from tests.campaign_desk import NOON, Desk, Organization, Sender

NUMBER = "+12125550100"
PHONE = "+13032000000"


def seconds(count: float) -> datetime:
    return NOON + timedelta(seconds=count)


class Provisioner:
    """Says what the provisioner would."""

    def __init__(self, org_id: str, campaign_id: str) -> None:
        self.about: dict[str, Any] = {"org_id": org_id, "campaign_id": campaign_id}

    def purchased(self) -> NumberPurchased:
        return NumberPurchased(
            **self.about, use_case_id="u", number=NUMBER, purchased_at=seconds(1)
        )

    def answered(self, carrier: Any, answer: Any, at_s: float) -> CarrierAnswered:
        return CarrierAnswered(
            **self.about, number=NUMBER, carrier=carrier, answer=answer, answered_at=seconds(at_s)
        )

    def provisioned(
        self, outcome: Any, at_s: float = 5, *, late: bool = False, **states: Any
    ) -> NumberProvisioned:
        said = {
            carrier: CarrierState(state=states.get(carrier, "confirmed"), at=seconds(at_s))
            for carrier in ("att", "tmobile", "verizon")
        }
        return NumberProvisioned(
            **self.about,
            name="Spring",
            number=NUMBER,
            outcome=outcome,
            carriers=Carriers(**said),
            reason=None if outcome == "complete" else "verizon refused the number",
            launched_by=Person(name="Ada", email="ada@example.org"),
            window=Window(NOON, seconds(3600)),
            took_s=at_s,
            after_failure=late,
        )


async def flag(acme: Organization, campaign_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await acme.details(campaign_id))["provisioning"]
    return found


def states(shown: dict[str, Any]) -> list[str]:
    return [shown["carriers"][carrier]["state"] for carrier in ("att", "tmobile", "verizon")]


async def test_the_flag_turns_green_carrier_by_carrier(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    told = Provisioner(acme.org_id, campaign_id)
    assert states(await flag(acme, campaign_id)) == ["pending"] * 3
    await office.hear(told.purchased())
    assert (await acme.details(campaign_id))["number"] == NUMBER
    await office.hear(told.answered("tmobile", "confirmed", 3))
    shown = await flag(acme, campaign_id)
    assert (shown["flag"], states(shown)) == ("Provisioning", ["pending", "confirmed", "pending"])
    assert shown["carriers"]["tmobile"]["at"] == "2026-10-20T16:00:03Z"
    await office.hear(told.provisioned("complete"))
    shown = await flag(acme, campaign_id)
    assert (shown["flag"], shown["colour"]) == ("Provisioning Complete", "green")
    assert states(shown) == ["confirmed"] * 3


async def test_facts_about_a_number_end_alike_in_every_order(office: Desk) -> None:
    acme = await office.organization()
    for outcome, verizon in (("complete", "confirmed"), ("failed", "refused")):
        shown = []
        for order in permutations(range(4)):
            campaign_id = await acme.launch(contact_list_id=await acme.contacts(1))
            told = Provisioner(acme.org_id, campaign_id)
            facts: Sequence[Event] = (
                told.purchased(),
                told.answered("att", "confirmed", 3),
                told.answered("verizon", verizon, 5),
                told.provisioned(outcome, verizon=verizon),
            )
            await office.hear(*(facts[place] for place in order[:2]))
            for place in order[1:]:
                await office.hear(facts[place])
            found = await flag(acme, campaign_id)
            shown.append((found["status"], found["since"], found["number"], str(found["carriers"])))
        assert len(set(shown)) == 1
        assert shown[0][0] == outcome


async def test_a_late_confirmation_after_a_failure_turns_the_flag_green(office: Desk) -> None:
    acme = await office.organization()
    for order in permutations(range(4)):
        campaign_id = await acme.launch(contact_list_id=await acme.contacts(1))
        told = Provisioner(acme.org_id, campaign_id)
        facts: Sequence[Event] = (
            told.answered("verizon", "refused", 5),
            told.provisioned("failed", verizon="refused"),
            told.answered("verizon", "confirmed", 60),
            told.provisioned("complete", 60, late=True),
        )
        await office.hear(*(facts[place] for place in order[:3]))
        await office.hear(*(facts[place] for place in order[2:]))
        shown = await flag(acme, campaign_id)
        assert (shown["flag"], shown["reason"]) == ("Provisioning Complete", None)
        assert states(shown) == ["confirmed"] * 3
        # What a carrier says later is shown, and changes no flag.
        await office.hear(told.answered("att", "refused", 90))
        shown = await flag(acme, campaign_id)
        assert (shown["flag"], states(shown)[0]) == ("Provisioning Complete", "refused")


async def test_of_two_words_of_one_time_the_confirmation_is_shown(office: Desk) -> None:
    acme = await office.organization()
    for first, second in (("confirmed", "refused"), ("refused", "confirmed")):
        campaign_id = await acme.launch(contact_list_id=await acme.contacts(1))
        told = Provisioner(acme.org_id, campaign_id)
        await office.hear(told.answered("att", first, 5))
        await office.hear(told.answered("att", second, 5))
        assert states(await flag(acme, campaign_id))[0] == "confirmed"


async def test_a_word_from_before_the_launch_is_shown_beside_a_later_pending(office: Desk) -> None:
    # A follow-up's order has waited for its carriers only since its own launch.
    acme = await office.organization()
    campaign_id = await acme.launch()
    told = Provisioner(acme.org_id, campaign_id)
    await office.hear(
        told.provisioned("failed", 5, att="pending"),
        told.provisioned("complete", 1, late=True),
    )
    assert states(await flag(acme, campaign_id)) == ["confirmed"] * 3


async def test_complete_never_goes_back(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    told = Provisioner(acme.org_id, campaign_id)
    await office.hear(told.provisioned("failed", verizon="refused"))
    shown = await flag(acme, campaign_id)
    assert (shown["colour"], shown["reason"]) == ("red", "verizon refused the number")
    assert "clone" in shown["advice"]
    await office.hear(told.provisioned("complete"), told.provisioned("failed", att="refused"))
    await office.hear(told.provisioned("failed", att="refused"))
    assert (await flag(acme, campaign_id))["colour"] == "green"


async def test_facts_about_campaigns_of_other_systems_are_passed_over(office: Desk) -> None:
    acme = await office.organization()
    strange = Provisioner("elsewhere", "campaign")
    near = {"org_id": acme.org_id, "campaign_id": "of-another-system"}
    before = [await office.rows(table) for table in ("numbers", "conversations", "opt_outs")]
    await office.hear(
        strange.purchased(),
        strange.answered("att", "confirmed", 3),
        strange.provisioned("complete"),
        Provisioner(**near).provisioned("complete"),
        outcome(MessageSent, near, "m", 1),
        MessageReceived(**near, sender=PHONE, to=NUMBER, text="hi", received_at=NOON),
        ContactOptedOut(org_id="elsewhere", phone=PHONE, opted_out_at=NOON),
    )
    after = [await office.rows(table) for table in ("numbers", "conversations", "opt_outs")]
    assert after == before
    async with office.database.connection() as connection:
        assert not await connection.fetchval("SELECT count(*) FROM outbox WHERE dead")


# --- texts ----------------------------------------------------------------------------------


def outcome(
    kind: type[MessageOutcome], about: dict[str, Any], message_id: str, at_s: float, **more: Any
) -> MessageOutcome:
    return kind(
        **about,
        message_id=message_id,
        carrier="tmobile",
        segments=2,
        at=seconds(at_s),
        **more,
    )


async def queued(office: Desk, count: int) -> tuple[Organization, str, Sender, list[str]]:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue, contact_list_id=await acme.contacts(count))
    waiting = await office.good("GET", f"/campaigns/{campaign_id}/assignment", sue.token)
    ids = [one["message_id"] for one in waiting["messages"]]
    for message_id in ids:
        await office.good("POST", f"/messages/{message_id}/send", sue.token)
    return acme, campaign_id, sue, ids


async def test_outcomes_end_alike_in_every_order_and_however_often_they_come(
    office: Desk,
) -> None:
    stories: list[tuple[str, list[tuple[type[MessageOutcome], dict[str, Any]]]]] = [
        ("delivered", [(MessageSent, {}), (MessageDelivered, {})]),
        ("failed", [(MessageSent, {}), (MessageFailed, {"code": "40002", "reason": "spam"})]),
        ("sending failed", [(MessageFailed, {"reason": "sending failed"})]),
        ("delivered", [(MessageUnclear, {}), (MessageDelivered, {})]),
        ("unclear", [(MessageSent, {}), (MessageUnclear, {})]),
        ("sent", [(MessageUnclear, {}), (MessageSent, {})]),
        ("sent", [(MessageSent, {}), (MessageSent, {"provider_id": "second"})]),
    ]
    orders = [
        (status, story, order)
        for status, story in stories
        for order in permutations(range(len(story)))
    ]
    acme, campaign_id, _, ids = await queued(office, len(orders))
    about = {"org_id": acme.org_id, "campaign_id": campaign_id}
    heard: list[MessageOutcome] = []
    for message_id, (_, story, order) in zip(ids, orders, strict=True):
        facts = [
            outcome(kind, about, message_id, 10 + place, **more)
            for place, (kind, more) in enumerate(story)
        ]
        heard += [facts[place] for place in order]
    await office.hear(*heard)
    for _ in range(3):
        await office.hear(*random.Random(7).sample(heard, len(heard)))
    for one in heard:
        await office.hear(one)
    page = await office.good("GET", f"/campaigns/{campaign_id}/messages", acme.admin)
    for shown, (status, story, _) in zip(page["items"], orders, strict=True):
        assert shown["status"] == status, story
        kinds = [kind for kind, _ in story]
        assert (shown["sent_at"] is not None) == (MessageSent in kinds)
        assert (shown["delivered_at"] is not None) == (MessageDelivered in kinds)
        assert (shown["failed_at"] is not None) == (MessageFailed in kinds)
        assert (shown["carrier"], shown["segments"]) == ("tmobile", 2)
    failed = next(one for one in page["items"] if one["status"] == "failed")
    assert (failed["code"], failed["reason"]) == ("40002", "spam")
    counts = (await acme.details(campaign_id))["counts_by_carrier"]
    assert counts == {
        "tmobile": {"delivered": 4, "failed": 2, "sending failed": 1, "sent": 4, "unclear": 2}
    }


async def test_a_contacts_text_that_is_told_twice_is_one(office: Desk) -> None:
    acme, campaign_id, sue, _ = await queued(office, 1)
    text = MessageReceived(
        org_id=acme.org_id, campaign_id=campaign_id, sender=PHONE, to=NUMBER, text="hi",
        received_at=seconds(9),
    )  # fmt: skip
    earlier = text.model_copy(update={"text": "hello", "received_at": seconds(8)})
    await office.hear(text, text)
    (line,) = (await office.good("GET", "/conversations", sue.token))["items"]
    path = f"/conversations/{line['conversation_id']}"
    await office.good("POST", f"{path}/replies", sue.token, text="Hi there")
    await office.hear(text)
    assert (await office.good("GET", path, sue.token))["waiting"] is False
    await office.hear(earlier)
    shown = await office.good("GET", path, sue.token)
    texts = [one["text"] for one in shown["messages"] if one["direction"] == "in"]
    assert texts == ["hello", "hi"]
    assert shown["waiting"] is True
    (line,) = (await office.good("GET", "/conversations", sue.token))["items"]
    assert line["last_text"] == "hi"


async def test_a_number_that_is_in_no_list_is_the_admins_to_read(office: Desk) -> None:
    acme, campaign_id, sue, _ = await queued(office, 1)
    await office.hear(
        MessageReceived(
            org_id=acme.org_id, campaign_id=campaign_id, sender="+13039998888", to=NUMBER,
            text="who is this?", received_at=NOON,
        )
    )  # fmt: skip
    assert (await office.good("GET", "/conversations", sue.token))["items"] == []
    (line,) = (await office.good("GET", "/conversations?tab=replied", acme.admin))["items"]
    assert (line["phone"], line["first_name"], line["sender_id"]) == ("+13039998888", "", None)
    path = f"/conversations/{line['conversation_id']}"
    assert (await office.good("GET", path, acme.admin))["messages"][0]["text"] == "who is this?"
    reply = await office.call("POST", f"{path}/replies", acme.admin, text="Acme")
    assert reply.status == 202


async def test_many_contacts_answer_in_one_batch(office: Desk) -> None:
    acme, campaign_id, sue, _ = await queued(office, 30)
    texts = [
        MessageReceived(
            org_id=acme.org_id, campaign_id=campaign_id, sender=f"+1303200{who:04d}", to=NUMBER,
            text=f"text {place}", received_at=seconds(place),
        )
        for who in range(30) for place in range(3)
    ]  # fmt: skip
    random.Random(5).shuffle(texts)
    await office.hear(*texts)
    page = await office.good("GET", "/conversations?limit=500", sue.token)
    assert len(page["items"]) == 30
    assert {one["last_text"] for one in page["items"]} == {"text 2"}
    assert await office.rows("received") >= 90


async def test_a_stop_withdraws_what_was_not_sent_in_all_campaigns(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    contact_list_id = await acme.contacts(2)
    unassigned = await acme.launch(contact_list_id=contact_list_id)
    assigned = await acme.launch(sue, contact_list_id=contact_list_id)
    stop = ContactOptedOut(org_id=acme.org_id, phone=PHONE, opted_out_at=NOON)
    await office.hear(stop, stop)
    await office.hear(stop)
    assert (await acme.details(unassigned))["counts"] == {"opted out": 1, "unassigned": 1}
    assert (await acme.details(assigned))["counts"] == {"opted out": 1, "assigned": 1}
    page = await office.good("GET", f"/campaigns/{assigned}/messages?status=opted+out", acme.admin)
    assert page["items"][0]["reason"] == "the contact has opted out"
    report = await office.good("GET", f"/contact-lists/{contact_list_id}", acme.admin)
    assert report["opted_out_since"] == 1
