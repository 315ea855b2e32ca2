"""Folders and tars of strangers: what cannot be read is named, and the rest is served."""

import io
import json
import os
import random
import struct
import sys
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dln.core.data import checks, open_source
from dln.core.data.checks import look, look_at_picture
from dln.core.data.folder import Folder, check
from dln.core.data.images import ImageFolder
from dln.core.data.places import leads_out
from dln.core.data.shards import Shards
from dln.core.data.shards import check as check_shards
from dln.core.errors import UsageError
from dln.core.media.clip import Clip
from dln.core.media.part import Part
from dln.core.media.video import write_clip

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes, links and names")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("clip") / "a.mp4"
    frames = np.random.default_rng(0).integers(0, 255, (12, 32, 32, 3), np.uint8)
    write_clip(Clip(frames, 8.0), path, scale=1)
    return path.read_bytes()


def picture(side: int = 8, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), "red").save(file, kind)
    return file.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it is so large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + rows + chunk(b"IEND", b"")


def listed(folder: Path, *rows: dict | str) -> None:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "metadata.jsonl").write_text("\n".join(lines))


def tarred(path: Path, *members: tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


@posix
def test_every_hostile_row_is_named_and_the_sound_one_served(tmp_path: Path, clip: bytes):
    (tmp_path / "a.mp4").write_bytes(clip)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "frames").mkdir()
    os.mkfifo(tmp_path / "frames" / "0.png")
    os.mkfifo(tmp_path / "pipe.mp4")
    os.symlink("loop.mp4", tmp_path / "loop.mp4")
    os.symlink("/dev/zero", tmp_path / "zero.mp4")
    names = {
        "a.mp4": None,
        "x" * 300 + ".mp4": "missing",
        "d/" * 3000 + "a.mp4": "missing",
        "\0.mp4": "missing",
        "/etc/passwd": "malformed",
        "../a.mp4": "malformed",
        "empty.mp4": "unreadable",
        "folder.mp4": "unreadable",
        "frames": "unreadable",
        "pipe.mp4": "unreadable",
        "loop.mp4": "missing",
        "zero.mp4": "unreadable",
        "http:/x/a.mp4": "missing",
    }
    listed(tmp_path, *({"file_name": name, "text": "a cat"} for name in names))
    found = {problem.file: problem.kind for problem in check(tmp_path).problems}
    assert found == {name: kind for name, kind in names.items() if kind}
    assert [Folder(tmp_path).caption(0)] == ["a cat"]


@pytest.mark.parametrize(
    "row",
    [
        "[" * 100_000 + "]" * 100_000,
        '{"file_name": "a.mp4", "text": ' + "9" * 5000 + "}",
        '{"file_name": "a.mp4", "text": 1e999}',
        '{"file_name": "a.mp4", "text": NaN}',
        '{"file_name": "a.mp4", "text": "\\ud800"}',
        '{"file_name": "\\udcff.mp4", "text": "a cat"}',
        '{"file_name": "a.mp4", "text": "a cat", "more": "\\ud800"}',
        "null",
        "5",
    ],
)
def test_a_row_that_is_none(tmp_path: Path, clip: bytes, row: str):
    (tmp_path / "a.mp4").write_bytes(clip)
    listed(tmp_path, row, {"file_name": "a.mp4", "text": "a cat"})
    report = check(tmp_path)
    assert report.sound == 1
    assert [(p.file, p.kind) for p in report.problems] == [("metadata.jsonl", "malformed")]


def test_a_csv_with_fields_beyond_all_bounds(tmp_path: Path, clip: bytes):
    (tmp_path / "a.mp4").write_bytes(clip)
    rows = ["file_name,text", "a.mp4,a cat", "a.mp4," + "x" * 200_000, "a.mp4,a\0cat"]
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    report = check(tmp_path)
    assert report.sound == 2
    assert [p.reason for p in report.problems] == ["line 3: field larger than field limit (131072)"]


@pytest.mark.parametrize("rate", ["1e308", "1e-320", "nan", "inf", "-1", "fast"])
def test_a_rate_that_is_none(tmp_path: Path, rate: str):
    (tmp_path / "frames").mkdir()
    for number in range(8):
        (tmp_path / "frames" / f"{number}.png").write_bytes(picture())
    listed(tmp_path, {"file_name": "frames", "text": "red", "fps": rate})
    (problem,) = check(tmp_path).problems
    assert (problem.kind, "fps" in problem.reason) == ("malformed", True)
    listed(tmp_path, {"file_name": "frames", "text": "red", "fps": "4"})
    assert check(tmp_path).seconds == 2


def test_a_bomb_is_named_and_the_next_picture_read(tmp_path: Path):
    spec = tarred(
        tmp_path / "x.tar",
        ("a.png", bomb(60_000, 60_000)), ("a.txt", b"a bomb"),
        ("b.png", bomb(10_000, 9_000)), ("b.txt", b"a smaller bomb"),
        ("c.png", picture()), ("c.txt", b"red"),
    )  # fmt: skip
    report = check_shards(str(spec))
    assert report.sound == 1
    assert ["pixels" in problem.reason for problem in report.problems] == [True, True]
    assert "90 million pixels" in report.problems[1].reason


def test_large_pictures_are_read_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "HUGE", 100)
    held = []

    def read(path: Part) -> np.ndarray:
        held.append(checks._huge.locked())
        return np.zeros((9, 9, 3), np.uint8)

    monkeypatch.setattr(checks, "read_picture", read)
    for name, side in (("large.png", 20), ("small.png", 8)):
        (tmp_path / name).write_bytes(picture(side))
        look_at_picture(tmp_path / name)
    assert held == [True, False]


@pytest.mark.parametrize("error", [ZeroDivisionError, MemoryError, KeyError, EOFError])
def test_whatever_a_decoder_raises_is_a_finding(tmp_path: Path, monkeypatch, error):
    def fail(*given: object) -> None:
        raise error

    monkeypatch.setattr(checks, "examine", fail)
    monkeypatch.setattr(checks, "read_picture", fail)
    for found in (look(tmp_path / "a.mp4"), look_at_picture(tmp_path / "a.png")):
        assert error.__name__ in str(found)


@pytest.mark.parametrize("seed", range(12))
def test_damaged_videos_and_pictures_of_a_tar(tmp_path: Path, clip: bytes, seed: int):
    """Each is a sound sample or a named problem, and the last one is read."""
    rng = random.Random(seed)
    members = []
    for number, data in enumerate([clip, picture(), picture(16, "GIF"), picture(16, "JPEG")]):
        damaged = bytearray(data)
        for _ in range(rng.choice([1, 20, 200])):
            damaged[rng.randrange(len(damaged))] = rng.choice([0, 255, rng.randrange(256)])
        kind = ("mp4", "png", "gif", "jpg")[number]
        members += [(f"{number}.{kind}", bytes(damaged)), (f"{number}.txt", b"a cat")]
    members += [("whole.mp4", clip), ("whole.txt", b"a dog")]
    source = Shards(str(tarred(tmp_path / "x.tar", *members)))
    assert source.report.sound + len(source.report.problems) == 5
    assert source.caption(len(source) - 1, np.random.default_rng(0)) == "a dog"


@pytest.mark.parametrize(
    "text",
    [b"[" * 100_000, b"9" * 5000, b'{"text": NaN}', b'{"text": "\\ud800"}',
     b'{"class": ' + b"9" * 5000 + b"}"],
)  # fmt: skip
def test_a_description_that_is_none(tmp_path: Path, clip: bytes, text: bytes):
    tar = tarred(tmp_path / "x.tar", ("a.mp4", clip), ("a.json", text),
                 ("b.mp4", clip), ("b.txt", b"a cat"))  # fmt: skip
    report = check_shards(str(tar))
    assert report.sound == 1
    assert [problem.kind for problem in report.problems] == ["malformed"]


def test_classes_that_are_numbers_of_5000_digits(tmp_path: Path):
    numbers = [b"9" * 5000, b"10"]
    members = [(f"{n}.{kind}", data) for n, number in enumerate(numbers)
               for kind, data in (("png", picture()), ("cls", number))]  # fmt: skip
    source = Shards(str(tarred(tmp_path / "x.tar", *members)), held_out=None)
    assert source.classes == ("10", "9" * 5000)


@posix
def test_shards_that_are_no_files(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.tar")
    os.symlink("/dev/zero", tmp_path / "zero.tar")
    for name in ("pipe.tar", "zero.tar"):
        (problem,) = check_shards(str(tmp_path / name)).problems
        assert "device or a pipe" in problem.reason
    (problem,) = check_shards("x" * 300 + ".tar").problems
    assert problem.kind == "missing"


@pytest.mark.parametrize(
    "spec", ["{1..99999999999}.tar", "{0..999}{0..999}.tar", "{000..99999}{a,b}.tar"]
)
def test_braces_that_stand_for_too_many_files(spec: str):
    with pytest.raises(UsageError, match="more than 100,000 files"):
        check_shards(spec)


@pytest.mark.parametrize("spec", ["x" * 300, "\0", "a/" * 3000, "\udcff"])
def test_names_that_no_system_has(spec: str):
    with pytest.raises(UsageError, match="no data set or folder") as caught:
        open_source(spec)
    assert len(caught.value.message) < 300


@posix
def test_a_pipe_is_no_image_of_a_class(tmp_path: Path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_bytes(picture())
    os.mkfifo(tmp_path / "cat" / "1.png")
    os.symlink("loop", tmp_path / "loop")
    source = ImageFolder(str(tmp_path), held_out=None)
    assert (source.classes, len(source)) == (("cat", "dog"), 2)


@pytest.mark.parametrize(
    ("name", "out"),
    [("a/b", False), ("..a.mp4", False), ("a/../b", False), ("../a", True), ("a/../../b", True),
     ("..", True), ("/a", True)],
)  # fmt: skip
def test_which_names_lead_out(name: str, out: bool):
    assert leads_out(name) == out
