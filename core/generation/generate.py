"""From a prompt to a clip with its receipt, for every model in the registry."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..media.clip import Clip
from ..media.receipt import make_receipt
from ..models.engine import torch_engine
from ..models.package import Loaded
from ..models.registry import load
from ..models.request import Request
from ..progress import OnProgress, unheard
from ..text.vocabulary import Vocabulary, normalise

if TYPE_CHECKING:
    from ..models.engine import Engine

# Words that name nothing to be seen.
FUNCTION_WORDS = frozenset(
    "a an the is are in on at of with by and his her its в на во с со и у".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Generated:
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
) -> Generated:
    """Make one clip. The same request and weights give the same clip.

    engine: what runs the model's graphs; PyTorch on `device` where left out. Raises UsageError
    for a prompt that the model cannot read or settings that it does not take, MissingCapability
    for a device that is not here.
    """
    notes = check_prompt(request.prompt, loaded.model.vocabulary) if loaded.spec.text else []  # pyright: ignore
    start = time.perf_counter()
    runner = engine or torch_engine(loaded, device)
    ready = time.perf_counter()
    clip = load(loaded.spec).sample(runner, loaded.model, request, on_progress or unheard)
    seconds = {"prepare": ready - start, "sample": time.perf_counter() - ready}
    receipt = make_receipt(
        prompt=request.prompt or None,
        seed=request.seed,
        model=loaded.spec.name if loaded.bundled else str(loaded.path),
        weights_sha256=loaded.sha256,
        engine=runner.name,
        settings=request.settings(),
    )
    return Generated(clip, receipt, notes, seconds)


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
