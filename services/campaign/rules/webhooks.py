"""Where an organization's webhooks may go, as far as the address itself says."""

from ipaddress import ip_address

from services.campaign.domain import Refused
from shared.rules.addresses import Unpostable, closed, postable


def check_address(url: str, *, private_allowed: bool) -> None:
    """Raise Refused for an address that nothing would ever be posted to.

    To be told at once, no more: where a host's name leads, the notifier looks each time it
    connects.
    """
    try:
        host = postable(url, private_allowed=private_allowed).raw_host or ""
    except Unpostable as error:
        raise _refused(str(error)) from None
    why = None if private_allowed else _closed_by_name(host)
    if why is not None:
        raise _refused(f"{host} {why}")


def _closed_by_name(host: str) -> str | None:
    name = host.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return "is not of the open internet (loopback)"
    try:
        ip_address(name)
    except ValueError:
        # A name, which may lead anywhere.
        return None
    return closed(name)


def _refused(reason: str) -> Refused:
    return Refused("invalid", reason, field="url")


def without_query(url: str) -> str:
    """An address as it may be written down for others to read: queries often hold a token."""
    return url.partition("?")[0].partition("#")[0]
