"""A lock of processes: one holder, waited for or refused, gone with whoever held it."""

import errno
import os
import signal
import time
from pathlib import Path

import pytest

from dln.core.errors import DlnError, UsageError
from dln.core.files import atomic_write, locked

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs fork")


def refuse() -> None:
    raise UsageError("another process is at it")


def child(work) -> int:
    """The process id of a fork that does the work and ends."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
    finally:
        os._exit(0)


def until(condition) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it did not come about")


def hold(lock: Path, there: Path) -> None:
    with locked(lock, refuse):
        there.touch()
        time.sleep(60)


def test_a_second_process_is_refused_or_waits_until_the_first_is_killed(tmp_path: Path):
    lock, there, told = tmp_path / "folder" / ".lock", tmp_path / "there", []
    pid = child(lambda: hold(lock, there))
    until(there.exists)
    with pytest.raises(UsageError, match="another process"), locked(lock, refuse):
        pass
    killer = child(lambda: (time.sleep(0.3), os.kill(pid, signal.SIGKILL)))
    with locked(lock, lambda: told.append(1)):
        assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    os.waitpid(killer, 0)
    assert told == [1]
    assert not lock.exists()


def test_no_two_at_once(tmp_path: Path):
    """Processes that read, wait and write a counter, as often as they like: none is lost."""
    lock, counter = tmp_path / ".lock", tmp_path / "counter"
    counter.write_text("0")

    def add() -> None:
        for _ in range(5):
            with locked(lock, lambda: None):
                number = int(counter.read_text())
                time.sleep(0.002)
                counter.write_text(str(number + 1))

    for pid in [child(add) for _ in range(4)]:
        os.waitpid(pid, 0)
    assert counter.read_text() == "20"


def test_a_link_is_not_followed(tmp_path: Path):
    (tmp_path / ".lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DlnError), locked(tmp_path / ".lock", refuse):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_a_lock_of_a_folder_that_was_moved_is_not_taken_from_the_next(tmp_path: Path):
    """The first holder's folder is moved away; the second, at the same place, keeps its lock."""
    folder = tmp_path / "folder"
    first = locked(folder / ".lock", refuse)
    with first:
        folder.rename(tmp_path / "moved")
        second = locked(folder / ".lock", refuse)
        second.__enter__()
    assert (folder / ".lock").exists()
    second.__exit__(None, None, None)
    assert not (folder / ".lock").exists()


def test_where_a_disk_has_no_locks_nothing_is_swept(tmp_path: Path, monkeypatch):
    """Two writers of one file at once: the draft of the first is no leftover."""
    import fcntl

    def none(*_):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", none)
    path = tmp_path / "a.json"
    with atomic_write(path, "w") as slow:
        with atomic_write(path, "w") as quick:
            quick.write("quick")
        assert path.read_text() == "quick"
        slow.write("slow")
    assert path.read_text() == "slow"
    with locked(tmp_path / ".lock", refuse), locked(tmp_path / ".lock", refuse):
        pass
