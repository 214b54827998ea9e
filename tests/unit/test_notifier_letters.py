"""E-mails as they are written: their words, and what makes them e-mails."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.notifier.domain import Campaign, Delivery
from services.notifier.letters import Unaddressable, Writer
from services.notifier.samples import (
    CAMPAIGN,
    NEARBY,
    NOW,
    at_risk,
    carriers,
    failed,
    held,
    provisioned,
    sample,
)
from shared.events import Person
from shared.rules.hours import Window
from tests.letters_read import EVERY_TURN, WRITER, Page, named, part, read, text_of


def test_a_complete_number_is_told_with_what_the_admin_wants_to_know() -> None:
    message = read(sample(provisioned()))
    assert message["Subject"] == "Provisioning Complete: Spring drive"
    assert message["To"] == "Ada Lovelace <ada@example.org>"
    assert message["From"] == "Sluice <sluice@example.com>"
    text = text_of(sample(provisioned()))
    assert "is ready to go: AT&T, T-Mobile and Verizon have confirmed it" in text
    assert "Number: (212) 555-0123" in text
    assert "It took: 41 seconds" in text
    assert "Sending opens: Wednesday, January 2, 2030 at 10:00 AM EST" in text
    assert "Sending closes: Friday, January 4, 2030 at 9:00 PM EST" in text
    assert "Open hours: 9:00 AM to 9:00 PM" in text
    assert "https://sluice.example.com/acme/campaigns/spring" in text
    assert "Please note" not in text
    assert "failed" not in text


def test_a_number_from_another_area_code_is_explained() -> None:
    text = text_of(sample(provisioned(reason=NEARBY)))
    assert "Please note: Sold out in area code 212: the number is from 646." in text


def test_completion_after_a_failure_says_that_it_had_failed_before() -> None:
    delivery = sample(provisioned(after_failure=True, took_s=11_120))
    assert read(delivery)["Subject"] == "Provisioning Complete: Spring drive"
    text = text_of(delivery)
    assert "had failed before, and is complete now" in text
    assert "You need not clone the campaign any more." in text
    assert "It took: 3 hours 5 minutes" in text


def test_a_failure_says_which_carriers_and_what_to_do() -> None:
    delivery = sample(failed())
    assert read(delivery)["Subject"] == "Provisioning Failed: Spring drive"
    text = text_of(delivery)
    assert "could not be provisioned with all of the carriers" in text
    assert "delivered at lower-than-normal rates" in text
    assert "AT&T: confirmed T-Mobile: refused Verizon: has not answered" in text
    assert "Reason: Refused by T-Mobile: too many numbers on the campaign" in text
    assert "clone this campaign" in text
    assert "archive this" in text
    assert "over 49 numbers" in text
    assert "Should all of the carriers confirm this number later" in text


def test_each_refusing_carrier_has_its_reason_said_once() -> None:
    told = carriers("refused", "refused", "confirmed")
    other = told.att.model_copy(update={"reason": "AT&T: not on this use case"})
    text = text_of(sample(failed(carriers=told.model_copy(update={"att": other}))))
    assert "AT&T: refused: not on this use case" in text
    assert text.count("too many numbers on the campaign") == 1


def test_a_failure_without_a_number_says_so() -> None:
    text = text_of(sample(failed(number=None, reason="Nothing for sale.")))
    assert "no message can be sent from it" in text
    assert "Number: none was bought" in text
    assert "Reason: Nothing for sale." in text
    assert "Verizon: " not in text


def test_a_window_at_risk_says_how_many_will_fail_and_which_end_date_saves_them() -> None:
    delivery = sample(at_risk())
    assert read(delivery)["Subject"] == "Sending Window at Risk: Spring drive"
    text = text_of(delivery)
    assert "1,240 initial messages of your campaign will still be waiting" in text
    assert 'marked "sending failed"' in text
    assert "Safe end date: Saturday, January 5, 2030 at 9:00 PM EST" in text
    assert "An end date of Saturday, January 5, 2030 at 9:00 PM EST or later saves them" in text


def test_a_window_that_no_end_date_saves_says_so() -> None:
    text = text_of(sample(at_risk(failing=1, safe_end_at=None)))
    assert "1 initial message of your campaign" in text
    assert "No end date within the next 60 days would save them all." in text


def test_an_end_date_that_saves_them_is_never_said_too_early() -> None:
    end = datetime(2030, 1, 5, 20, 59, 0, 1, tzinfo=UTC)
    assert "January 5, 2030 at 4:00 PM EST" in text_of(sample(at_risk(safe_end_at=end)))
    whole = end.replace(microsecond=0)
    assert "January 5, 2030 at 3:59 PM EST" in text_of(sample(at_risk(safe_end_at=whole)))


def test_a_hold_says_which_carrier_why_and_what_to_do() -> None:
    delivery = sample(held(state="refused", reason="the carrier has refused the number"))
    assert read(delivery)["Subject"] == "Messages to T-Mobile on Hold: Spring drive"
    text = text_of(delivery)
    assert "T-Mobile has refused the phone number of your campaign" in text
    assert "Reason: The carrier has refused the number (code 40010)" in text
    assert "Since: Tuesday, January 1, 2030 at 7:00 AM EST" in text
    assert "clone this campaign: the new one gets a number of its own" in text
    assert "over 49 numbers" in text


def test_a_hold_until_the_confirmation_asks_for_nothing() -> None:
    text = text_of(sample(held()))
    assert "has not confirmed the phone number of your campaign yet" in text
    assert "go out by themselves as soon as it does" in text
    assert "You need not do anything" in text
    assert "clone" not in text


def test_a_hold_by_a_smaller_carrier_is_told_without_a_name() -> None:
    delivery = sample(held(carrier="other", code=None))
    assert read(delivery)["Subject"] == "Messages to Smaller Carriers on Hold: Spring drive"
    assert "A carrier other than AT&T, T-Mobile and Verizon" in text_of(delivery)


def test_times_are_in_utc_where_the_campaigns_zone_is_not_known_yet() -> None:
    text = text_of(sample(provisioned(), Campaign()))
    assert "Sending opens: Wednesday, January 2, 2030 at 3:00 PM UTC" in text
    assert "Open hours" not in text


def test_a_letter_tells_the_window_as_it_was_edited_last() -> None:
    edited = Window(NOW + timedelta(days=10), NOW + timedelta(days=11))
    text = text_of(sample(provisioned(), Campaign(window=edited, hours=CAMPAIGN.hours)))
    assert "Sending opens: Friday, January 11, 2030 at 7:00 AM EST" in text
    assert "Sending closes: Saturday, January 12, 2030 at 7:00 AM EST" in text


def test_a_risk_is_told_of_the_window_that_it_was_forecast_for() -> None:
    edited = Window(NOW + timedelta(days=10), NOW + timedelta(days=11))
    text = text_of(sample(at_risk(), Campaign(window=edited, hours=CAMPAIGN.hours)))
    assert "Sending closes: Friday, January 4, 2030 at 9:00 PM EST" in text


def test_without_an_address_of_campaigns_there_is_no_link() -> None:
    message = read(sample(provisioned()), Writer("sluice@example.com"))
    assert "Open the campaign" not in part(message, "plain")
    assert not [tag for tag, _ in Page(part(message, "html")).tags if tag == "a"]


# --- as e-mails ----------------------------------------------------------------------------------


@pytest.mark.parametrize("delivery", EVERY_TURN, ids=named)
def test_no_line_of_a_letters_text_has_to_be_broken_for_the_mail(delivery: Delivery) -> None:
    message = read(delivery)
    text = message.get_body(("plain",))
    assert text is not None
    assert text["Content-Transfer-Encoding"] == "7bit"
    assert max(map(len, part(message, "plain").splitlines())) <= 76


@settings(max_examples=50)
@given(st.text(min_size=1, max_size=200).filter(lambda text: "\x00" not in text))
def test_no_name_can_add_a_header_or_a_line(name: str) -> None:
    try:
        person = Person(name=f"{name}\r\nBcc: eve@example.org"[:200], email="ada@example.org")
        message = read(
            sample(provisioned(name=f"{name}\nBcc: eve@example.org"[-200:], launched_by=person))
        )
    except UnicodeEncodeError:
        return  # lone surrogates never get past an event's JSON
    assert message["Bcc"] is None
    assert {key.lower() for key in message} == {
        "from", "to", "subject", "date", "message-id", "auto-submitted", "mime-version",
        "content-type",
    }  # fmt: skip
    lines = part(message, "plain").splitlines() + part(message, "html").splitlines()
    assert not any(line.startswith("Bcc:") for line in lines)


def test_the_message_id_is_the_same_whenever_a_notice_is_written() -> None:
    ids = [
        read(sample(event))["Message-ID"]
        for event in (provisioned(), provisioned(took_s=50), failed())
    ]
    assert ids[0] == ids[1]
    assert ids[0].endswith("@example.com>")
    assert ids[2] != ids[0]


def test_every_letter_is_seven_bit() -> None:
    person = Person(name="Ada Łovelace 🚀", email="ada@exämple.org")
    delivery = sample(provisioned(name="Frühling — 春", launched_by=person))
    delivery = Delivery(delivery.notice, person.email, "due", NOW, NOW)
    written = WRITER.write(delivery)
    assert written.content.isascii()
    assert written.recipient.isascii()
    message = read(delivery)
    assert message["Subject"] == "Provisioning Complete: Frühling — 春"
    assert "Frühling — 春" in part(message, "html")
    assert "Frühling — 春" in part(message, "plain")


@pytest.mark.parametrize(
    "address", ["ädä@example.org", "ada@", "", "<ada>@example.org", "ada@example..org", "a,b@c.org"]
)
def test_an_address_that_no_header_can_carry_is_refused(address: str) -> None:
    notice = sample(provisioned()).notice
    with pytest.raises(Unaddressable):
        WRITER.write(Delivery(notice, address, "due", NOW, NOW))
