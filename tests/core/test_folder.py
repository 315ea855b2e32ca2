"""A folder of odd videos: the sound ones are served right, all others are named with a reason."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dln.core.data import checks
from dln.core.data.folder import Folder, check
from dln.core.data.listing import read_listing
from dln.core.errors import UsageError
from dln.core.media import decode
from dln.core.media.clip import Clip
from dln.core.media.video import write_clip

RNG = np.random.default_rng(0)
COLOURS = {"red": (210, 40, 30), "green": (30, 180, 60), "blue": (40, 60, 220)}
SIZES = [(48, 64), (64, 48), (50, 50), (90, 160), (34, 34)]
RATES = [5, 8, 12.5, 24, 29.97, 60]
CODECS = [
    (".mp4", "libx264", "yuv420p"),
    (".mkv", "libx264", "yuv420p"),
    (".mov", "mjpeg", "yuvj420p"),
    (".avi", "mpeg4", "yuv420p"),
    (".webm", "libvpx", "yuv420p"),
    (".webm", "libvpx-vp9", "yuv420p"),
]


def square_video(colour: tuple[int, int, int], height: int, width: int, count: int) -> np.ndarray:
    """A square of `colour` in the middle of grey that brightens by 4 a frame."""
    frames = np.full((count, height, width, 3), 60, np.uint8)
    frames += (4 * (np.arange(count) % 40)).astype(np.uint8)[:, None, None, None]
    middle, centre = height // 2, width // 2
    frames[:, middle - 8 : middle + 8, centre - 8 : centre + 8] = colour
    return frames


def write_rows(folder: Path, rows: list[tuple[str, ...]], header: str = "file_name,text") -> None:
    lines = [header, *(",".join(row) for row in rows)]
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def thirty(tmp_path_factory, make_video) -> Path:
    """30 videos: 28 in six codecs, five sizes, six rates and uneven ones; one cut off, one junk."""
    folder = tmp_path_factory.mktemp("thirty")
    rows = []
    for number in range(28):
        suffix, codec, pix_fmt = CODECS[number % len(CODECS)]
        colour = list(COLOURS)[number % 3]
        fps = RATES[number % len(RATES)]
        frames = square_video(COLOURS[colour], *SIZES[number % len(SIZES)], max(16, int(fps)))
        starts = None
        if suffix == ".mkv":
            starts = np.cumsum(RNG.choice([0.02, 0.05, 0.11], len(frames))).round(3).tolist()
        path = folder / f"{number:02}{suffix}"
        make_video(path, frames, codec, fps, pix_fmt, starts=starts)
        rows.append((path.name, f"a {colour} square"))
    whole = (folder / "00.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    (folder / "junk.webm").write_bytes(RNG.bytes(4000))
    rows += [("cut.mp4", "a cut square"), ("junk.webm", "junk")]
    write_rows(folder, rows)
    return folder


def test_thirty_videos_of_every_kind(thirty: Path):
    folder = Folder(thirty)
    assert len(folder) == 28
    assert {problem.file: problem.kind for problem in folder.report.problems} == {
        "cut.mp4": "unreadable",
        "junk.webm": "unreadable",
    }
    assert folder.report.summary() == "Skipped 2 of 30: 2 unreadable."
    for index in range(28):
        duration = folder.duration(index)
        times = np.array([0.0, duration / 2, duration, 100.0])
        frames, mask = folder.frames(index, times, (32, 32))
        assert mask is None
        assert frames.shape == (4, 32, 32, 3)
        colour = COLOURS[folder.caption(index, RNG).split()[1]]
        assert np.abs(frames[:, 14:18, 14:18].mean(axis=(1, 2)) - colour).max() < 24
        assert (frames[2] == frames[3]).all()
        assert frames[1, 2, 16].mean() > frames[0, 2, 16].mean() + 6


def test_the_fingerprint_follows_names_sizes_and_captions(tmp_path: Path):
    clip = Clip(square_video((200, 0, 0), 32, 32, 6), 8)
    write_clip(clip, tmp_path / "a.mp4", scale=1)
    write_rows(tmp_path, [("a.mp4", "a lion")])
    first = Folder(tmp_path).fingerprint()
    assert Folder(tmp_path).fingerprint() == first
    write_rows(tmp_path, [("a.mp4", "a lion drinks")])
    second = Folder(tmp_path).fingerprint()
    write_clip(clip, tmp_path / "a.mp4", scale=2, overwrite=True)
    assert len({first, second, Folder(tmp_path).fingerprint()}) == 3


def test_every_problem_is_named(tmp_path: Path):
    good = square_video((200, 0, 0), 32, 32, 8)
    (tmp_path / "sub").mkdir()
    write_clip(Clip(good, 8), tmp_path / "sub" / "good.mp4", scale=1)
    write_clip(Clip(good[:4], 2), tmp_path / "few.mp4", scale=1)
    write_clip(Clip(good, 60), tmp_path / "brief.webm", scale=1)
    write_clip(Clip(good, 8), tmp_path / "silent.gif", scale=1)
    write_clip(Clip(good, 8), tmp_path / "forgotten.mp4", scale=1)
    (tmp_path / "text.mp4").write_text("not a video")
    (tmp_path / "empty.mkv").write_bytes(b"")
    rows = [
        ("sub/good.mp4", "A good Clip", "1"),
        ("few.mp4", "few", "2"),
        ("brief.webm", "brief", "3"),
        ("silent.gif", " ", "4"),
        ("gone.mp4", "gone", "5"),
        ("text.mp4", "text", "6"),
        ("empty.mkv", "empty", "7"),
        ("too", "many", "fields", "here"),
        ("../outside.mp4", "outside", "8"),
        ("", "no name", "9"),
    ]
    write_rows(tmp_path, rows, "file_name,text,source")
    folder = Folder(tmp_path)
    found = {problem.file: (problem.kind, problem.reason) for problem in folder.report.problems}
    assert found["few.mp4"] == ("too short", "it has 4 frames, 5 are needed")
    assert found["brief.webm"] == ("too short", "it lasts 0.13 s, 0.5 s are needed")
    assert found["silent.gif"][0] == "uncaptioned"
    assert found["forgotten.mp4"][0] == "uncaptioned"
    assert found["gone.mp4"] == ("missing", "line 6 lists it, and it is not there")
    assert found["text.mp4"][0] == found["empty.mkv"][0] == "unreadable"
    assert found["../outside.mp4"][0] == "malformed"
    malformed = [p.reason for p in folder.report.problems if p.file == "metadata.csv"]
    assert malformed == [
        "line 9: 4 fields where the first line has 3",
        "line 11: file_name is empty",
    ]
    assert len(folder.report.problems) == 10
    assert folder.report.summary().startswith("Skipped 10 of 11: 3 malformed, 2 too short")
    assert (len(folder), folder.extra(0)) == (1, {"source": "1"})
    assert folder.words() == ["a", "clip", "good"]
    assert folder.labels(0) is None
    assert check(tmp_path) == folder.report


def test_jsonl_and_folders_of_images(tmp_path: Path):
    images = tmp_path / "lion"
    images.mkdir()
    for index, frame in enumerate(square_video((200, 30, 30), 40, 60, 12)):
        Image.fromarray(frame).save(images / f"{index:03}.png")
    lines = [
        json.dumps({"file_name": "lion", "text": "лев спит", "fps": 16}),
        "{broken",
        json.dumps({"file_name": "lion"}),
        "[1, 2]",
        "",
    ]
    (tmp_path / "metadata.jsonl").write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
    folder = Folder(tmp_path)
    assert (len(folder), folder.duration(0), folder.caption(0)) == (1, 0.75, "лев спит")
    frames, _ = folder.frames(0, np.array([0.0, 0.25]), (20, 20))
    assert frames[1, 0, 0, 0] - frames[0, 0, 0, 0] == 16
    assert [p.reason for p in folder.report.problems] == [
        "line 2: not JSON (Expecting property name enclosed in double quotes)",
        "line 3: no text",
        "line 4: no file_name and text",
    ]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """An empty cache; the names of the files that are opened to be examined."""
    names: list[str] = []

    def examine(path: Path, fps: float | None, *given: Any) -> decode.Examined:
        names.append(path.name)
        return decode.examine(path, fps, *given)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(checks, "examine", examine)
    return names


def indexed(path: Path) -> Path:
    """A folder of two videos, of which one is none, and a folder of images."""
    path.mkdir()
    write_clip(Clip(square_video((200, 0, 0), 32, 32, 8), 8), path / "a.mp4", scale=1)
    (path / "b.mp4").write_bytes(b"no video")
    (path / "c").mkdir()
    for number in range(8):
        Image.new("RGB", (8, 8)).save(path / "c" / f"{number}.png")
    write_rows(path, [("a.mp4", "a lion"), ("b.mp4", "junk"), ("c", "frames")])
    return path


def test_a_second_start_opens_only_what_has_changed(tmp_path: Path, opened: list[str]):
    path = indexed(tmp_path / "clips")
    first = Folder(path)
    assert sorted(opened) == ["a.mp4", "b.mp4", "c"]
    (index,) = (tmp_path / "cache" / "dln" / "data").iterdir()
    stamp, told = index.stat().st_mtime_ns, index.read_text()
    opened.clear()
    second = Folder(path)
    assert opened == []
    assert index.stat().st_mtime_ns == stamp
    assert second.report == first.report
    assert second.fingerprint() == first.fingerprint()
    assert [second.duration(i) for i in range(2)] == [first.duration(i) for i in range(2)]
    os.utime(path / "a.mp4", ns=(1, 1))
    Image.new("RGB", (8, 8), "red").save(path / "c" / "3.png")
    os.utime(path / "c" / "3.png", (2e9, 2e9))
    Folder(path)
    assert sorted(opened) == ["a.mp4", "c"]
    (path / "a.mp4").unlink()
    assert [(p.file, p.kind) for p in Folder(path).report.problems] == [
        ("a.mp4", "missing"),
        ("b.mp4", "unreadable"),
    ]
    assert "a.mp4" in told
    assert "a.mp4" not in index.read_text()


def test_what_the_machine_refused_is_tried_again(tmp_path: Path, opened, monkeypatch):
    path = indexed(tmp_path / "clips")

    def deny(file: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(decode, "truncation", deny)
        found = check(path)
    reasons = [(problem.file, problem.reason) for problem in found.problems]
    assert reasons == [(f"{name}.mp4", "cannot be read: Permission denied") for name in "ab"]
    opened.clear()
    assert Folder(path).report.sound == 2
    assert sorted(opened) == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize("damage", ["cut", "foreign", "list", "entry", "deep", "locked"])
def test_an_index_that_cannot_be_used_costs_time_alone(tmp_path: Path, opened, damage: str):
    path = indexed(tmp_path / "clips")
    first = Folder(path)
    (index,) = (tmp_path / "cache" / "dln" / "data").iterdir()
    whole = index.read_text()
    wrong = {"a.mp4": "?", "b.mp4": [1], "c": None}
    changed = {
        "cut": whole[:-20],
        "foreign": whole.replace(str(path), "/elsewhere"),
        "list": "[]",
        "entry": json.dumps({**json.loads(whole), "files": wrong}),
        "deep": "[" * 100_000,
        "locked": "",
    }  # fmt: skip
    if damage == "locked":
        index.unlink()
        index.parent.rmdir()
        index.parent.write_text("no folder")
    else:
        index.write_text(changed[damage])
    opened.clear()
    assert Folder(path).report == first.report
    assert sorted(opened) == ["a.mp4", "b.mp4", "c"]
    if damage != "locked":
        assert json.loads(index.read_text()) == json.loads(whole)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("metadata.csv", "video,caption\na.mp4,x\n", "no column file_name and text"),
        ("metadata.csv", "file_name\na.mp4\n", "no column text"),
        ("metadata.csv", "", "no column file_name and text"),
        ("metadata.jsonl", '{"file": "a.mp4"}\n', "no column file_name and text"),
        ("metadata.csv", "file_name,text\n", "can be used"),
        ("metadata.csv", "file_name,text\na.mp4,x\n", "it is not there"),
        ("other.csv", "file_name,text\n", "no metadata.csv or metadata.jsonl"),
    ],
)
def test_metadata_that_cannot_serve(tmp_path: Path, name: str, content: str, message: str):
    (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match=message) as caught:
        Folder(tmp_path)
    assert caught.value.hint


def test_metadata_in_another_encoding(tmp_path: Path):
    (tmp_path / "metadata.csv").write_bytes("file_name,text\nа.mp4,лев\n".encode("cp1251"))
    with pytest.raises(UsageError, match="not UTF-8"):
        Folder(tmp_path)
    with pytest.raises(UsageError, match="no folder"):
        Folder(tmp_path / "none")


@settings(max_examples=60, deadline=None)
@given(content=st.text(max_size=200), jsonl=st.booleans())
def test_no_metadata_text_crashes(tmp_path_factory, content: str, jsonl: bool):
    folder = tmp_path_factory.getbasetemp() / ("jsonl" if jsonl else "csv")
    folder.mkdir(exist_ok=True)
    path = folder / f"metadata.{folder.name}"
    header = "" if jsonl else "file_name,text\n"
    path.write_text(header + content, encoding="utf-8", errors="replace", newline="")
    try:
        entries = read_listing(folder).entries
    except UsageError:
        return
    assert all(entry.file_name for entry in entries)
