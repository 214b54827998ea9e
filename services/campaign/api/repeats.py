"""Idempotency-Key: a request that is sent again, because its answer was lost, is done once.

The answer is kept in the transaction of what the request did, so there is no moment in which one
of them is true alone. What was refused wrote nothing, and is asked anew.
"""

import base64
import hashlib
import re

from aiohttp import web
from cryptography.fernet import Fernet, InvalidToken

from services.campaign.api.calls import Call
from services.campaign.domain import Caller
from services.campaign.store import answers
from shared.http import Problem

HEADER = "Idempotency-Key"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
# A stranger's answer may hold a token, and nothing but the key guards it: no guess may hit it.
STRANGERS_LEAST = 32


def key_of(request: web.Request, caller: Caller) -> str | None:
    """The request's key, if it has one. Raises Problem for one that nobody would mean."""
    key = request.headers.get(HEADER)
    least = STRANGERS_LEAST if caller.role == "stranger" else 1
    if key is not None and (_KEY.fullmatch(key) is None or len(key) < least):
        raise Problem(
            422,
            "A header is not valid",
            detail=f"must be {least} to 255 visible ASCII characters",
            field=HEADER,
        )
    return key


async def once(call: Call, key: str, token: str) -> web.StreamResponse:
    """Do what is asked and keep the answer, or give the answer that was kept."""
    asked = call.request
    # Read before the transaction: a slow client must not hold one open.
    body = await asked.read()
    fingerprint = _hash(asked.query_string, body.decode("latin-1"))
    request = _hash(asked.method, asked.path, key)
    seal = Fernet(base64.urlsafe_b64encode(_hash(token, asked.path, key)))
    async with call.transaction() as tx:
        kept = await answers.begin(tx, call.caller, request, fingerprint, await tx.now())
        if kept is not None:
            return _again(kept, fingerprint, seal)
        response = await call.route.handle(call)
        assert isinstance(response, web.Response)
        assert isinstance(response.body, bytes)
        await answers.keep(
            tx,
            call.caller,
            request,
            status=response.status,
            location=response.headers.get("Location"),
            sealed=seal.encrypt(response.body),
        )
    return response


def _again(kept: answers.Kept, fingerprint: bytes, seal: Fernet) -> web.Response:
    if kept.fingerprint != fingerprint:
        raise Problem(
            422,
            "This key was used for another request",
            detail="a key stands for one request: take a fresh one for a changed body",
            field=HEADER,
        )
    headers = {"Idempotency-Replayed": "true"}
    if kept.location is not None:
        headers["Location"] = kept.location
    try:
        body = seal.decrypt(kept.sealed)
    except InvalidToken:
        # To do it again because of a fresh token would be to do it twice.
        raise Problem(
            409,
            "This was done already",
            detail="with another token of yours, which alone gets the answer again",
            field=HEADER,
        ) from None
    return web.Response(
        body=body,
        status=kept.status,
        content_type="application/json",
        headers=headers,
    )


def _hash(*parts: str) -> bytes:
    # Lengths stand between the parts, so that no two lists of them read the same.
    joined = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(joined.encode()).digest()
