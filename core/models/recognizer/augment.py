"""What a clip goes through before the recognizer learns from it."""

from dataclasses import dataclass

import numpy as np

BLOTCH = 4  # pixels a side


@dataclass(frozen=True)
class Wear:
    """How much a clip suffers, at most. Levels are of 255, pixels of a frame of 64.

    blur: its standard deviation in pixels, least and most; skew: blurs are mostly small where it is
    large; shift: pixels; zoom: share; held: share of the clips that show every second frame twice;
    gain: share, of all and of each colour; offset: levels, of all and of each frame's colours;
    blotches: levels; grain: share of 127 levels.
    """

    blur: tuple[float, float] = (0.3, 1.7)
    skew: float = 1.5
    shift: float = 3.0
    zoom: float = 0.05
    held: float = 0.15
    gain: tuple[float, float] = (0.15, 0.07)
    offset: tuple[float, float] = (14.0, 5.0)
    blotches: float = 12.0
    grain: float = 0.1


HARD = Wear()
# What an hour is told by must stay: how bright the sky is, and its tint.
MILD = Wear((0.3, 0.9), 2.0, 1.0, 0.02, 0.0, (0.04, 0.02), (3.0, 2.0), 4.0, 0.05)


def augment(frames: np.ndarray, rng: np.random.Generator, wear: Wear = HARD) -> np.ndarray:
    """Blurred, moved, recoloured and noisy: uint8 (T, 3, H, W) -> same.

    Everything is drawn from `rng`, so the same generator state gives the same pixels.
    """
    if rng.random() < wear.held:
        frames = frames[np.arange(len(frames)) // 2 * 2]
    size, (least, most) = frames.shape[-1], wear.blur
    sigma = least + (most - least) * rng.random() ** wear.skew
    zoom = 1 + rng.uniform(-wear.zoom, wear.zoom)
    rows, columns = (
        resampling(size, sigma, zoom, shift) for shift in rng.uniform(-wear.shift, wear.shift, 2)
    )
    moved = rows @ (frames + blotches(frames.shape, rng, wear.blotches)) @ columns.T
    whole, each = wear.gain
    gain = rng.uniform(1 - whole, 1 + whole) * rng.uniform(1 - each, 1 + each, (3, 1, 1))
    whole, each = wear.offset
    offset = rng.uniform(-whole, whole) + rng.uniform(-each, each, (len(frames), 3, 1, 1))
    seen = moved * gain.astype(np.float32) + offset.astype(np.float32)
    seen += grain(frames.shape, rng, wear.grain)
    return np.clip(seen, 0, 255).astype(np.uint8)


def grain(shape: tuple[int, ...], rng: np.random.Generator, most: float) -> np.ndarray:
    """Even noise of up to `most` of 127 levels either way, different in each pixel: float32."""
    noise = np.frombuffer(rng.bytes(int(np.prod(shape))), np.int8).reshape(shape)
    return noise * np.float32(rng.uniform(0, most))


def resampling(size: int, sigma: float, zoom: float, shift: float) -> np.ndarray:
    """(size, size) matrix that blurs, magnifies about the middle and moves a line of pixels.

    sigma and shift are in pixels of a 64-pixel line; what lies beyond the edge is the edge.
    """
    unit, middle = size / 64, (size - 1) / 2
    targets = (np.arange(size) - middle) / zoom + middle - shift * unit
    targets = np.clip(targets, 0, size - 1)[:, None]
    weights = np.exp(-0.5 * ((targets - np.arange(size)) / (sigma * unit)) ** 2) + 1e-12
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def blotches(shape: tuple[int, ...], rng: np.random.Generator, most: float) -> np.ndarray:
    """Squares of wrong colour, as a codec leaves them, different in each frame: float32; their
    deviation is of at most `most` levels."""
    height, width = -(-shape[-2] // BLOTCH), -(-shape[-1] // BLOTCH)
    coarse = rng.standard_normal((*shape[:-2], height, width), np.float32)
    coarse *= np.float32(rng.uniform(0, most))
    return coarse.repeat(BLOTCH, -2).repeat(BLOTCH, -1)[..., : shape[-2], : shape[-1]]
