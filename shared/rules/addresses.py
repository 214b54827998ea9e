"""Which addresses may be posted to: those of the open internet. Pure.

An organization names the address, our own machines would ask it: without this it could name the
database, the metadata service of the cloud, or anything else that only we can reach.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from yarl import URL

# By IANA's registries of special addresses. Not the standard library's `is_global`: that has
# changed its mind between the Pythons we run on.
_CLOSED_4 = {
    "unspecified": ("0.0.0.0/8",),
    "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
    "shared": ("100.64.0.0/10",),  # carrier-grade NAT
    "loopback": ("127.0.0.0/8",),
    "link-local": ("169.254.0.0/16",),
    "multicast": ("224.0.0.0/4",),
    "reserved": (
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "240.0.0.0/4",
        # Looks public; inside of Azure it is the machine's own platform.
        "168.63.129.16/32",
    ),
}
_CLOSED_6 = {
    "unspecified": ("::/128",),
    "loopback": ("::1/128",),
    "private": ("fc00::/7", "fec0::/10"),
    "link-local": ("fe80::/10",),
    "multicast": ("ff00::/8",),
    # Teredo and its like, and what documents are written with.
    "reserved": ("2001::/23", "2001:db8::/32", "3fff::/20"),
}
_NETWORKS_4 = [(IPv4Network(one), word) for word, all_ in _CLOSED_4.items() for one in all_]
_NETWORKS_6 = [(IPv6Network(one), word) for word, all_ in _CLOSED_6.items() for one in all_]
# The only part of IPv6 that is given out: what lies outside is reserved.
_OPEN_6 = IPv6Network("2000::/3")
# Where hosts that speak only IPv6 see the IPv4 internet.
_NAT64 = IPv6Network("64:ff9b::/96")


class Unpostable(Exception):
    """An address that nothing is posted to, and why, in words."""


def postable(text: str, *, private_allowed: bool) -> URL:
    """An organization's address, where nothing in it speaks against posting to it. Raises
    Unpostable. What its host resolves to is another question: see `closed`."""
    try:
        # As it was given: a receiver may tell `%2F` from `/`.
        url = URL(text, encoded=True)
        host = url.raw_host if url.port else None
    except ValueError as error:
        raise Unpostable(f"the address cannot be read: {error}") from None
    if not host:
        raise Unpostable("the address names no host")
    if url.scheme != "https" and not private_allowed:
        raise Unpostable("the address must start with https://")
    if url.raw_user is not None or url.raw_password is not None:
        raise Unpostable("the address must not hold a user or a password")
    return url


def closed(host: str) -> str | None:
    """Why an IP address is not to be asked, in words after "it"; None if it is one of the open
    internet."""
    try:
        address = ip_address(host)
    except ValueError:
        return "is no IP address"
    word = _word(_inner(address))
    return None if word is None else f"is not of the open internet ({word})"


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for, if it does."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _word(address: IPv4Address | IPv6Address) -> str | None:
    if isinstance(address, IPv4Address):
        return next((word for network, word in _NETWORKS_4 if address in network), None)
    word = next((word for network, word in _NETWORKS_6 if address in network), None)
    return word or (None if address in _OPEN_6 else "reserved")
