"""Pipelines of diffusers as a system: sampled and exported as every other, trained elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import UsageError
from ..proof import Proof
from ..system import System, Usual
from .config import KNOWN, Config
from .guest import ABOUT
from .model import Pipeline, opened
from .sample import check, sample

if TYPE_CHECKING:
    from ...data import Source
    from ...media.stream import Stream
    from ...progress import OnProgress
    from ...training.options import TrainOptions
    from ...training.stage import Stage
    from ..engine import Engine
    from ..request import Request


class Pipelines(System):
    """A text encoder, a denoiser and a decoder, with the scheduler of their authors."""

    about, Config, Model = ABOUT, Config, Pipeline
    PRESETS: dict[str, Any] = {}  # noqa: RUF012

    def opened(self, folder: Path, config: Config) -> Pipeline:
        return opened(folder, config)

    def stages(self, model: Pipeline, source: Source, options: TrainOptions) -> list[Stage]:
        raise UsageError("pipelines of diffusers are not trained here", "dln train --help")

    def check(self, config: Config, request: Request, engine: str, gradients: bool) -> None:
        check(config, request)

    def usual(self, config: Config) -> Usual:
        return Usual(config.frames, config.fps, config.frames)

    def sample(
        self, engine: Engine, model: Pipeline, request: Request, on_progress: OnProgress
    ) -> Stream:
        return sample(engine, model, request, on_progress)

    def proofs(self, model: Pipeline) -> list[Proof]:
        """Small clips of few steps, guided and not: each graph is called as in large ones."""
        config = model.config
        frames = max(config.least, 1) + config.pace
        asked = {"frames": frames, "size": (2 * config.side, 3 * config.side), "steps": 4}
        return [
            Proof("guided", {**asked, "guidance": 5.0}),
            Proof("unguided", {**asked, "guidance": 1.0}),
        ]

    def constants(self, model: Pipeline) -> dict[str, Any]:
        """The scheduler's configuration, and how a clip's noise is drawn and its latents scaled."""
        pipe, config = model.pipe, model.config
        return {
            "pipeline": config.pipeline,
            "noise": "numpy.random.default_rng(seed).standard_normal(shape, dtype=numpy.float32)",
            "scheduler": {"class": type(pipe.scheduler).__name__, **plain(pipe.scheduler.config)},
            "vae": plain(pipe.vae.config),
            "tokens": model.kind.length(pipe),
            "networks": list(KNOWN[config.pipeline].networks),
        }


def plain(config: Any) -> dict[str, Any]:
    """The entries of a configuration that are numbers, words or lists of them."""
    kinds = str | int | float | bool | list | tuple | None
    return {name: value for name, value in config.items() if isinstance(value, kinds)}


SYSTEM = Pipelines()
