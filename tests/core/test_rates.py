"""Frame rates at both ends: what is written has its frames, and what cannot be told is refused."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dln.core.errors import UsageError
from dln.core.media.clip import Clip
from dln.core.media.rates import LEAST_FPS, MOST_FPS, check_rate, fraction_of
from dln.core.media.video import read_clip, write_clip

RATES = (LEAST_FPS, 0.0123456, 0.4, 1, 23.976, 24000 / 1001, 29.97, 50)
FAST = (59.94, 119.88, 617.123, 999.99, MOST_FPS)


def clip(count: int, fps: float) -> Clip:
    """Frames that differ, so that none can be merged with the one before."""
    levels = (np.arange(count) * 37 % 251).astype(np.uint8)
    return Clip(np.broadcast_to(levels[:, None, None, None], (count, 16, 16, 3)).copy(), fps)


def moments(path: Path) -> list[float]:
    """When each frame of a video is shown, by FFmpeg's own clock."""
    with av.open(str(path)) as container:
        return [float(frame.time or 0) for frame in container.decode(video=0)]


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@pytest.mark.parametrize("fps", RATES + FAST)
def test_a_video_has_every_frame_at_its_moment(tmp_path, suffix, fps):
    count = 40
    shown = moments(write_clip(clip(count, fps), tmp_path / f"a{suffix}", scale=1))
    assert len(shown) == count
    assert shown == sorted(set(shown))
    assert shown[-1] - shown[0] == pytest.approx((count - 1) / fps, rel=1e-4, abs=1e-3)


@pytest.mark.parametrize("fps", RATES)
def test_a_gif_has_every_frame_at_its_moment(tmp_path, fps):
    count = 40
    path = write_clip(clip(count, fps), tmp_path / "a.gif", scale=1)
    with Image.open(path) as picture:
        assert getattr(picture, "n_frames", 1) == count
        lasted = 0
        for number in range(count):
            picture.seek(number)
            lasted += picture.info["duration"]
    assert lasted / 1000 == pytest.approx(count / fps, abs=0.006)


@pytest.mark.parametrize("fps", RATES + FAST)
def test_a_sheet_keeps_the_rate(tmp_path, fps):
    read = read_clip(write_clip(clip(7, fps), tmp_path / "a.png", scale=1))
    assert (len(read.frames), read.fps) == (7, fps)


@pytest.mark.parametrize(
    ("suffix", "fps"),
    [(".gif", 50.01), (".gif", 60), (".webm", 1000.1), (".mp4", 1e9), (".png", 1e9),
     (".webm", 0.0099), (".gif", 1e-9), (".mp4", float("inf"))],
)  # fmt: skip
def test_another_rate_is_refused_before_anything_is_made(tmp_path, suffix, fps):
    with pytest.raises(UsageError, match="frames a second"):
        write_clip(clip(3, fps), tmp_path / f"a{suffix}")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match=f"a {suffix[1:]} has from"):
        check_rate(fps, suffix.upper())


def test_no_number_is_no_rate():
    with pytest.raises(UsageError):
        check_rate(float("nan"), ".mp4")


@given(st.floats(LEAST_FPS, MOST_FPS))
def test_a_rate_as_a_fraction_is_near(fps):
    assert float(fraction_of(fps)) == pytest.approx(fps, rel=1.1e-4)


def test_rates_of_television_are_exact():
    for whole in (24, 30, 60, 120):
        assert fraction_of(whole * 1000 / 1001) == Fraction(whole * 1000, 1001)
