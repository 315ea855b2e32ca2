"""What is asked of a benchmark."""

from dataclasses import dataclass

from dln.core.errors import UsageError

BASE = "torch"  # what every other engine is a ratio to


@dataclass(frozen=True)
class BenchRequest:
    """What to measure. runs and warmup: clips; threads: None leaves them to the engine; limit_s:
    what one engine may take, in seconds; prompt: None for one that the model can read. Raises
    UsageError for what cannot be measured."""

    model: str = "cogvideo"
    engines: tuple[str, ...] = (BASE, "onnx")
    runs: int = 5
    warmup: int = 1
    precision: str = "fp32"
    threads: int | None = None
    prompt: str | None = None
    seed: int = 0
    device: str = "auto"
    limit_s: float = 1800.0

    def __post_init__(self) -> None:
        if not self.engines:
            raise UsageError("there is no engine to measure", hint="dln bench --engine torch")
        for name in ("runs", "warmup"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.threads is not None and self.threads < 1:
            raise UsageError(f"threads must be at least 1, not {self.threads}")
