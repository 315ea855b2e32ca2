"""What an export of LongVideoGAN is proven by, and what a program that has nothing but its graphs
must know: how noise is drawn and filtered, which frames a window hangs on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..layers.kaiser import kaiser_beta
from ..proof import Proof
from .conditions import WINDOW
from .config import CONTEXT
from .filters import CUTOFF, TRANSITION, rates, taps_of
from .noise import BLOCK
from .sample import EARLIEST, FRAMES
from .windows import SCALE, coded

if TYPE_CHECKING:
    from .config import Config
    from .model import Model


def proofs(model: Model) -> list[Proof]:
    """A second and less from the beginning, and ten minutes on a window's border with nearer
    looks."""
    late = {"frames": 12, "start": 600.0, "truncation": 0.7}
    return [Proof(asked={"frames": 20}), Proof("ten minutes in", late)]


def constants(model: Model) -> dict[str, Any]:
    """As `System.constants`. w is mean + truncation (w - mean). Frame t of a video is at place
    t + `first` of its codes: window k of small frames is made of the styles of `codes` places from
    k `frames` on, and begins at that place; a large frame is made of its small one and of `context`
    more on either side."""
    config, mapping = model.config, model.super_generator.SG3.mapping
    return {
        "latent": {"z": "numpy.random.default_rng(seed)"
                        ".standard_normal((1, length), dtype=numpy.float32)",
                   "length": config.latent, "mean": mapping.w_avg.tolist()},
        "noise": {"drawn": "numpy.random.default_rng([seed, 1 + block])"
                           ".standard_normal((channels, length), dtype=numpy.float32)",
                  "channels": config.noise_channels, "length": BLOCK},
        "filters": filters(config),
        "windows": {"frames": SCALE, "codes": coded(SCALE), "first": EARLIEST},
        "large": {"small": WINDOW, "context": CONTEXT},
        "pixels": {"graph": "super", "output": "pixels", "range": [0, 1],
                   "axes": ["batch", "frame", "channel", "row", "column"]},
        "clip": {"frames": FRAMES, "fps": config.fps,
                 "size": [config.height, config.width]},
    }  # fmt: skip


def filters(config: Config) -> dict[str, Any]:
    """The bank's, by their lengths, sampling rates and Kaiser's betas: in double precision, the
    code of a place is what the filter makes of the noise of as many places, of which the last is
    `reach` places later; all filters of the first channel of the noise come first."""
    sampled = rates(config.filters, config.shortest_rate, config.longest_rate)
    taps = [taps_of(rate) for rate in sampled]
    betas = [kaiser_beta(taps_of(rate), TRANSITION, rate) for rate in sampled]
    form = f"numpy.sinc({2 * CUTOFF:g} / rate * (numpy.arange(taps) - (taps - 1) / 2)) * " \
           "numpy.kaiser(taps, beta), divided by the root of the sum of its squares"  # fmt: skip
    return {"taps": taps, "rates": sampled, "betas": betas, "filter": form,
            "reach": max(taps) - 1}  # fmt: skip
