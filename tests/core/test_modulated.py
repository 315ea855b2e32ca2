"""The modulated convolution that scales activations is the one whose weights each sample has for
itself (StyleGAN2, section 2.2): grouped convolutions of modulated, demodulated weights."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dln.core.models.layers import equalised, modulated
from dln.core.models.layers.equalised import EqualisedConv2d
from dln.core.models.layers.modulated import ModulatedConv2d, ToRgb

SAMPLES, INTO, OUT, STYLE, SIDE = 3, 6, 5, 4, 7


def own_weights(weight: Tensor, styles: Tensor, demodulate: bool) -> Tensor:
    """(out, in, k, k), (B, in) -> (B, out, in, k, k)."""
    own = weight[None] * styles[:, None, :, None, None]
    if demodulate:
        own = own / (own.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()
    return own


def grouped(x: Tensor, own: Tensor, padding: int) -> Tensor:
    """Each sample with its own weights."""
    found = F.conv2d(x.flatten(0, 1)[None], own.flatten(0, 1), padding=padding, groups=len(x))
    return found.unflatten(1, (len(x), -1))[0]


def spread_out(x: Tensor) -> Tensor:
    """Zeros between the pixels: (B, C, H, W) -> (B, C, 2 H - 1, 2 W - 1)."""
    wide = x.new_zeros(*x.shape[:2], 2 * x.shape[2] - 1, 2 * x.shape[3] - 1)
    wide[..., ::2, ::2] = x
    return wide


def by_definition(layer: ModulatedConv2d, x: Tensor, w: Tensor) -> Tensor:
    own = own_weights(layer.weight, layer.affine(w), demodulate=True)
    if layer.doubles:
        x = grouped(spread_out(x), own.flip(3, 4), padding=2)
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
        filters = torch.outer(taps, taps).expand(OUT, 1, 4, 4)
        x = F.conv2d(x, filters, padding=1, groups=OUT)
    else:
        x = grouped(x, own, padding=1)
    x = x + layer.bias[:, None, None]
    return (math.sqrt(2) * F.leaky_relu(x, 0.2)).clamp(-1.5, 1.5)


@pytest.mark.parametrize("double", [False, True])
def test_scaled_activations_are_modulated_weights(double: bool):
    torch.manual_seed(0)
    layer = ModulatedConv2d(INTO, OUT, STYLE, double=double, clamp=1.5).double()
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(SAMPLES, INTO, SIDE, SIDE, dtype=torch.double)
    w = torch.randn(SAMPLES, STYLE, dtype=torch.double)
    wanted = by_definition(layer.float(), x.float(), w.float())
    torch.testing.assert_close(layer(x.float(), w.float()), wanted, atol=2e-6, rtol=1e-5)
    assert 0.05 < (wanted.abs() == 1.5).float().mean() < 0.9


def test_gradients_are_those_of_the_definition():
    torch.manual_seed(0)
    layer = ModulatedConv2d(INTO, OUT, STYLE, double=True, clamp=1.5)
    x, w = torch.randn(SAMPLES, INTO, SIDE, SIDE), torch.randn(SAMPLES, STYLE)
    found, wanted = (
        torch.autograd.grad(made(x, w).square().sum(), list(layer.parameters()))
        for made in (layer, lambda x, w: by_definition(layer, x, w))
    )
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_colours_are_not_demodulated():
    torch.manual_seed(0)
    layer, x, w = ToRgb(INTO, STYLE), torch.randn(2, INTO, SIDE, SIDE), torch.randn(2, STYLE)
    own = own_weights(layer.weight, layer.affine(w) / math.sqrt(INTO), demodulate=False)
    torch.testing.assert_close(layer(x, w), grouped(x, own, padding=0))


def test_half_precision_holds_what_the_clamp_lets_through():
    """256 in each of 512 channels, all of one sign, under a style of 8: 9.4 million in between."""
    torch.manual_seed(0)
    layer = ModulatedConv2d(512, 8, STYLE, clamp=256)
    torch.nn.init.constant_(layer.weight, 1.0)
    torch.nn.init.constant_(layer.affine.get_parameter("bias"), 8.0)
    x, w = torch.full((1, 512, 4, 4), 256.0), torch.zeros(1, STYLE)
    wanted = layer(x, w)
    found = layer.half()(x.half(), w.half())
    torch.testing.assert_close(found.float(), wanted, rtol=5e-3, atol=0)
    layer.clamp = 60_000.0
    assert layer(x.half(), w.half()).isfinite().all()


@pytest.mark.parametrize(
    "layer",
    [
        ModulatedConv2d(INTO, OUT, STYLE, double=True, clamp=1.5),
        EqualisedConv2d(INTO, OUT, 3, halve=True),
        EqualisedConv2d(INTO, OUT, 1, halve=True, bias=False, active=False),
    ],
)
def test_a_blur_and_a_convolution_are_one_convolution(
    layer: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
):
    """In what comes out and in the slopes of all that went in."""

    def answer(one: bool) -> list[Tensor]:
        for module in (equalised, modulated):
            monkeypatch.setattr(module, "composes", lambda x: one)
        torch.manual_seed(0)
        given = [torch.randn(SAMPLES, INTO, 8, 8), torch.randn(SAMPLES, STYLE)]
        given = [
            t.requires_grad_() for t in given[: 2 if isinstance(layer, ModulatedConv2d) else 1]
        ]
        found = layer(*given)
        weights = [torch.randn_like(found)]
        return [found, *torch.autograd.grad([found], [*given, *layer.parameters()], weights)]

    for own, other in zip(answer(True), answer(False), strict=True):
        torch.testing.assert_close(own, other, atol=1e-5, rtol=1e-4)
