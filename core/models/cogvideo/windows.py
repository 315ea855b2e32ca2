"""From clips to the codes that CogVideo's stages learn from.

A *window* is a stretch of a clip that five key frames span. Its codes lie on a grid of 1/8 s, so
that every frame rate of the method is a stride over the grid.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ...data import Source
from ...data.table import build_table
from ...errors import UsageError
from ...training.events import OnEvent
from ..layers.pixels import noter, teller, to_pixels
from ..layers.tokenizer import ImageTokenizer
from .config import DURATIONS

STEP = DURATIONS[-1] / 4  # seconds between neighbours on the grid
POINTS = round(DURATIONS[0] / STEP) + 1


@dataclass(frozen=True)
class Window:
    """`duration` seconds of clip `clip`, from `start`; the duration is one of DURATIONS."""

    clip: int
    start: float
    duration: float

    @property
    def last(self) -> int:
        """The last point of the grid that is inside."""
        return round(self.duration / STEP)


def cut_windows(source: Source, durations: tuple[float, ...]) -> list[Window]:
    """Windows that cover the clips end to end, at the lowest frame rate that fits each clip.

    durations: those of the configuration, longest first. Raises UsageError when no clip is as
    long as the first: the model's key frames would have nothing to learn from.
    """
    windows = []
    for clip in range(len(source)):
        length = source.duration(clip) + STEP / 2
        duration = next((d for d in durations if d <= length), None)
        if duration is not None:
            starts = np.arange(int(length // duration)) * duration
            windows += [Window(clip, float(start), duration) for start in starts]
    longest = max((window.duration for window in windows), default=0.0)
    if longest < durations[0]:
        fit = f"--set clip_seconds={longest}" if longest else f"dln data check {source.name}"
        raise UsageError(f"no clip of {source.name} lasts {durations[0]} s", hint=fit)
    return windows


def codes_table(
    source: Source,
    windows: list[Window],
    tokenizer: ImageTokenizer,
    size: int,
    cache: Path,
    key: str,
    workers: int,
    on_event: OnEvent,
):
    """The codes of every window on the grid: (windows, 33, N), uint16.

    key names the weights.
    """
    fill = partial(_codes, source, windows, tokenizer.eval(), size)
    return build_table(
        cache / "codes.bin",
        len(windows),
        (POINTS, (size // 8) ** 2),
        np.uint16,
        fill,
        workers=workers,
        on_progress=teller("codes", on_event),
        on_note=noter(on_event),
        key=f"{source.fingerprint()} {size} {key}",
    )


def _codes(
    source: Source,
    windows: list[Window],
    tokenizer: ImageTokenizer,
    size: int,
    row: int,
) -> np.ndarray:
    window = windows[row]
    times = window.start + np.minimum(np.arange(POINTS), window.last) * STEP
    frames, _ = source.frames(window.clip, times, (size, size))
    device = next(tokenizer.parameters()).device
    pixels = to_pixels(frames).to(device, memory_format=torch.channels_last)
    with torch.inference_mode():  # in float32, as whoever has a picture encodes it
        return tokenizer.encode(pixels).cpu().numpy().astype(np.uint16)
