"""Tables are built once, resumed after a kill, and rebuilt when what they hold has changed."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dln.core.data.reader import Reader
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


def check(table: Any) -> None:
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
        open_table(tmp_path / "new" / "t")[0] = 1


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


def small_disk(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**6, 10**6, free))


def refuse(*_: int) -> None:
    raise OSError(errno.EDQUOT, "quota")


@pytest.mark.parametrize("why", ["share", "quota"])
def test_rows_are_computed_where_the_disk_is_too_small(tmp_path: Path, monkeypatch, why: str):
    """The table takes 36,000 bytes, a quarter of 144,000."""
    small_disk(monkeypatch, 144_000)
    assert isinstance(build_table(tmp_path / "t", ROWS, SHAPE, "int32", row, key="k"), np.memmap)
    if why == "share":
        small_disk(monkeypatch, 143_999)
    else:
        monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    notes: list[str] = []
    found = build_table(tmp_path / "u", ROWS, SHAPE, "int32", row, on_note=notes.append, key="k")
    assert isinstance(found, Reader)
    assert sorted(os.listdir(tmp_path)) == ["t", "t.json"]
    (note,) = notes
    assert "u would take 3.6e-05 of the 0.000144 GB" in note
    # What is there already is read, however full the disk is.
    small_disk(monkeypatch, 0)
    check(build_table(tmp_path / "t", ROWS, SHAPE, "int32", Slow("", 0), key="k"))


VALUES = np.random.default_rng(0).integers(0, 1000, (12, 4, 3)).astype(np.int32)
PLACES = st.integers(-4, 3)
KEYS = st.one_of(
    st.integers(-12, 11),
    st.slices(12),
    st.lists(st.integers(-12, 11), min_size=1, max_size=6).map(np.array),
)


@settings(max_examples=100, deadline=None)
@given(key=KEYS, more=st.sampled_from(["", "place", "places", "slice"]), data=st.data())
def test_a_reader_is_indexed_as_its_array_would_be(key, more: str, data):
    reader = Reader(12, (4, 3), "int32", lambda index: VALUES[index])
    assert (len(reader), reader.shape, reader.dtype) == (12, (12, 4, 3), np.int32)
    count = len(key) if isinstance(key, np.ndarray) else 3
    rest = {
        "": (),
        "place": (data.draw(PLACES),),
        "places": (np.array(data.draw(st.lists(PLACES, min_size=count, max_size=count))),),
        "slice": (slice(1, 3),),
    }[more]
    assert np.array_equal(reader[(key, *rest)], VALUES[(key, *rest)])


def test_a_reader_keeps_recent_rows_and_refuses_others(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dln.core.data.reader.KEPT_BYTES", 2 * VALUES[0].nbytes)
    asked: list[int] = []

    def fill(index: int) -> np.ndarray:
        asked.append(index)
        return VALUES[index]

    reader = Reader(12, (4, 3), "int32", fill)
    assert np.array_equal(reader[[5, 3, 5]], VALUES[[5, 3, 5]])
    assert np.array_equal(reader[3], VALUES[3])
    assert asked == [3, 5]
    for index in (1, 3, 5):
        assert np.array_equal(reader[index], VALUES[index])
    assert asked == [3, 5, 1, 5]
    with pytest.raises(ValueError, match="read-only"):
        reader[5][0] = 1
    for key in (12, -13, [0, 12]):
        with pytest.raises(IndexError):
            reader[key]
    with pytest.raises(ValueError, match="row 0 has shape"):
        Reader(12, (4, 4), "int32", fill)[0]


def test_a_missing_table_says_so(tmp_path: Path):
    with pytest.raises(DlnError, match="missing"):
        open_table(tmp_path / "t")


if __name__ == "__main__":
    target, log, workers = sys.argv[1:]
    slow = Slow(log, 0.008)
    build_table(Path(target), ROWS, SHAPE, "int32", slow, workers=int(workers), key="k")
