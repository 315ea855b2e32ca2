"""The floating-point operations of a training, counted without its weights and its data."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ..data import open_source
from ..models.registry import find, load
from ..training.options import TrainOptions, with_defaults
from ..training.stage import Stage, learning
from .asked import adjust
from .build import build

if TYPE_CHECKING:
    from ..data import Source
    from ..models.about import About


@dataclass(frozen=True)
class Work:
    """A stage's work. flop_per_sample: of the matrix products and convolutions, forward and
    backward, in a step of all its players (a turn that comes every k-th step counts for a k-th);
    what the optimiser adds is left out."""

    stage: str
    steps: int
    batch: int
    flop_per_sample: float

    @property
    def flop(self) -> float:
        return self.steps * self.batch * self.flop_per_sample


def work(name: str, options: TrainOptions) -> list[Work]:
    """Of every stage that `options` would train. The model is built on the meta device, so that
    no size is too large. UsageError for an unknown preset or stage, or one that cannot be counted.
    """
    about = find(name)
    options = with_defaults(options, about.default_preset, about.data, "fp32")
    source = open_source(str(options.data), wordless=about.wordless)
    stages = weightless(about, options, source)
    return [Work(s.name, s.steps, s.batch, flop_per_sample(s)) for s in stages]


def weightless(about: About, options: TrainOptions, source: Source) -> list[Stage]:
    """The stages of a training, on the meta device. options: with their defaults."""
    system = load(about)  # whose modules have constants, which are no part of the model
    with torch.device("meta"):
        model = build(about, options.preset, options.config, source)
    stages = system.stages(model, source, options)
    adjust(stages, options)
    return stages


def flop_per_sample(stage: Stage, after: Callable[[], object] = lambda: None) -> float:
    """Of one sample of the stage's batch, whose modules are on the meta device. after: is called
    after each backward pass."""
    stage.modules.train()
    turns = [(player, turn) for player in stage.players for turn in player.turns]
    for _, turn in turns:
        count_up(turn.objective)
    batch = {name: value.to("meta") for name, value in stage.example(1).items()}
    total = 0.0
    for player, turn in turns:
        counter = FlopCounterMode(display=False)
        counter.mod_tracker = _Untracked()  # pyright: ignore[reportAttributeAccessIssue]
        with learning(player, stage), counter:
            for piece in turn.cut(batch):
                turn.objective(piece)["loss"].backward()
                after()
        total += counter.get_total_flops() / turn.every
    return total


class _Untracked(nullcontext):
    """Counts for the whole alone: the counter's own tracker of modules hooks into their inputs,
    which a loss that takes a gradient with respect to these does not bear."""

    parents = ("Global",)


def count_up(module: nn.Module) -> None:
    """Numbers that decide where a forward pass goes are real: those of a training's begin."""
    for part in module.modules():
        for name, buffer in part.named_buffers(recurse=False):
            if buffer.dim() == 0:
                setattr(part, name, torch.zeros((), dtype=buffer.dtype))
