"""dln's generators beside others': intervals, turns, what is absent, the networks."""

import math
import sys
from itertools import pairwise
from types import ModuleType

import pytest
import torch
from torch.nn import functional as F

from dln.core.errors import MissingCapability, UsageError
from dln.export.beside import others, own, race
from dln.export.beside.race import Race, timed
from dln.export.beside.rows import Contender, median_interval, row
from dln.export.beside.stylegan2 import Modulated, StyleGAN2


@pytest.mark.parametrize("count", [6, 9, 15, 40])
def test_an_interval_holds_the_median_as_often_as_it_says(count):
    """Each of the values lies above the true median or not, as a coin falls: 95 % at least, and
    one rank less would be too few."""
    low, high = (int(value) for value in median_interval([*range(count, 0, -1)]))
    assert high == count + 1 - low

    def held(rank: int) -> float:
        outside = sum(math.comb(count, above) for above in range(rank)) / 2**count
        return 1 - 2 * outside

    assert held(low) >= 0.95 > held(low + 1)


def test_five_values_tell_no_interval():
    with pytest.raises(ValueError, match="no interval"):
        median_interval([1.0] * 5)
    with pytest.raises(UsageError, match="6 rounds at least"):
        Race(rounds=5)
    with pytest.raises(UsageError, match="not of trt"):
        Race(engines=("trt",))


def contender(name: str, call=lambda: None, count: int = 1) -> Contender:
    return Contender("tokens", name, "", "token", count, call, 0)


def test_ratios_are_taken_round_by_round():
    """A machine that becomes slower leaves them as they are."""
    base = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    found = row(contender("other"), [3 * each for each in base], base)
    assert (found.ratio, found.ratio_low, found.ratio_high) == (3.0, 3.0, 3.0)
    assert (found.ms, found.ms_low, found.ms_high) == (18_000.0, 3000.0, 96_000.0)
    assert found.a_second == pytest.approx(1 / 18)


def test_all_have_their_turn_in_each_round(monkeypatch: pytest.MonkeyPatch):
    """With as many calls as at first, and per unit of what a call makes."""
    clock, order = [0.0], list[str]()

    def costs(name: str, seconds: float):
        def call() -> None:
            order.append(name)
            clock[0] += seconds

        return call

    monkeypatch.setattr(race.time, "perf_counter", lambda: clock[0])
    two = [
        contender("slow", costs("slow", 0.2)),
        contender("quick", costs("quick", 0.025), count=5),
    ]
    slow, quick = timed(two, 6, lambda: None, lambda *_: None)
    assert order[4:] == ["slow", "quick", "quick"] * 6
    assert (slow.ms, slow.ratio) == pytest.approx((200, 1))
    assert (quick.ms, quick.ratio) == pytest.approx((5, 5 / 200))


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("transformers", lambda: others.gpt2("GPT-2", "cpu", 3, 8, 16, 1, 2)),
        ("diffusers", lambda: others.diffusers(others.Clip(), "cpu")),
        ("video_diffusion_pytorch", lambda: others.unet3d(others.Clip(), "cpu")),
    ],
)
def test_what_is_not_here_says_what_installs_it(monkeypatch: pytest.MonkeyPatch, name, make):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingCapability, match=f"{name} cannot be imported") as caught:
        make()
    assert name.replace("_", "-") in str(caught.value.hint)


def test_torchvision_is_there_as_before(monkeypatch: pytest.MonkeyPatch):
    own = ModuleType("torchvision")
    monkeypatch.setitem(sys.modules, "torchvision", own)
    with others.torchvision_spared():
        assert sys.modules["torchvision"] is not own
    assert sys.modules["torchvision"] is own


def test_each_frame_s_kernel_is_its_own():
    """Against one frame after the other, with kernels of length one for each output channel."""
    torch.manual_seed(0)
    layer, x, w = Modulated(5, 3, 4, 3, True), torch.randn(2, 3, 6, 7), torch.randn(2, 5)
    found = layer(x, w)
    for frame in range(2):
        kernel = layer.weight * (layer.style(w[frame]) + 1)[None, :, None, None] / math.sqrt(27)
        kernel = kernel / kernel.flatten(1).norm(dim=1)[:, None, None, None]
        alone = F.conv2d(x[frame : frame + 1], kernel, padding=1)[0]
        torch.testing.assert_close(found[frame], alone, rtol=1e-4, atol=1e-5)


def test_a_frame_follows_from_its_own_w():
    torch.manual_seed(0)
    widths = [16, 8, 4]
    model, w = StyleGAN2(6, widths), torch.randn(3, 6)
    whole = model(w)
    assert whole.shape == (3, 3, 16, 16)
    torch.testing.assert_close(model(w[1:2])[0], whole[1], rtol=1e-4, atol=1e-5)
    convolutions = [16 * 16 * 9] + [9 * (i * o + o * o) for i, o in pairwise(widths)]
    kernels = sum(convolutions) + sum(3 * o for o in widths) + 16 * 16  # colours, and the start
    layers = [16] + [c for i, o in pairwise(widths) for c in (i, o)] + widths
    outs = 16 + 2 * (8 + 4) + 3 * 3
    assert sum(p.numel() for p in model.parameters()) == kernels + sum(7 * n for n in layers) + outs


def test_gpt2_goes_on_from_the_same_tokens_each_time():
    """A step leaves the cache as it was: with a longer one the next would say something else."""
    pytest.importorskip("transformers")
    torch.manual_seed(0)
    with torch.no_grad():
        made = others.gpt2("GPT-2", "cpu", 5, 11, 16, 2, 2)
        first, again = made.call(), made.call()
    assert first.logits.shape == (others.BATCH, 1, 11)  # pyright: ignore
    assert first.past_key_values.get_seq_length() == 6  # pyright: ignore
    torch.testing.assert_close(first.logits, again.logits, rtol=0, atol=0)  # pyright: ignore
    assert made.parameters == 11 * 16 + 1024 * 16 + 2 * (12 * 16**2 + 13 * 16) + 2 * 16


SMALL = others.Clip(frames=2, side=16, widths=(32, 64), blocks=1, head=32, text=8)


@pytest.mark.parametrize(
    ("package", "make"),
    [("diffusers", others.diffusers), ("video_diffusion_pytorch", others.unet3d)],
)
def test_other_packages_denoise_clips_of_this_size(package, make):
    pytest.importorskip("einops_exts" if "video" in package else package)
    with torch.no_grad():
        found = make(SMALL, "cpu").call()
    tensor = found if isinstance(found, torch.Tensor) else found.sample
    assert tensor.shape == (1, 3, 2, 16, 16)


def test_own_denoiser_takes_the_same_clip(tmp_path):
    (found,) = own.denoising(SMALL, own.Engines(("torch",), "cpu", tmp_path))
    assert found.call()["v"].shape == (1, 2, 3, 16, 16)  # pyright: ignore
    assert (found.own, found.onnx, found.unit) == (True, False, "step")
