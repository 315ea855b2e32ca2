"""The best of several clips: who takes part, who wins, and what is said about it."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from dln.core.data.menagerie import draw_story, render
from dln.core.errors import UsageError
from dln.core.generation import best
from dln.core.generation.best import candidate_seed, generate_best, log_probability, named
from dln.core.generation.generate import Generated
from dln.core.media.clip import Clip
from dln.core.models.recognizer.judge import load_judge
from dln.core.models.request import Request


@pytest.fixture
def generated(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """Each clip is one grey pixel, its brightness the seed's last digit."""
    asked: list[Request] = []

    def generate(loaded, request, **options):
        asked.append(request)
        clip = Clip(np.full((1, 1, 1, 3), request.seed % 10, np.uint8), 8.0)
        return Generated(clip, {"seed": request.seed}, [], {"sample": 1.0})

    monkeypatch.setattr(best, "generate", generate)
    return asked


def brightness(clip: Clip) -> float:
    return float(clip.frames.max())


def test_the_brightest_of_eight_is_kept(generated):
    request = Request("lion", seed=7, frames=3)
    found = generate_best(None, request, 8, score=brightness)  # pyright: ignore
    seeds = [each.seed for each in found.candidates]
    assert seeds == [candidate_seed(7, number) for number in range(8)]
    assert seeds == [each.seed for each in generated]
    assert [replace(each, seed=7) for each in generated] == [request] * 8
    digits = [seed % 10 for seed in seeds]
    assert [each.score for each in found.candidates] == digits
    assert found.winner == digits.index(max(digits))
    assert brightness(found.clip) == max(digits)
    assert found.receipt == {
        "seed": seeds[found.winner],
        "best_of": {"candidates": 8, "winner": found.winner, "seed": 7, "score": max(digits)},
    }
    assert found.seconds["sample"] == 8.0


def test_the_first_of_equals_wins(generated):
    assert generate_best(None, Request(seed=3), 4, score=lambda clip: 0.0).winner == 0  # pyright: ignore


def test_seeds_of_candidates_meet_no_clip_of_a_count():
    """--count takes seeds one after the other: no candidate may be the next clip's."""
    seeds = {candidate_seed(seed, number) for seed in range(200) for number in range(1, 8)}
    assert len(seeds) == 1400
    assert min(seeds) > 10_000
    assert max(seeds) < 2**31
    assert candidate_seed(123, 0) == 123


def test_what_cannot_be_ranked(generated):
    with pytest.raises(UsageError, match="names no actor"):
        generate_best(None, Request("xyzzy"), 2)  # pyright: ignore
    with pytest.raises(UsageError, match="best of 0"):
        generate_best(None, Request("lion"), 0)  # pyright: ignore
    assert generated == []
    assert named("лев пьёт") == {"actor": "lion", "action": "drinking"}


def test_the_recognizer_s_own_probability():
    """Of what is asked, the product of the heads' softmax values; what is shown is likeliest."""
    story = draw_story(5, held_out=None, actor="lion", action="drinking")
    clip = Clip(render(story, np.arange(33) / 8, 64)[0], 8.0)
    model = load_judge().model
    with torch.inference_mode():
        logits = model.network.read(model.features([clip]).float())  # pyright: ignore
    expected = 0.0
    for head, name in (("actor", "lion"), ("action", "drinking")):
        values = [math.exp(value) for value in logits[head][0].tolist()]
        place = model.config.classes[head].index(name)  # pyright: ignore
        expected += math.log(values[place] / sum(values))
    found = log_probability(clip, named("lion drinking"))
    assert found == pytest.approx(expected, abs=1e-4)
    assert found > log_probability(clip, named("bear drinking"))
    assert found > log_probability(clip, named("lion sleeping"))
    with pytest.raises(UsageError, match="no actor 'unicorn'"):
        log_probability(clip, {"actor": "unicorn"})
