"""Which addresses webhooks may be posted to."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rules.addresses import Unpostable, closed, postable

OPEN = ["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1",
    "192.169.0.1", "198.20.0.1", "223.255.255.255", "2606:4700::1111", "2a00:1450::8a",
    "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"]  # fmt: skip

CLOSED = {
    "0.0.0.0": "unspecified",
    "0.1.2.3": "unspecified",
    "10.0.0.1": "private",
    "100.64.0.1": "shared",
    "100.127.255.255": "shared",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "169.254.169.254": "link-local",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.168.1.1": "private",
    "192.0.0.192": "reserved",
    "192.0.2.1": "reserved",
    "198.19.0.1": "reserved",
    "168.63.129.16": "reserved",
    "224.0.0.1": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "reserved",
    "::": "unspecified",
    "::1": "loopback",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local",
    "fc00::1": "private",
    "fd00:ec2::254": "private",
    "fec0::1": "private",
    "ff02::1": "multicast",
    "2001:db8::1": "reserved",
    "2001::1": "reserved",
    "5f00::1": "reserved",
    "::127.0.0.1": "reserved",
    "64:ff9b:1::a00:1": "reserved",
    "::ffff:127.0.0.1": "loopback",
    "::ffff:10.0.0.1": "private",
    "64:ff9b::169.254.169.254": "link-local",
    "64:ff9b::127.0.0.1": "loopback",
    "2002:7f00:1::": "loopback",
    "2002:a00:1::1": "private",
}

NAT64 = int(IPv6Address("64:ff9b::"))
SIX_TO_FOUR = int(IPv6Address("2002::"))
MAPPED = int(IPv6Address("::ffff:0:0"))


@pytest.mark.parametrize("host", OPEN)
def test_the_open_internet_may_be_posted_to(host: str) -> None:
    assert closed(host) is None


@pytest.mark.parametrize(("host", "word"), CLOSED.items())
def test_what_only_we_can_reach_may_not(host: str, word: str) -> None:
    assert closed(host) == f"is not of the open internet ({word})"


@pytest.mark.parametrize("host", ["", "localhost", "0x7f.1", "2130706433", "127.1", "1.2.3.4.5"])
def test_what_is_no_ip_address_is_none_of_the_open_internet(host: str) -> None:
    assert closed(host) == "is no IP address"


@given(st.ip_addresses())
def test_nothing_that_python_knows_to_be_special_is_open(
    address: IPv4Address | IPv6Address,
) -> None:
    # Python gives up on 6to4 as a whole; we look at the IPv4 address in it.
    embeds = isinstance(address, IPv6Address) and (address.sixtofour or address.ipv4_mapped)
    if not embeds and (not address.is_global or address.is_multicast):
        assert closed(str(address)) is not None


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_alike_in_whichever_ipv6_address_it_hides(
    address: IPv4Address,
) -> None:
    inner = int(address)
    for outer in (MAPPED | inner, NAT64 | inner, SIX_TO_FOUR | inner << 80 | 1):
        hidden = closed(str(ip_address(outer)))
        assert (hidden is None) == (closed(str(address)) is None)


@pytest.mark.parametrize(
    "text",
    ["https://hooks.example.org", "https://hooks.example.org:8443/a%2Fb?token=c%2Bd+e",
     "https://8.8.8.8/", "https://[2606:4700::1111]/x"],
)  # fmt: skip
def test_an_address_is_kept_as_it_was_given(text: str) -> None:
    assert str(postable(text, private_allowed=False)) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("http://hooks.example.org/", "must start with https"),
        ("ftp://hooks.example.org/", "must start with https"),
        ("https://ada:secret@hooks.example.org/", "a user or a password"),
        ("https://ada@hooks.example.org/", "a user or a password"),
        ("https://:secret@hooks.example.org/", "a user or a password"),
        ("https://127.0.0.1%2f@hooks.example.org/", "a user or a password"),
        ("https:///path", "names no host"),
        ("https://:443/", "names no host"),
        ("https://[::1/", "cannot be read"),
        ("https://hooks.example.org:99999/", "cannot be read"),
        ("https://hooks.example.org\\@127.0.0.1/", "cannot be read"),
    ],
)
def test_an_address_that_hides_something_is_refused_in_words(text: str, why: str) -> None:
    with pytest.raises(Unpostable, match=why) as refused:
        postable(text, private_allowed=False)
    assert "secret" not in str(refused.value)


def test_where_private_addresses_are_allowed_plain_http_is_too() -> None:
    assert str(postable("http://127.0.0.1:8/", private_allowed=True)) == "http://127.0.0.1:8/"
    with pytest.raises(Unpostable, match="a user or a password"):
        postable("http://ada:secret@127.0.0.1/", private_allowed=True)
