"""Optimiser states and averages shared out over the processes, where a launcher asks for FSDP.

Each process keeps an equal part of every tensor, moves that part of the weights and gathers the
others' (the first stage of ZeRO, Rajbhandari et al. 2020, 1910.02054). Weights and gradients are
whole otherwise: a turn may differentiate twice and reach into several players' networks by other
methods than `forward`, which the hooks of torch's `fully_shard` do not take.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torch import Size, Tensor, nn

from .learner import Learner
from .muon import Muon
from .parts import Parts

if TYPE_CHECKING:
    from accelerate import Accelerator

    from .player import Player
    from .settings import FitSettings


class ShardedLearner(Learner):
    """One whose optimisers' states and average are parts on every process."""

    def __init__(
        self,
        player: Player,
        named: dict[str, Tensor],
        settings: FitSettings,
        accelerator: Accelerator,
    ) -> None:
        """As a Learner's. The same on all: buffers that are averaged."""
        self.parts = Parts(player.parameters, accelerator)
        own = {name: self._part(tensor) for name, tensor in named.items()}
        super().__init__(player, own, settings, accelerator)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["params"] = [self._part(parameter) for parameter in group["params"]]
            if isinstance(optimizer, Muon):
                optimizer.parts = self.parts

    def _part(self, tensor: Tensor) -> Tensor:
        return self.parts.of.get(tensor, tensor)  # pyright: ignore[reportCallIssue, reportArgumentType]

    @property
    def moved(self) -> list[nn.Parameter]:
        return list(self.parts.of.values())

    @contextmanager
    def moving(self) -> Iterator[None]:
        """What becomes of the parts becomes of the weights. The gradients go."""
        self.parts.take()
        for parameter, part in self.parts.of.items():
            part.grad = None if parameter.grad is None else self.parts.part(parameter.grad)
            parameter.grad = None
        yield  # after an error nobody waits for the others' parts
        self.parts.give()

    def follow(self, step: int) -> None:
        self.parts.take()
        super().follow(step)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        if self.ema is None:
            yield
            return
        with self.moving():
            self.ema.swap()
        yield
        with self.moving():
            self.ema.swap()

    def states(self) -> dict[str, Tensor]:
        tensors, shapes = super().states(), {}
        for key, shape in self._shapes(tensors):
            if tensors[key].ndim:
                shapes[key] = shape
        return tensors | self.parts.kept({key: tensors[key] for key in shapes}, shapes)

    def averages(self) -> dict[str, Tensor]:
        averages, parameters = super().averages(), self.ema.parameters if self.ema else {}
        shapes = {n: self.parts.shapes[p] for n, p in parameters.items() if p in self.parts.shapes}
        return averages | self.parts.kept({name: averages[name] for name in shapes}, shapes)

    def load(self, states: dict[str, Tensor], averages: dict[str, Tensor]) -> None:
        parts = {
            key: self.parts.part(states[key])
            for key, shape in self._shapes(states)
            if states[key].shape == shape and not key.endswith("/step")
        }
        for name, parameter in self.ema.parameters.items() if self.ema else ():
            if parameter in self.parts.shapes:
                averages = averages | {name: self.parts.part(averages[name])}
        super().load(states | parts, averages)

    def _shapes(self, states: Mapping[str, Tensor]) -> Iterator[tuple[str, Size]]:
        """The keys of its own, each with the shape of the parameter that it is of."""
        for key in states:
            name, index, _ = key.rsplit("/", 2)
            if name in self.optimizers:
                groups = self.optimizers[name].param_groups
                moved = [part for group in groups for part in group["params"]]
                yield key, self.parts.shapes[moved[int(index)]]
