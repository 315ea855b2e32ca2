"""Adaptive discriminator augmentation: real and made pictures are changed alike, at random.

Karras et al. 2020 (2006.06676), appendix B, the set called bgc: mirroring, quarter turns and whole
shifts; scaling, stretching, turning and moving between pixels; brightness, contrast, inverted luma,
hue and saturation. Each is applied with the same probability. Where that is below 0.8 the generator
learns the pictures and not their changes (section 2.2).

All frames of a video get the same changes (2112.14683, section 3.3). What is drawn is given, so
that a sample's changes depend on nothing but itself. Two things differ from the paper: changes of
whole pixels are exact, since they are read where they lie; others are computed in a picture of
twice the resolution as there, but made and left with Lanczos' symmetric filter of three lobes, not
with the asymmetric wavelet sym6. Beyond its borders a picture goes on as its mirror image.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .precision import full_precision

# Each kind of change and the numbers that it is drawn with, in the order of the paper.
KINDS = {
    "mirror": 1, "quarter": 1, "shift": 2,
    "scale": 1, "turn_before": 1, "stretch": 1, "turn_after": 1, "move": 2,
    "brightness": 1, "contrast": 1, "luma": 1, "hue": 1, "saturation": 1,
}  # fmt: skip
TURNS = ("turn_before", "turn_after")  # either of the two with the probability of all others
DRAWS = len(KINDS) + sum(KINDS.values())  # numbers from 0 to 1 that decide over one sample
SHIFT, MOVE = 1 / 8, 1 / 8  # of a side: the largest whole shift, the deviation of the other
SCALE, BRIGHTNESS, CONTRAST, SATURATION = 0.2, 0.2, 0.5, 1.0  # deviations; all but the second log2
LOBES = 3
REACH = 2 * LOBES - 1  # of the filter, in half pixels


class Drawn:
    """What happens to each sample. uniform: (B, DRAWS) in [0, 1); probability: a scalar, of which
    what is above 1 is certain and below 0 never."""

    def __init__(self, uniform: Tensor, probability: Tensor) -> None:
        gates, values = uniform.double().split([len(KINDS), DRAWS - len(KINDS)], 1)
        likely = probability.to(gates).clamp(0, 1)
        either = 1 - (1 - likely).sqrt()
        self.gates = {
            name: gate < (either if name in TURNS else likely)
            for name, gate in zip(KINDS, gates.unbind(1), strict=True)
        }
        self.values = dict(zip(KINDS, values.split(list(KINDS.values()), 1), strict=True))

    def even(self, name: str, low: float, high: float, neutral: float = 0.0) -> Tensor:
        """(B, n) evenly between `low` and `high`, `neutral` where it does not happen."""
        return self._where(name, low + (high - low) * self.values[name], neutral)

    def whole(self, name: str, count: int) -> Tensor:
        """(B,) one of 0 ... count - 1, each as likely."""
        return self._where(name, (count * self.values[name]).floor(), 0.0)[:, 0].long()

    def normal(self, name: str, deviation: float) -> Tensor:
        """(B, n), normal with this deviation around zero."""
        edge = 1e-7
        numbers = torch.special.ndtri(self.values[name].clamp(edge, 1 - edge))
        return self._where(name, deviation * numbers, 0.0)

    def _where(self, name: str, value: Tensor, neutral: float) -> Tensor:
        return torch.where(self.gates[name][:, None], value, neutral)


def augment(videos: Tensor, uniform: Tensor, probability: Tensor) -> Tensor:
    """videos: (B, T, 3, S, S) in -1 ... 1, uniform: (B, DRAWS) in [0, 1) -> same.

    Differentiable twice. A sample to which nothing happens comes back bit by bit.
    """
    if float(probability) <= 0:
        return videos
    with full_precision(videos):
        drawn = Drawn(uniform, probability)
        x = videos.flatten(1, 2).to(torch.promote_types(videos.dtype, torch.float32))
        x = changed(x, shuffled, source_pixels(drawn, x.shape[-1]))
        x = changed(x, warped, source_places(drawn))
        x = x.unflatten(1, videos.shape[1:3])
        return changed(x, coloured, colour_matrix(drawn)).to(videos.dtype)


def changed(x: Tensor, change: Any, told: tuple[Tensor, Tensor]) -> Tensor:
    """x: (B, ...) with `change` applied to the samples that it is told to touch: (B,) bool."""
    given, touched = told
    rows = touched.nonzero()[:, 0]
    return x.index_copy(0, rows, change(x[rows], given[rows])) if len(rows) else x


# Whole pixels.


def source_pixels(drawn: Drawn, side: int) -> tuple[Tensor, Tensor]:
    """Where each pixel of the changed picture comes from: int64 (B, S S), and whether from
    elsewhere. First mirrored, then turned by quarters counter-clockwise, then shifted."""
    mirror, quarter = drawn.whole("mirror", 2), drawn.whole("quarter", 4)
    shift = (drawn.even("shift", -SHIFT, SHIFT) * side).round().long()
    # Twice the distance from the middle, so that all are whole numbers; y points down.
    line = 2 * torch.arange(side, device=shift.device) - (side - 1)
    x = line[None, None, :] - 2 * shift[:, 0, None, None]
    y = line[None, :, None] - 2 * shift[:, 1, None, None]
    cos, sin = (
        torch.tensor(row, device=shift.device)[quarter][:, None, None]
        for row in ([1, 0, -1, 0], [0, 1, 0, -1])
    )
    x, y = cos * x - sin * y, sin * x + cos * y
    x = torch.where(mirror[:, None, None] == 1, -x, x)
    column, row = (folded((each + side - 1) // 2, side) for each in (x, y))
    touched = (mirror != 0) | (quarter != 0) | (shift != 0).any(1)
    return (row * side + column).flatten(1), touched


def folded(index: Tensor, side: int) -> Tensor:
    """A place anywhere on a line -> the pixel there of a picture that goes on as its mirror image
    about its outermost pixels."""
    period = max(1, 2 * (side - 1))
    index = index.remainder(period)
    return torch.minimum(index, period - index).clamp(max=side - 1)


def shuffled(x: Tensor, index: Tensor) -> Tensor:
    """x: (B, C, S, S), index: (B, S S), the pixel that each takes -> (B, C, S, S)."""
    flat = x.flatten(2)
    return flat.gather(2, index[:, None].expand_as(flat)).view_as(x)


# Between pixels.


def source_places(drawn: Drawn) -> tuple[Tensor, Tensor]:
    """The map from a place in the changed picture to where it comes from, (B, 2, 3), in sides of
    the picture from its middle; and whether it is another place.

    First scaled, then turned, stretched, turned again and moved; the map goes back.
    """
    scale, stretch = (2 ** drawn.normal(name, SCALE)[:, 0] for name in ("scale", "stretch"))
    before, after = (drawn.even(name, -math.pi, math.pi)[:, 0] for name in TURNS)
    move = drawn.normal("move", MOVE)
    squeeze = torch.stack([1 / stretch, stretch], 1).diag_embed() / scale[:, None, None]
    back = rotation(-before) @ squeeze @ rotation(-after)
    names = ("scale", "stretch", "move", *TURNS)
    touched = torch.stack([drawn.gates[name] for name in names]).any(0)
    return torch.cat([back, -back @ move[:, :, None]], 2), touched


def rotation(angle: Tensor) -> Tensor:
    """angle: (B,) -> (B, 2, 2); (x, y) with y down turns counter-clockwise, as it is seen."""
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos, sin, -sin, cos], 1).unflatten(1, (2, 2))


def warped(x: Tensor, places: Tensor) -> Tensor:
    """x: (B, C, S, S), places: (B, 2, 3) as `source_places` gives -> (B, C, S, S).

    At twice the resolution, read bilinearly there, and halved again.
    """
    side = x.shape[-1]
    double, halve = (matrix.to(x) for matrix in resolutions(side))
    fine = double @ x @ double.T
    # In half pixels from the middle, with what the filter reaches beyond the borders.
    line = torch.arange(1 - side - REACH, side + REACH, device=x.device, dtype=torch.float64)
    y, x_ = torch.meshgrid(line, line, indexing="ij")
    ones = torch.full_like(x_, 2.0 * side)  # a side in half pixels
    grid = torch.einsum("bij,hwj->bhwi", places, torch.stack([x_, y, ones], -1))
    grid = grid / max(1, side - 1)  # -1 and 1 are the outermost pixels
    return halve @ Sampled.apply(fine, grid.to(x.dtype)) @ halve.T


@lru_cache(maxsize=8)
def resolutions(side: int) -> tuple[Tensor, Tensor]:
    """Matrices (2 S - 1, S) from pixels to half pixels, and (S, 2 S - 1 + 2 REACH) back from these
    and those around: Lanczos' filter, which leaves what lies on pixels as it is on the way up."""
    taps = torch.arange(-REACH, REACH + 1, dtype=torch.float64)
    weights = torch.sinc(taps / 2) * torch.sinc(taps / (2 * LOBES))
    odd = taps.long() % 2 != 0
    weights[odd] /= weights[odd].sum()
    fine = torch.arange(2 * side - 1)
    double = torch.zeros(2 * side - 1, side, dtype=torch.float64)
    halve = torch.zeros(side, 2 * side - 1 + 2 * REACH, dtype=torch.float64)
    for tap, weight in zip(taps.long().tolist(), weights.tolist(), strict=True):
        lies = (fine - tap) % 2 == 0
        source = folded((fine[lies] - tap) // 2, side)
        double.index_put_((fine[lies], source), torch.tensor(weight).double(), accumulate=True)
        halve[torch.arange(side), 2 * torch.arange(side) + tap + REACH] = weight / 2
    return double, halve


class Sampled(torch.autograd.Function):
    """grid_sample, with the mirror image beyond the borders, as a linear map of the picture: its
    gradient may be differentiated again, which torch's own may not."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, grid: Tensor) -> Tensor:
        """x: (B, C, H, W), grid: (B, h, w, 2) -> (B, C, h, w)."""
        ctx.save_for_backward(grid)
        ctx.size = x.shape
        return F.grid_sample(x, grid, "bilinear", "reflection", align_corners=True)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:
        (grid,) = ctx.saved_tensors
        return Spread.apply(slopes[0], grid, ctx.size), None


class Spread(torch.autograd.Function):
    """The transpose of `Sampled`: each number goes where it would have been read."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, grid: Tensor, size: torch.Size) -> Tensor:
        """y: (B, C, h, w), grid: (B, h, w, 2) -> size, (B, C, H, W)."""
        ctx.save_for_backward(grid)
        bilinear, reflection = 0, 2
        blank = y.new_zeros(size)
        return torch.ops.aten.grid_sampler_2d_backward(
            y.contiguous(), blank, grid, bilinear, reflection, True, [True, False]
        )[0]

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None, None]:
        (grid,) = ctx.saved_tensors
        return Sampled.apply(slopes[0], grid), None, None


# Colours.


def colour_matrix(drawn: Drawn) -> tuple[Tensor, Tensor]:
    """What colours become, (B, 3, 4) for (red, green, blue, 1) in -1 ... 1, and whether anything.

    First brightness, then contrast, luma, hue and saturation.
    """
    grey = torch.full((3, 3), 1 / 3, dtype=torch.float64, device=drawn.gates["hue"].device)
    eye = torch.eye(3).to(grey)

    def each(values: Tensor) -> Tensor:
        return values[:, 0, None, None]

    inverted = drawn.whole("luma", 2)[:, None]
    matrix = eye * each(2 ** drawn.normal("contrast", CONTRAST))
    matrix = (eye - 2 * grey * each(inverted)) @ matrix
    matrix = hue_rotation(drawn.even("hue", -math.pi, math.pi)[:, 0]) @ matrix
    matrix = (grey + (eye - grey) * each(2 ** drawn.normal("saturation", SATURATION))) @ matrix
    added = matrix.sum(2, keepdim=True) * each(drawn.normal("brightness", BRIGHTNESS))
    names = ("brightness", "contrast", "luma", "hue", "saturation")
    touched = torch.stack([drawn.gates[name] for name in names]).any(0)
    return torch.cat([matrix, added], 2), touched


def hue_rotation(angle: Tensor) -> Tensor:
    """angle: (B,) -> (B, 3, 3): a turn about the axis of greys (Rodrigues' formula)."""
    root = 1 / math.sqrt(3)
    cross = torch.tensor([[0, -root, root], [root, 0, -root], [-root, root, 0]]).to(angle)
    grey, eye = torch.full_like(cross, 1 / 3), torch.eye(3).to(angle)
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    return cos * eye + sin * cross + (1 - cos) * grey


def coloured(x: Tensor, matrix: Tensor) -> Tensor:
    """x: (B, T, 3, S, S), matrix: (B, 3, 4) -> (B, T, 3, S, S)."""
    matrix = matrix.to(x.dtype)
    flat = matrix[:, None, :, :3] @ x.flatten(3) + matrix[:, None, :, 3:]
    return flat.view_as(x)
