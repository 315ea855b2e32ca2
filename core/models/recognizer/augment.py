"""What a clip goes through before the recognizer learns from it."""

import numpy as np

SHARPEST, BLURRIEST = 0.3, 1.7  # standard deviations in pixels of a 64-pixel frame
SHIFT = 3.0  # pixels of a 64-pixel frame
ZOOM = 0.05
BLOTCH = 4  # pixels a side
HELD = 0.15  # share of the clips that show every second frame twice


def augment(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blurred, moved, recoloured and noisy: uint8 (T, 3, H, W) -> same.

    Everything is drawn from `rng`, so the same generator state gives the same pixels.
    """
    if rng.random() < HELD:
        frames = frames[np.arange(len(frames)) // 2 * 2]
    size = frames.shape[-1]
    sigma = SHARPEST + (BLURRIEST - SHARPEST) * rng.random() ** 1.5
    zoom = 1 + rng.uniform(-ZOOM, ZOOM)
    rows, columns = (
        resampling(size, sigma, zoom, shift) for shift in rng.uniform(-SHIFT, SHIFT, 2)
    )
    moved = rows @ (frames + blotches(frames.shape, rng)) @ columns.T
    gain = rng.uniform(0.85, 1.15) * rng.uniform(0.93, 1.07, (3, 1, 1))
    offset = rng.uniform(-14, 14) + rng.uniform(-5, 5, (len(frames), 3, 1, 1))
    seen = moved * gain.astype(np.float32) + offset.astype(np.float32)
    seen += grain(frames.shape, rng)
    return np.clip(seen, 0, 255).astype(np.uint8)


def grain(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Even noise of up to 13 levels either way, different in each pixel: float32."""
    noise = np.frombuffer(rng.bytes(int(np.prod(shape))), np.int8).reshape(shape)
    return noise * np.float32(rng.uniform(0, 0.1))


def resampling(size: int, sigma: float, zoom: float, shift: float) -> np.ndarray:
    """(size, size) matrix that blurs, magnifies about the middle and moves a line of pixels.

    sigma and shift are in pixels of a 64-pixel line; what lies beyond the edge is the edge.
    """
    unit, middle = size / 64, (size - 1) / 2
    targets = (np.arange(size) - middle) / zoom + middle - shift * unit
    targets = np.clip(targets, 0, size - 1)[:, None]
    weights = np.exp(-0.5 * ((targets - np.arange(size)) / (sigma * unit)) ** 2) + 1e-12
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def blotches(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Squares of wrong colour, as a codec leaves them, different in each frame: float32."""
    height, width = -(-shape[-2] // BLOTCH), -(-shape[-1] // BLOTCH)
    coarse = rng.standard_normal((*shape[:-2], height, width), np.float32)
    coarse *= np.float32(rng.uniform(0, 12))
    return coarse.repeat(BLOTCH, -2).repeat(BLOTCH, -1)[..., : shape[-2], : shape[-1]]
