"""Differentiable augmentation of videos: real and made ones are changed alike, always.

Zhao et al. 2020 (2006.10738): colours, translation by up to a quarter of each side with zeros
moving in, and a box of half the sides that is cut out; the same for all frames of a video, which
then is stretched in time about its middle, up to twofold, or shortened (2206.03429, appendix).
What is drawn is given, so that a video's changes depend on nothing but itself.
"""

import torch
from torch import Tensor

from .precision import full_precision

SHIFT, CUT = 1 / 4, 1 / 2  # of a side
# Numbers of a video: brightness, saturation, contrast, both shifts, both places of the box, time.
CHANGES = 8


def changed_alike(videos: Tensor, uniform: Tensor) -> Tensor:
    """videos: (B, T, 3, H, W) in -1 ... 1, uniform: (B, CHANGES) in [0, 1) -> same, float32.

    Linear but for the contrast's mean, so that it is differentiable twice; nothing waits for the
    device.
    """
    with full_precision(videos):
        colour, shift, place, time = uniform.float().split([3, 2, 2, 1], 1)
        x = coloured(videos.float(), colour)
        x = shifted(x, shift)
        x = x * uncut(place, x.shape[-2], x.shape[-1])[:, None, None]
        return stretched(x, 2 ** (2 * time[:, 0] - 1))


def coloured(x: Tensor, numbers: Tensor) -> Tensor:
    """x: (B, T, 3, H, W), numbers: (B, 3) in [0, 1), of brightness, saturation and contrast; a half
    changes the first two and leaves the third."""
    brightness, saturation, contrast = numbers.view(-1, 3, 1, 1, 1, 1).unbind(1)
    x = x + (brightness - 0.5)
    grey = x.mean(2, keepdim=True)
    x = grey + (x - grey) * (2 * saturation)
    mean = x.mean((1, 2, 3, 4), keepdim=True)
    return mean + (x - mean) * (contrast + 0.5)


def shifted(x: Tensor, numbers: Tensor) -> Tensor:
    """x: (B, T, 3, H, W), moved down and to the right by whole pixels, each number from minus to
    plus SHIFT of a side as likely; numbers: (B, 2) in [0, 1)."""
    down, right = (
        moves(number, side) for number, side in zip(numbers.T, x.shape[-2:], strict=True)
    )
    return down[:, None, None] @ x @ right[:, None, None].mT


def moves(numbers: Tensor, side: int) -> Tensor:
    """numbers: (B,) in [0, 1) -> (B, side, side), which move rows downwards."""
    most = round(SHIFT * side)
    by = (numbers * (2 * most + 1)).floor() - most
    line = torch.arange(side, device=numbers.device)
    return (line[:, None] - by[:, None, None] == line).to(numbers.dtype)


def uncut(numbers: Tensor, height: int, width: int) -> Tensor:
    """numbers: (B, 2) in [0, 1), where the middle of the box lies -> (B, H, W), zero in the box."""
    inside = []
    for number, side in zip(numbers.T, (height, width), strict=True):
        size = round(CUT * side)
        first = (number * (side + 1 - size % 2)).floor() - size // 2
        line = torch.arange(side, device=numbers.device) - first[:, None]
        inside.append((line >= 0) & (line < size))
    return 1 - (inside[0][:, :, None] & inside[1][:, None, :]).to(numbers.dtype)


def stretched(x: Tensor, longer: Tensor) -> Tensor:
    """x: (B, T, ...), its middle `longer` (B,) times as long, interpolated between frames; zeros
    before and after where that is shorter."""
    line = torch.arange(x.shape[1], device=x.device, dtype=x.dtype)
    middle = (x.shape[1] - 1) / 2
    source = (line - middle) / longer[:, None] + middle
    weights = (1 - (source[:, :, None] - line).abs()).clamp(min=0)
    return (weights @ x.flatten(2)).view_as(x)
