"""Sound beside pictures: in step with them, as long as they are, whatever it was read from."""

import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from dln.core.errors import UsageError
from dln.core.media import sound
from dln.core.media.sound import RATE, check_sound, heard
from dln.core.media.stream import Stream
from dln.core.media.video import frames_of, write_stream

FPS, CUT = 8, 16  # the pictures turn from black to white at frame 16, which is 2 s
TONE_HZ = 1000
CODECS = {"mp3": "libmp3lame", "flac": "flac", "m4a": "aac", "ogg": "libopus", "mkv": "pcm_s16le"}


def tone(onset: float, seconds: float, rate: int = 44_100) -> np.ndarray:
    """Silence, then a tone: one channel, -1 to 1."""
    time = np.arange(round(seconds * rate)) / rate
    return np.where(time >= onset, 0.5 * np.sin(2 * np.pi * TONE_HZ * time), 0)


def as_wav(path: Path, samples: np.ndarray, rate: int = 44_100) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((32_767 * samples).astype("<i2").tobytes())
    return path


def recoded(path: Path, source: Path, codec: str) -> Path:
    with av.open(str(source)) as given, av.open(str(path), "w") as made:
        track: Any = made.add_stream(codec, rate=RATE)
        track.layout = "stereo"
        resampler = av.AudioResampler(track.format.name, "stereo", RATE)
        for frame in [*given.decode(audio=0), None]:
            for part in resampler.resample(frame):
                made.mux(track.encode(part))
        made.mux(track.encode(None))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """With a tone of 5 s that begins after 2 s, in several formats."""
    folder = tmp_path_factory.mktemp("sound")
    source = as_wav(folder / "tone.wav", tone(2.0, 5.0))
    for suffix, codec in CODECS.items():
        recoded(folder / f"tone.{suffix}", source, codec)
    return folder


def turning(count: int) -> Stream:
    """Black frames, white ones from the cut on, a few at a time."""

    def blocks() -> Iterator[np.ndarray]:
        for first in range(0, count, 5):
            numbers = np.arange(first, min(first + 5, count))
            shade = np.where(numbers >= CUT, 255, 0).astype(np.uint8)
            yield np.broadcast_to(shade[:, None, None, None], (len(numbers), 32, 32, 3)).copy()

    return Stream(blocks(), FPS, (32, 32), count)


def decoded(path: Path) -> tuple[np.ndarray, float]:
    """The first channel as a player hears it, from time zero on, and its rate."""
    with av.open(str(path)) as container:
        rate, found = container.streams.audio[0].rate, np.zeros(0)
        for frame in container.decode(audio=0):
            assert frame.time is not None
            begin, samples = round(frame.time * rate), frame.to_ndarray()
            samples = samples[0] if frame.format.is_planar else samples.reshape(-1, 2)[:, 0]
            room = np.zeros(max(0, begin + len(samples) - len(found)))
            found = np.concatenate([found, room])
            found[begin : begin + len(samples)] = samples
        return found, rate


def onset(path: Path) -> float:
    """Seconds."""
    samples, rate = decoded(path)
    return float(np.flatnonzero(np.abs(samples) > 0.1)[0] / rate)


def cut(path: Path) -> float:
    """The second at which a player turns white."""
    with av.open(str(path)) as container:
        return next(frame.time for frame in container.decode(video=0)
                    if frame.to_ndarray(format="gray").mean() > 128)  # fmt: skip


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@pytest.mark.parametrize("source", ["wav", *CODECS])
def test_a_tone_begins_with_the_picture_that_it_belongs_to(folder, tmp_path, source, suffix):
    path = tmp_path / f"film{suffix}"
    write_stream(turning(40), path, {"schema": "dln-x"}, 1, sound=folder / f"tone.{source}")
    assert cut(path) == CUT / FPS
    assert onset(path) == pytest.approx(cut(path), abs=0.005)  # 0.040 is what is asked for


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@pytest.mark.parametrize("frames", [24, 80])
def test_sound_is_cut_or_silent_where_the_pictures_end(folder, tmp_path, frames, suffix):
    path = tmp_path / f"film{suffix}"
    write_stream(turning(frames), path, scale=1, sound=folder / "tone.wav")
    samples, rate = decoded(path)
    assert len(samples) / rate == pytest.approx(frames / FPS, abs=0.03)  # a packet of AAC
    loud = np.flatnonzero(np.abs(samples) > 0.1) / rate
    assert loud[-1] == pytest.approx(min(5.0, frames / FPS), abs=0.01)


def test_pictures_are_the_same_with_sound_and_files_the_same_twice(folder, tmp_path):
    paths = [tmp_path / f"{name}.mp4" for name in ("silent", "one", "two")]
    for path, given in zip(paths, (None, *2 * [folder / "tone.mp3"]), strict=True):
        write_stream(turning(24), path, scale=1, sound=given)
    silent, one, _ = (np.stack(list(frames_of(path))) for path in paths)
    np.testing.assert_array_equal(silent, one)
    assert paths[1].read_bytes() == paths[2].read_bytes()
    with av.open(str(paths[0])) as container:
        assert not container.streams.audio


def test_samples_are_those_of_the_file(tmp_path):
    """At the rate that is asked for nothing is changed but the type, and a mean of two channels is
    one on both."""
    samples = tone(0, 0.5, RATE)
    path = as_wav(tmp_path / "tone.wav", samples, RATE)
    found = np.concatenate(list(heard(path, RATE)), axis=1)
    assert found.shape == (2, RATE)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_allclose(np.abs(found[0, : len(samples)]).max() / 0.5, 1, atol=0.3)
    scale = found[0, 12] / samples[12]
    np.testing.assert_allclose(found[0, : len(samples)], scale * samples, atol=1e-4)
    assert not found[:, len(samples) :].any()


@pytest.mark.parametrize("count", [0, 1, 999, RATE])
def test_exactly_as_many_as_asked_for_a_little_at_a_time(folder, count):
    sizes = [block.shape[1] for block in heard(folder / "tone.flac", count)]
    assert sum(sizes) == count
    assert max(sizes, default=0) <= max(sound.AT_ONCE, 8192)


def test_a_gap_in_the_sound_is_silent(tmp_path):
    """A recording that begins late and lacks a second: what comes after it is where it was."""
    path, rate = tmp_path / "gap.mkv", RATE
    with av.open(str(path), "w") as made:
        track: Any = made.add_stream("pcm_s16le", rate=rate)
        track.layout = "mono"
        for begin in (0, 2 * rate):
            pulse = np.full((1, rate // 10), 8000, np.int16)
            frame: Any = av.AudioFrame.from_ndarray(pulse, "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, begin, Fraction(1, rate)
            made.mux(track.encode(frame))
        made.mux(track.encode(None))
    found = np.concatenate(list(heard(path, 3 * rate)), axis=1)[0]
    loud = np.flatnonzero(np.abs(found) > 0.05)
    later = loud[loud > rate]
    assert (loud[0] / rate, later[0] / rate) == pytest.approx((0, 2.0), abs=0.005)
    assert len(loud) == pytest.approx(2 * rate // 10, abs=100)


def test_what_has_no_sound(tmp_path):
    (tmp_path / "song.mp3").write_bytes(b"no sound at all")
    (tmp_path / "empty.wav").touch()
    write_stream(turning(3), tmp_path / "silent.mp4", scale=1)
    for name, words in (("song.mp3", "cannot be read"), ("silent.mp4", "has no sound in it"),
                        ("empty.wav", "no file"), ("none.wav", "no file")):  # fmt: skip
        with pytest.raises(UsageError, match=words) as caught:
            check_sound(tmp_path / name)
        assert name in caught.value.message
    as_wav(tmp_path / "nothing.wav", np.zeros(0))
    with pytest.raises(UsageError, match="no sound that can be decoded"):
        check_sound(tmp_path / "nothing.wav")


def test_a_cut_off_song_is_heard_as_far_as_it_goes(folder, tmp_path):
    whole = (folder / "tone.flac").read_bytes()
    (tmp_path / "half.flac").write_bytes(whole[: len(whole) * 3 // 4])
    path = tmp_path / "film.mp4"
    write_stream(turning(40), path, scale=1, sound=tmp_path / "half.flac")
    assert onset(path) == pytest.approx(2.0, abs=0.005)
    samples, rate = decoded(path)
    assert len(samples) / rate == pytest.approx(5.0, abs=0.03)


@pytest.mark.parametrize("suffix", [".gif", ".png"])
def test_pictures_without_sound(folder, tmp_path, suffix):
    with pytest.raises(UsageError, match="has no sound"):
        write_stream(turning(3), tmp_path / f"film{suffix}", sound=folder / "tone.wav")
    assert list(tmp_path.iterdir()) == []
