"""What may never be of numbers and orders, and what must be so in the end: our rows, the events
that were told, the provider's account and the judge held against each other."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asyncpg import Record

from services.sandbox.numbers import OwnedNumber
from services.sandbox.world import World
from shared.database import Database

Row = Mapping[str, Any]
ENDS: tuple[list[tuple[str, bool]], ...] = (
    [],
    [("complete", False)],
    [("failed", False)],
    [("failed", False), ("complete", True)],
)
"""Outcomes of a campaign that may be told, in their order, and whether after a failure."""


@dataclass(frozen=True)
class Books:
    """All books at one moment."""

    orders: Sequence[Row]
    numbers: Mapping[str, Row]
    told: Mapping[str, Sequence[Row]]
    """Events' data by type, in their order."""
    owned: Sequence[OwnedNumber]
    world: World
    too_late: Sequence[str]
    """References of purchases that may have landed beside another one of the same order."""
    undedicated: int
    """How often a use case's dedicated number was ended."""


async def read(
    database: Database, world: World, *, too_late: Sequence[str], undedicated: int
) -> Books:
    """Open them."""
    async with database.connection() as connection:
        orders = await connection.fetch("SELECT * FROM orders ORDER BY campaign_id")
        numbers = await connection.fetch("SELECT * FROM numbers ORDER BY number")
        rows = await connection.fetch("SELECT topic, body FROM outbox ORDER BY position")
    return Books(
        [dict(row) for row in orders],
        {row["number"]: dict(row) for row in numbers},
        _events(rows),
        world.numbers.owned(None, None),
        world,
        too_late,
        undedicated,
    )


def _events(rows: Sequence[Record]) -> dict[str, list[Row]]:
    told: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        told[row["topic"]] += [one["data"] for one in json.loads(f"[{row['body'].decode()}]")]
    return told


def trespasses(books: Books) -> list[str]:
    """What may be at no moment."""
    found = [*_of_outcomes(books), *_of_purchases(books), *_of_dedicated(books)]
    holdings = books.world.judge.verdict()["use_cases"]
    assert isinstance(holdings, list)
    found += [f"too many numbers on a use case: {line}" for line in holdings if line["over"]]
    return found


def _of_outcomes(books: Books) -> list[str]:
    found = []
    ends: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    for event in books.told["NumberProvisioned"]:
        ends[event["campaign_id"]].append((event["outcome"], event["after_failure"]))
    for order in books.orders:
        told = ends[order["campaign_id"]]
        if told not in ENDS:
            found.append(f"{order['campaign_id']} ended like this: {told}")
        last = told[-1][0] if told else None
        if last != (order["step"] if order["step"] in ("complete", "failed") else None):
            found.append(f"{order['campaign_id']} is {order['step']}, and was told as {last}")
    return found


def _of_purchases(books: Books) -> list[str]:
    found = []
    bought: dict[str, list[str]] = defaultdict(list)
    for event in books.told["NumberPurchased"]:
        bought[event["campaign_id"]].append(event["number"])
    for campaign_id, numbers in bought.items():
        if len(numbers) > 1:
            found.append(f"{campaign_id} has bought {numbers}")
    kept: dict[str, list[str]] = defaultdict(list)
    for row in books.numbers.values():
        if row["step"] == "held":
            kept[row["order_id"]].append(row["number"])
    found += [f"order {order} keeps {kept[order]}" for order in kept if len(kept[order]) > 1]
    orders = {order["order_id"]: order for order in books.orders}
    bought_for: dict[str, list[str]] = defaultdict(list)
    for one in books.owned:
        order_id, _, purchase = (one.customer_reference or "").rpartition("-")
        order = orders.get(order_id)
        is_at_it = order is not None and (order["number"], order["purchase"]) == (
            one.phone,
            int(purchase),
        )
        if one.phone not in books.numbers and not is_at_it:
            found.append(f"{one.phone} was bought, and nobody knows of it")
        bought_for[order_id].append(one.phone)
    for order_id, numbers in bought_for.items():
        late = [one for one in books.too_late if one.startswith(f"{order_id}-")]
        if len(numbers) > 1 + len(late):
            found.append(f"{numbers} were bought for one campaign")
    return found


def _of_dedicated(books: Books) -> list[str]:
    """Bought once for a use case, unless it was ended, or did not come to what it should."""
    found = []
    for use_case_id in {order["use_case_id"] for order in books.orders}:
        orders = [
            order
            for order in books.orders
            if order["dedicated"] and order["use_case_id"] == use_case_id
        ]
        numbers = {order["number"] for order in orders if order["purchased_at"] is not None}
        failed = sum(order["step"] == "failed" for order in orders)
        if len(numbers) > 1 + books.undedicated + failed:
            found.append(f"{use_case_id} has bought {numbers} to be dedicated")
    return found


def forgotten(books: Books) -> list[str]:
    """Numbers at the provider that only a reconciliation would find, once all has come to rest."""
    purchased = {row["number"] for row in books.orders if row["purchased_at"] is not None}
    return [
        f"{one.phone} was bought, and is forgotten"
        for one in books.owned
        if one.phone not in books.numbers
        and one.phone not in purchased
        and one.customer_reference not in books.too_late
    ]


def losses(books: Books) -> list[str]:
    """What must not be left when all has come to rest."""
    return [*_of_orders(books), *_of_numbers(books), *_of_words(books)]


def _of_orders(books: Books) -> list[str]:
    return [
        f"{order['campaign_id']} is {order['step']} still, due {order['due_at']}"
        for order in books.orders
        if order["step"] not in ("complete", "failed") or order["due_at"] is not None
    ]


def _of_numbers(books: Books) -> list[str]:
    found = []
    held = {number for number, row in books.numbers.items() if row["step"] == "held"}
    owned = {one.phone for one in books.owned}
    found += [f"{number} is the provider's bill, and nobody's number" for number in owned - held]
    found += [f"{number} is held, and the provider does not have it" for number in held - owned]
    used = {
        order["number"]
        for order in books.orders
        if order["purchased_at"] is not None and order["archived_at"] is None
    }
    for number, row in books.numbers.items():
        if row["step"] not in ("held", "gone") or row["due_at"] is not None:
            found.append(f"{number} is on its way still: {row['step']}, due {row['due_at']}")
        if row["step"] == "held" and number not in used and not row["dedicated"]:
            found.append(f"{number} is held, and no campaign is on it")
    found += [f"campaigns are on {number}, and it is not held" for number in used - held]
    released = [event["number"] for event in books.told["NumberReleased"]]
    if len(set(released)) != len(released):
        found.append(f"given back twice: {released}")
    return found


def _of_words(books: Books) -> list[str]:
    """A campaign whose number all carriers have confirmed is complete, however late and by whatever
    way that was said; and a number that campaigns send from is on its use case."""
    found = []
    for order in books.orders:
        if order["purchased_at"] is None or order["archived_at"] is not None:
            continue
        attachment = books.world.registry.attachment(order["number"])
        if attachment is None or attachment.campaign.id != f"C-{order['use_case_id']}":
            if order["step"] == "complete":
                found.append(
                    f"{order['campaign_id']} is complete, and its number is on no use case"
                )
        elif set(attachment.mappings.values()) == {"ADDED"} and order["step"] != "complete":
            found.append(f"{order['campaign_id']} is {order['step']}, and all have confirmed")
    return found
