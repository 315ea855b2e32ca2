"""A large array built once, row by row, and memory-mapped ever after.

`path` holds the raw rows, `path`.json beside it the shape, the key and which rows are done, so
that a build that was killed goes on where it was. The rows are on disk before the json says so.
"""

import errno
import json
import math
import os
import pickle
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..door import json_value
from ..errors import DlnError
from ..files import atomic_write
from . import planned
from .reader import Reader

RECORD_SECONDS = 1.0
# A run has up to three tables, and checkpoints, samples and other runs need room beside them.
LARGEST_SHARE = 1 / 4  # of the free disk, that one table may take
BLOCK_BYTES = 32 << 20

Fill = Callable[[int], np.ndarray]
Progress = Callable[[int, int], None]
Table = np.ndarray | Reader


def build_table(
    path: Path,
    rows: int,
    shape: tuple[int, ...],
    dtype: np.typing.DTypeLike,
    fill: Fill,
    *,
    workers: int = 0,
    on_progress: Progress | None = None,
    on_note: Callable[[str], None] | None = None,
    key: str,
) -> Table:
    """The table (rows, *shape) whose row i is fill(i), built or found at `path`, read-only.

    A table with the same key and shape is reused, a half-built one completed, any other
    replaced. workers: processes that fill rows besides this one, 0 for none; `fill` must then be
    picklable, else this process does it alone. on_progress(done, rows) is called after each block.
    Where it would take more than LARGEST_SHARE of the free disk, nothing is built: a Reader with
    the same rows, which computes each when it is read, and on_note is told so. Inside `planning`
    nothing is built either: what it gives stands in for the table.
    """
    layout = _Layout(rows, tuple(shape), np.dtype(dtype).str, key)
    if plan := planned.current():
        found = _read(Path(path))
        left = rows - found.rows_done() if found and found.layout == layout else rows
        asked = (Path(path), key)
        return plan.sketch(asked, layout.full_shape, dtype, fill, workers, left, LARGEST_SHARE)
    table = _open(Path(path), layout)
    if table.pending():
        if not _reserved(table):
            if on_note:
                on_note(_no_room(table))
            return Reader(rows, tuple(shape), dtype, fill)
        _build(table, fill, workers, on_progress)
    elif on_progress:
        on_progress(rows, rows)
    return open_table(path)


def open_table(path: Path) -> np.memmap:
    """The finished table at `path`, read-only. Raises DlnError when it is missing or unfinished."""
    table = _read(Path(path))
    if table is None or table.pending():
        state = "missing or damaged" if table is None else "unfinished"
        raise DlnError(f"The table {path} is {state}.", "Run the same training again to build it.")
    return np.memmap(path, table.layout.dtype, "r", shape=table.layout.full_shape)


@dataclass(frozen=True)
class _Layout:
    rows: int
    shape: tuple[int, ...]
    dtype: str
    key: str

    @property
    def full_shape(self) -> tuple[int, ...]:
        return (self.rows, *self.shape)

    @property
    def row_bytes(self) -> int:
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def bytes(self) -> int:
        return self.rows * self.row_bytes

    @property
    def block(self) -> int:
        """Rows filled in one go: few enough that little is lost, enough to be worth a message."""
        return max(1, min(64, self.rows // 64, BLOCK_BYTES // max(1, self.row_bytes)))


@dataclass
class _Table:
    path: Path
    layout: _Layout
    done: set[int] = field(default_factory=set)  # numbers of the finished blocks

    def blocks(self) -> Iterator[range]:
        step, rows = self.layout.block, self.layout.rows
        return (range(start, min(start + step, rows)) for start in range(0, rows, step))

    def pending(self) -> list[range]:
        return [block for block in self.blocks() if block.start not in self.done]

    def rows_done(self) -> int:
        return self.layout.rows - sum(len(block) for block in self.pending())

    def record(self) -> None:
        """Make the finished rows durable, then say that they are finished."""
        with self.path.open("r+b") as file:
            os.fsync(file.fileno())
        state = {
            "rows": self.layout.rows,
            "shape": list(self.layout.shape),
            "dtype": self.layout.dtype,
            "key": self.layout.key,
            "rows_done": self.rows_done(),
            "blocks_done": sorted(self.done),
        }
        with atomic_write(_state_path(self.path)) as file:
            file.write(json.dumps(state).encode())


def _state_path(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _open(path: Path, layout: _Layout) -> _Table:
    """The table already at `path` if it has this layout, else an empty one."""
    found = _read(path)
    if found is not None and found.layout == layout:
        return found
    path.parent.mkdir(parents=True, exist_ok=True)
    _state_path(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    return _Table(path, layout)


def _read(path: Path) -> _Table | None:
    """The table at `path`, finished or not; None when there is none or its files disagree."""
    try:
        state = json_value(_state_path(path).read_text())
        shape = tuple(int(n) for n in state["shape"])
        layout = _Layout(int(state["rows"]), shape, str(state["dtype"]), str(state["key"]))
        np.dtype(layout.dtype)
        if path.stat().st_size != layout.bytes:
            return None
        return _Table(path, layout, {int(block) for block in state["blocks_done"]})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _no_room(table: _Table) -> str:
    size, free = table.layout.bytes, shutil.disk_usage(table.path.parent).free
    return (
        f"{table.path.name} would take {size / 1e9:.3g} of the {free / 1e9:.3g} GB that are free: "
        "its rows are computed whenever they are read, which is slower"
    )


def _reserved(table: _Table) -> bool:
    """Give the file its blocks now, where the disk has room for it and for all else that a run
    writes: a full disk would otherwise kill the process at a write."""
    path, size = table.path, table.layout.bytes
    if not table.done and size > LARGEST_SHARE * shutil.disk_usage(path.parent).free:
        return False
    try:
        with path.open("ab") as file:
            file.truncate(size)
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            path.unlink(missing_ok=True)
            return False
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise DlnError(f"Cannot write the table {path}: {error.strerror}.") from error
    return True


def _build(table: _Table, fill: Fill, workers: int, on_progress: Progress | None) -> None:
    """Fill what is missing, recording about once a second and whatever ends the loop."""
    pending = table.pending()
    recorded = time.monotonic()
    rows_done = table.rows_done()
    try:
        for block in _fill_blocks(table, fill, pending, workers):
            table.done.add(block.start)
            rows_done += len(block)
            if time.monotonic() - recorded > RECORD_SECONDS:
                table.record()
                recorded = time.monotonic()
            if on_progress:
                on_progress(rows_done, table.layout.rows)
    finally:
        table.record()


def _fill_blocks(table: _Table, fill: Fill, pending: list[range], workers: int) -> Iterator[range]:
    """Fill the pending blocks and yield each when it is done, in any order."""
    left = {block.start: block for block in pending}
    if workers > 0 and len(pending) > 1 and _picklable(fill):
        for block in _fill_in_processes(table, fill, pending, workers):
            del left[block.start]
            yield block
    for block in list(left.values()):
        fill_rows(table.path, table.layout, fill, block)
        yield block


def _picklable(fill: Fill) -> bool:
    try:
        pickle.dumps(fill)
    except (pickle.PicklingError, AttributeError, TypeError):
        return False
    return True


def _fill_in_processes(
    table: _Table, fill: Fill, pending: list[range], workers: int
) -> Iterator[range]:
    """As _fill_blocks, in fresh processes; ends early if one of them dies."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool

    spawn = multiprocessing.get_context("spawn")
    job = (table.path, table.layout, fill)
    with ProcessPoolExecutor(min(workers, len(pending)), spawn, _start_worker, job) as pool:
        futures = [pool.submit(_work, block) for block in pending]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool:
            return
        finally:
            pool.shutdown(cancel_futures=True)


def fill_rows(path: Path, layout: _Layout, fill: Fill, block: range) -> None:
    """Write the rows of one block through a mapping of just those rows."""
    offset = block.start * layout.row_bytes
    shape = (len(block), *layout.shape)
    target = np.memmap(path, layout.dtype, "r+", offset=offset, shape=shape)
    for place, index in enumerate(block):
        row = np.asarray(fill(index))
        if row.shape != layout.shape:
            raise ValueError(f"row {index} has shape {row.shape}, the table's is {layout.shape}")
        target[place] = row


_job: tuple[Path, _Layout, Fill] | None = None


def _start_worker(path: Path, layout: _Layout, fill: Fill) -> None:
    """Take the job, leave Ctrl-C to the parent, and go when the parent is gone."""
    import multiprocessing
    import signal
    import threading

    global _job
    _job = (path, layout, fill)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _work(block: range) -> range:
    assert _job is not None
    fill_rows(*_job, block)
    return block
