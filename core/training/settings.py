"""How to train, whatever the stage."""

from dataclasses import dataclass, field

from ..errors import UsageError
from .sharpness import Sharpness


@dataclass(frozen=True)
class FitSettings:
    """How to train, whatever the stage. `workers`: threads that collate, that many steps ahead."""

    seed: int = 0
    precision: str = "fp32"
    compile: bool = False
    accumulate: int = 1
    checkpoint_every: int | None = None  # steps
    checkpoint_seconds: float | None = 120.0
    evaluate_every: int | None = None  # steps; None: as the stage says, or evaluations.early
    log_every: int = 20  # steps
    workers: int = 1
    sharpness: Sharpness = field(default_factory=Sharpness)

    def __post_init__(self) -> None:
        if self.precision not in ("bf16", "fp32"):
            raise UsageError(f"precision is bf16 or fp32, not {self.precision!r}")
        counts = ("accumulate", "checkpoint_every", "evaluate_every", "log_every", "workers")
        for name in counts:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} is at least 1, not {value}")
