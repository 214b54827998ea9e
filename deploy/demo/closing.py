"""The last act: the export, the counts, the three ledgers side by side, the judge's verdict."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from deploy.demo import verdict
from deploy.demo.narrator import Narrator
from deploy.demo.stage import Stage
from deploy.demo.verdict import Held, Row, Seen
from deploy.demo.world import CAMPAIGN, NAMES
from deploy.local.state import local_folder

AGREE_WITHIN_S = 8.0
"""The last events may still be on their way to the rows, or to us."""

SHOWN = 20

_KINDS = {"initial": "first texts", "reply": "answers"}


async def close(stage: Stage) -> bool:
    """Write the export, show what came of everything; whether all of it is as promised."""
    narrator = stage.narrator
    export, provider, found = await _compare(stage)
    path = local_folder() / "demo" / "messages.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(export, encoding="utf-8")
    rows = verdict.rows_in(export)
    narrator.tell(f"Ada exports the campaign: {len(rows)} texts, in {_shown(path)}")
    narrator.show(counts_table(rows))
    judged = await stage.sandbox.get("/judge")
    held = verdict.promises(judged, stage.brand)
    narrator.show(verdict_table(held))
    if late := verdict.excursions(judged):
        narrator.detail(late)
    narrator.tell(
        f"Three ledgers: {len(stage.book.texts)} texts by the events, {len(rows)} rows, "
        f"{len(provider)} requests at the provider"
    )
    return say_verdict(narrator, held, found)


def _shown(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


async def _compare(stage: Stage) -> tuple[str, list[Seen], list[str]]:
    """The export, the provider's ledger, and what they and the events do not agree on when all
    had time to come to rest."""
    deadline = time.monotonic() + AGREE_WITHIN_S
    while True:
        export = await stage.admin.get_text(f"/campaigns/{stage.campaign_id}/messages.csv")
        provider = verdict.seen_in(await _provider_ledger(stage), stage.org_id)
        found = verdict.differences(stage.book.texts, verdict.rows_in(export), provider)
        is_at_rest = not found and stage.book.is_settled()
        if is_at_rest or time.monotonic() > deadline:
            return export, provider, found
        await asyncio.sleep(0.5)


async def _provider_ledger(stage: Stage) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    while True:
        page = await stage.sandbox.get("/judge/messages", after=len(entries), limit=2000)
        if not page["messages"]:
            return entries
        entries += page["messages"]


def counts_table(rows: list[Row]) -> Table:
    """How many texts stand where, by carrier; one column for each kind and status there is."""
    by_carrier = verdict.counts(rows)
    columns = sorted({key for counter in by_carrier.values() for key in counter})
    table = Table(title=f"{CAMPAIGN}, by the export", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("")
    for kind, status in columns:
        table.add_column(f"{_KINDS[kind]}\n{status}", justify="right")
    total: Counter[tuple[str, str]] = Counter()
    for carrier, counter in by_carrier.items():
        table.add_row(NAMES[carrier], *(str(counter[key] or "") for key in columns))
        total += counter
    table.add_section()
    table.add_row("all", *(str(total[key]) for key in columns))
    return table


def verdict_table(held: list[Held]) -> Table:
    """The judge's ledger, promise by promise."""
    table = Table(title="The verdict, by the provider's own ledger", box=box.SIMPLE_HEAD,
                  title_justify="left")  # fmt: skip
    table.add_column("promise")
    table.add_column("seen", justify="right")
    table.add_column("")
    for one in held:
        mark = "[green]kept[/]" if one.is_kept else "[bold red]BROKEN[/]"
        table.add_row(one.what, one.found, mark)
    return table


def say_verdict(narrator: Narrator, held: Sequence[Held], differences: Sequence[str]) -> bool:
    """The last word: whether every promise was kept and the ledgers agree on every text."""
    if differences:
        narrator.tell(f"They differ in {len(differences)} points:", style="bold red")
        for line in differences[:SHOWN]:
            narrator.detail(line)
    else:
        narrator.tell("They agree on every text", style="green")
    is_good = not differences and all(one.is_kept for one in held)
    narrator.tell(
        "Verdict: every promise was kept" if is_good else "Verdict: NOT as promised",
        style="bold green" if is_good else "bold red",
    )
    return is_good
