"""The live view: for each carrier what has gone, what waits, and how fast, against its limit."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from deploy.demo.book import Book
from deploy.demo.narrator import Narrator, minutes
from deploy.demo.world import LINES, Line

REDRAW_S = 0.4
PLAIN_EVERY_S = 8.0
WIDTH = 80


@dataclass
class Scene:
    """All that the view shows; the story changes it as it goes."""

    title: str
    book: Book
    flag: str = "Provisioning"
    colour: str = "yellow"
    closes_at: datetime | None = None

    def left_s(self) -> float:
        """Seconds until the window's end; less than nothing after it."""
        assert self.closes_at is not None
        return (self.closes_at - datetime.now(UTC)).total_seconds()

    def until_close(self) -> str:
        """The clock at the bottom."""
        left_s = self.left_s()
        return f"window ends in {minutes(left_s)}" if left_s > 0 else "the window has ended"

    def answers(self) -> str:
        """How the conversations go."""
        replies = [text for text in self.book.texts.values() if text.kind == "reply"]
        went = sum(text.sent_at is not None for text in replies)
        return f"{len(self.book.received)} replies, {went} of {len(replies)} answers sent"


def speed(line: Line, book: Book, now_s: float) -> str:
    """The rate of the last seconds against a limit a minute, or what is used of a day's quota."""
    if line.per_minute is None:
        return f"{book.segments_sent(line.carrier)} of {line.segments_per_day}"
    return f"{book.rate(line.carrier, line.unit, now_s):.1f} of {line.per_minute / 60:.1f}/s"


def picture(scene: Scene, now_s: float) -> RenderableType:
    """The view as a panel of seven lines, 80 columns wide."""
    table = Table(box=None, expand=True, padding=(0, 1), pad_edge=False)
    table.add_column("carrier", no_wrap=True)
    table.add_column("limit", no_wrap=True)
    table.add_column("", ratio=1)
    for heading in ("sent", "queued", "speed/used"):
        table.add_column(heading, justify="right", no_wrap=True)
    for line in LINES:
        sent, waiting = _sent_and_waiting(line, scene.book)
        table.add_row(
            line.name,
            line.allows_shortly(),
            ProgressBar(
                total=line.contacts, completed=sent, complete_style="cyan", finished_style="green"
            ),
            f"{sent} of {line.contacts}",
            str(waiting),
            speed(line, scene.book, now_s),
        )
    title = Text.assemble(
        (scene.title, "bold"), "  ", (f"● {scene.flag}", f"bold {scene.colour}"), " "
    )
    below = f"{scene.until_close()} · {scene.answers()}"
    return Panel(table, title=title, subtitle=below, title_align="left", subtitle_align="left",
                 width=WIDTH, style="none")  # fmt: skip


def plain_line(scene: Scene, now_s: float) -> str:
    """The same in one line, for pipes and logs."""
    parts = []
    for line in LINES:
        sent, waiting = _sent_and_waiting(line, scene.book)
        parts.append(
            f"{line.name}: {sent} of {line.contacts} sent, {waiting} queued, "
            f"{speed(line, scene.book, now_s)}"
        )
    return " | ".join((*parts, scene.until_close(), scene.answers()))


def _sent_and_waiting(line: Line, book: Book) -> tuple[int, int]:
    """First texts that have gone, and that wait. The answers stand in the last line."""
    return book.sent(line.carrier, "initial"), book.waiting(line.carrier, "initial")


async def keep_showing(scene: Scene, narrator: Narrator) -> None:
    """Redraw until cancelled; leaves the last picture where it is."""
    if not narrator.is_live:
        while True:
            await asyncio.sleep(PLAIN_EVERY_S)
            narrator.tell(plain_line(scene, time.monotonic()))
    # Redrawn by this loop, not by a thread: the book changes between two steps of the loop only.
    with Live(console=narrator.console, auto_refresh=False) as live:
        try:
            while True:
                live.update(picture(scene, time.monotonic()), refresh=True)
                await asyncio.sleep(REDRAW_S)
        finally:
            live.update(picture(scene, time.monotonic()), refresh=True)
