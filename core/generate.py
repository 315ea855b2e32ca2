"""From a prompt to a clip with its receipt, for every model in the registry."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .clip import Clip
from .errors import MissingCapability, UsageError
from .models.package import Loaded
from .models.registry import load
from .receipt import make_receipt
from .text.vocabulary import Vocabulary, normalise

if TYPE_CHECKING:
    from .models.graph import Engine

OnProgress = Callable[[int, int, str], None]
# Words that name nothing to be seen.
FUNCTION_WORDS = frozenset(
    "a an the is are in on at of with by and his her its в на во с со и у".split()  # noqa: SIM905
)


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


@dataclass(frozen=True)
class Result:
    """A clip, what made it, what the user should know, and the seconds each part took."""

    clip: Clip
    receipt: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def generate(
    loaded: Loaded,
    request: Request,
    *,
    engine: Engine | None = None,
    device: str = "auto",
    on_progress: OnProgress | None = None,
) -> Result:
    """Make one clip. The same request and weights give the same clip.

    engine: what runs the model's graphs; PyTorch on `device` where left out. Raises UsageError
    for a prompt that the model cannot read or settings that it does not take, MissingCapability
    for a device that is not here.
    """
    notes = check_prompt(request.prompt, loaded.model.vocabulary) if loaded.spec.text else []  # pyright: ignore
    start = time.perf_counter()
    runner = engine or torch_engine(loaded, device)
    ready = time.perf_counter()
    clip = load(loaded.spec).sample(runner, loaded.model, request, on_progress or _silent)
    seconds = {"prepare": ready - start, "sample": time.perf_counter() - ready}
    receipt = make_receipt(
        prompt=request.prompt or None,
        seed=request.seed,
        model=loaded.spec.name if loaded.bundled else str(loaded.path),
        weights_sha256=loaded.sha256,
        engine=runner.name,
        settings=request.settings(),
    )
    return Result(clip, receipt, notes, seconds)


def _silent(done: int, total: int, what: str) -> None:
    """Progress for nobody."""


def check_prompt(prompt: str, vocabulary: Vocabulary) -> list[str]:
    """Notes on the words that the model does not know.

    Raises UsageError when it knows none of the words that name something.
    """
    unknown = list(dict.fromkeys(vocabulary.unknown(prompt)))
    naming = [w for w in normalise(prompt) if w not in unknown and w not in FUNCTION_WORDS]
    if not naming:
        words = ", ".join(w for w in vocabulary.words if w not in FUNCTION_WORDS)
        raise UsageError(f"the model knows nothing in {prompt!r}", hint=f"words it knows: {words}")
    return [_unknown_note(word, vocabulary.nearest(word)) for word in unknown]


def _unknown_note(word: str, near: list[str]) -> str:
    nearest = f"; nearest: {', '.join(near)}" if near else ""
    return f"the model does not know {word!r} and leaves it out{nearest}"


def picture(path: str, size: int) -> np.ndarray:
    """A picture's file as RGB uint8 (size, size, 3): its middle square. UsageError where it
    cannot be read."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as found:
            square = ImageOps.fit(found.convert("RGB"), (size, size), Image.Resampling.BOX)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or "it is no picture that can be read"
        raise UsageError(f"cannot read the picture {path}: {reason}") from error
    return np.array(square)


def pick_device(device: str) -> str:
    """ "auto" is the first GPU, else the CPU. Raises for a device that is not here."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = device.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdigit()):
        raise UsageError(f"device must be auto, cpu, cuda or cuda:n, not {device!r}")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise MissingCapability(f"there is no device {device} here", hint="dln doctor")
    return device


def torch_engine(loaded: Loaded, device: str = "auto") -> Engine:
    """The graphs of the model in PyTorch. Raises for a device that is not here."""
    from .models.graph import TorchEngine

    return TorchEngine(loaded.model.graphs(), pick_device(device))  # pyright: ignore
