"""Training for flat minima: SAM, and the two that come almost for free, SAF and MESA.

SAM takes the gradient at the worst point near the weights (Foret et al. 2021, 2010.01412). SAF and
MESA add to the loss how far the outputs have moved along the trajectory: from those that the same
sample had some epochs before (SAF), or from those of averaged weights (MESA; Du et al. 2022,
2205.14083, equations 8 and 12).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import UsageError, closest
from .history import History

METHODS = ("none", "sam", "saf", "mesa")
WEIGHTS = {"saf": 0.3, "mesa": 0.8}
MIB = 2**20


@dataclass(frozen=True)
class Sharpness:
    """What flattens, and how much; defaults are the paper's, `decay` and `squared` the code's.

    rho, adaptive: SAM's radius, and whether it scales with the weights. weight: lambda; None is
    0.3 for SAF, 0.8 for MESA. temperature: tau. The penalty counts in epochs (from 0) after
    `start` and before `end`. lag: epochs between the two outputs that SAF compares. decay: of
    MESA's average. squared: multiply by tau squared. half: keep SAF's history in float16.
    """

    method: str = "none"
    rho: float = 0.05
    adaptive: bool = False
    weight: float | None = None
    temperature: float = 5.0
    start: int = 5
    end: int | None = None
    lag: int = 3
    decay: float = 0.9998
    squared: bool = True
    half: bool = False

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            near = closest(self.method, METHODS)
            raise UsageError(f"no method {self.method!r}.{near}", f"one of {', '.join(METHODS)}")
        if not (self.rho > 0 and self.temperature > 0 and self.lag >= 1):
            raise UsageError("rho and temperature are above 0, and lag is at least 1")
        if not 0 <= self.decay < 1:
            raise UsageError(f"decay is at least 0 and below 1, not {self.decay:g}")

    @property
    def strength(self) -> float:
        """lambda, times tau squared where that is asked for."""
        weight = WEIGHTS.get(self.method, 0.0) if self.weight is None else self.weight
        return weight * (self.temperature**2 if self.squared else 1.0)

    @property
    def tracks(self) -> bool:
        """Whether it needs to know which sample of which epoch it sees."""
        return self.method in ("saf", "mesa")

    def active(self, epochs: Tensor) -> Tensor:
        """epochs: (B,) -> (B,) bool, where the penalty counts."""
        late = epochs > self.start
        return late if self.end is None else late & (epochs < self.end)

    def memory_mib(self, samples: int, outputs: int, parameters: int) -> float:
        """What the method holds beside plain training. SAF: samples x outputs x lag numbers;
        MESA and SAM: a second copy of the parameters."""
        bytes_of = {
            "saf": samples * outputs * self.lag * (2 if self.half else 4),
            "mesa": 4 * parameters,
            "sam": 4 * parameters,
        }
        return bytes_of.get(self.method, 0) / MIB


def parse(text: str | None) -> Sharpness:
    """ "saf" or "saf,lag=2,half=true". UsageError names what is wrong."""
    method, *pairs = (text or "none").split(",")
    kinds: dict[str, Any] = {
        "rho": float, "adaptive": _flag, "weight": float, "temperature": float, "start": int,
        "end": int, "lag": int, "decay": float, "squared": _flag, "half": _flag,
    }  # fmt: skip
    values: dict[str, Any] = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        if key not in kinds:
            raise UsageError(f"--sharpness knows no {key!r}.{closest(key, kinds)}",
                             f"one of {', '.join(kinds)}")  # fmt: skip
        try:
            values[key] = kinds[key](value)
        except ValueError as error:
            raise UsageError(f"--sharpness: {value!r} is no value of {key}") from error
    return Sharpness(method, **values)


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def as_text(settings: Sharpness) -> str:
    """What `parse` reads."""
    plain, given = asdict(Sharpness(settings.method)), asdict(settings)
    words = [f"{name}={str(given[name]).lower()}" for name in given if given[name] != plain[name]]
    return ",".join([settings.method, *words])


def trajectory(now: Sequence[Tensor], past: Sequence[Tensor], temperature: float) -> Tensor:
    """How far each sample's outputs have moved: KL(softmax(past / tau) || softmax(now / tau)).

    now, past: for each head logits (B, ..., C) -> (B,), the mean over heads and positions.
    The gradient goes through `now` alone.
    """
    moved = []
    for new, old in zip(now, past, strict=True):
        target = F.log_softmax(old.detach().float() / temperature, dim=-1)
        current = F.log_softmax(new.float() / temperature, dim=-1)
        divergence = F.kl_div(current, target, reduction="none", log_target=True).sum(-1)
        moved.append(divergence.flatten(1).mean(1) if divergence.ndim > 1 else divergence)
    return torch.stack(moved).mean(0)


class Penalty(Protocol):
    """What SAF and MESA are to the training loop."""

    def __call__(self, batch: dict[str, Tensor], logits: Sequence[Tensor]) -> Tensor | None:
        """The weighted penalty of a micro-batch; None before it counts, so that training has the
        bits of one without it. batch: with index and epoch, (B,) each."""
        ...

    def after_step(self) -> None: ...

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        ...

    def load(self, tensors: dict[str, Tensor]) -> None: ...

    def close(self) -> None:
        """The stage is finished: what lies on the disk goes."""
        ...


class Saf:
    """Against the outputs that the same samples had `lag` epochs before; those without any count
    as unmoved."""

    def __init__(self, settings: Sharpness, history: History) -> None:
        self.settings, self.history = settings, history

    def __call__(self, batch: dict[str, Tensor], logits: Sequence[Tensor]) -> Tensor | None:
        indices, epochs = batch["index"].cpu(), batch["epoch"].cpu()
        past, known = self.history.read(indices, epochs)
        flat = torch.cat([part.detach().float().flatten(1) for part in logits], dim=1)
        self.history.write(indices, epochs, flat)
        counts = known & self.settings.active(epochs)
        if not counts.any():
            return None
        old = past.to(flat.device).split([part[0].numel() for part in logits], dim=1)
        shaped = [a.view_as(b) for a, b in zip(old, logits, strict=True)]
        moved = trajectory(logits, shaped, self.settings.temperature)
        return self.settings.strength * (moved * counts.to(moved)).mean()

    def after_step(self) -> None: ...

    def tensors(self) -> dict[str, Tensor]:
        return self.history.tensors()

    def load(self, tensors: dict[str, Tensor]) -> None:
        self.history.load(tensors)

    def close(self) -> None:
        self.history.remove()


class Mesa:
    """Against the outputs of an exponential moving average of the weights, which sees the same
    batch without gradients, in evaluation mode."""

    def __init__(self, settings: Sharpness, objective: nn.Module) -> None:
        self.settings, self.objective = settings, objective
        self.teacher = deepcopy(objective).requires_grad_(False).eval()

    @torch.no_grad()
    def _outputs(self, batch: dict[str, Tensor]) -> Sequence[Tensor]:
        return self.teacher(batch)["logits"]

    def __call__(self, batch: dict[str, Tensor], logits: Sequence[Tensor]) -> Tensor | None:
        counts = self.settings.active(batch["epoch"])
        if not counts.any():
            return None
        moved = trajectory(logits, self._outputs(batch), self.settings.temperature)
        return self.settings.strength * (moved * counts.to(moved)).mean()

    @torch.no_grad()
    def after_step(self) -> None:
        now = self.objective
        for mine, theirs in zip(self.teacher.parameters(), now.parameters(), strict=True):
            mine.lerp_(theirs.detach(), 1 - self.settings.decay)
        for mine, theirs in zip(self.teacher.buffers(), now.buffers(), strict=True):
            mine.copy_(theirs)

    def tensors(self) -> dict[str, Tensor]:
        return self.teacher.state_dict()

    def load(self, tensors: dict[str, Tensor]) -> None:
        self.teacher.load_state_dict(tensors)

    def close(self) -> None: ...


@contextmanager
def ascended(
    parameters: Sequence[nn.Parameter], settings: Sharpness, modules: nn.Module
) -> Iterator[None]:
    """Inside, the weights are w + eps with eps = rho g / |g| (adaptive: rho w^2 g / |w g|, Kwon et
    al. 2021); afterwards bit for bit what they were. Running statistics of batch norms stay."""
    slopes = [(p, p.grad) for p in parameters if p.grad is not None]
    kept = [p.detach().clone() for p, _ in slopes]
    norms = [m for m in modules.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [m.momentum for m in norms]
    with torch.no_grad():
        ways = [g * p.abs() if settings.adaptive else g for p, g in slopes]
        length = torch.stack([way.norm() for way in ways]).norm() + 1e-12
        for (parameter, _), way in zip(slopes, ways, strict=True):
            step = way * parameter.abs() if settings.adaptive else way
            parameter.add_(step, alpha=float(settings.rho / length))
    for module in norms:
        module.momentum = 0.0
    try:
        yield
    finally:
        with torch.no_grad():
            for (parameter, _), before in zip(slopes, kept, strict=True):
                parameter.copy_(before)
        for module, momentum in zip(norms, momenta, strict=True):
            module.momentum = momentum
