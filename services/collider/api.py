"""The HTTP edge: the provider's receipts and the contacts' texts, each with its signature."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from aiohttp import web

from services.collider import inbound, outcomes, recipients
from services.collider.domain import Inbound, Receipt
from services.collider.providers import telnyx
from shared.database import Database, Transaction
from shared.gather import Gather
from shared.http import Problem, problems
from shared.signatures import TelnyxSignatures, is_fresh

BODY_MOST_BYTES = 1024 * 1024

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Signed:
    """A webhook whose signature is right; whether it is fresh, the database's clock says."""

    signed_at: datetime
    says: Receipt | Inbound


class Webhooks:
    """Takes webhooks; answers once they are recorded, so that the provider tries again else."""

    def __init__(self, database: Database, signatures: TelnyxSignatures) -> None:
        self._signatures = signatures
        self.gather = Gather(database, record)

    def app(self) -> web.Application:
        """The collider's HTTP API."""
        app = web.Application(middlewares=[problems], client_max_size=BODY_MOST_BYTES)
        app.router.add_post(telnyx.RECEIPTS_ROUTE, self._receipt)
        app.router.add_post(telnyx.INBOUND_PATH, self._inbound)
        return app

    async def _receipt(self, request: web.Request) -> web.Response:
        signed_at, body = await self._verified(request)
        where = request.match_info
        attempt = int(where["attempt"])
        receipt = telnyx.read_receipt(body, where["org_id"], where["message_id"], attempt)
        return await self._take(signed_at, receipt)

    async def _inbound(self, request: web.Request) -> web.Response:
        signed_at, body = await self._verified(request)
        return await self._take(signed_at, telnyx.read_inbound(body))

    async def _verified(self, request: web.Request) -> tuple[datetime, bytes]:
        body = await request.read()
        signed_at = self._signatures.signed_at(request.headers, body)
        if signed_at is None:
            raise Problem(401, "The signature is wrong")
        return signed_at, body

    async def _take(self, signed_at: datetime, says: Receipt | Inbound | None) -> web.Response:
        if says is None:
            # Signed, and of no use to us: it would only be sent again.
            log.info("webhook passed over")
            return web.Response(status=204)
        if not await self.gather.submit(Signed(signed_at, says)):
            raise Problem(401, "The signature is too old")
        return web.Response(status=204)


async def record(tx: Transaction, webhooks: Sequence[Signed]) -> list[bool]:
    """Record what fresh webhooks say; which of them were fresh."""
    now = await tx.now()
    fresh = [is_fresh(one.signed_at, now) for one in webhooks]
    says = [one.says for one, taken in zip(webhooks, fresh, strict=True) if taken]
    receipts = [one for one in says if isinstance(one, Receipt)]
    # Before messages are locked: look-ups touch recipients before messages, too.
    await recipients.correct(tx, receipts)
    await outcomes.record_receipts(tx, receipts)
    await inbound.record_inbound(tx, [one for one in says if isinstance(one, Inbound)])
    return fresh
