"""The whole sandbox on a manual clock: numbers, confirmations, texts, receipts, replies."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.sandbox.behaviour import Behaviour
from services.sandbox.domain import Limit, Refused, Webhook
from services.sandbox.world import World

START = datetime(2026, 6, 1, 19, 0, tzinfo=UTC)
NUMBER = "+12125550100"
ATT, TMOBILE, VERIZON = "+12122340001", "+12124340001", "+12126340001"


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def a_world(**behaviour: Any) -> World:
    """A world with one confirmed number whose profile's texts go to http://inbound."""
    world = World(Behaviour.model_validate(behaviour))
    world.provide_number(START, NUMBER, campaign_id="use-case", messaging_profile_id="profile")
    world.numbers.profile(START, "profile").webhook_url = "http://inbound"
    return world


def a_text(to: str = ATT, text: str = "Hello!", message_id: str = "m1", **more: Any) -> Any:
    address = f"http://receipts/webhooks/telnyx/org/{message_id}/attempt-1"
    return {"from": NUMBER, "to": to, "text": text, "webhook_url": address, **more}


def send(world: World, seconds: float, body: Any) -> Any:
    message = world.send(after(seconds), body)
    assert message is not None
    return message.payload()


def events(webhooks: list[Webhook]) -> list[str]:
    return [str(webhook.data["event_type"]) for webhook in webhooks]


def payload(webhook: Webhook) -> Any:
    return webhook.data["payload"]


def ask_carriers(world: World, seconds: float, phone: str = NUMBER) -> dict[str, object]:
    world.advance(after(seconds))
    shown = world.registry.get(phone).data(world.behaviour)
    names = (
        "assignmentStatus",
        "attNumberMappingStatus",
        "tmobileNumberMappingStatus",
        "nonTmobileNumberMappingStatus",
    )
    return {name: shown.get(name) for name in names}


def test_an_order_is_pending_and_then_the_number_is_there() -> None:
    world = World(Behaviour(order_delay_s=2))
    [found, *_] = world.numbers.search(world.behaviour, "415", 5, False)
    phone = str(found["phone_number"])
    order = world.numbers.order(START, world.behaviour, [phone], "our-reference", "profile")
    world.advance(after(1.999))
    assert (order.status, world.numbers.owned(phone)) == ("pending", [])
    world.advance(after(2))
    assert order.status == "success"
    assert world.numbers.orders("our-reference", None) == [order]
    [number] = world.numbers.owned(phone)
    assert number.messaging_profile_id == "profile"
    assert number.id not in order.phones.values()


def test_a_number_is_sold_once() -> None:
    world = World()
    [first, second] = world.numbers.search(world.behaviour, "415", 2, False)
    phone = str(first["phone_number"])
    world.numbers.order(START, world.behaviour, [phone], None, None)
    with pytest.raises(Refused, match="not available"):
        world.numbers.order(START, world.behaviour, [phone], None, None)
    assert world.numbers.search(world.behaviour, "415", 1, False) == [second]


def test_a_sold_out_area_code_has_nothing_and_best_effort_looks_elsewhere() -> None:
    world = World(Behaviour(sold_out_area_codes=("415",)))
    assert world.numbers.search(world.behaviour, "415", 5, False) == []
    elsewhere = world.numbers.search(world.behaviour, "415", 5, True)
    assert len(elsewhere) == 5
    assert all(number["best_effort"] for number in elsewhere)


def test_a_number_gone_in_the_meantime_fails_its_order_and_the_next_order_works() -> None:
    world = World(Behaviour(orders_gone=1))
    phones = [
        str(n["phone_number"]) for n in world.numbers.search(world.behaviour, "415", 2, False)
    ]
    orders = [world.numbers.order(START, world.behaviour, [phone], None, None) for phone in phones]
    world.advance(after(1))
    assert [order.status for order in orders] == ["failure", "success"]
    assert [number.phone for number in world.numbers.owned()] == [phones[1]]


def attach(world: World, phone: str = NUMBER, campaign_id: str = "use-case") -> None:
    world.numbers.own(START, phone, None, "profile")
    world.registry.attach(START, phone, campaign_id)


def test_carriers_confirm_one_by_one_after_their_delays() -> None:
    world = World(
        Behaviour.model_validate(
            {
                "assignment_delay_s": 1,
                "confirmation_delay_s": {"att": 2, "tmobile": 4, "verizon": 3},
            }
        )
    )
    attach(world)
    assert list(ask_carriers(world, 0).values()) == ["PENDING_ASSIGNMENT", *["PENDING"] * 3]
    assert list(ask_carriers(world, 1).values()) == ["ASSIGNED", *["PENDING"] * 3]
    assert list(ask_carriers(world, 2).values()) == ["ASSIGNED", "ADDED", "PENDING", "PENDING"]
    assert list(ask_carriers(world, 3).values()) == ["ASSIGNED", "ADDED", "PENDING", "ADDED"]
    assert list(ask_carriers(world, 4).values()) == ["ASSIGNED", *["ADDED"] * 3]


@pytest.mark.parametrize(
    ("refusal", "refused"),
    [
        ({"area_code": "212"}, True),
        ({"area_code": "415"}, False),
        ({"campaign_id": "use-case"}, True),
        ({"campaign_id": "another"}, False),
    ],
)
def test_a_carrier_refuses_by_area_code_or_by_campaign(
    refusal: dict[str, str], refused: bool
) -> None:
    world = World(Behaviour.model_validate({"refusals": [{"carrier": "tmobile", **refusal}]}))
    attach(world)
    world.advance(after(60))
    shown = world.registry.get(NUMBER).data(world.behaviour)
    assert shown["tmobileNumberMappingStatus"] == ("FAILED" if refused else "ADDED")
    assert shown["attNumberMappingStatus"] == "ADDED"
    assert ("T-Mobile" in str(shown["failureReasons"])) is refused


def test_a_carrier_refuses_the_next_number_only() -> None:
    world = World(Behaviour.model_validate({"refusals": [{"carrier": "att", "next": True}]}))
    attach(world)
    attach(world, "+12125550101")
    assert ask_carriers(world, 60)["attNumberMappingStatus"] == "FAILED"
    assert ask_carriers(world, 60, "+12125550101")["attNumberMappingStatus"] == "ADDED"


def test_all_carriers_refusing_is_a_failed_assignment() -> None:
    refusals = [{"carrier": c, "campaign_id": "use-case"} for c in ("att", "tmobile", "verizon")]
    world = World(Behaviour.model_validate({"refusals": refusals}))
    attach(world)
    assert ask_carriers(world, 60)["assignmentStatus"] == "FAILED_ASSIGNMENT"


def test_tmobile_refuses_the_number_beyond_those_it_allows_on_a_campaign() -> None:
    world = World(Behaviour(numbers_per_campaign=2))
    for last in range(3):
        attach(world, f"+1212555020{last}")
    assert ask_carriers(world, 60, "+12125550201")["tmobileNumberMappingStatus"] == "ADDED"
    assert ask_carriers(world, 60, "+12125550202")["tmobileNumberMappingStatus"] == "FAILED"


def test_without_atts_own_field_one_fact_settles_att_and_verizon() -> None:
    world = World(
        Behaviour.model_validate(
            {
                "att_mapping_shown": False,
                "confirmation_delay_s": {"att": 3, "tmobile": 1, "verizon": 2},
            }
        )
    )
    attach(world)
    assert ask_carriers(world, 2)["attNumberMappingStatus"] is None
    assert ask_carriers(world, 2)["nonTmobileNumberMappingStatus"] == "PENDING"
    assert ask_carriers(world, 3)["nonTmobileNumberMappingStatus"] == "ADDED"


def test_a_campaigns_webhook_hears_of_the_assignment_and_of_each_carrier() -> None:
    world = World()
    world.registry.campaign("use-case").webhook_url = "http://registry"
    attach(world)
    world.advance(after(60))
    told = world.take_webhooks()
    assert set(events(told)) == {"10dlc.phone_number.update"}
    kinds = [(payload(webhook)["type"], payload(webhook)["status"]) for webhook in told]
    assert kinds == [("ASSIGNMENT", "success"), *[("STATUS_UPDATE", "ADDED")] * 3]


def test_a_text_is_queued_then_sent_then_delivered() -> None:
    world = a_world(receipt_delay_s=2)
    answer = send(world, 0, a_text(text="ж" * 71))
    assert (answer["to"][0]["status"], answer["parts"], answer["encoding"]) == (
        "queued",
        2,
        "UCS-2",
    )
    assert answer["to"][0]["carrier"] == "AT&T"
    world.advance(after(1))
    world.advance(after(2))
    sent, final = world.take_webhooks()
    assert events([sent, final]) == ["message.sent", "message.finalized"]
    assert sent.url == final.url == a_text()["webhook_url"]
    assert [payload(webhook)["to"][0]["status"] for webhook in (sent, final)] == [
        "sent",
        "delivered",
    ]
    assert payload(final)["id"] == answer["id"]
    assert payload(final)["errors"] == []
    assert [text["text"] for text in world.phones.texts_of(ATT)] == ["ж" * 71]


def test_over_the_limit_a_text_is_accepted_and_then_not_delivered() -> None:
    world = a_world()
    world.registry.campaign("use-case").brand = "acme"
    world.tell_limit(START, "acme", "att", Limit(sms_per_minute=1))
    for index in range(2):
        send(world, index, a_text(message_id=f"m{index}"))
    world.advance(after(10))
    finals = [w for w in world.take_webhooks() if w.data["event_type"] == "message.finalized"]
    assert [payload(final)["to"][0]["status"] for final in finals] == [
        "delivered",
        "delivery_failed",
    ]
    assert payload(finals[1])["errors"][0]["code"] == "40018"
    verdict: Any = world.judge.verdict()
    [bucket] = [bucket for bucket in verdict["buckets"] if bucket["seen"]]
    assert (bucket["brand"], bucket["peak_60s"], bucket["over"]) == ("acme", 2, True)
    assert len(world.phones.texts_of(ATT)) == 1


def test_carriers_deliver_for_an_unconfirmed_number_unless_told_to_refuse() -> None:
    for behaviour, codes in (("deliver", [None] * 3), ("refuse", ["40019", "40010", "40010"])):
        world = World(Behaviour.model_validate({"unregistered": behaviour}))
        attach(world)
        for index, to in enumerate((ATT, TMOBILE, VERIZON)):
            send(world, 0.1, a_text(to, message_id=str(index)))
        world.advance(after(1))
        entries = world.judge.page(0, 10)
        assert [entry.receipt_code for entry in entries] == codes


def test_a_number_that_is_not_ours_or_has_no_profile_may_not_send() -> None:
    world = a_world()
    for number in ("+12125559999", ""):
        with pytest.raises(Refused):
            world.send(START, {**a_text(), "from": number})
    world.numbers.owned(NUMBER)[0].messaging_profile_id = None
    with pytest.raises(Refused) as refused:
        world.send(START, a_text())
    assert (refused.value.status, refused.value.code) == (400, "40305")
    assert [entry.answer for entry in world.judge.page(0, 10)] == ["refused", "refused"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"to": "2125550100"}, "40310"),
        ({"to": None}, "40310"),
        ({"text": ""}, "10004"),
        ({"webhook_url": "ftp://x"}, "10015"),
        ({"media_urls": "x"}, "10004"),
    ],
)
def test_a_malformed_request_is_refused_and_not_in_the_ledger(
    change: dict[str, object], code: str
) -> None:
    world = a_world()
    with pytest.raises(Refused) as refused:
        world.send(START, {**a_text(), **change})
    assert refused.value.code == code
    assert list(world.judge.page(0, 10)) == []


def test_stop_blocks_that_pair_until_start() -> None:
    world = a_world()
    received = world.text_from_phone(START, ATT, NUMBER, " stop ")
    assert received["autoresponse_type"] == "STOP"
    with pytest.raises(Refused) as refused:
        world.send(after(1), a_text())
    assert (refused.value.status, refused.value.code) == (400, "40300")
    send(world, 2, a_text(TMOBILE))
    world.text_from_phone(after(3), ATT, NUMBER, "START")
    send(world, 4, a_text())
    [stop, start] = world.take_webhooks()
    assert (stop.url, stop.data["event_type"]) == ("http://inbound", "message.received")
    assert payload(stop)["from"]["phone_number"] == ATT
    assert payload(stop)["to"][0]["phone_number"] == NUMBER
    assert payload(start)["text"] == "START"


def test_a_share_of_the_phones_answers_its_first_text_once() -> None:
    world = a_world(reply_share=0.3, reply_delay_s={"min": 1, "max": 2}, reply_texts=["Yes", "No"])
    for index in range(1000):
        send(world, 0, a_text(f"+1212234{index:04}", message_id=str(index)))
        send(world, 0, a_text(f"+1212234{index:04}", message_id=f"{index} again"))
    world.advance(after(60))
    replies = [w for w in world.take_webhooks() if w.data["event_type"] == "message.received"]
    phones = [payload(reply)["from"]["phone_number"] for reply in replies]
    assert 250 < len(phones) == len(set(phones)) < 350
    assert {payload(reply)["text"] for reply in replies} == {"Yes", "No"}


def test_a_phone_can_be_ported_and_a_phone_can_be_a_landline() -> None:
    world = a_world()
    world.phones.port(ATT, "verizon")
    assert send(world, 0, a_text())["to"][0]["carrier"].endswith("VERIZON")
    world.phones.spoil(TMOBILE, "40001")
    send(world, 0, a_text(TMOBILE))
    world.advance(after(5))
    assert [entry.receipt_code for entry in world.judge.page(0, 10)] == [None, "40001"]


def test_receipts_come_twice_swapped_or_never_when_asked() -> None:
    expected = {
        "receipt_duplicate_share": ["message.sent", *["message.finalized"] * 2],
        "receipt_reorder_share": ["message.finalized", "message.sent"],
        "receipt_lost_share": [],
    }
    for share, wanted in expected.items():
        world = a_world(**{share: 1})
        send(world, 0, a_text())
        world.advance(after(5))
        told = world.take_webhooks()
        assert events(told) == wanted
        final_ids = {w.data["id"] for w in told if w.data["event_type"] == "message.finalized"}
        assert len(final_ids) <= 1


def test_the_account_has_a_rate_of_its_own() -> None:
    world = a_world(account_sends_per_s=2)
    send(world, 0, a_text(message_id="a"))
    send(world, 0.5, a_text(message_id="b"))
    with pytest.raises(Refused) as refused:
        world.send(after(0.9), a_text(message_id="c"))
    assert (refused.value.status, refused.value.retry_after_s) == (429, 1)
    send(world, 1, a_text(message_id="c"))
    assert world.judge.verdict()["ok"] is True


def test_scripted_faults_come_in_order_skip_count_and_choose() -> None:
    faults = [
        {"status": 429, "skip": 1, "times": 2, "carrier": "att"},
        {"kind": "reset", "carrier": "tmobile"},
        {"call": "order", "status": 500},
    ]
    world = a_world(answers=faults)
    kinds = []
    for phone in (ATT, TMOBILE, TMOBILE, ATT, ATT, ATT, VERIZON):
        fault = world.next_fault("send", NUMBER, phone)
        kinds.append(None if fault is None else (fault.kind, fault.status))
    assert kinds == [None, ("reset", 503), None, ("http", 429), ("http", 429), None, None]
    order = world.next_fault("order")
    assert order is not None
    assert order.status == 500
    assert world.next_fault("order") is None


@pytest.mark.parametrize(
    ("fault", "answer", "taken"),
    [
        ({"status": 429}, "refused", False),
        ({"status": 503}, "refused", False),
        ({"status": 503, "bare": True}, "unclear", False),
        ({"status": 503, "bare": True, "retry_after": "1"}, "refused", False),
        ({"status": 408}, "unclear", False),
        ({"status": 500}, "unclear", False),
        ({"status": 500, "taken": True}, "unclear", True),
        ({"kind": "reset"}, "unclear", True),
        ({"kind": "reset", "taken": False}, "unclear", False),
        ({"kind": "garbled"}, "unclear", True),
        ({"kind": "hang"}, "unclear", True),
    ],
)
def test_the_ledger_knows_what_the_sender_can_know(
    fault: dict[str, object], answer: str, taken: bool
) -> None:
    world = a_world(answers=[fault])
    message = world.send(START, a_text(), fault=world.next_fault("send", NUMBER, ATT))
    assert (message is not None) is taken
    [entry] = world.judge.page(0, 10)
    assert (entry.answer, entry.taken) == (answer, taken)
    world.advance(after(10))
    assert (entry.receipt_status == "delivered") is taken
