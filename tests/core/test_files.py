import errno
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from dln.core.errors import DlnError, UsageError
from dln.core.files import append_line, atomic_write, make_folder, sha256_file, write_json


def test_the_file_appears_whole(tmp_path: Path):
    path = tmp_path / "a.txt"
    with atomic_write(path, "w") as file:
        file.write("лев")
        assert not path.exists()
    assert path.read_text(encoding="utf-8") == "лев"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_a_failure_keeps_the_old_file(tmp_path: Path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fail() -> None:
        with atomic_write(path) as file:
            file.write(b"new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_permissions_follow_the_umask(tmp_path: Path):
    write_json(tmp_path / "a.json", {"x": [1, "é"]})
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o666 & ~mask
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"x": [1, "é"]}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int):
    path = tmp_path / "a.json"
    write_json(path, 1)

    def full(_: int) -> None:
        raise OSError(code, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DlnError, match=r"disk full while writing .*a\.json"):
        write_json(path, 2)
    monkeypatch.undo()
    assert path.read_text() == "1\n"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_device_that_is_full():
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with pytest.raises(DlnError, match="disk full while writing /dev/full"):
        append_line("/dev/full", "x")


def test_places_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        make_folder(tmp_path / "file" / "folder")
    with pytest.raises(UsageError, match="no such file"):
        write_json(tmp_path / "missing" / "a.json", 1)


def test_permission_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "denied")

    monkeypatch.setattr("tempfile.mkstemp", denied)
    with pytest.raises(UsageError, match="permission denied") as caught:
        write_json(tmp_path / "a.json", 1)
    assert caught.value.exit_code == 2


def test_append_line(tmp_path: Path):
    for line in ("one", "два"):
        append_line(tmp_path / "log", line)
    assert (tmp_path / "log").read_text(encoding="utf-8").splitlines() == ["one", "два"]


def test_sha256(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_file(tmp_path / "a") == known


_KILLED = """
import itertools, sys
from dln.core.files import write_json
for i in itertools.count():
    write_json(sys.argv[1], [i] * 20000)
    if i == 20:
        print("going", flush=True)
"""


def test_killed_while_writing(tmp_path: Path):
    path = tmp_path / "a.json"
    command = [sys.executable, "-c", _KILLED, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        process.kill()
    assert len(set(json.loads(path.read_text()))) == 1


@pytest.mark.skipif(os.name != "posix", reason="needs fork")
def test_what_a_killed_writer_left_goes_and_what_a_live_one_writes_stays(tmp_path: Path):
    """A writer that is killed half way, one that is at it, and files that only look alike."""
    path = tmp_path / "clip.mp4"
    for name in (".clip-abcd1234.mp4", ".dln-abcd1234-clip.gif", ".dln-abc-clip.mp4"):
        (tmp_path / name).write_bytes(b"mine")
    if not (pid := os.fork()):
        with atomic_write(path) as file:
            file.write(b"half")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    (left,) = (each for each in tmp_path.iterdir() if each.read_bytes() == b"half")
    with atomic_write(path) as slow:
        assert not left.exists()
        write_json(path, "another")
        slow.write(b"slow")
    assert path.read_bytes() == b"slow"
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        ".clip-abcd1234.mp4", ".dln-abc-clip.mp4", ".dln-abcd1234-clip.gif", "clip.mp4"
    ]  # fmt: skip
