"""A pipeline's own sampling loop, run on graphs.

The loop is the published one, called as its users call it. Its networks are stood in for by what
hands each call to an engine; the noise it begins with, and the generator of what it draws later,
come from the seed, on the host.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...errors import DlnError, UsageError, reason_of
from ...media.stream import Stream
from ...progress import OnProgress, counted
from ..engine import Engine
from ..layers.pixels import to_frames
from ..request import Request
from .config import KNOWN
from .guest import Sampling

if TYPE_CHECKING:
    from .config import Config
    from .model import Pipeline

STEPS = 50  # of every kind's calls


class Standing:
    """What a pipeline sees in place of one of its networks: all that it has, but calls go
    elsewhere."""

    def __init__(self, network: Any, call: Callable[..., Any]) -> None:
        self._network, self._call = network, call

    def __call__(self, *given: Any, **named: Any) -> Any:
        return self._call(*given, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def cache_context(self, *_: Any, **__: Any) -> AbstractContextManager[None]:
        """Nothing is kept from one step to the next."""
        return nullcontext()


class StandingDecoder(Standing):
    """The same in place of a VAE, of which pipelines call but its decoder."""

    def decode(self, *given: Any, **named: Any) -> Any:
        return self._call(*given, **named)


def check(config: Config, request: Request) -> None:
    """UsageError for frames or a size that the pipeline does not make."""
    frames = config.frames if request.frames is None else request.frames
    if frames < config.least or frames % config.pace != 1 % config.pace:
        below = max(config.least, (frames - 1) // config.pace * config.pace + 1)
        raise UsageError(
            f"{config.pipeline} makes clips of {config.pace} n + 1 frames, at least "
            f"{config.least}, not {frames}",
            f"--frames {below} or {below + config.pace}",
        )
    height, width = request.size or config.size
    if height % config.side or width % config.side:
        near = [max(1, round(each / config.side)) * config.side for each in (width, height)]
        raise UsageError(
            f"{config.pipeline} makes clips whose sides are multiples of {config.side} pixels, "
            f"not {width}x{height}",
            f"--size {near[0]}x{near[1]}",
        )


def sample(engine: Engine, model: Pipeline, request: Request, on_progress: OnProgress) -> Stream:
    """The clip as one block, which is made when it is asked for."""
    config = model.config
    check(config, request)
    fps, (height, width) = request.fps or config.fps, request.size or config.size
    frames = config.frames if request.frames is None else request.frames

    def blocks():
        yield made(engine, model, request, on_progress)

    return Stream(blocks(), fps, (height, width), frames)


def made(engine: Engine, model: Pipeline, request: Request, on_progress: OnProgress) -> np.ndarray:
    """The frames, uint8 (T, H, W, 3). DlnError where the pipeline's loop fails."""
    asked = Sampling(**request.settings)
    steps = asked.steps or STEPS
    tell = counted(on_progress, steps, "steps")

    def stepped(*_: Any) -> dict[str, Any]:
        tell()
        return {}

    try:
        clip = standing(engine, model)(
            prompt=request.prompt, num_inference_steps=steps, output_type="pt",
            callback_on_step_end=stepped, **given(model, request, asked),
        ).frames  # fmt: skip
    except (ValueError, RuntimeError) as error:
        raise DlnError(f"{model.config.pipeline} fails: {reason_of(error)}") from error
    return to_frames(clip[0])


def given(model: Pipeline, request: Request, asked: Sampling) -> dict[str, Any]:
    """The further arguments of the pipeline's call."""
    config, kind, pipe = model.config, model.kind, model.pipe
    height, width = request.size or config.size
    frames = config.frames if request.frames is None else request.frames
    time, side = model.scale
    shape = kind.latents(pipe, (frames - 1) // time + 1, height // side, width // side)
    noise = np.random.default_rng(request.seed).standard_normal(shape, dtype=np.float32)
    told = {
        "height": height, "width": width, "num_frames": frames,
        "latents": torch.from_numpy(noise),
        "generator": torch.Generator("cpu").manual_seed(request.seed),
        "max_sequence_length": kind.length(pipe),
    }  # fmt: skip
    if asked.guidance is not None:
        told["guidance_scale"] = asked.guidance
    if asked.negative is not None:
        told["negative_prompt"] = asked.negative
    return told | kind.paced(request.fps or config.fps)


def standing(engine: Engine, model: Pipeline) -> Any:
    """The pipeline, whose networks are the engine's graphs, with a scheduler of its own: they keep
    what they have seen."""
    kind, pipe = model.kind, copy.copy(model.pipe)

    def read(tokens: Tensor, seen: Tensor | None = None) -> Any:
        from transformers.modeling_outputs import (  # pyright: ignore[reportMissingImports]
            BaseModelOutput,
        )

        told: dict[str, Any] = {"seen": seen} if kind.masked else {}
        return BaseModelOutput(last_hidden_state=ours(engine.run("text", tokens=tokens, **told)))

    def decoded(z: Tensor, *rest: Any, return_dict: bool = True) -> Any:
        from diffusers.models.autoencoders.vae import (  # pyright: ignore[reportMissingImports]
            DecoderOutput,
        )

        return DecoderOutput(sample=kind.decode(engine, z, *rest))

    vars(pipe).update(
        scheduler=copy.deepcopy(pipe.scheduler),
        text_encoder=Standing(pipe.text_encoder, read),
        vae=StandingDecoder(pipe.vae, decoded),
        **{
            name: Standing(network, denoising(engine, model, graph, network))
            for name, graph in zip(KNOWN[model.config.pipeline].networks,
                                   ("denoiser", "denoiser_2"), strict=False)
            if (network := getattr(model.pipe, name)) is not None
        },
    )  # fmt: skip
    return pipe


def denoising(
    engine: Engine, model: Pipeline, graph: str, network: Any
) -> Callable[..., tuple[Tensor]]:
    """How a denoiser is called by its pipeline, on the engine."""

    def call(**given: Any) -> tuple[Tensor]:
        # the time is the same for all of a batch
        moment = given["timestep"][:1].float()
        inputs = model.kind.inputs(network, given | {"timestep": moment})
        return (ours(engine.run(graph, **{n: t.contiguous() for n, t in inputs.items()})),)

    return call


def ours(outputs: dict[str, Tensor]) -> Tensor:
    """The one output, on the host, to be changed as the loop likes."""
    (found,) = outputs.values()
    return found.to("cpu", copy=True)
