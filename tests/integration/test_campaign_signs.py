"""What the campaign service shows of carriers that hold, contacts that come back, and buckets."""

import random
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

from shared.events import (
    BucketState,
    CampaignHeld,
    CarrierAnswered,
    ContactOptedIn,
    ContactOptedOut,
    MessageDelivered,
    MessageReceived,
)
from tests.campaign_desk import NOON, Desk, Organization

NUMBER = "+12125550100"
PHONE = "+13032000000"


def seconds(count: float) -> datetime:
    return NOON + timedelta(seconds=count)


# --- carriers that hold -----------------------------------------------------------------------


def held(about: dict[str, Any], at_s: float, state: Any = "refused", **more: Any) -> CampaignHeld:
    said = {"carrier": "tmobile", "code": "40010", "reason": "number not registered", **more}
    return CampaignHeld(**about, **said, state=state, held_at=seconds(at_s))


def answered(about: dict[str, Any], answer: Any, at_s: float) -> CarrierAnswered:
    return CarrierAnswered(
        **about, number=NUMBER, carrier="tmobile", answer=answer, answered_at=seconds(at_s)
    )


async def holding(office: Desk) -> tuple[Organization, str, dict[str, Any]]:
    acme = await office.organization()
    campaign_id = await acme.launch(contact_list_id=await acme.contacts(1))
    return acme, campaign_id, {"org_id": acme.org_id, "campaign_id": campaign_id}


async def test_a_hold_is_shown_carrier_by_carrier_since_when_and_why(office: Desk) -> None:
    acme, campaign_id, about = await holding(office)
    assert (await acme.details(campaign_id))["held"] == {}
    await office.hear(held(about, 5), held(about, 6, "pending", carrier="att", code=None))
    shown = (await acme.details(campaign_id))["held"]
    assert shown == {
        "att": {
            "state": "pending",
            "code": None,
            "reason": "number not registered",
            "held_at": "2026-10-20T16:00:06Z",
        },
        "tmobile": {
            "state": "refused",
            "code": "40010",
            "reason": "number not registered",
            "held_at": "2026-10-20T16:00:05Z",
        },
    }


async def test_a_confirmation_ends_a_hold_whichever_is_heard_first(office: Desk) -> None:
    for hold_s, answer_s in ((5, 9), (9, 5)):
        for order in permutations(range(2)):
            acme, campaign_id, about = await holding(office)
            facts = (held(about, hold_s, "pending"), answered(about, "confirmed", answer_s))
            for place in order:
                await office.hear(facts[place])
            assert (await acme.details(campaign_id))["held"] == {}


async def test_a_refusal_ends_no_hold(office: Desk) -> None:
    acme, campaign_id, about = await holding(office)
    await office.hear(held(about, 5), answered(about, "refused", 9))
    assert list((await acme.details(campaign_id))["held"]) == ["tmobile"]


async def test_a_hold_after_the_confirmation_stands_until_a_text_arrives(office: Desk) -> None:
    acme, campaign_id, about = await holding(office)
    await office.hear(answered(about, "confirmed", 5), held(about, 9, "confirmed"))
    assert list((await acme.details(campaign_id))["held"]) == ["tmobile"]
    page = await office.good("GET", f"/campaigns/{campaign_id}/messages", acme.admin)
    text = {"message_id": page["items"][0]["message_id"], "carrier": "tmobile", "segments": 1}
    await office.hear(MessageDelivered(**about, **text, at=seconds(8)))
    assert list((await acme.details(campaign_id))["held"]) == ["tmobile"]
    await office.hear(MessageDelivered(**about, **text, at=seconds(12)))
    assert (await acme.details(campaign_id))["held"] == {}


async def test_an_old_hold_that_comes_late_changes_nothing(office: Desk) -> None:
    acme, campaign_id, about = await holding(office)
    words = [held(about, at_s, reason=f"word {at_s}") for at_s in (3, 5, 9)]
    for order in permutations(words):
        await office.hear(*order[:2])
        await office.hear(order[2])
        assert (await acme.details(campaign_id))["held"]["tmobile"]["reason"] == "word 9"


# --- contacts who come back -------------------------------------------------------------------


async def now(office: Desk) -> datetime:
    async with office.database.transaction() as tx:
        return await tx.now()


def out(acme: Organization, at_s: float) -> ContactOptedOut:
    return ContactOptedOut(org_id=acme.org_id, phone=PHONE, opted_out_at=seconds(at_s))


def back(acme: Organization, at_s: float) -> ContactOptedIn:
    return ContactOptedIn(org_id=acme.org_id, phone=PHONE, opted_in_at=seconds(at_s))


async def test_of_stop_and_start_the_later_word_counts_whichever_is_heard_first(
    office: Desk,
) -> None:
    office.clock.advance(60)
    stories = [((1, 2), 0), ((2, 1), 1), ((2, 2), 1), ((1, 2, 3), 1), ((1, 4, 3, 2), 0)]
    for times, opted_out in stories:
        for order in permutations(range(len(times))):
            acme = await office.organization()
            contact_list_id = await acme.contacts(1)
            words = [(out, back)[place % 2](acme, at_s) for place, at_s in enumerate(times)]
            await office.hear(*(words[place] for place in order[:2]))
            for place in order:
                await office.hear(words[place])
            report = await office.good("GET", f"/contact-lists/{contact_list_id}", acme.admin)
            assert report["opted_out_since"] == opted_out, (times, order)


async def test_who_came_back_is_texted_by_later_launches_and_what_was_withdrawn_stays_so(
    office: Desk,
) -> None:
    acme = await office.organization()
    contact_list_id = await acme.contacts(2)
    before = await acme.launch(contact_list_id=contact_list_id)
    office.clock.advance(60)
    await office.hear(out(acme, 1))
    between = await acme.launch(contact_list_id=contact_list_id)
    await office.hear(back(acme, 2))
    await office.hear(out(acme, 1))
    after = await acme.launch(contact_list_id=contact_list_id)
    assert (await acme.details(before))["counts"] == {"opted out": 1, "unassigned": 1}
    assert (await acme.details(between))["counts"] == {"unassigned": 1}
    assert (await acme.details(after))["counts"] == {"unassigned": 2}


async def test_who_came_back_can_be_answered_and_their_start_waits_for_it(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    contact_list_id = await acme.contacts(1)
    campaign_id = await acme.launch(sue, contact_list_id=contact_list_id)
    (text,) = (await office.good("GET", f"/campaigns/{campaign_id}/assignment", sue.token))[
        "messages"
    ]
    await office.good("POST", f"/messages/{text['message_id']}/send", sue.token)

    office.clock.advance(10)

    def says(words: str, at_s: float) -> MessageReceived:
        return MessageReceived(
            org_id=acme.org_id, campaign_id=campaign_id, sender=PHONE, to=NUMBER, text=words,
            received_at=seconds(at_s),
        )  # fmt: skip

    await office.hear(says("STOP", 1), out(acme, 1))
    (line,) = (await office.good("GET", "/conversations", sue.token))["items"]
    path = f"/conversations/{line['conversation_id']}"
    assert line["waiting"] is False
    refused = await office.call("POST", f"{path}/replies", sue.token, text="Hi")
    assert (refused.status, refused["detail"]) == (409, "The contact has opted out")
    # Texts wait in a queue of their own: the word may overtake the text that it was said in.
    await office.hear(says("START", 9))
    assert (await office.good("GET", path, sue.token))["waiting"] is False
    await office.hear(back(acme, 9))
    shown = await office.good("GET", path, sue.token)
    assert (shown["waiting"], shown["opted_out"]) == (True, False)
    office.clock.advance(10)
    await office.good("POST", f"{path}/replies", sue.token, text="Welcome back")
    await office.hear(back(acme, 9))
    assert (await office.good("GET", path, sue.token))["waiting"] is False


async def test_a_word_from_the_future_does_not_outlast_what_is_said_next(office: Desk) -> None:
    acme = await office.organization()
    contact_list_id = await acme.contacts(1)
    for word, opted_out in ((out, 1), (back, 0)):
        await office.hear(word(acme, 86_400))
        other = back if word is out else out
        for said, stands in ((word, opted_out), (other, 1 - opted_out)):
            office.clock.advance(1)
            await office.hear(said(acme, (await now(office) - NOON).total_seconds()))
            report = await office.good("GET", f"/contact-lists/{contact_list_id}", acme.admin)
            assert report["opted_out_since"] == stands


async def test_an_opt_in_at_an_organization_of_another_system_is_passed_over(office: Desk) -> None:
    before = await office.rows("opt_outs")
    await office.hear(ContactOptedIn(org_id="elsewhere", phone=PHONE, opted_in_at=NOON))
    assert await office.rows("opt_outs") == before


# --- buckets ----------------------------------------------------------------------------------


def state(org_id: str, at_s: float, **differs: Any) -> BucketState:
    said: dict[str, Any] = {
        "carrier": "att", "backlog": 1200, "replies": 3, "oldest_queued_at": NOON,
        "sent_per_minute": 74, "room": 1, "day_quota_left": None, "slowed": False, **differs,
    }  # fmt: skip
    return BucketState(org_id=org_id, **said, at=seconds(at_s))


async def test_buckets_are_shown_to_operators_and_to_their_own_admins(office: Desk) -> None:
    acme = await office.organization()
    other = await office.organization("Other")
    path = f"/organizations/{acme.org_id}/buckets"
    assert (await office.good("GET", path, office.operator))["items"] == []
    await office.hear(
        state(acme.org_id, 5),
        state(acme.org_id, 5, carrier="tmobile", room=None, day_quota_left=40, slowed=True),
        state("elsewhere", 5),
    )
    shown = (await office.good("GET", path, office.operator))["items"]
    assert shown == (await office.good("GET", "/buckets", acme.admin))["items"]
    assert [one["carrier"] for one in shown] == ["att", "tmobile"]
    assert shown[0] == {
        "carrier": "att",
        "backlog": 1200,
        "replies": 3,
        "oldest_queued_at": "2026-10-20T16:00:00Z",
        "sent_per_minute": 74,
        "room": 1,
        "day_quota_left": None,
        "slowed": False,
        "at": "2026-10-20T16:00:05Z",
    }
    assert (shown[1]["day_quota_left"], shown[1]["slowed"]) == (40, True)
    assert (await office.good("GET", "/buckets", other.admin))["items"] == []
    missing = await office.call("GET", "/organizations/nothing/buckets", office.operator)
    assert missing.status == 404


async def test_the_latest_state_of_a_bucket_stands_in_any_order(office: Desk) -> None:
    acme = await office.organization()
    states = [state(acme.org_id, at_s, backlog=at_s) for at_s in range(20)]
    random.Random(3).shuffle(states)
    await office.hear(*states[:10])
    for one in states[10:]:
        await office.hear(one)
    (shown,) = (await office.good("GET", "/buckets", acme.admin))["items"]
    assert shown["backlog"] == 19
