"""Muon (Jordan et al. 2024): momentum whose matrices are made orthogonal before they step."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from .parts import Parts

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic Newton-Schulz iteration
ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """For matrices, and for kernels read as matrices (outputs, everything else).

    torch's own takes matrices alone and iterates in bfloat16, which costs a processor without it
    25 times as much; here the iteration keeps the gradient's precision on a CPU.
    parts: what its parameters are, where they are parts; only whole matrices can be orthogonal.
    """

    parts: "Parts | None" = None

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore
        """One step with Nesterov momentum and decoupled weight decay."""
        for group in self.param_groups:
            shapes: dict[tuple[int, ...], list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    whole = self.parts.shapes[parameter] if self.parts else parameter.shape
                    shapes.setdefault(tuple(whole), []).append(parameter)
            for parameters in shapes.values():
                self._move(parameters, group)

    def _move(self, parameters: list[Tensor], group: dict) -> None:
        """Those of one shape at once: a GPU would wait for the launches of single ones."""
        averaged = [self._averaged(p, group["momentum"]) for p in parameters]
        if self.parts:
            shapes = [self.parts.shapes[p] for p in parameters]
            averaged = list(self.parts.whole(averaged, shapes))
        matrices = torch.stack([each.flatten(1) for each in averaged])
        updates = orthogonal(matrices)
        height, width = matrices.shape[-2:]
        rate = group["lr"] * max(1.0, height / width) ** 0.5
        for parameter, update in zip(parameters, updates, strict=True):
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            own = self.parts.part(update) if self.parts else update.reshape(parameter.shape)
            parameter.sub_(own, alpha=rate)

    def _averaged(self, parameter: Tensor, momentum: float) -> Tensor:
        """The gradient with its momentum."""
        state, gradient = self.state[parameter], cast(Tensor, parameter.grad)
        if not state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        average = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
        return gradient.lerp(average, momentum)


def orthogonal(matrices: Tensor) -> Tensor:
    """(..., A, B) -> for each about the nearest matrix whose singular values are all 1."""
    a, b, c = COEFFICIENTS
    x = matrices.bfloat16() if matrices.device.type == "cuda" else matrices
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return (x.mT if tall else x).to(matrices.dtype)
