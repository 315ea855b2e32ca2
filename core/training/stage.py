"""A stage: one training of part of a model, by players that are optimised in turn."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import UsageError
from .events import OnEvent
from .player import Player

if TYPE_CHECKING:
    from ..media.clip import Clip


class Stage:
    """What `fit` trains. A subclass sets the attributes and overrides what it needs.

    `batch` is the global batch: samples a step over all processes and micro-batches.
    `players` take their turns in this order; the first one's first turn gives the stage's loss and
    comes at every step.
    `outputs`: logits a sample over all heads and positions, where that loss starts from such;
    None: it does not.
    `needs` names the earlier stages whose result it reads; None: all of them.
    `modules` holds every weight of the stage, trainable or not: it is what a checkpoint keeps.
    `told` are statistics that are shown while it trains, by their names in stats.jsonl: what they
    are called there.
    `evaluate_every`: steps from one evaluation to the next where nobody says; None: early and ever
    more seldom, and at the end.
    `judged_by`: the metric of `evaluate` whose smallest value's weights are kept beside the last
    ones; None: the last are the result.
    `phases`: at which shares of its steps a step begins to cost something else.
    `share`: of what `evaluate` looks at and makes; less than all tells how long all of it takes.
    A buffer that steps change and read is changed in `after_step`, from sums over the processes,
    so that all of them hold the same.
    It is in training mode during the steps, in evaluation mode in `evaluate` and `finish`.
    """

    name: str
    steps: int
    batch: int
    players: list[Player]
    modules: nn.Module
    outputs: int | None = None
    needs: tuple[str, ...] | None = None
    told: Mapping[str, str] = {}
    evaluate_every: int | None = None
    judged_by: str | None = None
    phases: Sequence[float] = (0.0,)
    share: float = 1.0

    def together(self, batch: int) -> int:
        """Samples of a batch that a loss holds against each other: each micro-batch of each process
        has a multiple of so many."""
        return 1

    def prepare(self, cache: Path, on_event: OnEvent) -> None:
        """Build tables in `cache` once; the main process comes first, then the others."""

    def __len__(self) -> int:
        """Samples an epoch."""
        raise NotImplementedError

    def collate(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        """The samples `indices`, (N,) -> tensors (N, ...), on the host.

        Runs in background threads, some steps ahead and several at once: each sample depends on
        (seed, stage, epoch, index) alone, never on a global random state or on what training
        changes.
        """
        raise NotImplementedError

    def example(self, count: int) -> dict[str, Tensor]:
        """A batch of `count` samples in names, shapes and types, whatever its values; from the
        configuration alone. UsageError where that cannot be told."""
        raise UsageError(f"the work of the stage {self.name!r} cannot be counted")

    def after_step(self, step: int, reduce: Callable[[Tensor], Tensor]) -> None:
        """After every step (`step` counts the finished ones); reduce(x) sums over processes.

        torch's generator is seeded at each step, differently on each process.
        """

    def evaluate(self) -> tuple[dict[str, float], "list[Clip] | None"]:
        """Metrics and sample clips of the averaged weights, on the main process, without grad."""
        return {}, None

    def some(self, count: int) -> int:
        """The share of so many, at least one."""
        return max(1, round(self.share * count))

    def concern(self, history: Sequence[dict[str, float]]) -> str | None:
        """What is to be said of how its metrics went, the newest last; None where nothing is."""
        return None

    def finish(self) -> None:
        """After the last step, with the averaged weights in place: they are the result."""

    def state(self) -> dict[str, Tensor]:
        """What the stage itself carries from step to step; the same on every process."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take back what `state` gave, as tensors on the host."""


def trainable_parameters(stage: Stage) -> dict[str, dict[str, nn.Parameter]]:
    """Each player's parameters by their name in stage.modules. ValueError where one is not there
    or belongs to two players."""
    names = {id(p): name for name, p in stage.modules.named_parameters()}
    taken: set[str] = set()
    named: dict[str, dict[str, nn.Parameter]] = {}
    for player in stage.players:
        own = named[player.name] = {}
        for parameter in player.parameters:
            name = names.get(id(parameter))
            if name is None or name in taken:
                what = "is not in stage.modules" if name is None else f"({name}) has two players"
                raise ValueError(f"a parameter of player '{player.name}' {what}")
            taken.add(name)
            own[name] = parameter
    return named


def averaged_buffers(player: Player, stage: Stage) -> dict[str, Tensor]:
    """The buffers that are averaged with the player's parameters, by their name in stage.modules.
    (They are others once a network has moved to another device.)"""
    if player.buffers is None:
        return {}
    own = {id(buffer) for buffer in player.buffers.buffers()}
    kept = stage.modules.state_dict()
    named = stage.modules.named_buffers()
    return {name: buffer for name, buffer in named if id(buffer) in own and name in kept}


@contextmanager
def learning(player: Player, stage: Stage) -> Iterator[None]:
    """Of all that takes part, only the player's parameters ask for gradients."""
    own = {id(p) for p in player.parameters}
    involved = [p for turn in player.turns for p in turn.objective.parameters()]
    involved += [p for other in stage.players for p in other.parameters]
    frozen = [p for p in involved if p.requires_grad and id(p) not in own]
    for parameter in frozen:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)


@contextmanager
def evaluating(modules: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; each module's own mode comes back."""
    modes = [(module, module.training) for module in modules.modules()]
    modules.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode
