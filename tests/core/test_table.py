"""Tables are built once, resumed after a kill, and rebuilt when what they hold has changed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from dln.core.data.table import build_table, open_table
from dln.core.errors import DlnError

ROWS, SHAPE = 600, (3, 5)


def row(index: int) -> np.ndarray:
    return np.full(SHAPE, index, np.int32)


class Slow:
    """Fills slowly and notes every row, in whatever process it runs."""

    def __init__(self, log: str, seconds: float) -> None:
        self.log, self.seconds = log, seconds

    def __call__(self, index: int) -> np.ndarray:
        with open(self.log, "a") as file:
            file.write(f"{index}\n")
        time.sleep(self.seconds)
        return row(index)


class Fatal:
    """Ends the process that fills row 300, unless it is the given one."""

    def __init__(self, parent: int) -> None:
        self.parent = parent

    def __call__(self, index: int) -> np.ndarray:
        if index == 300 and os.getpid() != self.parent:
            os._exit(9)
        return row(index)


def check(table: np.ndarray) -> None:
    assert table.shape == (ROWS, *SHAPE)
    assert table.dtype == np.int32
    assert (table == np.arange(ROWS)[:, None, None]).all()


@pytest.mark.parametrize("workers", [0, 2])
def test_rows_are_what_fill_gives(tmp_path: Path, workers: int):
    seen: list[tuple[int, int]] = []
    table = build_table(
        tmp_path / "new" / "t",
        ROWS,
        SHAPE,
        "int32",
        row,
        workers=workers,
        on_progress=lambda *state: seen.append(state),
        key="k",
    )
    check(table)
    check(open_table(tmp_path / "new" / "t"))
    assert seen[-1] == (ROWS, ROWS)
    assert seen == sorted(seen)
    with pytest.raises(ValueError, match="read-only"):
        table[0] = 1


def test_a_table_is_reused_only_with_the_same_key_and_shape(tmp_path: Path):
    calls: list[int] = []

    def fill(index: int) -> np.ndarray:
        calls.append(index)
        return row(index)

    def build(key: str = "k", dtype: str = "int32", rows: int = 20) -> int:
        calls.clear()
        build_table(tmp_path / "t", rows, SHAPE, dtype, fill, workers=2, key=key)
        return len(calls)

    assert [build(), build(), build(key="other"), build("other"), build()] == [20, 0, 20, 0, 20]
    assert [build(dtype="int64"), build(dtype="int64"), build(rows=21)] == [20, 0, 21]
    (tmp_path / "t").write_bytes(b"short")
    assert build(rows=21) == 21
    (tmp_path / "t.json").write_text('{"rows": ')
    assert build(rows=21) == 21


@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_build_goes_on_where_it_was(tmp_path: Path, workers: int):
    path, log = tmp_path / "t", tmp_path / "log"
    command = [sys.executable, Path(__file__).resolve(), path, log, str(workers)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (tmp_path / "t.json").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.5)
    before = log.read_text().splitlines()
    assert 0 < len(before) < ROWS
    with pytest.raises(DlnError, match="unfinished"):
        open_table(path)
    time.sleep(0.3)
    assert log.read_text().splitlines() == before, "the workers outlived their parent"
    check(build_table(path, ROWS, SHAPE, "int32", Slow(str(log), 0), workers=workers, key="k"))
    again = len(log.read_text().splitlines()) - len(before)
    assert again < ROWS


def test_a_fill_that_fails_keeps_what_is_done(tmp_path: Path):
    def fill(index: int) -> np.ndarray:
        if index == 400:
            raise RuntimeError("no frame")
        return row(index)

    with pytest.raises(RuntimeError, match="no frame"):
        build_table(tmp_path / "t", ROWS, SHAPE, "int32", fill, key="k")
    log = tmp_path / "log"
    check(build_table(tmp_path / "t", ROWS, SHAPE, "int32", Slow(str(log), 0), key="k"))
    assert len(log.read_text().splitlines()) < 250


def test_a_worker_that_dies_is_replaced_by_this_process(tmp_path: Path):
    fill = Fatal(os.getpid())
    check(build_table(tmp_path / "t", ROWS, SHAPE, "int32", fill, workers=1, key="k"))


def test_rows_of_another_shape_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"row 0 has shape \(4,\)"):
        build_table(tmp_path / "t", 8, SHAPE, "int32", lambda i: np.zeros(4), key="k")


def test_a_full_disk_says_how_much_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**6, 10**6, 1000))
    with pytest.raises(DlnError, match="needs 36000 bytes") as caught:
        build_table(tmp_path / "t", ROWS, SHAPE, "int32", row, key="k")
    assert caught.value.hint
    assert os.listdir(tmp_path) == []


def test_a_missing_table_says_so(tmp_path: Path):
    with pytest.raises(DlnError, match="missing"):
        open_table(tmp_path / "t")


if __name__ == "__main__":
    target, log, workers = sys.argv[1:]
    slow = Slow(log, 0.008)
    build_table(Path(target), ROWS, SHAPE, "int32", slow, workers=int(workers), key="k")
