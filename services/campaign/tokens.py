"""Tokens: made so that nobody can guess them, kept by their hash alone."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from services.campaign.store import tokens as store
from shared.database import Transaction
from shared.ids import new_id


@dataclass(frozen=True, slots=True)
class Issued:
    """A new token; `token` itself is known here and to whom it is answered, and nowhere else."""

    token_id: str
    token: str
    issued_at: datetime
    expires_at: datetime


def new_token() -> str:
    """A token that nobody can guess: 256 random bits."""
    return f"sluice_{secrets.token_urlsafe(32)}"


def digest(token: str) -> bytes:
    """What is kept of a token.

    One round of SHA-256 is right here, where a password would need a slow hash: there is no
    dictionary of 256 random bits, and this runs with every request. It is looked up in an index:
    to learn from the time that takes, one would have to choose hashes, not tokens.
    """
    return hashlib.sha256(token.encode()).digest()


async def issue(
    tx: Transaction,
    org_id: str,
    person_id: str,
    *,
    days: int,
    issued_by: str,
    name: str = "",
    roams: bool = False,
) -> Issued:
    """A new token of a person that the organization has, good for so many days.

    `roams`: it may get tokens for its person's places elsewhere. Never so where anybody else but
    an operator has a say in whom it is given to.
    """
    token, token_id = new_token(), new_id()
    issued_at, expires_at = await store.add(
        tx,
        org_id,
        token_id,
        person_id=person_id,
        digest=digest(token),
        days=days,
        issued_by=issued_by,
        name=name,
        roams=roams,
    )
    return Issued(token_id, token, issued_at, expires_at)
