"""Optimiser states and averages shared out over the processes, where a launcher asks for FSDP.

Each process keeps an equal part of every tensor, moves that part of the weights and gathers the
others' (the first stage of ZeRO, Rajbhandari et al. 2020, 1910.02054). Weights and gradients are
whole otherwise: a turn may differentiate twice and reach into several players' networks by other
methods than `forward`, which the hooks of torch's `fully_shard` do not take.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Size, Tensor, nn
from torch.nn.functional import pad

from .learner import BUCKET, Learner
from .muon import Muon

if TYPE_CHECKING:
    from accelerate import Accelerator

    from .player import Player
    from .settings import FitSettings


class Parts:
    """What this process moves of each parameter, (ceil(numel / processes),)."""

    def __init__(self, parameters: Sequence[nn.Parameter], accelerator: Accelerator) -> None:
        self.accelerator = accelerator
        self.of = {each: nn.Parameter(self.part(each)) for each in parameters}
        self.shapes: dict[Tensor, Size] = {part: each.shape for each, part in self.of.items()}

    def part(self, tensor: Tensor) -> Tensor:
        """This process's part of a tensor of any shape; zeros follow its last number."""
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        flat = tensor.detach().flatten()
        size = -(-flat.numel() // world)
        return pad(flat, (0, size * world - flat.numel()))[rank * size : (rank + 1) * size].clone()

    def whole(self, parts: Sequence[Tensor], shapes: Sequence[Size]) -> Iterator[Tensor]:
        """Of which `part` made these parts of all processes, bucket after bucket."""
        world = self.accelerator.num_processes
        for number in range(0, len(parts), BUCKET):
            bucket = [part.detach() for part in parts[number : number + BUCKET]]
            flat = self.accelerator.gather(torch.cat(bucket))
            rows = flat.view(world, -1)  # pyright: ignore[reportAttributeAccessIssue]
            columns = rows.split([len(part) for part in bucket], dim=1)
            for column, shape in zip(columns, shapes[number : number + BUCKET], strict=True):
                yield column.flatten()[: shape.numel()].view(shape)

    def kept(self, parts: Mapping[str, Tensor], shapes: Mapping[str, Size]) -> dict[str, Tensor]:
        """Whole tensors by their names, on the main process's host; none on the others."""
        wholes = zip(parts, self.whole(list(parts.values()), list(shapes.values())), strict=True)
        # The others take part in every gathering too.
        found = [(name, whole.cpu()) for name, whole in wholes if self.accelerator.is_main_process]
        return dict(found)

    @torch.no_grad()
    def take(self) -> None:
        """From the parameters, which a stage, too, may have changed."""
        for parameter, part in self.of.items():
            part.copy_(self.part(parameter))

    @torch.no_grad()
    def give(self) -> None:
        """To the parameters, on every process."""
        wholes = self.whole(list(self.of.values()), [each.shape for each in self.of])
        for parameter, whole in zip(self.of, wholes, strict=True):
            parameter.copy_(whole)


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
