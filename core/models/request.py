"""What is asked of a generator."""

from dataclasses import asdict, dataclass
from typing import Any

from ..errors import UsageError


@dataclass(frozen=True)
class Request:
    """What is asked for; None leaves a setting to the model.

    frames: how many; fps: playback rate, frames a second; image and last_image: pictures'
    files, the first frame and the last; guidance, temperature, top_p, steps and reconstruction as
    the model's sampler defines them.
    """

    prompt: str = ""
    seed: int = 0
    frames: int | None = None
    fps: float | None = None
    guidance: float | None = None
    temperature: float | None = None
    top_p: float | None = None
    image: str | None = None
    last_image: str | None = None
    steps: int | None = None
    reconstruction: float | None = None

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UsageError(f"the seed must not be negative, got {self.seed}")
        if self.frames is not None and self.frames < 1:
            raise UsageError(f"a clip has at least one frame, not {self.frames}")
        if self.fps is not None and not self.fps > 0:
            raise UsageError(f"fps must be above zero, not {self.fps}")

        if self.steps is not None and self.steps < 1:
            raise UsageError(f"steps must be at least 1, not {self.steps}")
        if self.reconstruction is not None and self.reconstruction < 0:
            raise UsageError(f"reconstruction must not be negative, not {self.reconstruction}")

    def refuse(self, model: str, *names: str) -> None:
        """UsageError where one of these settings is asked of a model that has no use for it."""
        for name in names:
            if getattr(self, name) is not None:
                raise UsageError(f"{model} has no {name}", f"leave --{name.replace('_', '-')} out")

    def settings(self) -> dict[str, Any]:
        """What was asked beside prompt and seed."""
        chosen = {name: value for name, value in asdict(self).items() if value is not None}
        return {name: chosen[name] for name in chosen if name not in ("prompt", "seed")}
