"""What a model's own encoder and decoder leave of real clips."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..media.clip import Clip
from ..models.registry import load
from ..progress import OnProgress
from .alignment import KNOWN, judge, single
from .world import Real

if TYPE_CHECKING:
    from ..models.package import Loaded

FPS = 2.0  # of the real clips that are looked at
SECONDS = 4.0  # of each of them, at most


@torch.inference_mode()
def reconstruction(
    loaded: Loaded, real: Real, size: tuple[int, int], world: str | None, on_progress: OnProgress
) -> dict[str, float]:
    """What the model leaves of real clips, two frames a second of at most four, of (height, width)
    pixels, or of their first frame where the model makes pictures; {} for a model that does not
    encode and decode.

    psnr_db: mean over frames of the peak signal-to-noise ratio. Where the source has masks,
    psnr_foreground_db: the same over the pixels of actor and props. In a `world` that a recognizer
    knows, reconstruction_..._accuracy: how often it still sees what is there (`Known.shown`).
    """
    system = load(loaded.about)
    whole, front = [], []
    right = dict.fromkeys(KNOWN[world].shown if world else (), 0)
    for number in range(len(real)):
        seconds = min(real.duration(number), SECONDS)
        still = loaded.about.gives == "picture"
        times = np.zeros(1) if still else np.arange(0, seconds + 0.5 / FPS, 1 / FPS)
        frames, mask = real.frames(number, times, seconds, size)
        made = system.reconstruct(loaded.model, frames)
        if made is None:
            return {}
        error = np.square((made.astype(np.float32) - frames) / 255)
        whole += [decibels(each.mean()) for each in error]
        front += [] if mask is None else _in_front(error, mask)
        seen = single(judge([Clip(made, FPS)], world)) if world else {}
        right = {head: right[head] + (seen[head] == real.labels(number)[head]) for head in right}
        on_progress(number + 1, len(real), "reconstructions")
    found = {"psnr_db": float(np.mean(whole))}
    found |= {"psnr_foreground_db": float(np.mean(front))} if front else {}
    accuracies = {f"reconstruction_{head}_accuracy": n / len(real) for head, n in right.items()}
    return found | accuracies


def _in_front(error: np.ndarray, mask: np.ndarray) -> list[float]:
    """error: (T, H, W, 3) squared; mask: (T, H, W), 0 to 255 -> decibels of each frame's front."""
    shown = mask[..., None] / 255
    pairs = zip(error, shown, strict=True)
    return [decibels((e * m).sum() / (3 * m.sum())) for e, m in pairs if m.any()]


def decibels(squared_error: float) -> float:
    """Peak signal-to-noise ratio of a mean squared error of values in [0, 1]; at most 100 dB."""
    return -10 * math.log10(max(float(squared_error), 1e-10))
