"""Do things keep what they are: refills and faults by hand, and the renderer's own truth."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dln.core.data.menagerie import SPEEDS, describe, draw_story
from dln.core.errors import UsageError
from dln.core.generation.generate import Generated
from dln.core.media.clip import Clip
from dln.core.metrics import clips, props
from dln.core.metrics.props import Seen, look, prompts, rises
from dln.core.models.package import Loaded
from dln.core.models.recognizer.config import PRESETS, SHARES, THINGS
from dln.core.models.recognizer.model import Model, left_of
from dln.core.models.recognizer.props import NONE, truth
from dln.core.models.recognizer.training import beside
from dln.core.models.registry import MODELS
from dln.core.models.system import SystemModel


def seen(*left: float) -> Seen:
    return Seen(np.ones(len(left), bool), np.array(left))


def test_rises_by_hand():
    assert rises(np.array([1, 0.8, 0.5, 0.2, 0.1])) == []
    assert rises(np.array([0.5, 0.6, 0.5, 0.7, 0.6])) == []  # less than RISE
    ((rise,), two) = rises(np.array([1, 0.2, 0.6, 1, 0.7])), rises(np.array([0, 1, 0, 1]))
    assert (rise.begin, rise.end, rise.low, rise.high) == (1, 3, 0.2, 1)
    assert [(r.begin, r.end) for r in two] == [(0, 1), (2, 3)]


@pytest.mark.parametrize(
    ("left", "faults"),
    [
        ((1, 0.7, 0.4, 0.1, 1, 0.7), 0),
        ((1, 0.55, 0.1, 0.9, 0.5, 0.1, 0.9), 1),  # no two refills within a second
        ((1, 0.2, 0.1), 1),  # nobody drinks as fast
        ((0.9, 0.5, 0.9, 0.5, 0.2), 1),  # it was not empty
        ((0.1, 0.5, 0.1), 1),  # it does not become full
        ((0.5, 0.1, 0.5), 0),  # it may yet
        ((1, 0.8, 0.9, 0.6, 0.7, 0.3), 0),
    ],
)
def test_faults_by_hand(left, faults):
    assert seen(*left).faults(fps=4) == faults
    assert seen(*left).steady(fps=4) == (faults == 0)


def test_what_vanishes_is_not_kept():
    gone = replace(seen(1, 0.5, 0.1), held=np.array([True, False, True]))
    assert not gone.kept
    assert not gone.steady(8)


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("action", props.THINGS)
@pytest.mark.parametrize("fps", [4, 8, 12])
def test_true_stories_are_steady(action, speed, fps):
    story = draw_story(3, action=action, speed=speed)
    held = [truth(story, time) for time in np.arange(0, 12, 1 / fps)]
    assert {kind for kind, _ in held} == {props.THINGS[action]}
    found = seen(*(left for _, left in held))
    assert found.steady(fps)
    refills = [rise for rise in rises(found.left) if rise.whole]
    assert len(refills) in (round(12 / story.period) - 1, round(12 / story.period))
    swapped = found.left.copy()
    swapped[[3 * fps // 2, 3 * fps // 2 + 1]] = [1.0, 0.0]
    swapped[3 * fps // 2 + 2] = 1.0
    assert not replace(found, left=swapped).steady(fps)


def test_nothing_is_left_of_nothing():
    assert truth(draw_story(1, action="walking"), 1.0) == ("nothing", NONE)


def test_shares_between_steps():
    found = beside(torch.tensor([0.0, 0.04, 0.95, 1.0]), len(SHARES))
    assert found.sum(-1).tolist() == pytest.approx([1] * 4)
    assert found[1, :2].tolist() == pytest.approx([0.6, 0.4])
    assert left_of(found.log()).tolist() == pytest.approx([0, 0.04, 0.95, 1])


def test_prompts_name_what_is_held():
    for prompt, thing in prompts(8, 0, False):
        action = describe(prompt)["action"]
        assert action is not None
        assert props.THINGS[action] == thing
    assert prompts(8, 0, False) == prompts(8, 0, False)
    assert {describe(p)["actor"] for p, _ in prompts(8, 0, True)} == {"chick", "rabbit"}


class Gauge:
    """A detector that reads the thing from the first pixel's red, and its share from the green."""

    config = PRESETS["props"]

    def each_frame(self, frames: np.ndarray) -> dict[str, torch.Tensor]:
        pixels = torch.from_numpy(frames[:, 0, 0].astype(np.float32))
        held = torch.nn.functional.one_hot(pixels[:, 0].long(), len(THINGS)).float()
        return {"held": (held + 1e-9).log(), "left": beside(pixels[:, 1] / 255, 11).log()}


def painted(thing: str, left: list[float]) -> np.ndarray:
    frames = np.zeros((len(left), 2, 2, 3), np.uint8)
    frames[..., 0] = THINGS.index(thing)
    frames[..., 1] = np.round(255 * np.array(left))[:, None, None]
    return frames


def test_a_detector_is_read():
    frames = painted("apple", [1, 0.5, 0.25])
    assert look(Gauge(), frames, "apple").left == pytest.approx([1, 0.5, 0.25], abs=0.003)
    assert look(Gauge(), frames, "apple").kept
    assert not look(Gauge(), frames, "glass").kept


def test_clips_are_counted(monkeypatch):
    films = [painted("glass", [1, 0.5, 0.1]), painted("apple", [1, 0.1, 1, 0.1, 1, 0.1]),
             painted("apple", [1, 0.5, 0.1]), painted("apple", [1, 0.7, 0.3])]  # fmt: skip
    made = iter(films)
    monkeypatch.setattr(
        clips, "generate", lambda *a, **o: Generated(Clip(next(made), 8.0), {}, [], {"s": 2.0})
    )
    detector = SimpleNamespace(model=Gauge(), sha256="ab")
    monkeypatch.setattr(props, "load_model", lambda name: detector)
    card = {"data": {"name": "menagerie"}}
    model = SystemModel()
    loaded = Loaded(model, MODELS["stylegan-v"], card, "", Path("toy.safetensors"), False)
    with pytest.raises(UsageError, match="menagerie's prompts"):
        props.props(loaded, 4)
    model.reader = SimpleNamespace(words=["lion"], unknown=lambda text: [])  # pyright: ignore
    found = props.props(replace(loaded, about=MODELS["cogvideo"]), 4, held_out=True)
    assert (found["held_out_steady"], found["held_out_kept"]) == (0.5, 0.75)
    assert found["held_out_faults_per_clip"] == (3 + 1) / 4  # three falls, refills that come soon
    assert found["held_out_seconds_per_clip"] == 2


def test_the_preset_has_two_heads():
    model = Model(PRESETS["props"])
    odds = model.each_frame(np.zeros((3, 64, 64, 3), np.uint8))
    assert {name: x.shape for name, x in odds.items()} == {"held": (3, 3), "left": (3, 11)}
