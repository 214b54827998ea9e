"""Lines that tell a person what is going on and how long it took."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


def say(text: str) -> None:
    """Print one line at once; a closed terminal must not break the clean-up that is talking."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except (OSError, ValueError):
        pass


class Step:
    """What a step wants said when it is done; set `detail` inside of the block."""

    detail = ""


@contextmanager
def step(title: str) -> Iterator[Step]:
    """Time the block and print `title`, its detail and the seconds; a failed step is named too."""
    begun = time.monotonic()
    note = Step()
    outcome = "failed"
    try:
        yield note
        outcome = "done"
    except KeyboardInterrupt:
        outcome = "interrupted"
        raise
    finally:
        took_s = time.monotonic() - begun
        detail = f": {note.detail}" if note.detail else ""
        suffix = "" if outcome == "done" else f" {outcome}"
        say(f"  {title}{detail}{suffix} ({took_s:.1f} s)")


def megabytes(size: int) -> str:
    """A size in bytes as people read it."""
    return f"{size / 1_000_000:.1f} MB"
