"""--force takes the place of a file, and of nothing else; and of none where nothing ran."""

import os
import socket
import stat
import sys
from pathlib import Path

import pytest

from dln.core.errors import UsageError
from dln.core.files import write_json

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files")


def special(kind: str, path: Path) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        os.mkfifo(path.with_name("target"))
        path.symlink_to("target")
    else:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", ["pipe", "link", "socket"])
def test_no_device_is_replaced_by_a_file(dln, kind: str):
    special(kind, Path("there"))
    before = os.lstat("there")
    with pytest.raises(UsageError, match="there is a device or a pipe, not a file"):
        write_json("there", {})
    for force in ([], ["--force"]):
        found = dln("carbon", "audit", *force, "--out", "there", "--", "touch", "ran")
        assert found.code == 2
        assert "there is a device or a pipe" in found.err
    assert not os.path.exists("ran")
    assert os.lstat("there") == before
    assert not stat.S_ISREG(os.stat("there").st_mode)


def test_a_folder_is_not_said_to_be_overwritten_by_force(dln):
    os.mkdir("there")
    found = dln("carbon", "audit", "--out", "there", "--", "true")
    assert found.code == 2
    assert "there is a folder" in found.err
    assert "--force" not in found.err


def test_a_command_that_cannot_start_leaves_the_record_of_before(dln):
    for name, text in (("job", "no program"), ("x.json", "an earlier record")):
        Path(name).write_text(text)
    os.chmod("job", 0o755)
    found = dln("carbon", "audit", "--force", "--out", "x.json", "--", "./job")
    assert found.code == 2
    assert "cannot start './job'" in found.err
    assert Path("x.json").read_text() == "an earlier record"
    assert dln("carbon", "audit", "--out", "new.json", "--", "./job").code == 2
    assert not os.path.exists("new.json")
