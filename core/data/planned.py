"""What a training would put into tables, found out without building any."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import numpy as np

TRIED = 4  # rows, from all over the table
ENOUGH_S = 1.0  # for trying rows of one table


@dataclass(frozen=True)
class Planned:
    """A table that would be built. left: rows that are not there yet; kept: whether the disk has
    room for it; row_s: seconds that computing a row takes, measured on some."""

    path: Path
    rows: int
    left: int
    row_bytes: int
    workers: int
    kept: bool
    row_s: float

    @property
    def bytes(self) -> int:
        """On the disk."""
        return self.rows * self.row_bytes if self.kept else 0

    @property
    def seconds(self) -> float:
        """Until it is built: this process alone, or so many others."""
        cores = os.cpu_count() or 1
        return self.left * self.row_s / max(1, min(self.workers, cores)) if self.kept else 0.0


class Plan:
    """The tables that have been asked for, by file and key; asked: the order."""

    def __init__(self) -> None:
        self.tables: dict[tuple[Path, str], Planned] = {}
        self.asked: list[tuple[Path, str]] = []

    @property
    def bytes(self) -> int:
        """On the disk; of a file that is written anew the most."""
        most: dict[Path, int] = {}
        for table in self.tables.values():
            most[table.path] = max(table.bytes, most.get(table.path, 0))
        return sum(most.values())

    def sketch(
        self,
        key: tuple[Path, str],
        shape: tuple[int, ...],
        dtype: np.typing.DTypeLike,
        fill: Callable[[int], np.ndarray],
        workers: int,
        left: int,
        share: float,
    ) -> np.ndarray:
        """Stands in for the table (rows, ...) of `shape`: a row of it, again and again. share: of
        the free disk, that it may take."""
        rows, row = shape[0], np.asarray(fill(0)).astype(dtype)
        self.asked.append(key)
        if key not in self.tables:
            free = shutil.disk_usage(existing(key[0])).free
            kept = left < rows or rows * row.nbytes <= share * free
            took = tried(fill, rows) if left or not kept else 0.0
            self.tables[key] = Planned(key[0], rows, left, row.nbytes, workers, kept, took)
        return np.broadcast_to(row, shape)


def tried(fill: Callable[[int], np.ndarray], rows: int) -> float:
    """Seconds a row, the mean over some; what only the first one takes has been taken."""
    begun, done = time.perf_counter(), 0
    for index in np.linspace(0, rows - 1, min(TRIED, rows)).astype(int):
        fill(int(index))
        done += 1
        if time.perf_counter() - begun > ENOUGH_S:
            break
    return (time.perf_counter() - begun) / done


def existing(path: Path) -> Path:
    """The nearest folder around a path that there is."""
    return next(folder for folder in path.absolute().parents if folder.is_dir())


_current: ContextVar[Plan | None] = ContextVar("plan", default=None)
current = _current.get


@contextmanager
def planning(plan: Plan) -> Iterator[list[Planned]]:
    """Inside the context tables are not built: the plan notes what they would be. The list has
    those that are asked for there, afterwards."""
    token, first, found = _current.set(plan), len(plan.asked), list[Planned]()
    try:
        yield found
    finally:
        _current.reset(token)
        found += [plan.tables[key] for key in dict.fromkeys(plan.asked[first:])]
