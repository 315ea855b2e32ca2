"""LongVideoGAN's networks: their sizes, what hangs on what, and what is state."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dln.core.errors import UsageError
from dln.core.models.layers import alias_free
from dln.core.models.layers.magnitude import Magnitude, Magnitudes
from dln.core.models.layers.modulated import demodulated
from dln.core.models.long_video_gan import (
    low_discriminator,
    low_generator,
    super_discriminator,
    super_generator,
)
from dln.core.models.long_video_gan.config import CONTEXT, PRESETS, Config
from dln.core.models.long_video_gan.filters import FilterBank, bank
from dln.core.models.long_video_gan.noise import BEFORE, Codes, white
from dln.core.models.long_video_gan.windows import coded, levels

PAPER, TINY = PRESETS["paper"], PRESETS["tiny"]
SMALL = replace(TINY, filters=4, low_channels=16, low_judge_channels=2, layers=6, channel_max=8,
                judge_max=8, latent=8)  # fmt: skip
NETWORKS = (
    low_generator.Generator,
    low_discriminator.Discriminator,
    super_generator.Generator,
    super_discriminator.Discriminator,
)


def sizes(config: Config) -> list[int]:
    """Parameters of each network."""
    with torch.device("meta"):
        made = [network(config) for network in NETWORKS]
    return [sum(p.numel() for p in network.parameters()) for network in made]


def test_the_published_sizes():
    assert sizes(PAPER) == [83_215_939, 46_424_609, 27_169_940, 23_997_825]
    # A square picture differs in what it grows from: 4 x 4 features instead of 3 x 4.
    assert sizes(PRESETS["square"])[0] == 83_215_939 + 512 * 4


def test_tiny_fits_a_package():
    buffers = sum(b.numel() for network in NETWORKS for b in network(TINY).state_dict().values())
    assert 2 * buffers <= 14e6  # bytes in half precision


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"width": 120}, "power of two"),
        ({"low_width": 256, "low_height": 144}, "smaller"),
        ({"low_height": 35}, "multiple of 35"),
        ({"low_height": 33, "height": 66}, "16ths"),
        ({"shortest_rate": 20_000.0}, "shortest_rate"),
        ({"frames": 100}, "multiple of 8"),
        ({"filters": 0}, "filters"),
    ],
)
def test_sizes_that_cannot_be(given: dict[str, Any], word: str):
    with pytest.raises(UsageError, match=word):
        replace(TINY, **given)


@pytest.mark.parametrize(
    "sides",
    [
        {"low_height": 64, "height": 128},  # squares
        {"height": 144, "width": 256},  # four times as large
        {"low_height": 32, "low_width": 16, "height": 64, "width": 32},  # upright
    ],
)
def test_frames_of_other_shapes(sides: dict[str, int]):
    config = replace(SMALL, frames=16, **sides)
    small, large = (config.low_height, config.low_width), (config.height, config.width)
    low, higher = low_generator.Generator(config), super_generator.Generator(config)
    low_judge = low_discriminator.Discriminator(config)
    higher_judge = super_discriminator.Discriminator(config)
    with torch.no_grad():
        made = low.synthesis(torch.randn(1, config.codes, coded(32)))
        enlarged = higher(made[:, : 2 + 2 * CONTEXT], torch.randn(1, config.latent))
        logits = low_judge(made[:, :16]), higher_judge(made[:, :4], enlarged.repeat(1, 2, 1, 1, 1))
    assert made.shape == (1, 32, 3, *small)
    assert enlarged.shape == (1, 2, 3, *large)
    assert all(bool(logit.isfinite()) for logit in logits)


# Noise.


def test_the_bank():
    rows = bank(PAPER.filters, PAPER.shortest_rate, PAPER.longest_rate)
    assert rows.shape == (128, 5000)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-12)
    taps = [len(row) - np.flatnonzero(row)[0] for row in rows]  # each lies at the end of its row
    assert (taps[0], taps[-1]) == (125, 5000)
    assert np.diff(np.log(taps)) == pytest.approx(np.log(40) / 127, abs=0.01)  # a geometric series


def test_codes_are_filtered_noise():
    config, first, count = replace(SMALL, noise_channels=2), 700, 5
    found = Codes(config, seed=3)(672, 32)[0].unflatten(0, (2, 4))
    # The same by the definition: each code is a filter on the noise of its frame and those after.
    rows = torch.from_numpy(bank(config.filters, config.shortest_rate, config.longest_rate))
    noise = torch.from_numpy(white(3, 2, first, count + 4999)).double()
    expected = F.conv1d(noise[:, None], rows[:, None]).float()
    start = first - 672
    assert torch.allclose(found[..., start : start + count], expected, atol=1e-6)


def test_codes_of_a_stretch_hang_on_its_place_alone():
    long, other = Codes(SMALL, seed=7)(0, 2048), Codes(SMALL, seed=8)(0, 32)
    for first in (0, 32, 992, 1024, 2016):
        window = Codes(SMALL, seed=7)(first, 32)
        assert torch.equal(window, long[..., first : first + 32 + 2 * BEFORE])
    assert not torch.equal(other, long[..., : other.shape[2]])
    assert float(long.var()) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(("first", "frames"), [(-32, 32), (16, 32), (32, 40)])
def test_windows_that_are_no_pieces_of_a_video(first: int, frames: int):
    with pytest.raises(ValueError, match="no multiples of 32"):
        Codes(SMALL, seed=1)(first, frames)


# The small frames' generator.


@pytest.fixture(scope="module")
def low() -> low_generator.Generator:
    torch.manual_seed(0)
    return low_generator.Generator(SMALL).eval()


@pytest.mark.parametrize(
    ("frames", "kind", "most"), [(256, torch.float64, 1e-9), (1024, torch.float32, 3e-6)]
)
def test_a_window_is_a_piece_of_the_whole(
    low: low_generator.Generator, frames: int, kind: torch.dtype, most: float
):
    """To the last digits, which in single precision twenty convolutions have rounded."""
    codes, exact = Codes(SMALL, seed=1), deepcopy(low).to(kind)

    def video(first: int, frames: int) -> Tensor:
        with torch.no_grad():
            return exact.synthesis(exact.latent_mapping(codes(first, frames).to(kind)))

    long = video(0, frames)
    for first in (0, 32, frames // 2, frames - 32):
        window = video(first, 32)
        assert window.shape == (1, 32, 3, 36, 64)
        apart = (window - long[:, first : first + 32]).abs().max()
        assert float(apart) <= most * float(long.abs().max())


def test_frames_differ_and_so_do_videos(low: low_generator.Generator):
    with torch.no_grad():
        one, two = (low.synthesis(low.latent_mapping(Codes(SMALL, s)(0, 32))) for s in (1, 2))
    assert float((one[:, 0] - one[:, 31]).abs().max()) > 1e-3
    assert float((one - two).abs().max()) > 1e-3


def test_a_style_reaches_the_frames_around_it_alone(low: low_generator.Generator):
    w = torch.randn(1, SMALL.codes, coded(128), requires_grad=True)
    frame = 64
    (slope,) = torch.autograd.grad(low.synthesis(w)[0, frame].square().sum(), w)
    felt = slope[0].abs().amax(0)
    place = BEFORE + frame
    assert int(felt.argmax()) == place
    assert float(felt[: place - 256].max()) < 1e-4 * float(felt.max())
    assert float(felt[place + 256 :].max()) < 1e-4 * float(felt.max())


def test_the_lowest_rate_is_computed_where_it_is_asked_for():
    for frames in (16, 32, 128, 160):
        for level in levels(frames):
            assert level.given.first >= 0
            assert level.given.count == level.made.count + 4


@pytest.mark.parametrize("frames", [1, 3])
def test_a_convolution_of_a_video(frames: int):
    """Frames as channels of pictures give what a convolution in three dimensions does."""
    x, weight = torch.randn(2, 5, 6, 7, 4), torch.randn(3, 5, frames, 3, 3)
    expected = F.conv3d(x, weight, padding=(0, 1, 1))
    torch.testing.assert_close(low_generator.convolution(x, weight), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("side", [7, 150])
def test_parts_of_the_finer_rows_give_the_whole(side: int):
    """Zeros between the pixels, the filter, leaky ReLU, the filter, every second: all of it, rows
    and columns, at once."""
    before = alias_free.Signal(16, 4.0, 4.0, (side, 9), 2)
    after = alias_free.Signal(32, 8.0, 8.0, (2 * side, 18), 2)
    layer = alias_free.Filtered(before, after, 2, clamp=0.5)
    up, down = 4, 2
    rising, falling = (torch.from_numpy(gain * alias_free.passing(signal, 64))
                       for gain, signal in ((up, before), (1, after)))  # fmt: skip
    x = torch.randn(1, 2, side + 2, 9 + 2)

    def filtered(x: Tensor, taps: Tensor, first: int = 0, last: int = 0) -> Tensor:
        padded = F.pad(x.flatten(0, -2), (first, last))[:, None]
        return F.conv1d(padded, taps[None, None])[:, 0].unflatten(0, x.shape[:-1])

    def upwards(x: Tensor, out: int) -> Tensor:
        spread = torch.stack([x, *[torch.zeros_like(x)] * (up - 1)], -1).flatten(-2)
        missing = (out - 1) * down + len(rising) + len(falling) - 1 - spread.shape[-1]
        first = (missing + up) // 2
        return filtered(spread, rising, first, missing - first)

    fine = upwards(upwards(x.double(), 18).mT, 2 * side)
    active = F.leaky_relu(fine, 0.2).clamp(-0.5, 0.5)
    expected = filtered(filtered(active, falling)[..., ::down].mT, falling)[..., ::down]
    assert 0.01 < (active.abs() == 0.5).double().mean() < 0.9
    torch.testing.assert_close(layer(x), expected.float(), atol=1e-5, rtol=1e-4)


def test_the_small_ones_are_judged_with_a_slope_of_the_slope():
    torch.manual_seed(0)
    judge = low_discriminator.Discriminator(replace(SMALL, frames=16))
    videos = torch.randn(2, 16, 3, 36, 64, requires_grad=True)
    logits = judge(videos)
    assert logits.shape == (2,)
    (slope,) = torch.autograd.grad(logits.sum(), videos, create_graph=True)
    slope.square().sum().backward()
    weight = judge.blocks[0].get_submodule("conv_0").get_parameter("weight")
    assert weight.grad is not None
    assert float(weight.grad.abs().max()) > 0
    alone = judge(videos[1:])
    assert torch.allclose(alone, logits[1:], atol=1e-5)  # a batch's videos are judged one by one


# The large frames' networks.


def test_a_large_frame_hangs_on_nine_small_ones():
    torch.manual_seed(0)
    generator = super_generator.Generator(SMALL)
    small = torch.randn(1, 3 + 2 * CONTEXT, 3, 36, 64, requires_grad=True)
    large = generator(small, torch.randn(1, SMALL.latent))
    assert large.shape == (1, 3, 3, 72, 128)
    for frame in range(3):
        (slope,) = torch.autograd.grad(large[0, frame].sum(), small, retain_graph=True)
        felt = slope[0].flatten(1).abs().amax(1) > 0
        assert felt.nonzero()[:, 0].tolist() == list(range(frame, frame + 9))


def test_any_large_frame_can_be_made_alone():
    torch.manual_seed(0)
    generator, z = super_generator.Generator(SMALL), torch.randn(1, SMALL.latent)
    small = torch.randn(1, 4 + 2 * CONTEXT, 3, 36, 64)
    with torch.no_grad():
        all_frames, last = generator(small, z), generator(small[:, 3:], z)
    assert torch.allclose(all_frames[:, 3:], last, atol=1e-6)


def settle(generator: nn.Module, small: Tensor, w: Tensor) -> None:
    """Magnitudes as they are after long training."""

    def measure(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        layer.get_buffer("magnitude_ema").copy_(given[0].square().mean())

    layers = [layer for layer in generator.modules() if isinstance(layer, Magnitude)]
    hooks = [layer.register_forward_pre_hook(measure) for layer in layers]
    with torch.no_grad():
        generator.get_submodule("SG3.synthesis")(small, w)
    for hook in hooks:
        hook.remove()


def equivariance(config: Config, shift: tuple[int, int]) -> float:
    """EQ-T of StyleGAN3 (2106.12423, appendix E.3) in decibels: how far the picture of shifted
    small frames is from the shifted picture, against the range of the picture."""
    torch.manual_seed(0)
    generator = super_generator.Generator(config)
    w = generator.SG3.mapping(torch.randn(1, config.latent)).detach()
    noise = torch.randn(1, 2 * CONTEXT + 1, 3, config.low_height, config.low_width)
    settle(generator, noise, w)
    lines = [torch.linspace(-1, 1, size) for size in noise.shape[-2:]]
    y, x = torch.meshgrid(*lines, indexing="ij")
    small = noise * torch.exp(-8 * (y**2 + x**2))  # so that nothing leaves by a border
    far = tuple(config.scale * step for step in shift)
    with torch.no_grad():
        picture = generator.SG3.synthesis(small, w)
        moved = generator.SG3.synthesis(small.roll(shift, (-2, -1)), w)
    wrong = (picture.roll(far, (-2, -1)) - moved)[..., far[0] :, far[1] :].square().mean()
    return float(10 * torch.log10((picture.max() - picture.min()).square() / wrong))


@pytest.mark.parametrize("shift", [(0, 1), (3, 5)])
def test_a_shift_is_a_shift(shift: tuple[int, int]):
    # At the lowest of its resolutions, a quarter of the small frames', these are a quarter of a
    # pixel, and three and five quarters.
    assert equivariance(TINY, shift) > 70


def test_without_filters_a_shift_is_no_shift(monkeypatch: pytest.MonkeyPatch):
    def nearest(taps: int, cutoff: float, width: float, rate: float) -> np.ndarray:
        box = np.zeros(taps)
        count = taps // alias_free.FILTER  # the number itself, again and again
        box[(taps - count) // 2 : (taps + count) // 2] = 1 / count
        return box

    monkeypatch.setattr(alias_free, "low_pass", nearest)
    assert equivariance(TINY, (3, 5)) < 50


def test_pairs_are_judged():
    torch.manual_seed(0)
    judge = super_discriminator.Discriminator(SMALL)
    small, large = torch.randn(2, 4, 3, 36, 64), torch.randn(2, 4, 3, 72, 128)
    seen, unseen = judge(small, large), judge(torch.zeros_like(small), large)
    assert seen.shape == (2,)
    assert not torch.equal(seen, unseen)
    assert torch.allclose(judge(small[1:], large[1:]), seen[1:], atol=1e-5)


# Magnitudes.


@pytest.mark.parametrize("network", [low_generator.Generator, super_generator.Generator])
def test_magnitudes_are_state(network: Any):
    names = [name for name in network(SMALL).state_dict() if name.endswith("magnitude_ema")]
    assert len(names) == (21 if network is low_generator.Generator else SMALL.layers + 1)


def test_magnitudes_follow_what_is_heeded():
    torch.manual_seed(0)
    layer = Magnitude()
    network = nn.ModuleList([layer])
    magnitudes = Magnitudes(network)
    x = 3 * torch.randn(4, 5)
    assert float(layer.gain(x)) == 1
    magnitudes.after_step(lambda sums: sums)
    assert float(layer.magnitude_ema) == 1  # nobody looked
    with magnitudes.heeding():
        layer.gain(x)
    magnitudes.after_step(lambda sums: sums)
    expected = 0.999 + 0.001 * float(x.square().mean())
    assert float(layer.magnitude_ema) == pytest.approx(expected, rel=1e-6)
    assert float(layer.gain(x)) == pytest.approx(expected**-0.5, rel=1e-6)


def test_two_processes_have_one_magnitude():
    torch.manual_seed(0)
    x = torch.randn(6, 5)
    halves = [Magnitude(), Magnitude()]
    watching = [Magnitudes(nn.ModuleList([half])) for half in halves]
    for half, watch, part in zip(halves, watching, (x[:2], x[2:]), strict=True):
        with watch.heeding():
            half.gain(part)
    total = sum(watch.sums for watch in watching if watch.sums is not None)
    for watch in watching:
        watch.after_step(lambda sums: total)  # type: ignore[return-value]
    whole = 0.999 + 0.001 * float(x.square().mean())
    assert [float(half.magnitude_ema) for half in halves] == pytest.approx([whole] * 2, rel=1e-6)


def test_half_precision_stays_in_range():
    """Styles of any size come out of half precision's sums."""
    weight, styles = torch.randn(8, 16, 3, 3), 1e3 * torch.randn(2, 16)
    half, norm = demodulated(weight, styles.half())
    assert float(half.abs().max() * norm.abs().max()) < 1
    _, single = demodulated(weight, styles)
    ratio = (half.float()[:, :1] * norm.float()) / (styles[:, :1] * single)
    assert torch.allclose(ratio, torch.ones_like(ratio), atol=0.01)


def test_the_noise_gives_the_video():
    torch.manual_seed(0)
    generator, filters = low_generator.Generator(SMALL), FilterBank(SMALL)
    noise = torch.randn(2, SMALL.noise_channels, coded(32) + filters.reach)
    with torch.no_grad():
        video = generator(noise)
        alone = generator(noise[1:])
    assert video.shape == (2, 32, 3, 36, 64)
    assert torch.allclose(video[1:], alone, atol=1e-5)
