"""How near large pictures come to true ones: the codes of small ones, direct super-resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...data import Source
from ...media.picture import resized
from ..layers.lessons import measuring_rows
from ..layers.pixels import to_frames, to_pixels
from ..layers.prompt import encode_texts
from .pairs import still_times

if TYPE_CHECKING:
    from .model import Model

PICTURES = 16


@torch.inference_mode()
def sharpness(model: Model, source: Source, clips: int) -> dict[str, float]:
    """dB to true frames of clips that did not teach: psnr_large of the likeliest fine codes,
    psnr_enlarged of the small picture enlarged bicubically, psnr_codes of the true fine codes,
    which no super-resolution can beat."""
    config, device = model.config, next(model.direct.parameters()).device
    found: dict[str, list[float]] = {"large": [], "enlarged": [], "codes": []}
    for clip in measuring_rows(clips, PICTURES, PICTURES):
        time = still_times(source, int(clip))[:1]
        small, true = (source.frames(int(clip), time, (size, size))[0]
                       for size in (config.image_size, config.fine_size))  # fmt: skip
        caption = source.caption(int(clip), np.random.default_rng(int(clip)))
        text, seen = map(
            torch.from_numpy, encode_texts(config, model.reader, [("<still>", caption)])
        )
        coarse = model.tokenizer.encode(to_pixels(small).to(device))
        scores = model.direct(model.image, text.to(device), seen.to(device), coarse)
        decoded = model.tokenizer.decode(coarse, config.grid)
        enlarged = resized(to_frames(decoded)[0], (config.fine_size,) * 2)[None]
        fine = model.tokenizer.encode(to_pixels(true).to(device))
        for name, made in (("large", _decoded(model, scores.argmax(-1))), ("enlarged", enlarged),
                           ("codes", _decoded(model, fine))):  # fmt: skip
            found[name].append(_decibels(made, true))
    return {f"psnr_{name}": float(np.mean(each)) for name, each in found.items()}


def _decoded(model: Model, fine: Tensor) -> np.ndarray:
    return to_frames(model.tokenizer.decode(fine, model.config.fine_grid))


def _decibels(made: np.ndarray, true: np.ndarray) -> float:
    error = np.square(made.astype(float) - true).mean() / 255**2
    return float(-10 * np.log10(max(error, 1e-10)))
