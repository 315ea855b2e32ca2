"""Clips that are written while they are made: in constant memory, the same frames as at once."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from dln.core.errors import UsageError
from dln.core.media.clip import Clip
from dln.core.media.stream import Stream
from dln.core.media.video import read_clip, write_clip, write_stream

RNG = np.random.default_rng(0)
FRAMES = RNG.integers(0, 256, (11, 10, 14, 3), dtype=np.uint8)

# Peak of resident memory in KiB after a clip of so many frames is made and written.
MEASURE = """
import sys
from pathlib import Path
from dln.core.generation.generate import stream
from dln.core.models.package import load_model
from dln.core.models.request import Request
from dln.core.media.video import write_stream
made = stream(load_model(sys.argv[1]), Request(seed=1, frames=int(sys.argv[2])), device="cpu")
write_stream(made.stream, sys.argv[3], made.receipt, scale=1)
lines = Path("/proc/self/status").read_text().splitlines()
print(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
"""


def in_parts(*sizes: int) -> Stream:
    edges = np.cumsum([0, *sizes])
    blocks = [FRAMES[a:b] for a, b in pairwise(edges)]
    return Stream(blocks, 8.0, (10, 14), len(FRAMES))


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif", ".png"])
def test_blocks_give_the_bytes_of_the_whole(tmp_path: Path, suffix: str):
    whole = write_clip(Clip(FRAMES, 8.0), tmp_path / f"whole{suffix}", {"seed": 1})
    parts = write_stream(in_parts(1, 7, 3), tmp_path / f"parts{suffix}", {"seed": 1})
    assert whole.read_bytes() == parts.read_bytes()
    assert len(read_clip(parts).frames) == 11


def test_a_stream_is_a_clip_taken_in_order():
    heard: list[int] = []
    stream = in_parts(4, 4, 3).heard(lambda block: heard.append(len(block)))
    assert np.array_equal(stream.clip().frames, FRAMES)
    assert heard == [4, 4, 3]
    assert Stream.of(Clip(FRAMES, 8.0)).clip().fps == 8.0


@pytest.mark.parametrize("block", [FRAMES[:2, :4], FRAMES[:2].astype(float), FRAMES[:0]])
def test_a_block_of_another_kind_is_a_mistake(block):
    with pytest.raises(ValueError, match="a block is"):
        list(Stream([block], 8.0, (10, 14), 2))


def test_what_stops_halfway_leaves_no_file(tmp_path: Path):
    def broken():
        yield FRAMES[:4]
        raise UsageError("no more")

    with pytest.raises(UsageError, match="no more"):
        write_stream(Stream(broken(), 8.0, (10, 14), 11), tmp_path / "clip.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["gif", "png"])
def test_formats_that_hold_all_frames_say_so(tmp_path: Path, suffix: str):
    """Before the first frame is made: 10,000 of 704 x 396 pixels are 7.8 GiB."""
    stream = Stream((pytest.fail("made") for _ in range(1)), 8.0, (36, 64), 10_000)
    with pytest.raises(UsageError, match=rf"a {suffix} takes all frames at once, and 10000 of "):
        write_stream(stream, tmp_path / f"clip.{suffix}", scale=11)
    assert list(tmp_path.iterdir()) == []


def test_sides_that_no_encoder_takes(tmp_path: Path):
    wide = np.zeros((1, 2, 2_000, 3), np.uint8)
    path = write_clip(Clip(wide, 8.0), tmp_path / "wide.gif")
    assert read_clip(path).frames.shape == (1, 16, 16_000, 3)
    with pytest.raises(UsageError, match="a side of 18000 pixels is more than 16384"):
        write_clip(Clip(wide, 8.0), tmp_path / "wide.mp4", scale=9)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["wide.gif"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_does_not_grow_with_the_frames(tmp_path: Path, toy_weights):
    peaks = []
    for frames in (1_000, 10_000):
        command = [sys.executable, "-c", MEASURE, str(toy_weights("toy-stream")), str(frames),
                   str(tmp_path / f"{frames}.mp4")]  # fmt: skip
        peaks.append(int(subprocess.run(command, check=True, capture_output=True).stdout))
    assert peaks[1] < 1.1 * peaks[0]
    import av

    with av.open(str(tmp_path / "10000.mp4")) as container:
        assert container.streams.video[0].frames == 10_000
