"""Do clips show what their prompts ask for? A recognizer that ships with dln judges."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data import menagerie, open_source, vistas
from ..media.clip import Clip
from ..models.recognizer.judge import JUDGED, load_judge

PROMPT_SEED = 20_000  # of the stories that prompts are captions of
MOST_CONFUSIONS = 20

Outcome = tuple[str, dict[str, str]]  # the prompt, and what the recognizer sees, head by head


@dataclass(frozen=True)
class Known:
    """A world whose recognizer comes along.

    heads: what prompts name, and it sees; describe: reads a prompt; shown: what is looked for in
    a real clip that went through a tokenizer; lasting: what a long clip keeps.
    """

    heads: tuple[str, ...]
    describe: Callable[[str], dict[str, str | None]]
    shown: tuple[str, ...]
    lasting: tuple[str, ...]


LAND = ("place", "season", "weather", "time")
KNOWN = {
    "menagerie": Known(JUDGED, menagerie.describe, ("actor", "action"), ("actor", "scene")),
    "vistas": Known(LAND, vistas.describe, LAND, LAND[:-1]),
}


def draw_prompts(
    count: int, seed: int, held_out: bool | None, data: str = "menagerie"
) -> Iterator[str]:
    """`count` captions of a world in English and in Russian, the same for the same seed."""
    source = open_source(data, count=count, seed=PROMPT_SEED + seed, held_out=held_out)
    for index in range(count):
        yield source.caption(index, np.random.default_rng([PROMPT_SEED + seed, index]))


def score(outcomes: list[Outcome], known: Known = KNOWN["menagerie"]) -> dict[str, Any]:
    """How often what is seen is what the prompt names, over the prompts that name it.

    Of each head ..._accuracy with _low and _high, its 95 % Wilson interval, None where no prompt
    names the thing; confusions: the first failures.
    """
    found: dict[str, Any] = {}
    pairs = [(prompt, known.describe(prompt), seen) for prompt, seen in outcomes]
    for head in known.heads:
        right = [seen[head] == asked[head] for _, asked, seen in pairs if asked[head]]
        low, high = wilson(sum(right), len(right)) if right else (None, None)
        accuracy = sum(right) / len(right) if right else None
        found |= {f"{head}_accuracy": accuracy, f"{head}_low": low, f"{head}_high": high}
    wrong = (_confusion(known.heads, *pair) for pair in pairs)
    return found | {"confusions": [confusion for confusion in wrong if confusion][:MOST_CONFUSIONS]}


def _confusion(
    heads: Sequence[str], prompt: str, asked: dict[str, str | None], seen: dict[str, str]
) -> dict[str, str] | None:
    missed = [head for head in heads if asked[head] and asked[head] != seen[head]]
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


def share(name: str, found: Sequence[bool]) -> dict[str, float]:
    """How many of all, with the ends of its 95 % interval."""
    low, high = wilson(sum(found), len(found))
    return {name: sum(found) / len(found), f"{name}_low": low, f"{name}_high": high}


def judge(clips: list[Clip], data: str = "menagerie") -> dict[str, list[str]]:
    """What the recognizer of the data's world sees in each clip, head by head: of the menagerie
    actor, action, scene and speed, the action being "still" where nothing moves.

    Raises MissingCapability where its weights are not installed.
    """
    model: Any = load_judge(data).model
    parts = [model.recognize(clips[start : start + 64]) for start in range(0, len(clips), 64)]
    heads = model.config.classes
    return {head: [name for part in parts for name in part[head]] for head in heads}


def single(found: dict[str, list[str]]) -> dict[str, str]:
    """What was seen in the one clip that was looked at."""
    return {head: names[0] for head, names in found.items()}
