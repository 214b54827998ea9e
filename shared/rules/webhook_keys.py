"""The keys by which organizations know our webhooks: derived from one of the platform's own.

None is stored and none is told: who shows them and who signs with them know the master key, and
come to the same.
"""

import base64
import hashlib
import hmac


def webhook_key(master: bytes, org_id: str, secret_version: int) -> bytes:
    """An organization's signing key, 32 bytes; another one for each version of its secret."""
    # No id holds a space: two organizations, or two versions, never read the same.
    name = f"sluice webhook {org_id} {secret_version}"
    return hmac.new(master, name.encode(), hashlib.sha256).digest()


def shown(key: bytes) -> str:
    """The key as Standard Webhooks shows it to whoever is to verify by it."""
    return f"whsec_{base64.b64encode(key).decode()}"
