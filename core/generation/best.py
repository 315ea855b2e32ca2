"""The best of several clips: the recognizer ranks candidates, as CLIP did for DALL-E.

Ramesh et al. 2021 (2102.12092) drew many pictures for a prompt and kept the one that a network
with eyes for both found closest to it. Here the recognizer says how probable what the prompt
names is in each clip.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from ..data.menagerie import describe
from ..errors import UsageError
from ..media.clip import Clip
from ..models.package import Loaded
from ..models.recognizer.judge import JUDGED, load_judge
from ..models.request import Request
from ..progress import OnProgress
from .generate import Generated, generate

if TYPE_CHECKING:
    from ..models.engine import Engine

Score = Callable[[Clip], float]


@dataclass(frozen=True)
class Candidate:
    """seed: makes this clip on its own. score: the higher, the better."""

    seed: int
    score: float


@dataclass(frozen=True)
class Best(Generated):
    """The winner's clip and receipt, the seconds of all candidates, and who took part."""

    candidates: list[Candidate] = field(default_factory=list)
    winner: int = 0


def named(prompt: str) -> dict[str, str]:
    """The actor, action and scene that the prompt names. UsageError where it names none."""
    found = {head: name for head, name in describe(prompt).items() if name and head in JUDGED}
    if not found:
        raise UsageError(
            f"{prompt!r} names no actor, action or scene that the recognizer knows, so nothing "
            "can rank candidates",
            hint="leave --best-of out",
        )
    return found


def candidate_seed(seed: int, number: int) -> int:
    """The seed of candidate `number` (0 has the given one): 31 bits of a hash of both.

    Unlike seed + number, it is none of the seeds that the next clips of a count have.
    """
    digest = sha256(f"candidate {seed}/{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1 if number else seed


def log_probability(clip: Clip, asked: dict[str, str]) -> float:
    """The recognizer's: natural logarithm of what is asked, the heads taken as independent.

    asked: a name for each head that counts. UsageError for a name that it does not know,
    MissingCapability where its weights are not installed.
    """
    model: Any = load_judge().model
    places = {}
    for head, name in asked.items():
        if name not in (classes := model.config.classes[head]):
            raise UsageError(f"the recognizer knows no {head} {name!r}")
        places[head] = classes.index(name)
    found = model.log_probabilities(model.features([clip]))
    return sum(float(found[head][0, place]) for head, place in places.items())


def generate_best(
    loaded: Loaded,
    request: Request,
    count: int,
    *,
    engine: Engine | None = None,
    device: str = "auto",
    on_progress: OnProgress | None = None,
    score: Score | None = None,
) -> Best:
    """Make `count` clips and keep the one with the highest score, the first of equals.

    Candidate 0 is the clip that `generate` makes of the same request; the others have the seeds of
    `candidate_seed`. score: of a clip; where left out, `log_probability` of what the prompt names.
    The receipt has the winner's own seed, so that the winner alone can be made again, and under
    best_of how many took part, which one won, the seed that was given and the score. UsageError
    for a count below 1, a prompt that names nothing to rank by, and as `generate`.
    """
    if count < 1:
        raise UsageError(f"the best of {count} clips cannot be kept")
    score = score or scorer(request.prompt)
    kept, candidates, seconds = None, [], {"rank": 0.0}
    for number in range(count):
        candidate = replace(request, seed=candidate_seed(request.seed, number))
        made = generate(loaded, candidate, engine=engine, device=device, on_progress=on_progress)
        began = time.perf_counter()
        candidates.append(Candidate(candidate.seed, score(made.clip)))
        spent = made.seconds | {"rank": time.perf_counter() - began}
        seconds = {part: seconds.get(part, 0.0) + value for part, value in spent.items()}
        if kept is None or candidates[-1].score > candidates[kept[0]].score:
            kept = number, made
    assert kept is not None
    winner, made = kept
    told = {"candidates": count, "winner": winner, "seed": request.seed}
    receipt = made.receipt | {"best_of": told | {"score": candidates[winner].score}}
    return Best(made.clip, receipt, made.notes, seconds, candidates, winner)


def scorer(prompt: str) -> Score:
    """`log_probability` of what the prompt names. UsageError as for `named`."""
    asked = named(prompt)
    return lambda clip: log_probability(clip, asked)
