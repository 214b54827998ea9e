"""E-mails as they are written, and what becomes of a delivery."""

from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.domain import (
    NEWS_FOR_S,
    Delivery,
    NotTaken,
    Refused,
    Taken,
    Unclear,
    abandoned,
    followed,
    notice_of,
)
from services.notifier.letters import Unaddressable, Writer, duration, one_line, readable
from shared.events import Carriers, CarrierState, NumberProvisioned, Person
from shared.rules.hours import Window

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
YES = CarrierState(state="confirmed", at=NOW)


def provisioned(**changes: Any) -> NumberProvisioned:
    told: dict[str, Any] = {
        "org_id": "acme",
        "campaign_id": "spring",
        "name": "Spring drive",
        "number": "+12125550123",
        "outcome": "complete",
        "carriers": Carriers(att=YES, tmobile=YES, verizon=YES),
        "launched_by": Person(name="Ada Lovelace", email="ada@example.org"),
        "window": Window(NOW + timedelta(days=1), NOW + timedelta(days=3)),
        "took_s": 41.2,
    }
    return NumberProvisioned(**{**told, **changes})


def delivery_of(**changes: Any) -> Delivery:
    return delivery_at(NOW, **changes)


def delivery_at(now: datetime, **changes: Any) -> Delivery:
    event = provisioned(**changes)
    return Delivery(notice_of(event, now), event.launched_by.email, "due", now, now)


def letter(mail_from: str = "Sluice <sluice@example.com>", **changes: Any) -> EmailMessage:
    content = Writer(mail_from).write(delivery_of(**changes)).content
    message = message_from_bytes(content, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def test_a_complete_number_is_told_with_what_the_admin_wants_to_know() -> None:
    message = letter()
    assert message["Subject"] == "Provisioning Complete: Spring drive"
    assert message["To"] == "Ada Lovelace <ada@example.org>"
    assert message["From"] == "Sluice <sluice@example.com>"
    text = message.get_content()
    assert "(212) 555-0123" in text
    assert "41 seconds" in text
    assert "from Wednesday, January 2, 2030, 12:00 UTC" in text
    assert "Please note" not in text


def test_a_number_from_another_area_code_is_explained() -> None:
    message = letter(reason="Sold out in area code 212: the number is from 646.")
    text = " ".join(message.get_content().split())
    assert "Please note: Sold out in area code 212: the number is from 646." in text


def test_a_failure_says_which_carriers_and_what_to_do() -> None:
    no = CarrierState(state="refused", at=NOW, reason="not on this use case")
    silent = CarrierState(state="pending", at=NOW)
    message = letter(
        outcome="failed",
        carriers=Carriers(att=YES, tmobile=no, verizon=silent),
        reason="Refused by T-Mobile: not on this use case",
    )
    assert message["Subject"] == "Provisioning Failed: Spring drive"
    text = " ".join(message.get_content().split())
    assert "AT&T confirmed T-Mobile refused Verizon has not answered" in text
    assert "Reason: Refused by T-Mobile: not on this use case" in text
    assert "clone the campaign, and archive this" in text
    assert "over 49 numbers" in text


def test_no_line_of_a_usual_letter_has_to_be_broken_for_the_mail() -> None:
    reason = "Refused by T-Mobile: too many numbers on the campaign without a number pool."
    for message in (letter(reason=reason), letter(outcome="failed", reason=reason)):
        assert message["Content-Transfer-Encoding"] == "7bit"
        assert max(map(len, message.get_content().splitlines())) <= 76


def test_a_failure_without_a_number_says_so() -> None:
    text = letter(outcome="failed", number=None, reason="Nothing for sale.").get_content()
    assert "none was bought" in text


@given(st.text(min_size=1, max_size=200).filter(lambda text: "\x00" not in text))
def test_no_name_can_add_a_header_or_a_line(name: str) -> None:
    try:
        person = Person(name=f"{name}\r\nBcc: eve@example.org", email="ada@example.org")
        message = letter(name=f"{name}\nBcc: eve@example.org"[:200], launched_by=person)
    except UnicodeEncodeError:
        return  # lone surrogates never get past an event's JSON
    assert message["Bcc"] is None
    assert {key.lower() for key in message} == {
        "from", "to", "subject", "date", "message-id", "auto-submitted", "mime-version",
        "content-type", "content-transfer-encoding",
    }  # fmt: skip
    assert not any(line.startswith("Bcc:") for line in message.get_content().splitlines())


def test_the_message_id_is_the_same_whenever_a_notice_is_written() -> None:
    again = delivery_at(NOW + timedelta(hours=1), took_s=50)
    writer = Writer("sluice@example.com")
    first, second = writer.write(delivery_of()).content, writer.write(again).content
    ids = [message_from_bytes(content)["Message-ID"] for content in (first, second)]
    assert ids[0] == ids[1]
    assert ids[0].endswith("@example.com>")
    failed = writer.write(delivery_of(outcome="failed", reason="no"))
    assert message_from_bytes(failed.content)["Message-ID"] != ids[0]


def test_every_letter_is_seven_bit() -> None:
    writer = Writer("sluice@example.com")
    person = Person(name="Ada Łovelace 🚀", email="ada@exämple.org")
    written = writer.write(delivery_of(name="Frühling — 春", launched_by=person))
    assert written.content.isascii()
    assert written.recipient.isascii()
    message = message_from_bytes(written.content, policy=default)
    assert message["Subject"] == "Provisioning Complete: Frühling — 春"


def test_an_address_that_no_header_can_carry_is_refused() -> None:
    with pytest.raises(Unaddressable):
        letter(launched_by=Person(name="Ada", email="ädä@example.org"))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "less than a second"),
        (1, "1 second"),
        (41.2, "41 seconds"),
        (59.9, "1 minute"),
        (61, "1 minute 1 second"),
        (3600, "1 hour"),
        (3605, "1 hour"),
        (7500, "2 hours 5 minutes"),
        (97_200, "1 day 3 hours"),
        (259_200, "3 days"),
    ],
)
def test_durations_are_said_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_numbers_are_written_as_people_write_them() -> None:
    assert readable("+12125550123") == "(212) 555-0123"
    assert readable("+442071838750") == "+442071838750"


def test_control_characters_become_spaces() -> None:
    assert one_line(" a\r\nb\tc\x85d\u2028e\x7f ") == "a b c d e"


def test_what_surely_was_not_taken_is_tried_again_ever_more_rarely() -> None:
    delivery, waits = delivery_of(), []
    for _ in range(12):
        delivery = followed(delivery, NotTaken("451 later"), NOW, 0.999)
        assert delivery.state == "due"
        assert delivery.due_at is not None
        waits.append((delivery.due_at - NOW).total_seconds())
    assert waits == sorted(waits)
    assert waits[0] <= 2
    assert 290 < waits[-1] <= 300


def test_a_notice_that_is_no_news_any_more_is_given_up() -> None:
    late = NOW + timedelta(seconds=NEWS_FOR_S)
    assert followed(delivery_of(), NotTaken("away"), late, 0.5).state == "expired"


@pytest.mark.parametrize(
    ("outcome", "state"),
    [(Taken("250 ok"), "sent"), (Refused("550 no"), "refused"), (Unclear("lost"), "unclear")],
)
def test_a_clear_or_a_lost_answer_ends_a_delivery(outcome: Any, state: str) -> None:
    delivery = followed(delivery_of(), outcome, NOW, 0.5)
    assert delivery.state == state
    assert delivery.due_at is None


def test_a_delivery_whose_worker_died_while_sending_is_unclear() -> None:
    assert abandoned(delivery_of(), NOW).state == "unclear"
