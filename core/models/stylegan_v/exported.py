"""What an export of StyleGAN-V is proven by, and what a program that has nothing but its graphs
must know: how noise is drawn, where anchors lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..proof import Proof
from .motion import WINDOW
from .sample import FRAMES

if TYPE_CHECKING:
    from .model import Model


def proofs(model: Model) -> list[Proof]:
    """A second and less from the beginning, and frames of another density an hour in, under another
    motion and truncation."""
    late = {"frames": 12, "fps": 60.0, "start": 3600.0, "truncation": 0.7, "motion_seed": 9}
    return [Proof(asked={"frames": 20}), Proof("an hour in", late)]


def constants(model: Model) -> dict[str, Any]:
    """As `System.constants`. Times are in frames of the data's rate. A frame's window is the noise
    of the last anchor before it and of those after; its anchor and moment are told since the last
    multiple of `restart`, w is mean + truncation (w - mean)."""
    config = model.config
    return {
        "latent": {"z": "numpy.random.default_rng(seed)"
                        ".standard_normal((1, length), dtype=numpy.float32)",
                   "length": config.latent, "mean": model.generator.mapping.w_avg.tolist()},
        "noise": "numpy.random.default_rng([motion_seed, 1 + anchor])"
                 ".standard_normal(length, dtype=numpy.float32)",
        "anchors": {"distance": config.anchor_distance, "window": WINDOW,
                    "restart": config.longest_period // config.anchor_distance
                    * config.anchor_distance},
        "classes": list(config.classes),
        "pixels": {"graph": "synthesis", "output": "pixels", "range": [0, 1],
                   "axes": ["frame", "channel", "row", "column"]},
        "clip": {"frames": FRAMES, "fps": config.shown, "size": [config.side] * 2},
    }  # fmt: skip
