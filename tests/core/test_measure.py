"""A clip lasts as long as its pictures are shown, whatever lies before, beside and after them."""

from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from av.stream import Disposition
from av.video.stream import VideoStream
from PIL import Image

from dln.core.data.checks import judged, look
from dln.core.data.report import Problem
from dln.core.errors import UsageError
from dln.core.media.decode import examine, probe, read_frames
from dln.core.media.video import read_clip

from .test_clip import counting, numbers

FPS, COUNT = 10, 16  # frames that last 1.6 s
CODECS = {".webm": ("libvpx-vp9", "libopus"), ".avi": ("mpeg4", "ac3"), ".ts": ("libx264", "aac"),
          ".ogv": ("libtheora", "libvorbis")}  # fmt: skip
HELD = [".mp4", ".mov", ".mkv", ".webm", ".avi", ".ts"]
LATE = [suffix for suffix in HELD if suffix != ".avi"]  # which has no clock to begin late by


def film(
    path: Path,
    frames: np.ndarray,
    start: float = 0.0,
    sound: tuple[float, float] | None = None,
    cover: bool = False,
    ticks: int = 1,
) -> Path:
    """The frames at FPS from `start` seconds on, each for `ticks` of 1/FPS; sound from and to
    these seconds; a cover picture before them."""
    video, audio = CODECS.get(path.suffix, ("libx264", "aac"))
    with av.open(str(path), "w") as container:
        packets = _cover(container) if cover else []
        stream = cast(VideoStream, container.add_stream(video, rate=Fraction(FPS, ticks)))
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        stream.codec_context.time_base = Fraction(1, FPS)
        stream.bit_rate = 2_000_000
        voice = cast(AudioStream, container.add_stream(audio, rate=48_000)) if sound else None
        for place, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
            frame.time_base, frame.pts = Fraction(1, FPS), round(start * FPS) + place * ticks
            packets += stream.encode(frame)
        packets += stream.encode(None)
        if voice and sound:
            packets += _spoken(voice, *sound)
        for packet in sorted(packets, key=lambda each: float(each.dts * each.time_base)):
            container.mux(packet)
    return path


def _spoken(stream: AudioStream, begin: float, end: float) -> list:
    rate, size = 48_000, 960
    packets = []
    for place in range(round(begin * rate), round(end * rate), size):
        wave = np.sin((place + np.arange(size)) / 17).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(wave[None], format="flt", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, place, Fraction(1, rate)
        for each in av.AudioResampler(stream.codec_context.format or "fltp").resample(frame):
            packets += stream.encode(each)
    return packets + stream.encode(None)


def _cover(container) -> list:
    """The packets of a pink picture."""
    stream = cast(VideoStream, container.add_stream("mjpeg", rate=1))
    stream.height, stream.width, stream.pix_fmt = 80, 80, "yuvj420p"
    stream.disposition = Disposition.attached_pic
    pink = np.full((80, 80, 3), (255, 0, 255), np.uint8)
    frame = av.VideoFrame.from_ndarray(pink, format="rgb24").reformat(format="yuvj420p")
    frame.pts, frame.time_base = 0, Fraction(1)
    return stream.encode(frame) + stream.encode(None)


def check(path: Path, count: int = COUNT) -> None:
    """Every reader takes the file for `count` frames at FPS that begin at 0 s."""
    assert probe(path) == examine(path).probe
    assert probe(path).duration == pytest.approx(count / FPS, abs=0.006)
    assert probe(path).fps == pytest.approx(FPS, rel=0.01)
    wanted = [0, count // 2, count - 1]
    times = [(place + 0.4) / FPS for place in wanted]
    assert numbers(read_frames(path, times, (16, 16))) == wanted
    assert numbers(read_clip(path).frames) == list(range(count))


@pytest.mark.parametrize("suffix", HELD)
def test_longer_sound_does_not_count(tmp_path: Path, suffix: str):
    check(film(tmp_path / f"v{suffix}", counting(COUNT), sound=(0, 7)))


@pytest.mark.parametrize("suffix", LATE)
def test_pictures_that_begin_after_the_sound(tmp_path: Path, suffix: str):
    check(film(tmp_path / f"v{suffix}", counting(COUNT), start=2.5, sound=(0, 3)))


@pytest.mark.parametrize("suffix", LATE)
@pytest.mark.parametrize("start", [3600, 0.3])
def test_a_clock_that_begins_anywhere(tmp_path: Path, suffix: str, start: float):
    check(film(tmp_path / f"v{suffix}", counting(COUNT), start=start, sound=(start, start + 1)))


@pytest.mark.parametrize("suffix", LATE)
def test_a_clock_that_begins_before_zero(tmp_path: Path, suffix: str):
    """Of mp4 and mov players show what is not before zero; the others are written from zero on."""
    path = film(tmp_path / f"v{suffix}", counting(COUNT), start=-0.2, sound=(-0.2, 1))
    shown = list(range(2 if suffix in (".mp4", ".mov") else 0, COUNT))
    assert probe(path) == examine(path).probe
    assert probe(path).duration == pytest.approx(len(shown) / FPS, abs=0.006)
    assert numbers(read_clip(path).frames) == shown


def test_what_an_edit_list_cuts_away_is_not_shown(tmp_path: Path):
    """The list of one entry: how long, from which tick of the media on."""
    path = film(tmp_path / "v.mp4", counting(COUNT))
    data = bytearray(path.read_bytes())
    place = data.index(b"elst") + 12
    begin = int.from_bytes(data[place + 4 : place + 8], "big")
    data[place : place + 4] = (1000).to_bytes(4, "big")  # 1 s of the film's clock
    data[place + 4 : place + 8] = (begin + 3 * 10240 // FPS).to_bytes(4, "big")
    path.write_bytes(data)
    assert probe(path) == examine(path).probe
    found = numbers(read_clip(path).frames)
    assert found == list(range(3, 13))
    assert probe(path).duration == pytest.approx(len(found) / FPS, abs=0.006)
    assert numbers(read_frames(path, [0.04, 0.54], (16, 16))) == [3, 8]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".avi"])
def test_one_frame_with_music_is_too_short(tmp_path: Path, suffix: str):
    path = film(tmp_path / f"v{suffix}", counting(1), sound=(0, 5))
    found = judged("v", look(path))
    assert isinstance(found, Problem)
    assert (found.kind, found.reason) == ("too short", "it has 1 frame, 5 are needed")


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_one_frame_that_is_long_shown_is_too_short(tmp_path: Path, suffix: str):
    path = film(tmp_path / f"v{suffix}", counting(1), ticks=60, sound=(0, 6))
    found = judged("v", look(path))
    assert isinstance(found, Problem)
    assert "it has 1 frame," in found.reason


def test_a_cover_is_no_video(tmp_path: Path):
    song = tmp_path / "song.mp4"
    with av.open(str(song), "w") as container:
        voice = cast(AudioStream, container.add_stream("aac", rate=48_000))
        for packet in [*_cover(container), *_spoken(voice, 0, 3)]:
            container.mux(packet)
    for reader in (probe, examine, read_clip):
        with pytest.raises(UsageError, match="no video in it, only a cover picture"):
            reader(song)


def test_the_film_beside_a_cover_is_read(tmp_path: Path):
    check(film(tmp_path / "v.mp4", counting(COUNT), sound=(0, 3), cover=True))


def test_gifs_as_they_are_shown(tmp_path: Path):
    """Each picture for its own time; what is transparent shows the one below it."""
    path = tmp_path / "v.gif"
    frames = [Image.fromarray(frame) for frame in counting(6, 32, 32)]
    lengths = [100, 200, 100, 300, 100, 500]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=lengths, loop=0)
    assert probe(path).duration == pytest.approx(1.3)
    times = np.cumsum([0, *lengths[:-1]]) / 1000 + 0.05
    assert numbers(read_frames(path, times, (16, 16))) == list(range(6))
