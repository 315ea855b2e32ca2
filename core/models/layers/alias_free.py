"""StyleGAN3's layers: what is computed commutes with a shift of the picture.

2106.12423, section 3. A nonlinearity makes frequencies that the grid cannot hold: it is applied at
a higher resolution, between an upsampling and a downsampling filter. Both are products with
constant matrices, one a side of the picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .equalised import GAIN, EqualisedLinear, leaky
from .kaiser import Banded, constant, low_pass, resampling, spanned
from .magnitude import Magnitude
from .modulated import demodulated

FILTER = 6  # taps of a filter, times how many numbers come out for one or go into one
OVERSAMPLED = 2  # how much finer than the finer of its sides a nonlinearity's grid is
FIRST_CUTOFF, FIRST_STOPBAND, LAST_STOPBAND = 2.0, 2**2.1, 2**0.3  # the last: of the last cutoff
ROWS, WAYS = 48, ("up", "down")  # of the finer resolution that are there at once
QUICK = 4  # of `stacked`
CRITICAL = 2  # layers at the end whose cutoff is half the picture's rate


@dataclass(frozen=True)
class Signal:
    """What passes from one layer to the next. rate: its sampling rate, in numbers along the
    picture's longer side; cutoff and half width of the transition in the same unit; size: height
    and width, with the margin."""

    rate: int
    cutoff: float
    half_width: float
    size: tuple[int, int]
    channels: int


def signals(
    sides: tuple[int, int], layers: int, margin: int, channel_base: int, channel_max: int
) -> list[Signal]:
    """sides: height and width of the picture -> what `layers` layers and the last one, which makes
    colours, give (section 3.2 and appendix C)."""
    longer = max(sides)
    share = np.minimum(np.arange(layers + 1) / (layers - CRITICAL), 1)
    cutoffs = FIRST_CUTOFF * (longer / 2 / FIRST_CUTOFF) ** share
    stopbands = FIRST_STOPBAND * (longer / 2 * LAST_STOPBAND / FIRST_STOPBAND) ** share
    rates = np.exp2(np.ceil(np.log2(np.minimum(2 * stopbands, longer)))).astype(int)
    half_widths = np.maximum(stopbands, rates / 2) - cutoffs
    channels = np.rint(np.minimum(channel_base / 2 / cutoffs, channel_max)).astype(int)
    found = []
    for number in range(layers + 1):
        around = 0 if number > layers - CRITICAL else 2 * margin
        rate = int(rates[number])
        height, width = (side * rate // longer + around for side in sides)
        filter_of = float(cutoffs[number]), float(half_widths[number])
        count = int(channels[number]) if number < layers else 3
        found.append(Signal(rate, *filter_of, (height, width), count))
    return found


def passing(signal: Signal, fine: int) -> np.ndarray:
    """The filter between a signal and the finer grid of that rate, adding up to 1."""
    taps = FILTER * fine // signal.rate
    return low_pass(taps, signal.cutoff, 2 * signal.half_width, fine)


class Filtered(nn.Module):
    """Leaky ReLU at a finer resolution: upwards, `leaky`, and downwards to the next signal.

    Of the finer rows those that a part of the result hangs on are made and used before the next:
    a cache holds them.
    """

    def __init__(self, before: Signal, after: Signal, pad: int, clamp: float) -> None:
        """pad: rows, and columns, that the convolution has added to `before`."""
        super().__init__()
        fine = OVERSAMPLED * max(before.rate, after.rate)
        up, down = fine // before.rate, fine // after.rate
        rising, falling = up * passing(before, fine), passing(after, fine)
        pairs: list[tuple[np.ndarray, np.ndarray]] = []
        for size, out in zip(before.size, after.size, strict=True):
            # What the filters use up and the sides lack, shared out around the middle.
            lacking = (out - 1) * down + 1 - (size + pad) * up + len(rising) + len(falling) - 2
            first = (lacking + up) // 2
            rise = resampling(size + pad, rising, up=up, before=first, after=lacking - first)
            pairs.append((rise, resampling(len(rise), falling, down=down)))
        (rise, fall), (wider, narrower) = pairs
        self.wider, self.narrower = Banded(wider, -1), Banded(narrower, -1)
        self.spans, self.clamp = [], clamp
        for number, part in enumerate(np.array_split(fall, -(-len(rise) // ROWS))):
            fine_rows = spanned(part)
            rows = spanned(rise[fine_rows])
            self.spans.append((rows.start, rows.stop - rows.start))
            for way, each in zip(WAYS, (rise[fine_rows, rows], part[:, fine_rows]), strict=True):
                self.register_buffer(f"part{number}_{way}", constant(each), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H + pad, W + pad) -> (B, C, H', W')."""
        x, found = self.wider(x), []
        for number, (first, count) in enumerate(self.spans):
            up, down = (self.get_buffer(f"part{number}_{way}").to(x.dtype) for way in WAYS)
            found.append(down @ leaky(up @ x.narrow(-2, first, count), 1.0, self.clamp))
        return self.narrower(torch.cat(found, -2) if len(found) > 1 else found[0])


def stacked(*features: Tensor) -> Tensor:
    """(B, C, H, W), (B, C', H, W) ... on top of one another. In an export zeros lie on top of all:
    ONNX Runtime's quick convolutions on a CPU take multiples of `QUICK` channels alone."""
    parts = list(features)
    spare = -sum(each.shape[1] for each in parts) % QUICK
    if spare and torch.compiler.is_exporting():
        count, _, *sides = parts[0].shape
        parts.append(parts[0].new_zeros(count, spare, *sides))
    return torch.cat(parts, 1) if len(parts) > 1 else parts[0]


class AliasFreeLayer(Magnitude):
    """A modulated convolution and a filtered nonlinearity."""

    def __init__(
        self, into: int, style: int, before: Signal, after: Signal, kernel: int, clamp: float
    ) -> None:
        """into: channels of its input, `before` and whatever lies on top of it."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(after.channels, into, kernel, kernel))
        self.bias = nn.Parameter(torch.empty(after.channels))
        self.affine = EqualisedLinear(style, into, bias=1.0)
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)
        self.pad = kernel - 1
        self.filtered = Filtered(before, after, self.pad, clamp)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x: (B, C, H, W), w: (B, W) -> (B, C', H', W')."""
        gain = self.gain(x)
        styles, norm = demodulated(self.weight, self.affine(w))
        styles, weight = styles * gain, self.weight
        if zeros := x.shape[1] - weight.shape[1]:  # of `stacked`
            styles, weight = F.pad(styles, (0, zeros)), F.pad(weight, (0, 0, 0, 0, 0, zeros))
        x = x * styles.to(x.dtype)[:, :, None, None]
        x = F.conv2d(x, weight.to(x.dtype), padding=self.pad)
        bias = (GAIN * self.bias).to(x.dtype)[:, None, None]
        x = torch.addcmul(bias, x, (GAIN * norm).to(x.dtype)[:, :, None, None])
        return self.filtered(x)


class AliasFreeRgb(Magnitude):
    """Features to colours: a modulated 1 x 1 convolution without demodulation or nonlinearity."""

    def __init__(self, into: int, style: int, clamp: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(3, into, 1, 1))
        self.bias = nn.Parameter(torch.empty(3))
        self.affine = EqualisedLinear(style, into, bias=1.0)
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)
        self.scale, self.clamp = 1 / math.sqrt(into), clamp

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x: (B, C, H, W), w: (B, W) -> (B, 3, H, W)."""
        x = x[:, : self.weight.shape[1]]  # without the zeros of `stacked`
        styles = self.affine(w) * (self.gain(x) * self.scale)
        x = F.conv2d(x * styles.to(x.dtype)[:, :, None, None], self.weight.to(x.dtype))
        return (x + self.bias.to(x.dtype)[:, None, None]).clamp(-self.clamp, self.clamp)
