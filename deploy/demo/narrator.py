"""What a person reads: one short line a stage, with the time since the beginning."""

from __future__ import annotations

import sys
import time
from email.message import EmailMessage

from rich.console import Console, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text


class Narrator:
    """Tells the story on a terminal, or line by line where there is none."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.begun_s = time.monotonic()

    @property
    def is_live(self) -> bool:
        """Whether pictures can be redrawn in place."""
        return self.console.is_terminal and not self.console.is_dumb_terminal

    def clock(self) -> str:
        """Minutes and seconds since the beginning."""
        return minutes(time.monotonic() - self.begun_s)

    def tell(self, text: str, *, style: str = "") -> None:
        """One stage of the story."""
        self._line(Text(text, style=style))

    def flag(self, campaign: str, flag: str, colour: str) -> None:
        """A campaign's flag as it is now."""
        line = Text(f"{campaign}: ")
        line.append(f"● {flag}", style=f"bold {colour}")
        self._line(line.append(f" ({colour})"))

    def detail(self, text: str) -> None:
        """What belongs to the line above."""
        self._line(Text(text, style="dim"), clock="")

    def mail(self, mail: EmailMessage) -> None:
        """An e-mail as it arrived: its text part."""
        text = mail.get_body(("plain",))
        words = "" if text is None else text.get_content().strip()
        head = f"From: {mail['From']}\nTo: {mail['To']}\nSubject: {mail['Subject']}"
        self.show(Rule("an e-mail has arrived", style="dim"))
        self.show(Text(f"{head}\n\n{words}"))
        self.show(Rule(style="dim"))

    def show(self, picture: RenderableType) -> None:
        """Something larger than a line."""
        self.console.print(picture)

    def _line(self, text: Text, clock: str | None = None) -> None:
        clock = f"{self.clock() if clock is None else clock:>6}"
        if not self.is_live:
            # A line stays a line, however long: logs are read by machines as well.
            self.console.print(Text(f"{clock}  ").append_text(text), soft_wrap=True)
            return
        columns = Table.grid(padding=(0, 2, 0, 0))
        columns.add_column(style="dim", no_wrap=True)
        columns.add_column()
        columns.add_row(clock, text)
        self.console.print(columns)


def minutes(seconds: float) -> str:
    """A duration as 1:05."""
    whole = max(0, int(seconds))
    return f"{whole // 60}:{whole % 60:02d}"


def make_console() -> Console:
    """A console on stdout that writes something for every character, in any locale."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure:
        reconfigure(errors="replace")
    return Console(highlight=False)
