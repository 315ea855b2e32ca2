"""Do clips show what their prompts ask for? A recognizer that ships with dln judges."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..data.menagerie import caption, describe
from ..data.menagerie.source import Menagerie
from ..media.clip import Clip
from ..models.recognizer.judge import JUDGED, load_judge

PROMPT_SEED = 20_000  # of the stories that prompts are captions of
MOST_CONFUSIONS = 20

Outcome = tuple[str, dict[str, str]]  # the prompt, and what the recognizer sees, head by head


def draw_prompts(count: int, seed: int, held_out: bool | None) -> Iterator[str]:
    """`count` captions of the menagerie in English and in Russian, the same for the same seed."""
    source = Menagerie(count, PROMPT_SEED + seed, held_out)
    for index in range(count):
        yield caption(source.story(index), np.random.default_rng([PROMPT_SEED + seed, index]))


def score(outcomes: list[Outcome]) -> dict[str, Any]:
    """How often what is seen is what the prompt names, over the prompts that name it.

    {actor, action, scene}_accuracy with _low and _high, their 95 % Wilson intervals, None where no
    prompt names the thing; confusions: the first failures.
    """
    found: dict[str, Any] = {}
    pairs = [(prompt, describe(prompt), seen) for prompt, seen in outcomes]
    for head in JUDGED:
        right = [seen[head] == asked[head] for _, asked, seen in pairs if asked[head]]
        low, high = wilson(sum(right), len(right)) if right else (None, None)
        accuracy = sum(right) / len(right) if right else None
        found |= {f"{head}_accuracy": accuracy, f"{head}_low": low, f"{head}_high": high}
    wrong = (_confusion(*pair) for pair in pairs)
    return found | {"confusions": [confusion for confusion in wrong if confusion][:MOST_CONFUSIONS]}


def _confusion(
    prompt: str, asked: dict[str, str | None], seen: dict[str, str]
) -> dict[str, str] | None:
    missed = [head for head in JUDGED if asked[head] and asked[head] != seen[head]]
    if not missed:
        return None
    expected = " ".join(str(asked[head]) for head in missed)
    return {"prompt": prompt, "expected": expected, "seen": " ".join(seen[h] for h in missed)}


def wilson(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval of a share; 95 % unless told. ValueError for no trials."""
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes in {trials} trials")
    share, spread = successes / trials, z * z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread * spread / 4) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def judge(clips: list[Clip]) -> dict[str, list[str]]:
    """The actor, action, scene and speed that the bundled recognizer sees in each clip.

    The action is "still" where nothing moves.

    Raises MissingCapability where its weights are not installed.
    """
    model: Any = load_judge().model
    parts = [model.recognize(clips[start : start + 64]) for start in range(0, len(clips), 64)]
    heads = model.config.classes
    return {head: [name for part in parts for name in part[head]] for head in heads}


def single(found: dict[str, list[str]]) -> dict[str, str]:
    """What was seen in the one clip that was looked at."""
    return {head: names[0] for head, names in found.items()}
