"""The last act: the export, the counts, the three ledgers side by side, the judge's verdict."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from deploy.demo import verdict
from deploy.demo.stage import Stage
from deploy.demo.verdict import Held, Row
from deploy.demo.world import CAMPAIGN, NAMES
from deploy.local.state import local_folder

AGREE_WITHIN_S = 8.0
"""The last events may still be on their way to the rows, or to us."""

SHOWN = 20

_KINDS = {"initial": "first texts", "reply": "answers"}


async def close(stage: Stage) -> bool:
    """Write the export, show what came of everything; whether all of it is as promised."""
    export, found = await _compare(stage)
    path = local_folder() / "demo" / "messages.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(export, encoding="utf-8")
    rows = verdict.rows_in(export)
    stage.narrator.tell(f"Ada exports the campaign: {len(rows)} texts, in {_shown(path)}")
    stage.narrator.show(counts_table(rows))
    judged = await stage.sandbox.get("/judge")
    held = verdict.promises(judged, stage.brand)
    stage.narrator.show(verdict_table(held))
    if late := verdict.excursions(judged):
        stage.narrator.detail(late)
    return say_verdict(stage, held, found, len(rows))


def _shown(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


async def _compare(stage: Stage) -> tuple[str, list[str]]:
    """The export, and what the ledgers do not agree on when all had time to come to rest."""
    deadline = time.monotonic() + AGREE_WITHIN_S
    while True:
        export = await stage.admin.get_text(f"/campaigns/{stage.campaign_id}/messages.csv")
        provider = verdict.seen_in(await _provider_ledger(stage), stage.org_id)
        found = verdict.differences(stage.book.texts, verdict.rows_in(export), provider)
        if not found or time.monotonic() > deadline:
            return export, found
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
    table = Table(title="The verdict, by the sandbox's own ledger", box=box.SIMPLE_HEAD,
                  title_justify="left")  # fmt: skip
    table.add_column("promise")
    table.add_column("seen", justify="right")
    table.add_column("")
    for one in held:
        mark = "[green]kept[/]" if one.is_kept else "[bold red]BROKEN[/]"
        table.add_row(one.what, one.found, mark)
    return table


def say_verdict(stage: Stage, held: list[Held], differences: list[str], texts: int) -> bool:
    """The last word."""
    narrator = stage.narrator
    if differences:
        narrator.tell(f"The ledgers differ in {len(differences)} points:", style="bold red")
        for line in differences[:SHOWN]:
            narrator.detail(line)
    else:
        narrator.tell(f"Events, rows and provider agree on each of {texts} texts", style="green")
    broken = [one.what for one in held if not one.is_kept]
    is_good = not broken and not differences
    narrator.tell(
        "Verdict: everything was kept" if is_good else "Verdict: NOT as promised",
        style="bold green" if is_good else "bold red",
    )
    return is_good
