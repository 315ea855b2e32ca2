"""The best weights of a stage so far, beside the last ones: state/<stage>/best.safetensors."""

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..door import typed
from ..errors import UsageError
from ..files import atomic_write, make_folder
from .state import plain_tensors

NAME, KEY = "best.safetensors", "dln-best"


@dataclass(frozen=True)
class Best:
    """At which step, and how good: `value` of the metric, of which less is better. sha256: of the
    tensors, in the order of their names."""

    step: Annotated[int, Field(ge=0)]
    metric: str
    value: Annotated[float, Field(allow_inf_nan=False)]
    sha256: str


class BestWeights:
    """The file of a stage whose state lies in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME

    def told(self) -> Best | None:
        """What the file says of itself; None where there is none, or none that is sound."""
        found = self.load()
        return found[0] if found else None

    def load(self) -> tuple[Best, dict[str, Tensor]] | None:
        """It and its weights, on the host."""
        try:
            with safe_open(self.path, "pt") as file:
                told = (file.metadata() or {}).get(KEY, "")
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            best = typed(Best, told, str(self.path))
        except (OSError, SafetensorError, UsageError, ValueError, RuntimeError):
            return None
        return (best, weights) if best.sha256 == digest(weights) else None

    def offer(self, step: int, metric: str, value: float, weights: dict[str, Tensor]) -> None:
        """Keep `weights` where they are better than what is kept, or nothing is. The file is whole
        at any moment. DlnError where the disk is full."""
        before = self.told()
        if not math.isfinite(value) or (before and before.value <= value):
            return
        tensors = plain_tensors(weights)
        best = {"step": step, "metric": metric, "value": value, "sha256": digest(tensors)}
        make_folder(self.path.parent)
        with atomic_write(self.path) as file:
            file.write(save(tensors, metadata={KEY: json.dumps(best)}))


def digest(weights: dict[str, Tensor]) -> str:
    """The SHA-256 of all numbers."""
    found = hashlib.sha256()
    for name in sorted(weights):
        found.update(name.encode() + weights[name].contiguous().numpy().tobytes())
    return found.hexdigest()
