"""LongVideoGAN's clips: any stretch of a video alone, in constant memory, and clips made large."""

import sys
import weakref
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

sys.path.append(str(Path(__file__).parents[1]))
from micro import MICRO  # pyright: ignore[reportMissingImports]

from dln.core.errors import UsageError
from dln.core.files import sha256_file
from dln.core.generation.generate import inputs_of
from dln.core.media.clip import Clip
from dln.core.media.picture import fitted
from dln.core.media.steady import steady
from dln.core.media.video import read_clip, write_clip
from dln.core.models.engine import TorchEngine
from dln.core.models.long_video_gan.conditions import WINDOW
from dln.core.models.long_video_gan.config import CONTEXT, Config
from dln.core.models.long_video_gan.model import Model
from dln.core.models.long_video_gan.noise import white
from dln.core.models.long_video_gan.sample import EARLIEST, enlarged, sample, small_frames
from dln.core.models.long_video_gan.system import SYSTEM
from dln.core.models.long_video_gan.windows import SCALE, coded
from dln.core.models.request import Request
from dln.core.progress import unheard

CONFIG = Config(**MICRO["long-video-gan"], fps=20.0)
SIDES = CONFIG.low_height, CONFIG.low_width


class Spy(TorchEngine):
    """PyTorch; calls: what each graph was given."""

    def __init__(self, model: Model) -> None:
        super().__init__(model.graphs())
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def run(self, graph: str, **inputs: Any) -> dict[str, Tensor]:
        self.calls.append((graph, inputs))
        return super().run(graph, **inputs)

    def given(self, graph: str, name: str) -> list[Tensor]:
        return [inputs[name] for called, inputs in self.calls if called == graph]


def toy() -> Model:
    """With weights as training begins with, brighter, and the mean of its looks."""
    torch.manual_seed(0)
    model = Model(CONFIG).eval()
    mapping, low = model.super_generator.SG3.mapping, model.low_generator
    with torch.no_grad():
        low.to_rgb.weight.mul_(20)
        mapping.w_avg.copy_(mapping(torch.randn(500, CONFIG.latent)).mean(0))
    return model


MODEL = toy()


def frames_of(engine: Any = None, seed: int = 7, **asked: Any) -> np.ndarray:
    """uint8 (T, H, W, 3): the clip of what is asked."""
    request = Request.of("", seed, asked)
    return sample(engine or TorchEngine(MODEL.graphs()), MODEL, request, unheard).clip().frames


@pytest.fixture(scope="module")
def long() -> dict[bool, np.ndarray]:
    """A hundred frames, large and small."""
    return {large: frames_of(frames=100, upsample=large) for large in (True, False)}


@pytest.mark.parametrize("large", [True, False])
@pytest.mark.parametrize(("first", "count"), [(0, 1), (1, 5), (31, 2), (32, 33), (97, 3)])
def test_a_frame_is_the_same_to_the_bit_whatever_clip_asks_for_it(long, first, count, large):
    found = frames_of(frames=count, start=first / CONFIG.fps, upsample=large)
    assert np.array_equal(found, long[large][first : first + count])


def test_what_is_seen_changes(long):
    for frames in long.values():
        apart = np.abs(frames[[1, 40, 99]].astype(int) - frames[0])
        assert [int(each.max()) > 2 for each in apart] == [True] * 3
    assert not np.array_equal(frames_of(seed=8, frames=1), long[True][:1])


def test_small_frames_are_those_of_the_whole_generator():
    """Which is given all noise at once, as in training. The first is a window's first."""
    small = torch.cat(list(islice(small_frames(TorchEngine(MODEL.graphs()), CONFIG, 3, 0), 3)))
    length = coded(len(small)) + MODEL.low_generator.bank.reach
    noise = white(3, CONFIG.noise_channels, EARLIEST, length)
    with torch.no_grad():
        whole = MODEL.low_generator(torch.from_numpy(noise)[None])[0]
    torch.testing.assert_close(small, whole, atol=1e-6, rtol=0)


def test_large_frames_are_those_of_the_whole_generator():
    """Before the first one the video has small ones too."""
    engine = Spy(MODEL)
    frames = frames_of(engine, frames=6)
    small = torch.cat(list(islice(small_frames(engine, CONFIG, 7, -CONTEXT), 2)))
    z = np.random.default_rng(7).standard_normal((1, CONFIG.latent), dtype=np.float32)
    with torch.no_grad():
        whole = MODEL.super_generator(small[None, : 6 + 2 * CONTEXT], torch.from_numpy(z))[0]
    levels = ((whole + 1) / 2).clamp(0, 1).movedim(1, -1).numpy() * 255
    assert np.abs(frames - levels).max() <= 0.51
    assert len({float(w.sum()) for w in engine.given("super", "w")}) == 1


def test_a_large_frame_hangs_on_nine_small_ones():
    engine = Spy(MODEL)
    small = [torch.randn(1, 3, *SIDES) for _ in range(40)]
    w = torch.randn(1, CONFIG.latent)

    def made(changed: int) -> Tensor:
        given = [frame + (number == changed) for number, frame in enumerate(small)]
        return torch.cat(list(islice(enlarged(engine, iter(given), w), 30)))

    plain, moved = made(-1), made(20)
    assert (moved != plain).flatten(1).any(1).nonzero().flatten().tolist() == list(range(12, 21))
    assert {tensor.shape[1] for tensor in engine.given("super", "small")} == {WINDOW} == {9}


def test_minute_ten_costs_as_much_as_the_beginning():
    """And lies where the frames before it would lead."""
    early, late = Spy(MODEL), Spy(MODEL)
    frames_of(early, frames=2, start=0.2)
    found = frames_of(late, frames=2, start=600.2)
    assert [graph for graph, _ in early.calls] == [graph for graph, _ in late.calls]
    before = frames_of(frames=10, start=599.8)
    assert np.array_equal(found, before[8:])


def test_each_style_and_window_is_made_once_and_frames_as_they_are_taken():
    engine = Spy(MODEL)
    blocks = iter(sample(engine, MODEL, Request(seed=1, frames=1_000_000), unheard))
    taken = sum(len(next(blocks)) for _ in range(3 * SCALE))
    called = [graph for graph, _ in engine.calls]
    windows = called.count("low")
    assert windows <= (taken + 2 * CONTEXT) / SCALE + 2
    assert called.count("latent") == windows + (coded(SCALE) // SCALE - 1)
    assert (called.count("mapping"), called.count("super")) == (1, taken)


def test_of_what_is_computed_a_window_is_kept():
    """However long the clip is."""
    alive: list[weakref.ref] = []

    class Nothing(TorchEngine):
        """Computes nothing."""

        def run(self, graph: str, **inputs: Any) -> dict[str, Tensor]:
            shapes = {"latent": ("styles", (1, CONFIG.codes, SCALE)),
                      "low": ("small", (1, SCALE, 3, *SIDES)),
                      "super": ("pixels", (1, 1, 3, CONFIG.height, CONFIG.width)),
                      "mapping": ("w", (1, CONFIG.latent))}  # fmt: skip
            name, shape = shapes[graph]
            made = torch.zeros(shape)
            alive.append(weakref.ref(made))
            return {name: made}

    for count, _ in enumerate(sample(Nothing(MODEL.graphs()), MODEL, Request(frames=800), unheard)):
        if count % 100 == 0:
            assert sum(made() is not None for made in alive) < coded(SCALE) // SCALE + WINDOW
    assert len(alive) > 800


def test_truncation_draws_looks_to_the_mean():
    spies = {share: Spy(MODEL) for share in (0.0, 0.5, 1.0)}
    for share, engine in spies.items():
        frames_of(engine, frames=1, truncation=share)
    nothing, half, whole = (engine.given("super", "w")[0] for engine in spies.values())
    assert torch.equal(nothing[0], MODEL.super_generator.SG3.mapping.w_avg)
    torch.testing.assert_close(half, (nothing + whole) / 2)
    small = [spy.given("super", "small")[0] for spy in spies.values()]
    assert torch.equal(small[0], small[2])


def film(path: Path, frames: int = 12, size: tuple[int, int] = (24, 40), fps: float = 10.0) -> Path:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (frames, size[0] // 4, size[1] // 4, 3), np.uint8)
    return write_clip(Clip(coarse.repeat(4, 1).repeat(4, 2), fps), path, scale=1)


def test_a_clip_is_made_large(tmp_path):
    """Its middle of the right shape, its first and last frame going on beyond its ends."""
    path, engine = film(tmp_path / "small.mp4"), Spy(MODEL)
    stream = sample(engine, MODEL, Request.of("", 1, {"video": str(path)}), unheard)
    assert (stream.frames, stream.fps, stream.size) == (12, 10.0, (CONFIG.height, CONFIG.width))
    frames = stream.clip().frames
    theirs = [fitted(frame, SIDES) for frame in read_clip(path).frames]
    given = torch.cat(engine.given("super", "small"))
    around = [theirs[min(max(place, 0), 11)] for place in range(-CONTEXT, 12 + CONTEXT)]
    wanted = torch.from_numpy(np.stack(around)).movedim(-1, 1) / 127.5 - 1
    torch.testing.assert_close(given, wanted.unfold(0, 9, 1).movedim(-1, 1), atol=1e-6, rtol=0)
    assert {graph for graph, _ in engine.calls} == {"mapping", "super"}
    few = frames_of(seed=1, video=str(path), frames=5, fps=24.0)
    assert np.array_equal(few, frames[:5])


def test_a_clip_is_read_as_its_frames_are_taken(tmp_path, monkeypatch):
    path = film(tmp_path / "small.mp4")
    read: list[float] = []

    def counted(path: Path) -> Iterator[Any]:
        for second in range(1000):
            read.append(second)
            yield second / 10, np.zeros((24, 40, 3), np.uint8)

    monkeypatch.setattr("dln.core.media.steady.timed_frames", counted)
    blocks = iter(sample(Spy(MODEL), MODEL, Request(video=str(path)), unheard))
    next(blocks)
    assert len(read) <= WINDOW


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"frames": 13}, "has 12 frames, not 13"),
        ({"start": 1.0}, "from its first frame on"),
        ({"upsample": False}, "is made large"),
        ({"video": "nothing.mp4"}, "There is no file nothing.mp4"),
        ({"video": "."}, "is a folder"),
        ({"video": __file__}, "cannot be read"),
    ],
)
def test_what_does_not_go_with_a_clip(asked, said, tmp_path):
    asked = {"video": str(film(tmp_path / "small.mp4"))} | asked
    with pytest.raises(UsageError, match=said):
        SYSTEM.check(CONFIG, Request.of("", 0, asked), "torch", gradients=True)


def test_uneven_frames_are_steady(tmp_path, monkeypatch):
    """Each moment shows the nearest, and there are as many as the mean rate says."""
    path = film(tmp_path / "small.mp4", frames=6)
    times = [0.0, 0.1, 0.2, 0.21, 0.4, 0.5]
    shown = [np.full((24, 40, 3), number, np.uint8) for number in range(6)]
    monkeypatch.setattr("dln.core.media.steady.timed_frames",
                        lambda _: zip(times, shown, strict=True))  # fmt: skip
    found = steady(path)
    assert [int(frame[0, 0, 0]) for frame in found.frames] == [0, 1, 3, 3, 4, 5]
    assert found.count == 6


def test_a_sheet_is_a_clip(tmp_path):
    path = film(tmp_path / "small.png")
    found = steady(path)
    assert found.count == len(list(found.frames)) == 12


def test_what_was_given_is_in_the_receipt(tmp_path):
    path = film(tmp_path / "small.mp4")
    assert inputs_of(Request(video=str(path))) == {"video": sha256_file(path)}
    with pytest.raises(UsageError, match="cannot read"):
        inputs_of(Request(video=str(tmp_path / "none.mp4")))
