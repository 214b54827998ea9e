"""Limits picked from the carriers' classes."""

from typing import Any

import pytest

from shared.events import LimitsChanged
from tests.campaign_desk import Desk

CAPS = ("sms_per_minute", "sms_unit", "mms_per_minute", "segments_per_day")


async def test_every_class_that_is_listed_can_be_picked_and_is_told_in_numbers(
    office: Desk,
) -> None:
    acme = await office.organization()
    listed = (await office.good("GET", "/carrier-classes", office.operator))["items"]
    assert len({(one["carrier"], one["carrier_class"]) for one in listed}) == len(listed)
    for one in listed:
        path = f"/organizations/{acme.org_id}/limits/{one['carrier']}"
        put = await office.good("PUT", path, office.operator, carrier_class=one["carrier_class"])
        told = (await office.told(LimitsChanged))[-1]
        assert (told.org_id, told.carrier, told.version) == (
            acme.org_id,
            one["carrier"],
            put["version"],
        )
        for name in CAPS:
            assert one[name] == put[name] == getattr(told, name), (one, name)
        kept = (await office.good("GET", "/limits", acme.admin))["items"]
        (same,) = [limits for limits in kept if limits["carrier"] == one["carrier"]]
        assert same == put.body


@pytest.mark.parametrize(
    ("said", "caps"),
    [
        ({}, (240, "segment", 150, None)),
        ({"mms_per_minute": 50}, (240, "segment", 50, None)),
        ({"sms_per_minute": None}, (None, "segment", 150, None)),
        ({"sms_unit": "message", "segments_per_day": 10}, (240, "message", 150, 10)),
    ],
)
async def test_a_number_said_beside_a_class_wins(
    office: Desk, said: dict[str, Any], caps: tuple[Any, ...]
) -> None:
    acme = await office.organization()
    path = f"/organizations/{acme.org_id}/limits/att"
    put = await office.good(
        "PUT", path, office.operator, carrier_class="E", use_case_id=acme.use_case_id, **said
    )
    assert tuple(put[name] for name in CAPS) == caps
    assert put["use_case_id"] == acme.use_case_id


@pytest.mark.parametrize("named", ["Z", "a", "top", "", 4, True])
async def test_a_class_that_the_carrier_does_not_have_is_refused(office: Desk, named: Any) -> None:
    acme = await office.organization()
    path = f"/organizations/{acme.org_id}/limits/att"
    reply = await office.call("PUT", path, office.operator, carrier_class=named)
    assert (reply.status, reply["field"]) == (422, "carrier_class")
    assert (await office.good("GET", "/limits", acme.admin))["items"] == []


async def test_without_a_class_every_cap_has_to_be_said(office: Desk) -> None:
    acme = await office.organization()
    path = f"/organizations/{acme.org_id}/limits/att"
    whole = {"sms_per_minute": 75, "sms_unit": "segment", "mms_per_minute": 50,
             "segments_per_day": None}  # fmt: skip
    for missing in CAPS:
        some = {name: value for name, value in whole.items() if name != missing}
        for more in ({}, {"carrier_class": None}):
            reply = await office.call("PUT", path, office.operator, **some, **more)
            assert (reply.status, reply["field"]) == (422, missing)
            assert reply["detail"] == "it is missing"
