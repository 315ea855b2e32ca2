"""How to train, whatever the stage, and the learning rate's schedule."""

import math
from dataclasses import dataclass, field

from ..errors import UsageError
from .sharpness import Sharpness

FLOOR = 0.05  # the cosine ends at this share of the learning rate


@dataclass(frozen=True)
class FitSettings:
    """How to train, whatever the stage. `warmup` is in steps, at most a tenth of the stage's."""

    seed: int = 0
    warmup: int = 100
    ema_decay: float = 0.999
    clip_norm: float | None = 1.0
    precision: str = "fp32"
    compile: bool = False
    accumulate: int = 1
    checkpoint_every: int | None = None  # steps
    checkpoint_seconds: float | None = 120.0
    evaluate_every: int | None = None  # steps; None: at the end only
    log_every: int = 20  # steps
    sharpness: Sharpness = field(default_factory=Sharpness)

    def __post_init__(self) -> None:
        if self.precision not in ("bf16", "fp32"):
            raise UsageError(f"precision is bf16 or fp32, not {self.precision!r}")
        if not 0 <= self.ema_decay < 1:
            raise UsageError(f"ema_decay is at least 0 and below 1, not {self.ema_decay}")
        for name in ("accumulate", "checkpoint_every", "evaluate_every", "log_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} is at least 1, not {value}")


def rate_factor(step: int, steps: int, warmup: int) -> float:
    """The learning rate's share at `step` (0 .. steps - 1): linear warm-up, then cosine to 5 %."""
    warmup = min(warmup, steps // 10)
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - 1 - warmup)
    return FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * done))
