"""Telnyx's signatures, for the services that take its webhooks."""

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

# Telnyx's own tolerance; an older webhook may be somebody's who listened.
TOLERANCE = timedelta(seconds=300)
_SIGNATURE, _TIMESTAMP = "telnyx-signature-ed25519", "telnyx-timestamp"


class TelnyxSignatures:
    """Knows whether a webhook is Telnyx's: Ed25519 over `{timestamp}|{raw body}`.

    Whether it is fresh, the database's clock says: see `is_fresh`.
    """

    def __init__(self, public_key: str) -> None:
        self._key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))

    def signed_at(self, headers: Mapping[str, str], body: bytes) -> datetime | None:
        """When it was signed; None when the signature is missing or wrong."""
        try:
            signature = base64.b64decode(headers.get(_SIGNATURE, ""), validate=True)
            self._key.verify(signature, _signed(headers, body))
            return datetime.fromtimestamp(int(headers[_TIMESTAMP]), UTC)
        except (InvalidSignature, KeyError, ValueError, OverflowError, OSError):
            return None


def digest(headers: Mapping[str, str], body: bytes) -> bytes:
    """What was signed, in 32 bytes: the same once more is a replay, however its signature is spelt.

    What Telnyx tries again is signed anew, since the attempt's number is in it.
    """
    return hashlib.sha256(_signed(headers, body)).digest()


def _signed(headers: Mapping[str, str], body: bytes) -> bytes:
    return headers.get(_TIMESTAMP, "").encode() + b"|" + body


def is_fresh(signed_at: datetime, now: datetime) -> bool:
    """Whether a signature of this time is taken still."""
    return abs(now - signed_at) <= TOLERANCE
