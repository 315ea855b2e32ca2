"""A stage: one training of part of a model, by players that are optimised in turn."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import UsageError
from .events import OnEvent

if TYPE_CHECKING:
    from ..media.clip import Clip


@dataclass
class Player:
    """Parameters and the loss that moves them.

    `objective(batch)` returns {"loss": scalar, mean over the local batch, ...scalars to log}, with
    the same names on every process.
    A parameter belongs to one player; the other players' parameters are frozen during its turn.
    "logits" among the results, a tuple of (B, ..., classes), one a head, are no statistic: SAF and
    MESA compare them.
    `optimizer`, adamw or sgd (with the first of `betas` as momentum), moves the parameters, save
    the matrices in `muon`: those Muon moves (Jordan et al. 2024), at `muon_gain` times the
    learning rate.
    """

    name: str
    objective: nn.Module
    parameters: list[nn.Parameter]
    learning_rate: float
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.0
    optimizer: str = "adamw"
    muon: list[nn.Parameter] = field(default_factory=list)
    muon_gain: float = 10.0


class Stage:
    """What `fit` trains. A subclass sets the attributes and overrides what it needs.

    `batch` is the global batch: samples a step over all processes and micro-batches.
    `outputs`: logits a sample over all heads and positions, where the first player's loss starts
    from such; None: it does not.
    `needs` names the earlier stages whose result it reads; None: all of them.
    `modules` holds every weight of the stage, trainable or not: it is what a checkpoint keeps.
    It is in training mode during the steps, in evaluation mode in `evaluate` and `finish`.
    """

    name: str
    steps: int
    batch: int
    players: list[Player]
    modules: nn.Module
    outputs: int | None = None
    needs: tuple[str, ...] | None = None

    def prepare(self, cache: Path, on_event: OnEvent) -> None:
        """Build tables in `cache` once; the main process comes first, then the others."""

    def __len__(self) -> int:
        """Samples an epoch."""
        raise NotImplementedError

    def collate(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        """The samples `indices`, (N,) -> tensors (N, ...), on the host.

        Runs in a background thread one step ahead: each sample depends on (seed, stage, epoch,
        index) alone, never on a global random state or on what training changes.
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

    def finish(self) -> None:
        """After the last step, with the averaged weights in place: they are the result."""

    def state(self) -> dict[str, Tensor]:
        """What the stage itself carries from step to step."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take back what `state` gave, as tensors on the host."""


def trainable_parameters(stage: Stage) -> dict[str, nn.Parameter]:
    """The players' parameters by their name in stage.modules. ValueError where one is not there
    or belongs to two players."""
    names = {id(p): name for name, p in stage.modules.named_parameters()}
    found: dict[str, nn.Parameter] = {}
    for player in stage.players:
        for parameter in player.parameters:
            name = names.get(id(parameter))
            if name is None or name in found:
                what = "is not in stage.modules" if name is None else f"({name}) has two players"
                raise ValueError(f"a parameter of player '{player.name}' {what}")
            found[name] = parameter
    return found


@contextmanager
def turn(player: Player, stage: Stage) -> Iterator[None]:
    """Of all that takes part, only the player's parameters ask for gradients."""
    own = {id(p) for p in player.parameters}
    rivals = [p for other in stage.players if other is not player for p in other.parameters]
    involved = [*player.objective.parameters(), *rivals]
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
