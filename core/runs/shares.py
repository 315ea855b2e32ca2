"""What each stage is of a whole run, for one bar and one time left over all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..errors import UsageError
from ..training.events import Planned, Share
from ..training.state import Checkpoints
from .work import flop_per_sample, weightless

if TYPE_CHECKING:
    from ..data import Source
    from ..models.about import About
    from ..training.options import TrainOptions
    from ..training.run import Run
    from ..training.stage import Stage

MANY = 1000  # steps in all, from which on it is worth some seconds to count operations


def planned(
    about: About, options: TrainOptions, source: Source, stages: list[Stage], run: Run
) -> Planned:
    """Of the stages that the run goes through. A step costs its operations, which take seconds to
    count; in a short run, or where they cannot be counted, its samples."""
    done = {stage.name: _done(stage, run) for stage in stages}
    left = {stage.name: stage.steps - done[stage.name] for stage in stages}
    costs = {stage.name: float(stage.batch) for stage in stages}
    several = sum(steps > 0 for steps in left.values()) > 1
    if several and sum(left.values()) >= MANY and options.start_from is None:
        costs = _operations(about, options, source) or costs
    return Planned(tuple(Share(s.name, s.steps, done[s.name], costs[s.name]) for s in stages))


def _done(stage: Stage, run: Run) -> int:
    checkpoints = Checkpoints(run.state / stage.name)
    return stage.steps if checkpoints.finished() else max(checkpoints.steps(), default=0)


def _operations(about: About, options: TrainOptions, source: Source) -> dict[str, float] | None:
    """Of a step of each stage; nothing that is drawn later hangs on it."""
    with torch.random.fork_rng(devices=[]):
        try:
            found = weightless(about, options, source)
            return {stage.name: stage.batch * flop_per_sample(stage) for stage in found}
        except UsageError:
            return None
