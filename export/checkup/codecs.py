"""Clips written and read back: each frame carries its own number, which no codec can blur away."""

import numpy as np

from dln.core.errors import DlnError, MissingCapability
from dln.core.media.clip import Clip
from dln.core.media.decode import read_frames
from dln.core.media.video import read_clip, write_clip

from .outcome import Found, Job

FRAMES, FPS = 24, 8.0  # three seconds: later moments are sought, not read up to
BITS, BLOCK = 5, 16  # squares of so many pixels, white for 1 and black for 0
MOST_LEVELS = 24  # that a codec may be off in the middle of a square


def written(job: Job, suffix: str) -> Found:
    """All frames in their order, then each at its moment. DlnError for another frame, rate or
    picture, MissingCapability where the library has no such encoder."""
    from av.codec.codec import UnknownCodecError

    path, clip = job.folder / f"numbered.{suffix}", numbered()
    try:
        write_clip(clip, path, scale=1, overwrite=True)
    except UnknownCodecError as error:
        raise MissingCapability(f"this av cannot write {suffix}: {error}",
                                "pip install --force-reinstall av") from error  # fmt: skip
    read = read_clip(path)
    if abs(read.fps - FPS) > 1e-6 * FPS:
        raise DlnError(f"written at {FPS:g} frames a second, read back at {read.fps:g}")
    in_order(read.frames, "in order")
    moments = (np.arange(FRAMES) + 0.5) / FPS
    backwards = [read_frames(path, [moment], clip.frames.shape[1:3])[0] for moment in moments[::-1]]
    in_order(np.stack(backwards[::-1]), "sought")
    levels = int(np.abs(read.frames.astype(np.int16) - clip.frames)[middles()].max())
    if levels > MOST_LEVELS:
        raise DlnError(f"a colour is {levels} of 255 levels off")
    return Found(f"{FRAMES} frames in order and sought, none another; colours within {levels} of "
                 "255 levels", {"frames": FRAMES, "levels": levels})  # fmt: skip


def numbered() -> Clip:
    """Frame n shows n in squares, one a bit, and below them its own grey."""
    frames = np.zeros((FRAMES, 2 * BLOCK, BITS * BLOCK, 3), np.uint8)
    for number, frame in enumerate(frames):
        for bit in range(BITS):
            frame[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 255 * (number >> bit & 1)
        frame[BLOCK:] = 40 + 7 * number
    return Clip(frames, FPS)


def middles() -> tuple[slice, slice, slice]:
    """Every frame's rows and columns in the middle of the lower half, where no edge is near."""
    return slice(None), slice(BLOCK + 4, 2 * BLOCK - 4), slice(4, -4)


def in_order(frames: np.ndarray, how: str) -> None:
    """DlnError unless frame n shows n, for all of them."""
    seen = [number_of(frame) for frame in frames]
    if seen != list(range(FRAMES)):
        odd = next((n for n, (a, b) in enumerate(zip(seen, range(FRAMES), strict=False)) if a != b),
                   min(len(seen), FRAMES))  # fmt: skip
        raise DlnError(f"{len(seen)} frames, {how}, of {FRAMES}: the first that is another is "
                       f"number {odd}")  # fmt: skip


def number_of(frame: np.ndarray) -> int:
    """What the squares of a frame tell."""
    lights = [frame[4 : BLOCK - 4, bit * BLOCK + 4 : (bit + 1) * BLOCK - 4].mean() > 127
              for bit in range(BITS)]  # fmt: skip
    return sum(1 << bit for bit, light in enumerate(lights) if light)
