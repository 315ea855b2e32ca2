"""Names and kinds of files as other systems and trainers have them, in folders of captions."""

import os
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pytest
from PIL import Image

from dln.core.data.folder import Folder, check
from dln.core.errors import UsageError
from dln.core.media.clip import Clip
from dln.core.media.video import write_clip


def clip(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    write_clip(Clip(np.full((8, 16, 16, 3), 99, np.uint8), 8.0), path)


def reasons(folder: Path) -> dict[str, str]:
    return {each.file: each.reason for each in check(folder).problems}


def listed(folder: Path, *names: str) -> Path:
    lines = "".join(f"{name},a cat\n" for name in names)
    (folder / "metadata.csv").write_text(f"file_name,text\n{lines}")
    return folder


def test_strokes_of_windows_are_told(tmp_path: Path):
    clip(tmp_path / "sub" / "a.mp4")
    found = reasons(listed(tmp_path, "sub\\a.mp4", "sub\\b.mp4", "..\\a.mp4"))
    assert found["sub\\a.mp4"] == "line 2 lists it, and it is not there: sub/a.mp4 is"
    assert found["sub\\b.mp4"] == "line 3 lists it, and it is not there"
    assert found["..\\a.mp4"] == "line 4 lists it, and it is not there"


@pytest.mark.parametrize(("there", "told"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_accents_of_another_system_are_told(tmp_path: Path, there, told):
    name = "caf\u00e9.mp4"
    clip(tmp_path / normalize(there, name))
    if (tmp_path / normalize(told, name)).exists():
        pytest.skip("this file system takes both for one")
    found = reasons(listed(tmp_path, normalize(told, name)))
    assert found[normalize(told, name)].endswith("is, with its accents written otherwise")


def test_a_place_within_the_folder_from_the_root_on_is_not_called_outside(tmp_path: Path):
    clip(tmp_path / "a.mp4")
    found = reasons(listed(tmp_path, str(tmp_path / "a.mp4"), "../a.mp4"))
    assert found[str(tmp_path / "a.mp4")] == (
        "line 2 names it from the root on, not from the folder on"
    )
    assert found["../a.mp4"] == "line 3 names a place outside the folder"


def test_a_link_to_nothing_beside_its_caption_is_on_no_line(tmp_path: Path):
    os.symlink(tmp_path / "gone", tmp_path / "a.mp4")
    (tmp_path / "a.txt").write_text("a cat")
    assert reasons(tmp_path) == {"a.mp4": "a .txt stands beside it, and it is not there"}


def test_a_folder_named_like_a_picture_is_called_a_folder(tmp_path: Path):
    (tmp_path / "frames" / "9.png").mkdir(parents=True)
    found = reasons(listed(tmp_path, "frames"))
    assert found["frames"] == "9.png is a folder, not a file"


def test_tiffs_are_pictures(tmp_path: Path):
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(1, 12):
        level = np.full((16, 16, 3), 20 * number, np.uint8)
        Image.fromarray(level).save(frames / f"{number}.{'tiff' if number % 2 else 'tif'}")
    Image.fromarray(np.full((16, 16), 257 * 40, np.uint16)).save(tmp_path / "still.tiff")
    source = Folder(listed(tmp_path, "frames", "still.tiff"))
    assert not source.report.problems
    shown = source.frames(0, np.arange(11) / 8, (8, 8))[0]
    assert shown[:, 0, 0, 0].tolist() == [20 * number for number in range(1, 12)]
    assert source.frames(1, np.zeros(1), (8, 8))[0].ravel().tolist() == [40] * 192


def test_hidden_folders_hold_no_clips(tmp_path: Path):
    for folder in (".ipynb_checkpoints", ".cache"):
        clip(tmp_path / folder / "b.mp4")
        (tmp_path / folder / "b.txt").write_text("left over")
    clip(tmp_path / "a.mp4")
    (tmp_path / "a.txt").write_text("a cat")
    report = check(tmp_path)
    assert (report.sound, report.problems) == (1, [])
    assert check(listed(tmp_path, "a.mp4")).problems == []


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [("metadata.csv", "file_name,text\na.mp4,a lion, drinking\nb.mp4,two\n", "line 2: 3 fields"),
     ("metadata.jsonl", '{"file_name": "a.mp4", "caption": "x"}\n'
      '{"file_name": "b.mp4", "text": "y"}\n', "line 1: no text")],
)  # fmt: skip
def test_a_malformed_line_is_told_and_not_that_its_video_is_on_none(tmp_path, name, text, reason):
    for each in "abc":
        clip(tmp_path / f"{each}.mp4")
    (tmp_path / name).write_text(text)
    line, other = check(tmp_path).problems
    assert (line.file, line.kind) == (name, "malformed")
    assert line.reason.startswith(reason)
    assert (other.file, other.kind) == ("c.mp4", "uncaptioned")


def test_two_columns_of_text_are_refused(tmp_path: Path):
    (tmp_path / "metadata.csv").write_text("file_name,text,text\na.mp4,short,long\n")
    with pytest.raises(UsageError, match="the column text twice"):
        check(tmp_path)
