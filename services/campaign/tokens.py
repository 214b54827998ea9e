"""Tokens: made so that nobody can guess them, kept by their hash alone."""

import hashlib
import secrets


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
