"""Tensors of which each process keeps an equal part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Size, Tensor, nn
from torch.nn.functional import pad

if TYPE_CHECKING:
    from accelerate import Accelerator

BUCKET = 64  # tensors that go between the processes at once


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
