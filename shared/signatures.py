"""Telnyx's signatures, for the services that take its webhooks."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

# Telnyx's own tolerance; an older webhook may be somebody's who listened.
TOLERANCE = timedelta(seconds=300)


class TelnyxSignatures:
    """Knows whether a webhook is Telnyx's: Ed25519 over `{timestamp}|{raw body}`.

    Whether it is fresh, the database's clock says: see `is_fresh`.
    """

    def __init__(self, public_key: str) -> None:
        self._key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))

    def signed_at(self, headers: Mapping[str, str], body: bytes) -> datetime | None:
        """When it was signed; None when the signature is missing or wrong."""
        timestamp = headers.get("telnyx-timestamp", "")
        try:
            signature = base64.b64decode(headers.get("telnyx-signature-ed25519", ""), validate=True)
            self._key.verify(signature, timestamp.encode() + b"|" + body)
            return datetime.fromtimestamp(int(timestamp), UTC)
        except (InvalidSignature, ValueError, OverflowError, OSError):
            return None


def is_fresh(signed_at: datetime, now: datetime) -> bool:
    """Whether a signature of this time is taken still."""
    return abs(now - signed_at) <= TOLERANCE
