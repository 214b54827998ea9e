"""Where an organization's webhooks may go, as far as the address itself says."""

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from services.campaign.domain import Refused


def check_address(url: str, *, private_allowed: bool) -> None:
    """Raise Refused for an address that nothing would ever be posted to.

    To be told at once, no more: where a host's name leads, the notifier looks each time it
    connects.
    """
    parts = _parts(url)
    if parts.username is not None or parts.password is not None:
        raise _refused("must not hold a user or a password: webhooks are known by their signature")
    if private_allowed:
        return
    if parts.scheme != "https":
        raise _refused("must begin with https://")
    if _is_private(parts.hostname or ""):
        raise _refused("must be an address of the open internet, not of a private network")


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        # Reading the port is what checks it.
        if parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        pass
    raise _refused("must name a host, and a port if it is not the usual one")


def _is_private(host: str) -> bool:
    name = host.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    return not address.is_global or address.is_multicast


def _refused(reason: str) -> Refused:
    return Refused("invalid", reason, field="url")


def without_query(url: str) -> str:
    """An address as it may be written down for others to read: queries often hold a token."""
    return url.partition("?")[0].partition("#")[0]
