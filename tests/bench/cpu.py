"""How much of the processors each process took: what bounds a figure."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

_TICKS_S = os.sysconf("SC_CLK_TCK")


class Watch:
    """A context manager over processes, by name: afterwards `shares` says how many cores each has
    kept busy, with all that it started. Empty where there is no /proc."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = {**pids, "bench": os.getpid()}
        self.shares: dict[str, float] = {}
        self.took_s = 0.0

    def __enter__(self) -> Self:
        self._begun = time.monotonic()
        self._before = self._used()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.took_s = time.monotonic() - self._begun
        after = self._used()
        self.shares = {
            name: round((after[name] - self._before[name]) / self.took_s, 3)
            for name in self._pids
            if name in after and name in self._before
        }

    def _used(self) -> dict[str, float]:
        table = _processes()
        others = set(self._pids.values())
        return {
            name: _used_s(pid, table, others - {pid})
            for name, pid in self._pids.items()
            if pid in table
        }


def _processes() -> dict[int, tuple[int, float]]:
    """Parent and processor seconds of each process, those of its ended children included."""
    found: dict[int, tuple[int, float]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks = sum(int(fields[index]) for index in (11, 12, 13, 14))
        found[int(folder.name)] = (int(fields[1]), ticks / _TICKS_S)
    return found


def _used_s(pid: int, table: Mapping[int, tuple[int, float]], apart: set[int]) -> float:
    """A process and what descends from it, without those that are counted apart."""
    below = [child for child, (parent, _) in table.items() if parent == pid and child not in apart]
    return table[pid][1] + sum(_used_s(child, table, apart) for child in below)
