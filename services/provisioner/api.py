"""The HTTP edge: the provider's webhooks about numbers, each signed, each taken once."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import structlog
from aiohttp import web
from prometheus_client import Counter

from services.provisioner.facts import record_facts
from services.provisioner.providers import telnyx_webhooks
from services.provisioner.providers.telnyx_webhooks import NumberUpdate
from services.provisioner.store import webhooks as store
from shared import signatures
from shared.database import Database, Transaction
from shared.gather import Gather
from shared.http import Problem, problems
from shared.signatures import TOLERANCE, TelnyxSignatures, is_fresh

BODY_MOST_BYTES = 64 * 1024
# Telnyx waits for two seconds, and then tries again.
ANSWER_WITHIN_S = 1.8

Verdict = Literal["taken", "too old", "seen before"]
WEBHOOKS = Counter("sluice_number_webhooks_total", "Webhooks about numbers", ["verdict"])

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Signed:
    """A webhook whose signature is right; whether it is fresh, and new, the database says."""

    signed_at: datetime
    digest: bytes
    says: NumberUpdate | None
    """None: nothing of use."""


class Webhooks:
    """Takes webhooks; answers once they are recorded, so that the provider tries again else."""

    def __init__(self, database: Database, keys: TelnyxSignatures) -> None:
        self._keys = keys
        self.gather = Gather(database, record)

    def app(self) -> web.Application:
        """The provisioner's HTTP API."""
        app = web.Application(middlewares=[problems], client_max_size=BODY_MOST_BYTES)
        app.router.add_post(telnyx_webhooks.PATH, self._number_update)
        return app

    async def _number_update(self, request: web.Request) -> web.Response:
        body = await request.read()
        signed_at = self._keys.signed_at(request.headers, body)
        if signed_at is None:
            WEBHOOKS.labels("wrong signature").inc()
            raise Problem(401, "The signature is wrong")
        says = telnyx_webhooks.read_number_update(body, signed_at)
        if says is None:
            log.info("webhook passed over")
        signed = Signed(signed_at, signatures.digest(request.headers, body), says)
        verdict = await asyncio.wait_for(self.gather.submit(signed), ANSWER_WITHIN_S)
        WEBHOOKS.labels(verdict).inc()
        if verdict == "too old":
            raise Problem(401, "The signature is too old")
        if verdict == "seen before":
            raise Problem(401, "The webhook was taken before")
        return web.Response(status=204)


async def record(tx: Transaction, webhooks: Sequence[Signed]) -> list[Verdict]:
    """Record what fresh webhooks say, each once; what became of each.

    One transaction: a webhook is seen only if what it says is kept.
    """
    now = await tx.now()
    fresh = {one.digest: one for one in reversed(webhooks) if is_fresh(one.signed_at, now)}
    await store.forget(tx.sql, now)
    until = {digest: one.signed_at + TOLERANCE for digest, one in fresh.items()}
    new = await store.remember(tx.sql, until)
    says = [one.says for digest, one in fresh.items() if digest in new and one.says is not None]
    unsaid = [update.number for update in says if not update.names_carriers]
    await record_facts(tx, [fact for update in says for fact in update.facts], unsaid)
    verdicts: list[Verdict] = []
    for one in webhooks:
        if one.digest not in fresh:
            verdicts.append("too old")
        elif one.digest in new:
            # Of two in one batch the first is taken.
            new.discard(one.digest)
            verdicts.append("taken")
        else:
            verdicts.append("seen before")
    return verdicts
