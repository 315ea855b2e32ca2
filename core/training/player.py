"""A player: parameters, the losses that move them, and how they are optimised."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from .ema import Average, Ramp
from .rates import Cosine, Rate

DEFAULT_RATE, DEFAULT_AVERAGE = Cosine(), Average()

Pieces = Callable[[dict[str, Any]], Iterable[dict[str, Any]]]


@dataclass(frozen=True, eq=False)
class Turn:
    """A loss, and when it moves its player: at the steps `after`, `after` + `every`, ...

    `objective(batch)` returns {"loss": scalar, mean over the local batch, ...scalars to log}, with
    the same names on every process. "logits" among the results, a tuple of (B, ..., classes), one
    a head, are no statistic: SAF and MESA compare them.
    `name` stands before its statistics; one of a player's turns may do without.
    `pieces` cuts a batch into what is optimised one after the other, an optimiser step each. It
    may be a generator: a piece is asked for when the one before has been learnt. Several
    micro-batches take their pieces in lockstep, so what a piece leaves for a later one of its
    batch lies in an object that these pieces carry.
    """

    objective: nn.Module
    every: int = 1
    name: str = ""
    pieces: Pieces | None = None
    after: int = 0

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"a turn comes every step or every few, not every {self.every}")

    def due(self, step: int) -> bool:
        """Whether it comes at `step`, counted from 0."""
        return step >= self.after and (step - self.after) % self.every == 0

    def cut(self, batch: dict[str, Any]) -> Iterable[dict[str, Any]]:
        """The pieces of a batch: itself where it is not to be cut."""
        return self.pieces(batch) if self.pieces else (batch,)


class Player:
    """Parameters, the turns that move them, and how.

    `turns`: one loss that comes at every step, or the `Turn`s of which a step takes those that are
    due, in order, each with an optimiser step. A parameter belongs to one player; the other
    players' parameters are frozen during its turns.
    `optimizer`, adamw or sgd (with the first of `betas` as momentum), moves the parameters, save
    the matrices in `muon`: those Muon moves (Jordan et al. 2024), at `muon_gain` times the
    learning rate. `rate` is the learning rate's schedule; `clip_norm` the largest norm of the
    gradient of all its parameters, None: any; `mend` what a number of it becomes that is infinite,
    while one that is none becomes 0, None: training ends there; `average` what evaluation and the
    result take in place of the weights, None: the weights themselves; `buffers` a network whose
    persistent buffers are averaged with them.
    """

    def __init__(
        self,
        name: str,
        objective: nn.Module | Sequence[Turn],
        parameters: list[nn.Parameter],
        learning_rate: float,
        betas: tuple[float, float] = (0.9, 0.95),
        weight_decay: float = 0.0,
        optimizer: str = "adamw",
        muon: Sequence[nn.Parameter] = (),
        muon_gain: float = 10.0,
        rate: Rate = DEFAULT_RATE,
        clip_norm: float | None = 1.0,
        mend: float | None = None,
        average: Ramp | None = DEFAULT_AVERAGE,
        buffers: nn.Module | None = None,
    ) -> None:
        """objective: one for every step, or the turns. ValueError where two turns share a name."""
        self.name, self.parameters = name, parameters
        self.turns = _turns(name, objective)
        self.learning_rate, self.betas, self.weight_decay = learning_rate, betas, weight_decay
        self.optimizer, self.muon, self.muon_gain = optimizer, list(muon), muon_gain
        self.rate, self.clip_norm, self.average = rate, clip_norm, average
        self.mend, self.buffers = mend, buffers

    @property
    def objective(self) -> nn.Module:
        """That of the first turn."""
        return self.turns[0].objective


def _turns(player: str, objective: nn.Module | Sequence[Turn]) -> list[Turn]:
    if isinstance(objective, nn.Module):
        return [Turn(objective)]
    names = [turn.name for turn in objective]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"player '{player}' needs turns of different names, not {names}")
    return list(objective)
