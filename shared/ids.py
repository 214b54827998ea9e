"""Identities that sort by the time they were made."""

from uuid import NAMESPACE_URL, uuid5

from uuid_utils import uuid7


def new_id() -> str:
    """A fresh id (UUID version 7 as text): neighbours in time are neighbours in an index."""
    return str(uuid7())


def id_from(*parts: str) -> str:
    """The same id for the same parts, for facts that may be told more than once."""
    return str(uuid5(NAMESPACE_URL, "\x1f".join(parts)))
