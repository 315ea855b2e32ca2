"""What an export of Video Diffusion is proven by, and what a program that has nothing but its
graphs must know: the schedules, the order of the noise, the words' rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..proof import Proof
from .captions import SYMBOLS
from .config import UNetConfig
from .sample import AUGMENTATION, STEPS
from .samplers import log_snrs

if TYPE_CHECKING:
    from .config import Config
    from .model import Model


def proofs(model: Model) -> list[Proof]:
    """The distilled twin, the base under guidance and without, and around given frames (by
    replacement, which takes no gradients): pictures at both ends, and a block after the first."""
    config = model.config
    few = {"reconstruction": 0.0, "steps": 2}
    found = [
        Proof(),
        Proof("guided", {"guidance": config.guidance, "steps": 4}),
        Proof("between pictures, unguided", {"guidance": 1.0, **few}, ("image", "last_image")),
    ]
    if config.frames > 1:  # one frame leaves none to go on from
        longer = {"frames": config.clip_frames + 1, "guidance": config.guidance, **few}
        found.append(Proof("longer than a block", longer))
    return found


def constants(model: Model) -> dict[str, Any]:
    """As `System.constants`. stages: what makes a clip of one block, in order; each begins from
    noise of its shape at log_snr[0], is called at all but the last of them, its x clamped to the
    range of pixels. All noise is one stream of numbers: a stage that is `given` frames draws what
    it lays over them before its own."""
    config = model.config
    side, rows = config.upsample.image_size, list(getattr(model.reader, "words", ()))
    first = [_fast(config)] if config.fast_steps else [_base(config)]
    return {
        "noise": "numpy.random.default_rng(seed).standard_normal(shape, dtype=numpy.float32)",
        "words": {
            "length": config.text_length,
            "symbols": {symbol: len(rows) + n for n, symbol in enumerate(SYMBOLS)},
        },
        "stages": [*first, _upsample(config)],
        "base": _base(config),
        "pixels": {"graph": "upsample", "output": "x", "range": [-1, 1],
                   "axes": ["batch", "frame", "channel", "row", "column"]},
        "clip": {"frames": config.clip_frames, "fps": config.clip_fps, "size": [side, side]},
        "blocks": {"frames": config.frames, "shared": config.frames // 2,
                   "rate": config.upsample.rate},
    }  # fmt: skip


def _fast(config: Config) -> dict[str, Any]:
    return _stage("fast", config.base, config.frames, config.fast_steps) | {"sampler": "ddim"}


def _base(config: Config) -> dict[str, Any]:
    found = _stage("base", config.base, config.frames, STEPS)
    return found | {"sampler": "dpm-solver", "guidance": config.guidance}


def _upsample(config: Config) -> dict[str, Any]:
    found = _stage("upsample", config.upsample, config.clip_frames, config.upsample_steps)
    return found | {"sampler": "dpm-solver", "given_log_snr": AUGMENTATION}


def _stage(graph: str, unet: UNetConfig, frames: int, steps: int) -> dict[str, Any]:
    return {
        "graph": graph,
        "text": f"{graph}_text",
        "shape": [1, frames, 3, unet.image_size, unet.image_size],
        "log_snr": log_snrs(steps, unet.shift),
    }
