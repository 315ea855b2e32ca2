"""Convolutions that a style modulates, in the form that scales activations.

StyleGAN2 (1912.04958, section 2.2) scales the weights of each sample by its style and divides them
by their norm. The same comes out where the input is scaled by the style, one convolution serves
all samples, and its output is divided by the norm: batches vary, and the weights are constants.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .equalised import GAIN, EqualisedLinear, leaky
from .resample import blur, composed, composes


def demodulated(weight: Tensor, styles: Tensor) -> tuple[Tensor, Tensor]:
    """weight: (out, in, ...), styles: (B, ..., in), what modulates them -> the styles, or in half
    precision such a multiple of a sample's that no sum leaves the range; and (B, ..., out), one
    over the norm of each filter as a style has it, which takes that factor out again.

    The norm is a little more, in proportion: it is never zero. (In the published networks so much
    as if the largest weight of a filter and the largest number of a style were one.)
    """
    inner = tuple(range(1, weight.ndim))
    if styles.dtype == torch.float16:
        most = styles.detach().abs().flatten(1).amax(1) * math.sqrt(weight[0].numel())
        styles = styles / most.clamp(min=1e-4).view(-1, *[1] * (styles.ndim - 1))
    weight, single = weight.float(), styles.float()
    filters = weight.detach().abs().amax(inner).square() * weight[0].numel()
    own = single.detach().abs().amax(-1, keepdim=True).square()
    squares = weight.square().sum(inner[1:])
    norm = (single.square() @ squares.T + 1e-8 * own * filters).rsqrt()
    return styles, norm.to(styles.dtype)


class ModulatedConv2d(nn.Module):
    """A 3 x 3 convolution modulated by a style, demodulated, with bias and `leaky`; it may double
    the sides."""

    def __init__(
        self, into: int, out: int, style: int, *, double: bool = False, clamp: float | None = None
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out, into, 3, 3))
        self.bias = nn.Parameter(torch.empty(out))
        self.affine = EqualisedLinear(style, into, bias=1.0)
        self.doubles, self.clamp = double, clamp
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x: (B, in, H, W), w: (B, W) -> (B, out, H, W) or twice the sides."""
        styles = self.scaled(self.affine(w))
        x = x * styles.to(x.dtype)[:, :, None, None]
        if self.doubles and composes(x):
            weight = composed(self.weight, gain=4).transpose(0, 1).to(x.dtype)
            x = F.conv_transpose2d(x, weight, stride=2, padding=2)
        elif self.doubles:
            x = F.conv_transpose2d(x, self.weight.transpose(0, 1).to(x.dtype), stride=2)
            x = blur(x, 1, gain=4)
        else:
            x = F.conv2d(x, self.weight.to(x.dtype), padding=1)
        # The gain of `leaky` goes into what is multiplied and added anyway: one pass fewer.
        scale = (GAIN * self.demodulation(styles)).to(x.dtype)[:, :, None, None]
        x = torch.addcmul((GAIN * self.bias).to(x.dtype)[:, None, None], x, scale)
        return leaky(x, 1.0, self.clamp)

    def scaled(self, styles: Tensor) -> Tensor:
        """styles: (B, in) -> the same, or such multiples of them that no sum leaves the range of
        half precision. Demodulation takes the factor out again."""
        if styles.dtype != torch.float16:
            return styles
        largest = styles.abs().amax(1, keepdim=True) * (3 * math.sqrt(styles.shape[1]))
        return styles / largest.clamp(min=1e-4)

    def demodulation(self, styles: Tensor) -> Tensor:
        """styles: (B, in) -> (B, out): one over the norm of each filter as a sample has it."""
        squares = self.weight.float().square().sum((2, 3))
        return (styles.float().square() @ squares.T + 1e-8).rsqrt()


class ToRgb(nn.Module):
    """Features to colours: a modulated 1 x 1 convolution without demodulation."""

    def __init__(self, into: int, style: int, clamp: float | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(3, into, 1, 1))
        self.bias = nn.Parameter(torch.empty(3))
        self.affine = EqualisedLinear(style, into, bias=1.0)
        self.scale, self.clamp = 1 / math.sqrt(into), clamp
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x: (B, in, H, W), w: (B, W) -> (B, 3, H, W)."""
        styles = self.affine(w) * self.scale
        x = F.conv2d(x * styles.to(x.dtype)[:, :, None, None], self.weight.to(x.dtype))
        x = x + self.bias.to(x.dtype)[:, None, None]
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)
