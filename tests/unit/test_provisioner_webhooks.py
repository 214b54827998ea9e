"""What is read from the provider's webhooks about a number."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from services.provisioner.domain import CarrierFact
from services.provisioner.providers.telnyx_webhooks import NumberUpdate, read_number_update
from tests.provisioner_edge import update

NUMBER = "+16715455939"
AT = datetime(2026, 6, 1, 19, 0, 1, 500_000, tzinfo=UTC)
SIGNED_AT = datetime(2026, 6, 1, 19, 5, tzinfo=UTC)
DOCUMENTED = {"campaignId": "751c6a5c", "tcrCampaignId": "C6X6M95"}


def read(**payload: Any) -> NumberUpdate | None:
    told = {"occurred_at": "2026-06-01T12:00:01.500-07:00", "campaignId": "C1", **payload}
    return read_number_update(update(NUMBER, **told), SIGNED_AT)


def fact(carrier: Any, state: Any, reason: str | None = None, **changes: Any) -> CarrierFact:
    about = {"number": NUMBER, "at": AT, "provider_campaign_id": "C1", **changes}
    return CarrierFact(carrier=carrier, state=state, reason=reason, **about)


def test_a_webhook_with_each_carriers_mapping_is_each_carriers_word_at_the_events_own_time() -> (
    None
):
    said = read(
        attNumberMappingStatus="ADDED",
        tmobileNumberMappingStatus="PENDING",
        nonTmobileNumberMappingStatus="FAILED",
        failureReasons="Longcode cannot be added.",
    )
    assert said == NumberUpdate(
        NUMBER,
        (fact("att", "confirmed"), fact("verizon", "refused", "Longcode cannot be added.")),
        names_carriers=True,
    )


def test_one_fact_of_the_provider_settles_several_carriers() -> None:
    said = read(nonTmobileNumberMappingStatus="ADDED")
    assert said is not None
    assert said.facts == (fact("att", "confirmed"), fact("verizon", "confirmed"))


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "ASSIGNMENT", "status": "success", "reasons": []},
        {"type": "ASSIGNMENT", "status": "failed", "reasons": ["no such campaign"]},
        {"type": "STATUS_UPDATE", "status": "ADDED"},
        {"type": "STATUS_UPDATE", "status": "FAILED"},
        {"type": "DELETION", "status": "success", "reasons": []},
    ],
)
def test_a_webhook_that_names_no_carrier_is_no_carriers_word_but_worth_asking(
    payload: dict[str, Any],
) -> None:
    assert read(**DOCUMENTED, **payload) == NumberUpdate(NUMBER, (), names_carriers=False)


def test_a_pending_mapping_is_no_word_and_not_worth_asking() -> None:
    pending = dict.fromkeys(
        ("tmobileNumberMappingStatus", "nonTmobileNumberMappingStatus"), "PENDING"
    )
    assert read(**pending) == NumberUpdate(NUMBER, (), names_carriers=True)


def test_a_number_that_is_taken_off_its_use_case_still_shows_words_that_count_no_more() -> None:
    said = read(assignmentStatus="PENDING_UNASSIGNMENT", tmobileNumberMappingStatus="ADDED")
    assert said == NumberUpdate(NUMBER, (), names_carriers=True)


def test_a_fact_is_about_the_use_case_under_each_of_its_names() -> None:
    said = read(
        tmobileNumberMappingStatus="ADDED",
        campaignId="751c6a5c",
        telnyxCampaignId="751c6a5c",
        tcrCampaignId="C6X6M95",
    )
    assert said is not None
    names = {one.provider_campaign_id for one in said.facts}
    assert (names, len(said.facts)) == ({"751c6a5c", "C6X6M95"}, 2)
    unnamed = read(tmobileNumberMappingStatus="ADDED", campaignId=None)
    assert unnamed is not None
    assert unnamed.facts == (fact("tmobile", "confirmed", provider_campaign_id=None),)


@pytest.mark.parametrize("at", ["2026-06-01T19:00:01.5Z", "2026-06-01T19:00:01.500000"])
def test_a_time_without_a_zone_is_utc(at: str) -> None:
    said = read(tmobileNumberMappingStatus="ADDED", occurred_at=at)
    assert said is not None
    assert [one.at for one in said.facts] == [AT]


def test_an_event_without_a_time_counts_from_its_signature() -> None:
    said = read(tmobileNumberMappingStatus="ADDED", occurred_at=None)
    assert said is not None
    assert [one.at for one in said.facts] == [SIGNED_AT]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{" * 10_000,
        json.dumps({"data": {"event_type": "10dlc.phone_number.update"}}).encode(),
        update("6715455939", tmobileNumberMappingStatus="ADDED"),
        update(NUMBER, event_type="10dlc.campaign.update", tmobileNumberMappingStatus="ADDED"),
        update(NUMBER, occurred_at="yesterday", tmobileNumberMappingStatus="ADDED"),
        update(NUMBER, occurred_at="0001-01-01T00:00:00+14:00"),
        update(NUMBER, attNumberMappingStatus=["ADDED"]),
    ],
)
def test_what_makes_no_sense_is_passed_over(body: bytes) -> None:
    assert read_number_update(body, SIGNED_AT) is None
