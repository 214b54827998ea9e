"""Counts that another process can read while they grow: a file of eight bytes for each thread."""

from __future__ import annotations

import mmap
import os
import struct
import threading
from functools import cache
from pathlib import Path

_COUNT = struct.Struct("<Q")


class _Mine(threading.local):
    def __init__(self) -> None:
        path = Path(os.environ["BENCH_COUNTS"]) / f"{os.getpid()}-{threading.get_ident()}"
        if not path.exists():
            path.write_bytes(_COUNT.pack(0))
        with path.open("r+b") as file:
            self.bytes = mmap.mmap(file.fileno(), _COUNT.size)
        self.count = _COUNT.unpack_from(self.bytes)[0]


@cache
def _counts(_pid: int) -> _Mine:
    return _Mine()


def count() -> None:
    """One more."""
    # By process: one that forks leaves its own count behind.
    mine = _counts(os.getpid())
    mine.count += 1
    _COUNT.pack_into(mine.bytes, 0, mine.count)


def counted(folder: Path) -> int:
    """How many all processes and threads have counted together."""
    counts = [path.read_bytes() for path in folder.iterdir()]
    return sum(_COUNT.unpack(one)[0] for one in counts if len(one) == _COUNT.size)
