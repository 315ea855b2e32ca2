"""Two that would write one file: neither's work is lost without a word."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dln.core.errors import UsageError
from dln.core.files import beside, claimed


def test_a_second_writer_is_refused_until_the_first_has_ended(tmp_path: Path):
    path = tmp_path / "new" / "a.mp4"
    with claimed(path):
        with pytest.raises(UsageError, match="another dln is writing"), claimed(path):
            pytest.fail("both may write")
        with claimed(path.with_name("b.mp4")):
            path.write_bytes(b"first")
    with claimed(path):
        pass
    assert [entry.name for entry in path.parent.iterdir()] == ["a.mp4"]


def test_a_folder_that_nothing_came_of_goes(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt), claimed(tmp_path / "new" / "a.mp4"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("length", [200, 240, 241, 255])
def test_long_names_are_told_apart(tmp_path: Path, length: int):
    one, other = (tmp_path / f"{letter * (length - 4)}.mp4" for letter in "ab")
    with claimed(one), claimed(other), pytest.raises(UsageError), claimed(one):
        pytest.fail("both may write")
    assert list(tmp_path.iterdir()) == []


def test_a_killed_one_holds_nothing(tmp_path: Path):
    path = tmp_path / "a.mp4"
    code = (
        "import os, sys; from pathlib import Path; from dln.core.files import claimed\n"
        "with claimed(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    with claimed(path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_appears_meanwhile_stays(tmp_path: Path):
    path = tmp_path / "a.mp4"

    def write() -> None:
        with beside(path, overwrite=False) as (handle, _):
            os.write(handle, b"mine")
            path.write_bytes(b"theirs")

    with pytest.raises(UsageError, match="meanwhile"):
        write()
    assert path.read_bytes() == b"theirs"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("links", [True, False])
def test_a_new_file_on_every_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool):
    if not links:

        def refuse(*_: object) -> None:
            raise PermissionError(1, "no links here")

        monkeypatch.setattr(os, "link", refuse)
    with beside(tmp_path / "a.mp4", overwrite=False) as (handle, _):
        os.write(handle, b"mine")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"mine"
