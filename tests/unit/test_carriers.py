"""Carriers go by many names; each must come out as the network whose limits count."""

import pytest

from shared.rules.carriers import carrier_named


@pytest.mark.parametrize(
    ("name", "carrier"),
    [
        ("AT&T", "att"),
        ("AT&T Mobility", "att"),
        ("att", "att"),
        ("NEW CINGULAR WIRELESS PCS, LLC - IL", "att"),
        ("CRICKET WIRELESS LLC", "att"),
        ("T-MOBILE USA, INC.", "tmobile"),
        ("T-Mobile US-SVR-10X/2", "tmobile"),
        ("Metro by T-Mobile", "tmobile"),
        ("METRO PCS, INC.", "tmobile"),
        ("MetroPCS Communications", "tmobile"),
        ("SPRINT SPECTRUM, L.P.", "tmobile"),
        ("OMNIPOINT MIAMI E LICENSE, LLC", "tmobile"),
        ("POWERTEL ATLANTA LICENSES, INC", "tmobile"),
        ("Verizon Wireless", "verizon"),
        ("Verizon Wireless:6006 - SVR/2", "verizon"),
        ("CELLCO PARTNERSHIP DBA VERIZON WIRELESS - OH", "verizon"),
        ("UNITED STATES CELLULAR CORP.", "other"),
        ("US Cellular", "other"),
        ("Boost Mobile (T-Mobile)", "other"),
    ],
)
def test_a_carrier_is_known_by_all_its_names(name: str, carrier: str) -> None:
    assert carrier_named(name) == carrier


@pytest.mark.parametrize(
    "name", ["", "unknown", "ONVOY SPECTRUM, LLC", "Telnyx/4", "Attica Rural Telephone", "\x00"]
)
def test_a_name_that_says_nothing_is_no_carrier(name: str) -> None:
    assert carrier_named(name) is None
