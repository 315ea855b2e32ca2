"""Clips survive their files, frames are the ones asked for, failures are one sentence."""

import contextlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dln.core.errors import DlnError, UsageError
from dln.core.media.clip import Clip
from dln.core.media.decode import probe, read_frames
from dln.core.media.encode import _delays
from dln.core.media.receipt import read_receipt
from dln.core.media.sheet import contact_sheet
from dln.core.media.video import compare, frames_of, read_clip, write_clip

SUFFIXES = (".mp4", ".webm", ".gif", ".png")
LEVELS = 12  # brightness steps between neighbouring frames: far above what encoders change


def moving_square(count: int = 9, height: int = 48, width: int = 64, fps: float = 8) -> Clip:
    """A red square that crosses a blue ramp."""
    frames = np.zeros((count, height, width, 3), np.uint8)
    frames[..., 2] = np.linspace(60, 220, width).astype(np.uint8)
    for index in range(count):
        frames[index, 12:28, 3 * index : 3 * index + 16] = (220, 40, 30)
    return Clip(frames, fps)


def counting(count: int, height: int = 64, width: int = 64) -> np.ndarray:
    """Frames whose brightness is their number: 20, 32, 44, ..."""
    levels = (20 + LEVELS * np.arange(count)).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, height, width, 3)).copy()


def numbers(frames: np.ndarray) -> list[int]:
    """The frame numbers in the brightness of `counting` frames."""
    return np.round((frames.mean(axis=(1, 2, 3)) - 20) / LEVELS).astype(int).tolist()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("fps", [8, 29.97])
def test_every_format_keeps_frames_rate_and_colours(tmp_path: Path, suffix: str, fps: float):
    clip = moving_square(fps=fps)
    found = read_clip(write_clip(clip, tmp_path / f"clip{suffix}", scale=1))
    assert found.frames.shape == clip.frames.shape
    assert found.fps == pytest.approx(fps, rel=0.02 if suffix == ".gif" else 1e-3)
    assert np.abs(found.frames.astype(int) - clip.frames).mean() < 4


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_clip_gives_the_same_bytes(tmp_path: Path, suffix: str):
    # 96 pixels wide: the size at which x264's macroblock tree reads memory it did not write
    clip = moving_square(height=96, width=96)
    first = write_clip(clip, tmp_path / f"one{suffix}", {"schema": "dln-x"}, scale=1).read_bytes()
    for seed in range(6):
        stale = [np.random.default_rng(seed).random(n) for n in range(500, 50_000, 700)]
        del stale
        again = write_clip(clip, tmp_path / f"{seed}{suffix}", {"schema": "dln-x"}, scale=1)
        assert again.read_bytes() == first


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_equals_its_clip_made_again_and_no_other(tmp_path: Path, suffix: str):
    clip, other = moving_square(), moving_square()
    other.frames[4, 30:40] = (250, 250, 250)
    paths = [write_clip(each, tmp_path / f"{number}{suffix}")
             for number, each in enumerate((clip, clip, other))]  # fmt: skip
    assert np.array_equal(np.stack(list(frames_of(paths[0]))), read_clip(paths[0]).frames)
    assert compare(frames_of(paths[0]), frames_of(paths[1])) is None
    difference = compare(frames_of(paths[0]), frames_of(paths[2]))
    assert difference is not None
    assert difference[1] > 20


def test_compare_names_the_first_differing_frame_and_the_largest_difference():
    ours = np.zeros((4, 2, 2, 3), np.uint8)
    theirs = ours.copy()
    theirs[2], theirs[3] = 3, 200
    assert compare(ours, ours) is None
    assert compare(ours, theirs) == (2, 200)
    assert compare(ours, ours[:3]) == (3, 255)
    with pytest.raises(UsageError, match="2x2 and 1x2"):
        compare(ours, ours[:, :, :1])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_still_frames_are_not_lost(tmp_path: Path, suffix: str):
    frames = np.repeat(counting(3), 4, axis=0)
    found = read_clip(write_clip(Clip(frames, 12), tmp_path / f"clip{suffix}", scale=1))
    assert numbers(found.frames) == [0] * 4 + [1] * 4 + [2] * 4


def test_the_default_size_is_watchable_and_even(tmp_path: Path):
    clip = Clip(counting(2, 50, 51), 8)
    assert probe(write_clip(clip, tmp_path / "a.mp4"))[1:3] == (408, 400)
    assert probe(write_clip(clip, tmp_path / "b.mp4", scale=1))[1:3] == (52, 50)
    assert probe(write_clip(clip, tmp_path / "c.gif", scale=3))[1:3] == (153, 150)


def test_an_mp4_has_its_index_first_and_is_readable_everywhere(tmp_path: Path):
    path = write_clip(moving_square(), tmp_path / "clip.mp4")
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert probe(path).duration == pytest.approx(9 / 8)


def test_a_gif_opens_in_pillow_and_loops(tmp_path: Path):
    path = write_clip(moving_square(), tmp_path / "clip.gif", scale=1)
    with Image.open(path) as picture:
        assert getattr(picture, "n_frames", 1) == 9
        assert picture.info["loop"] == 0


@given(st.integers(1, 200), st.floats(1, 45))
def test_gif_delays_do_not_drift(count: int, fps: float):
    delays = _delays(count, fps)
    assert min(delays) >= 2
    assert abs(sum(delays) - 100 * count / fps) <= 1


WRITERS = [
    ("mjpeg", ".mov", "yuvj420p", {}),
    ("mpeg4", ".avi", "yuv420p", {"bf": "2"}),
    ("libx264", ".mkv", "yuv444p", {"g": "5"}),
    ("libx264", ".mp4", "yuv420p", {"g": "12", "bf": "3"}),
    ("libvpx", ".webm", "yuv420p", {}),
]


@pytest.mark.parametrize(("codec", "suffix", "pix_fmt", "options"), WRITERS)
@pytest.mark.parametrize("fps", [10, 30, 23.976])
def test_frames_are_exact_at_any_time(make_video, tmp_path, codec, suffix, pix_fmt, options, fps):
    frames = counting(18)
    path = make_video(tmp_path / f"v{suffix}", frames, codec, fps, pix_fmt, options=options)
    wanted = [7, 0, 17, 3, 3, 11]
    on_time = [index / fps for index in wanted]
    assert numbers(read_frames(path, on_time, (16, 16))) == wanted
    between = [(index + 0.6) / fps for index in wanted]
    assert numbers(read_frames(path, between, (16, 16))) == wanted
    assert numbers(read_frames(path, [100.0], (16, 16))) == [17]


def test_frames_are_exact_with_an_uneven_rate(make_video, tmp_path: Path):
    starts = [0, 0.04, 0.4, 0.44, 0.9, 1.7, 1.75, 2.0]
    path = make_video(tmp_path / "v.mkv", counting(8), "libx264", 25, starts=starts)
    times = [0.0, 0.039, 0.04, 0.39, 0.42, 0.89, 1.69, 1.71, 1.76, 9.0]
    assert numbers(read_frames(path, times, (16, 16))) == [0, 0, 1, 1, 2, 3, 4, 5, 6, 7]
    clip = read_clip(path)
    at = np.arange(len(clip.frames)) / clip.fps
    assert numbers(clip.frames) == [int(np.searchsorted(starts, t + 0.005) - 1) for t in at]


def test_frames_late_in_a_file_are_sought(make_video, tmp_path: Path):
    frames = counting(18).repeat(10, axis=0)
    path = make_video(tmp_path / "v.mp4", frames, "libx264", 20, options={"g": "25", "bf": "2"})
    for time in (2.01, 3.1, 4.99, 6.6, 8.99):
        assert numbers(read_frames(path, [time, time + 0.4], (16, 16))) == [
            min(17, int(t * 2)) for t in (time, time + 0.4)
        ]


@settings(max_examples=20, deadline=None)
@given(times=st.lists(st.floats(0, 2), min_size=1, max_size=6))
def test_any_times_in_a_gif(tmp_path_factory, times: list[float]):
    path = tmp_path_factory.getbasetemp() / "hypothesis.gif"
    if not path.exists():
        write_clip(Clip(counting(16), 10), path, scale=1)
    near = [min(15, int(t * 10 + 0.05)) for t in times]
    assert numbers(read_frames(path, times, (16, 16))) == near


def test_the_centre_is_cropped_and_shrunk_by_area(make_video, tmp_path: Path):
    frames = np.zeros((6, 64, 128, 3), np.uint8)
    frames[:, :, 32:96] = np.where(np.indices((64, 64)).sum(0) % 2, 255, 0)[None, :, :, None]
    frames[:, :, :32], frames[:, :, 96:] = (255, 0, 0), (255, 0, 0)
    path = make_video(tmp_path / "v.mkv", frames, "libx264", 8, "yuv444p", options={"qp": "1"})
    shrunk = read_frames(path, [0.0], (16, 16))
    assert shrunk.shape == (1, 16, 16, 3)
    assert np.abs(shrunk.astype(int) - 127).max() < 12


def test_a_folder_of_images_is_a_video(tmp_path: Path):
    for index, frame in enumerate(counting(6, 40, 60)):
        Image.fromarray(frame).save(tmp_path / f"{index:03}.png")
    assert probe(tmp_path) == (6 / 8, 60, 40, 8)
    assert numbers(read_frames(tmp_path, [0, 0.25, 5], (16, 16))) == [0, 2, 5]
    assert numbers(read_frames(tmp_path, [0, 0.25], (16, 16), fps=16)) == [0, 4]
    assert read_clip(tmp_path, fps=16).fps == 16


def test_a_video_held_upright_is_turned(make_video, tmp_path: Path):
    """The matrix (0 1; -1 0) of a phone held upright turns the picture clockwise."""
    frames = np.zeros((5, 48, 64, 3), np.uint8)
    frames[:, :24] = (250, 250, 250)
    path = make_video(tmp_path / "v.mp4", frames, "libx264", 8)
    data, one = path.read_bytes(), 0x10000
    still = b"".join(n.to_bytes(4, "big", signed=True) for n in (one, 0, 0, 0, one, 0, 0, 0))
    turned = b"".join(
        n.to_bytes(4, "big", signed=True) for n in (0, one, 0, -one, 0, 0, 48 * one, 0)
    )
    place = data.index(still, data.index(b"tkhd"))
    path.write_bytes(data[:place] + turned + data[place + len(still) :])
    pixels = read_clip(path).frames[0].mean(-1)
    assert pixels.shape == (64, 48)
    assert pixels[:, 30:].mean() > 200
    assert pixels[:, :18].mean() < 50


def test_nothing_is_overwritten_unasked(tmp_path: Path):
    path = tmp_path / "clip.gif"
    path.write_bytes(b"precious")
    with pytest.raises(UsageError, match="exists already") as caught:
        write_clip(moving_square(), path)
    assert "--force" in str(caught.value.hint)
    assert path.read_bytes() == b"precious"
    write_clip(moving_square(), path, overwrite=True)
    assert read_clip(path).frames.shape[0] == 9
    assert os.listdir(tmp_path) == ["clip.gif"]


def test_places_that_cannot_be_written(tmp_path: Path):
    clip = moving_square()
    with pytest.raises(UsageError, match=r"\.avi") as caught:
        write_clip(clip, tmp_path / "clip.avi")
    assert caught.value.hint == "Use one of .mp4, .webm, .gif, .png."
    with pytest.raises(UsageError, match="does not exist"):
        write_clip(clip, tmp_path / "no" / "clip.mp4")
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        write_clip(clip, tmp_path / "folder.mp4")
    with pytest.raises(UsageError, match="scale"):
        write_clip(clip, tmp_path / "clip.mp4", scale=0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_closed_folder_is_one_sentence(tmp_path: Path):
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="permission denied"):
        write_clip(moving_square(), tmp_path / "clip.mp4")


def _write_with_little_room(path: str) -> None:
    """Run in a process of its own: files may not grow beyond 1 KiB."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
    noise = np.random.default_rng(0).integers(0, 255, (4, 64, 64, 3), np.uint8)
    try:
        write_clip(Clip(noise, 8), path, scale=1)
    except DlnError as error:
        print(type(error).__name__, error.message)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_write_that_fails_leaves_nothing(tmp_path: Path, suffix: str):
    path = tmp_path / f"clip{suffix}"
    script = Path(__file__).resolve()
    found = subprocess.run(
        [sys.executable, script, str(path)], capture_output=True, text=True, check=True
    )
    assert found.stdout.startswith("DlnError")
    assert str(path) in found.stdout
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_damaged_files_are_named(tmp_path: Path, suffix: str):
    garbage = tmp_path / f"garbage{suffix}"
    garbage.write_bytes(np.random.default_rng(0).bytes(5000))
    path = write_clip(moving_square(), tmp_path / f"clip{suffix}")
    data = path.read_bytes()
    for length in (0, 7, len(data) // 3, len(data) * 2 // 3, len(data) - 1):
        cut = tmp_path / f"cut-{length}{suffix}"
        cut.write_bytes(data[:length])
        with pytest.raises(UsageError, match=cut.name):
            read_clip(cut)
    with pytest.raises(UsageError, match="garbage"):
        read_clip(garbage)
    with pytest.raises(UsageError, match="no file"):
        read_clip(tmp_path / f"none{suffix}")


@settings(max_examples=30, deadline=None)
@given(place=st.integers(0, 10_000), value=st.binary(min_size=1, max_size=40))
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_scribbled_files_never_crash(tmp_path_factory, suffix: str, place: int, value: bytes):
    whole = tmp_path_factory.getbasetemp() / f"whole{suffix}"
    if not whole.exists():
        write_clip(moving_square(), whole, scale=1)
    data = bytearray(whole.read_bytes())
    place %= len(data)
    data[place : place + len(value)] = value
    path = tmp_path_factory.getbasetemp() / f"scribbled{suffix}"
    path.write_bytes(data)
    readers = [read_clip, probe, read_receipt, lambda file: read_frames(file, [0.0, 0.7], (16, 16))]
    for reader in readers[::2] if suffix == ".png" else readers:
        with contextlib.suppress(UsageError):
            reader(path)


def test_contact_sheet_has_a_row_a_clip():
    short, long = Clip(counting(2, 16, 16), 8), Clip(counting(9, 16, 16), 8)
    sheet = contact_sheet([short, long], columns=3)
    assert sheet.shape == (16 * 2 + 2, 3 * 18 - 2, 3)
    assert [int(sheet[20, 18 * n + 8, 0]) for n in range(3)] == [
        20,
        20 + 4 * LEVELS,
        20 + 8 * LEVELS,
    ]
    assert [int(sheet[8, 18 * n + 8, 0]) for n in range(3)] == [20, 20 + LEVELS, 255]
    labelled = contact_sheet([short, long], labels=["lion drinking", "cat"], scale=2)
    assert labelled.shape[1] > contact_sheet([short, long], scale=2).shape[1]
    with pytest.raises(ValueError, match="1 labels"):
        contact_sheet([short, long], labels=["one"])


def test_a_clip_refuses_what_is_not_one():
    with pytest.raises(ValueError, match="float32"):
        Clip(np.zeros((2, 4, 4, 3), np.float32), 8)
    with pytest.raises(ValueError, match="fps"):
        Clip(np.zeros((2, 4, 4, 3), np.uint8), 0)


if __name__ == "__main__":
    _write_with_little_room(sys.argv[1])
