"""What a training takes in memory and on the disk, by the shapes of its tensors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from ..training.player import Player
    from ..training.stage import Stage

FLOAT_BYTES = 4
MOMENTS = {"adamw": 2, "sgd": 1}  # numbers of an optimiser for each weight; Muon has one


@dataclass(frozen=True)
class Outlay:
    """Bytes of a stage: what training holds beside the model's own weights and the activations,
    and one checkpoint of it."""

    training: int
    checkpoint: int
    weights: int


def outlay(stage: Stage) -> Outlay:
    """Gradients, the optimisers' numbers and averages of what the stage trains."""
    trained = sum(FLOAT_BYTES * numbers(player.parameters) for player in stage.players)
    kept = sum(FLOAT_BYTES * _kept(player) for player in stage.players)
    weights = held(stage.modules)
    return Outlay(trained + kept, weights + kept, weights)


def _kept(player: Player) -> int:
    """Numbers of its optimisers and its average."""
    muon = numbers(player.muon)
    rest = numbers(player.parameters) - muon
    average = muon + rest if player.average else 0
    return muon + MOMENTS[player.optimizer] * rest + average


def numbers(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors)


def held(*modules: nn.Module) -> int:
    """Bytes of parameters and buffers, each once."""
    tensors = {id(t): t for m in modules for t in (*m.parameters(), *m.buffers())}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
