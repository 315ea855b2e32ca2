"""Several clips as one mosaic: the very frames of each, made side by side."""

import numpy as np
import pytest

from dln.core.errors import UsageError
from dln.core.generation.generate import generate
from dln.core.generation.grid import stream_grid
from dln.core.generation.verify import verify
from dln.core.media.mosaic import mosaic
from dln.core.media.receipt import receipt_of
from dln.core.media.stream import Stream
from dln.core.media.video import write_stream
from dln.core.models.package import load_model
from dln.core.models.request import Request


def flat(colour: int, *blocks: int) -> Stream:
    """Frames of 2 x 4 pixels of one level, in blocks of so many."""
    made = [np.full((count, 2, 4, 3), colour, np.uint8) for count in blocks]
    return Stream(made, 8.0, (2, 4), sum(blocks))


def test_row_after_row_and_what_is_left_is_black():
    """Whatever blocks each comes in."""
    whole = mosaic([flat(1, 2, 1), flat(2, 3), flat(3, 1, 2)])
    assert (whole.size, whole.fps, whole.frames) == ((4, 8), 8.0, 3)
    frames = whole.clip().frames
    assert len(frames) == 3
    wanted = np.block([[np.full((2, 4), level) for level in row] for row in ((1, 2), (3, 0))])
    assert np.array_equal(frames, np.broadcast_to(wanted[None, :, :, None], frames.shape))


@pytest.mark.parametrize(("count", "size"), [(1, (2, 4)), (2, (2, 8)), (5, (4, 12)), (9, (6, 12))])
def test_a_square_as_full_as_can_be(count, size):
    assert mosaic([flat(1, 1) for _ in range(count)]).size == size


def test_clips_that_differ_make_none():
    for streams in ([flat(1, 2), flat(1, 3)], []):
        with pytest.raises(ValueError, match="of one size"):
            mosaic(streams)


def test_each_place_is_the_clip_of_its_seed(toy_weights, tmp_path):
    loaded = load_model(toy_weights("toy-stream"))
    told: list[tuple[int, int, str]] = []
    request = Request(seed=5, frames=100, size=(8, 8))
    made = stream_grid(loaded, request, 3, on_progress=lambda *now: told.append(now))
    path = write_stream(made.stream, tmp_path / "grid.png", made.receipt, scale=1)
    assert told[-1] == (300, 300, "frames")
    assert made.seconds["sample"] > 0
    grid = stream_grid(loaded, request, 3).stream.clip().frames
    for number, place in enumerate((grid[:, :8, :8], grid[:, :8, 8:], grid[:, 8:, :8])):
        own = generate(loaded, Request(seed=5 + number, frames=100, size=(8, 8))).clip.frames
        assert np.array_equal(place, own)
    receipt = receipt_of(path)
    assert (receipt.seed, receipt.grid) == (5, 3)
    assert verify(path, model=str(toy_weights("toy-stream"))).equal


def test_frames_are_made_as_they_are_taken(toy_weights):
    loaded = load_model(toy_weights("toy-stream"))
    told: list[int] = []
    request = Request(seed=5, frames=1_000_000, size=(4, 4))
    made = stream_grid(loaded, request, 2, on_progress=lambda done, *_: told.append(done))
    next(iter(made.stream))
    assert told == [64, 128]


@pytest.mark.parametrize("count", [1, 145])
def test_too_few_and_too_many(count, toy_weights):
    with pytest.raises(UsageError, match="from 2 to 144 clips"):
        stream_grid(load_model(toy_weights("toy-stream")), Request(), count)
