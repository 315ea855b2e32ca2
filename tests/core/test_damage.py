"""What does not decode to its end is named and left out; what is odd and whole is used with a note;
the pictures of a folder follow each other as people count."""

import csv
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dln.core.data import checks
from dln.core.data.folder import Folder, check
from dln.core.data.shards import Shards
from dln.core.errors import UsageError
from dln.core.media.decode import Examined, examine, probe, read_frames
from dln.core.media.names import counted, images_of
from dln.core.media.video import read_clip

from .test_clip import counting, numbers


def listed(folder: Path, *names: str) -> Path:
    with open(folder / "metadata.csv", "w", newline="") as file:
        csv.writer(file).writerows([("file_name", "text"), *((name, "a cat") for name in names)])
    return folder


def noisy(count: int = 60) -> np.ndarray:
    """Frames whose packets have some bytes to damage."""
    tiles = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).repeat(16, 0).repeat(16, 1)
    return np.stack([np.roll(tiles, 3 * place, 1) for place in range(count)]).astype(np.uint8)


def scribbled(path: Path, first: int) -> Path:
    """The packets from number `first` on become noise, in place."""
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data, rng = bytearray(path.read_bytes()), np.random.default_rng(1)
    for place, size in places[first:]:
        assert place is not None
        data[place : place + size] = rng.bytes(size)
    path.write_bytes(data)
    return path


KINDS = [("libx264", ".mp4"), ("libx264", ".mkv"), ("mpeg4", ".avi"), ("mjpeg", ".mov"),
         ("flv", ".flv")]  # fmt: skip


@pytest.mark.parametrize(("codec", "suffix"), KINDS)
def test_packets_of_noise_are_told_with_their_place(make_video, tmp_path, codec, suffix):
    kind = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = make_video(tmp_path / f"v{suffix}", noisy(), codec, 20, kind)
    assert examine(path).probe.duration == pytest.approx(3)
    with pytest.raises(UsageError, match="damaged") as caught:
        examine(scribbled(path, 30))
    told = re.search(r"after (?:[0-9]+ frames, )?([0-9.]+) s", caught.value.message)
    assert told
    assert 1 <= float(told[1]) <= 1.75  # the decoder holds some back, for their turn
    assert len(read_frames(path, [0.0, 1.0, 2.9], (16, 16))) == 3


@pytest.mark.parametrize("suffix", [".mkv", ".wmv"])
def test_packets_that_are_passed_over_are_missed(make_video, tmp_path: Path, suffix: str):
    """These demuxers look for the next packet that is whole, or take the rest for the end."""
    codec = "wmv2" if suffix == ".wmv" else "libx264"
    path = make_video(tmp_path / f"v{suffix}", noisy(), codec, 20)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : -len(data) // 8] = bytes(len(data[len(data) // 2 : -len(data) // 8]))
    path.write_bytes(data)
    with pytest.raises(UsageError, match="damaged"):
        examine(path)


@pytest.mark.parametrize(("codec", "suffix"), [("gif", ".gif"), ("libx264", ".ts")])
def test_noise_that_looks_like_the_end(make_video, tmp_path: Path, codec: str, suffix: str):
    kind = "rgb8" if codec == "gif" else "yuv420p"
    path = make_video(tmp_path / f"v{suffix}", noisy(), codec, 20, kind)
    assert examine(path).probe.duration == pytest.approx(3)
    data = path.read_bytes()
    middle = len(data) // 2
    noise = np.random.default_rng(3).bytes(len(data) - middle - 1)
    path.write_bytes(data[:middle] + noise + b";")
    with pytest.raises(UsageError, match=r"damaged|end is missing"):
        examine(path)


def test_what_breaks_off_is_left_out_of_training(make_video, tmp_path: Path):
    for name in ("whole.mp4", "broken.mp4"):
        make_video(tmp_path / name, noisy(), "libx264", 20)
    scribbled(tmp_path / "broken.mp4", 40)
    source = Folder(listed(tmp_path, "whole.mp4", "broken.mp4"))
    assert (len(source), source.duration(0)) == (1, 3.0)
    (problem,) = source.report.problems
    assert (problem.file, problem.kind) == ("broken.mp4", "unreadable")
    assert "damaged: after" in problem.reason
    assert check(tmp_path) == source.report  # out of the index


def test_a_recording_that_begins_between_key_frames_is_whole(make_video, tmp_path: Path):
    path = make_video(tmp_path / "v.ts", noisy(), "mpeg2video", 20, options={"g": "15"})
    with av.open(str(path)) as container:
        packets = list(container.demux(video=0))
    cut = path.read_bytes()[cast(int, packets[7].pos) :]
    (tmp_path / "late.ts").write_bytes(cut)
    late = examine(tmp_path / "late.ts").probe
    assert 1.9 < late.duration < 2.7


def test_a_picture_of_a_folder_that_is_none(tmp_path: Path):
    (tmp_path / "frames").mkdir()
    for number in range(1, 9):
        Image.new("RGB", (16, 16)).save(tmp_path / "frames" / f"{number}.png")
    (tmp_path / "frames" / "._1.png").write_bytes(b"what a Mac leaves beside it")
    listed(tmp_path, "frames")
    assert check(tmp_path).sound == 1
    data = (tmp_path / "frames" / "6.png").read_bytes()
    (tmp_path / "frames" / "6.png").write_bytes(data[:50])
    (problem,) = check(tmp_path).problems
    assert (problem.file, problem.kind) == ("frames", "unreadable")
    assert problem.reason.startswith("6.png cannot be read as an image: it is damaged")


@pytest.mark.parametrize("pattern", ["frame{}.png", "a{}b7.png", "{}.png", "take2-{}.png"])
def test_pictures_follow_as_people_count(tmp_path: Path, pattern: str):
    for number, frame in enumerate(counting(13, 16, 16), 1):
        name = pattern.format(f"{number:03}" if number == 5 else number)
        Image.fromarray(frame).save(tmp_path / name)
    assert numbers(read_clip(tmp_path).frames) == list(range(13))
    assert numbers(read_frames(tmp_path, np.arange(13) / 8, (8, 8))) == list(range(13))


def test_two_numbers_in_a_name(tmp_path: Path):
    names = [f"scene{scene}_{frame}.jpg" for scene in (1, 2, 10) for frame in (9, 10, 100)]
    for name in names:
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    assert [path.name for path in images_of(tmp_path)] == names


@given(st.lists(st.text("0129abAB.-_", min_size=1), min_size=2, max_size=6, unique=True))
def test_any_names_have_one_order(names: list[str]):
    once = sorted(names, key=counted)
    assert sorted(reversed(names), key=counted) == once


def coloured(path: Path, **told: int) -> Path:
    """A film whose stream says this of its colours."""
    with av.open(str(path), "w") as container:
        stream = cast(VideoStream, container.add_stream("libx265", rate=10))
        stream.height, stream.width, stream.pix_fmt = 64, 64, "yuv420p10le"
        for name, value in told.items():
            setattr(stream.codec_context, name, value)
        stream.options = {"x265-params": "log-level=none"}
        for place, pixels in enumerate(counting(6)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
                format="yuv420p10le"
            )
            frame.pts = place
            for name, value in told.items():
                setattr(frame, name, value)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("transfer", "primaries", "words"),
    [(18, 9, "is HDR (HLG, bt2020)"), (16, 9, "is HDR (PQ, bt2020)"), (16, 1, "is HDR (PQ)"),
     (1, 9, "wide colours (bt2020)"), (1, 1, None)],
)  # fmt: skip
def test_hdr_is_named(tmp_path: Path, transfer: int, primaries: int, words: str | None):
    coloured(tmp_path / "v.mp4", color_trc=transfer, color_primaries=primaries, colorspace=1)
    report = check(listed(tmp_path, "v.mp4"))
    assert (report.sound, len(report.notes)) == (1, 1 if words else 0)
    if words:
        assert report.notes[0].file == "v.mp4"
        assert words in report.notes[0].text
        assert words in report.summary()
    assert numbers(read_clip(tmp_path / "v.mp4").frames) == list(range(6))


@pytest.mark.parametrize(
    ("codec", "suffix", "options"),
    [("libx264", ".mp4", {"x264-params": "tff=1"}), ("mpeg2video", ".ts", {"flags": "+ildct"})],
)
def test_interlaced_is_named(make_video, tmp_path: Path, codec: str, suffix: str, options):
    make_video(tmp_path / f"v{suffix}", counting(8), codec, 10, options=options)
    make_video(tmp_path / f"p{suffix}", counting(8), codec, 10)
    report = check(listed(tmp_path, f"v{suffix}", f"p{suffix}"))
    assert report.sound == 2
    assert [note.file for note in report.notes] == [f"v{suffix}"]
    assert "interlaced" in report.notes[0].text
    assert check(tmp_path) == report  # out of the index


def test_notes_of_a_tar(make_video, tmp_path: Path):
    import tarfile

    pytest.importorskip("webdataset")
    make_video(tmp_path / "v.mp4", counting(8), "libx264", 10, options={"x264-params": "tff=1"})
    (tmp_path / "v.txt").write_text("a cat")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name in ("v.mp4", "v.txt"):
            tar.add(tmp_path / name, name)
    for _ in range(2):  # read, then remembered
        report = Shards(str(tmp_path / "x.tar")).report
        assert [(note.file, "interlaced" in note.text) for note in report.notes] == [
            ("x.tar:v.mp4", True)
        ]


def test_every_kind_of_video_is_named_where_it_is_not_listed(tmp_path: Path):
    kinds = ["mp4", "ts", "wmv", "mpg", "mpeg", "flv", "3gp", "m2ts", "vob", "ogv", "MTS"]
    for kind in kinds:
        (tmp_path / f"v.{kind}").write_bytes(b"film")
    (tmp_path / "v.txt").write_bytes(b"no film")
    problems = check(listed(tmp_path)).problems
    assert [(p.file, p.kind) for p in problems] == [
        (f"v.{kind}", "uncaptioned") for kind in sorted(kinds)
    ]


@pytest.mark.parametrize(
    ("codec", "suffix"), [("wmv2", ".wmv"), ("mpeg2video", ".m2ts"), ("h263", ".3gp")]
)
def test_they_are_read_like_the_others(make_video, tmp_path: Path, codec: str, suffix: str):
    frames = counting(8, 144, 176)  # a size that H.263 has
    path = make_video(tmp_path / f"v{suffix}", frames, codec, 25)
    assert examine(path).probe == probe(path)
    assert numbers(read_clip(path).frames) == list(range(8))


@pytest.mark.parametrize(("real", "named"), [(".webm", ".mp4"), (".mp4", ".mkv"), (".avi", ".mov")])
def test_a_file_with_another_kinds_name_is_whole(make_video, tmp_path: Path, real, named):
    codec = {".webm": "libvpx", ".avi": "mpeg4"}.get(real, "libx264")
    path = make_video(tmp_path / f"v{real}", noisy(12), codec, 10)
    data = path.read_bytes()
    (tmp_path / f"x{named}").write_bytes(data)
    assert examine(tmp_path / f"x{named}").probe.duration == pytest.approx(1.2)
    (tmp_path / f"x{named}").write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(UsageError, match=r"cut off|cannot be read"):
        examine(tmp_path / f"x{named}")


def test_an_interrupted_look_keeps_what_it_found_and_ends(make_video, tmp_path, monkeypatch):
    """The last film has no end, as long as somebody waits for it."""
    for name in "abc":
        make_video(tmp_path / f"{name}.mp4", counting(8), "libx264", 10)
    listed(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    opened = []

    def endless(path: Path, fps: float | None, stopped: Callable[[], bool]) -> Examined:
        opened.append(path.name)
        while path.name == "c.mp4" and not stopped():
            time.sleep(0.01)
        return examine(path, fps)

    def interrupt(done: int, total: int, what: str) -> None:
        assert (total, what) == (3, "files")
        if done == 2:
            raise KeyboardInterrupt

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(checks, "examine", endless)
    with pytest.raises(KeyboardInterrupt):
        check(tmp_path, interrupt)
    assert sorted(opened) == ["a.mp4", "b.mp4", "c.mp4"]
    opened.clear()
    monkeypatch.setattr(
        checks, "examine", lambda path, *given: opened.append(path.name) or examine(path)
    )
    assert check(tmp_path).sound == 3
    assert sorted(opened) == ["b.mp4", "c.mp4"]


def test_a_film_that_nobody_waits_for_is_left(make_video, tmp_path: Path):
    path = make_video(tmp_path / "v.mp4", counting(8), "libx264", 10)
    with pytest.raises(UsageError, match="not been read to its end"):
        examine(path, None, lambda: True)
