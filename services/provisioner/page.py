"""Pages on the ops port. `/orders`: the step of each order and of each number on its way back.
`/differences`: what the provider's lists and our rows disagree on.

Read only. The numbers shown are the organizations' own.
"""

from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from asyncpg import Record

from services.provisioner.domain import SETTLED
from services.provisioner.rules.reconcile import KINDS
from services.provisioner.store import reconciliation, survey
from shared.database import Database
from shared.http import Problem

ROWS_DEFAULT, ROWS_MOST = 50, 200


class OrderPage:
    """The page. Parameters: org_id, campaign_id (its order, ended or not), limit (1 to 200)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def show(self, request: web.Request) -> web.Response:
        """Answer a request."""
        org_id, campaign_id = request.query.get("org_id"), request.query.get("campaign_id")
        most = _limit(request.query.get("limit", str(ROWS_DEFAULT)))
        async with self._database.transaction() as tx:
            orders = await survey.orders(
                tx.sql, org_id=org_id, campaign_id=campaign_id, most=most + 1
            )
            numbers = await survey.numbers(tx.sql, org_id=org_id, most=most + 1)
            answer = {
                "at": _plain(await tx.now()),
                "orders": [_order(row) for row in orders[:most]],
                "more_orders": len(orders) > most,
                "numbers": [_line(row) for row in numbers[:most]],
                "more_numbers": len(numbers) > most,
            }
        return web.json_response(answer)


class DifferencePage:
    """The page. Parameters: org_id, kind, limit (1 to 200)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def show(self, request: web.Request) -> web.Response:
        """Answer a request."""
        org_id, kind = request.query.get("org_id"), request.query.get("kind")
        if kind is not None and kind not in KINDS:
            raise Problem(422, "A field is not valid", detail=", ".join(KINDS), field="kind")
        most = _limit(request.query.get("limit", str(ROWS_DEFAULT)))
        async with self._database.transaction() as tx:
            last = await reconciliation.last_run(tx.sql)
            counts = await reconciliation.counts(tx.sql)
            found = await reconciliation.shown(tx.sql, org_id=org_id, kind=kind, most=most + 1)
            answer = {
                "at": _plain(await tx.now()),
                "run": _line(last),
                "counts": {one: counts[one] for one in KINDS if one in counts},
                "differences": [_facts(row) for row in found[:most]],
                "more_differences": len(found) > most,
            }
        return web.json_response(answer)


def _limit(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:9]) <= ROWS_MOST:
        raise Problem(422, "A field is not valid", detail=f"from 1 to {ROWS_MOST}", field="limit")
    return int(text)


def _order(row: Record) -> dict[str, Any]:
    """`error`: of its last try. `reason`: what the admin was told of its end, a good one too."""
    line = _line(row)
    line["reason"] = line["error"] if line["step"] in SETTLED else None
    if line["step"] in SETTLED:
        line["error"] = None
    return line


def _line(row: Record) -> dict[str, Any]:
    """`next_at`: when its next act is due, or while one is being done, when that counts as lost."""
    line = _facts(row)
    line["next_at"] = line.pop("due_at")
    return line


def _facts(row: Record) -> dict[str, Any]:
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
