"""What frames between true ones are measured by: baselines worked by hand, and CogVideo's own."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from dln.core.errors import UsageError
from dln.core.metrics import interpolation as module
from dln.core.metrics.interpolation import held_against, interpolation, told, true_frames
from dln.core.metrics.world import Real
from dln.core.models.cogvideo.config import Config
from dln.core.models.cogvideo.model import Model
from dln.core.models.engine import TorchEngine
from dln.core.models.layers.tokenizer import TokenizerConfig
from dln.core.models.package import Loaded
from dln.core.models.registry import MODELS, load
from dln.core.models.request import Request
from dln.core.models.system import SystemModel
from dln.core.text.vocabulary import Vocabulary


class Brightening:
    """A clip that is one grey level brighter after each eighth of a second."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def duration(self, row: int) -> float:
        return self.seconds

    def caption(self, row: int, rng: np.random.Generator) -> str:
        return "lion drinking"

    def frames(self, row, times, size):
        levels = np.round(8 * np.asarray(times)).astype(np.uint8)
        return np.broadcast_to(levels[:, None, None, None], (len(times), *size, 3)), None


def real(seconds: float, count: int = 1) -> Real:
    source = Brightening(seconds)
    return Real(source, np.arange(count), np.zeros(count))  # pyright: ignore[reportArgumentType]


def test_errors_by_hand():
    frames = np.array([0, 10, 40, 60, 60], np.uint8).reshape(5, 1, 1, 1).repeat(3, axis=3)
    new = np.array([12, 55], np.uint8).reshape(2, 1, 1, 1).repeat(3, axis=3)
    found = held_against(frames, new, frames[1::2] + 1)
    assert found.tolist() == [3.5, (10 + 20) / 2, (10 + 10) / 2, 1.0]
    assert held_against(frames, new, None)[3] == 0


def test_what_is_told_by_hand():
    rows = np.array([[2, 8, 4, 1], [4, 8, 6, 1]], float)
    assert told("x", rows) == {
        "error_x": 3, "error_x_repeated": 8, "error_x_averaged": 5, "error_x_reconstructed": 1,
        "gain_x": pytest.approx(0.4),
    }  # fmt: skip
    four: Any = told("x", np.repeat(rows, 2, axis=0))
    assert four["error_x_low"] < 3 < four["error_x_high"]
    still = told("x", np.zeros((1, 4)))
    assert still["gain_x"] is None


@pytest.mark.parametrize(("seconds", "rate", "count"), [(4, 1, 9), (4, 2, 17), (3.9, 1, 5)])
def test_as_many_frames_are_given_as_fit(seconds, rate, count):
    frames = true_frames(real(seconds), 0, rate, 2)
    assert frames is not None
    assert frames.shape == (count, 2, 2, 3)
    assert frames[:, 0, 0, 0].tolist() == np.round(np.arange(count) * 4 / rate).tolist()


def test_a_clip_may_be_too_short():
    assert true_frames(real(1.9), 0, 1, 2) is None


def halfway(monkeypatch, seconds: float) -> Loaded:
    """A model that draws the mean of both neighbours, two levels too bright."""

    def between(engine, model, request, known, fps):
        assert (request.prompt, request.settings) == ("lion drinking", {"temperature": 0.5})
        middle = (known[:-1].astype(int) + known[1:]) // 2
        return (middle + 2).astype(np.uint8)

    system = SimpleNamespace(
        rates=lambda model: [1.0, 2.0], between=between, reconstruct=lambda model, frames: None
    )
    monkeypatch.setattr(module, "load", lambda about: system)
    world = SimpleNamespace(real=lambda count, seed, held_out: real(seconds, count))
    monkeypatch.setattr(module, "world_of", lambda loaded, data: world)
    model = SystemModel()
    model.config = SimpleNamespace(image_size=2)
    return Loaded(model, MODELS["cogvideo"], {}, "", Path("toy.safetensors"), False)


def test_a_model_is_held_against_what_costs_nothing(monkeypatch):
    loaded = halfway(monkeypatch, 4.0)
    engine = TorchEngine({}, "cpu")
    found = interpolation(loaded, 5, engine=engine, settings={"temperature": 0.5}, held_out=True)
    at_first = {name: found[f"held_out_error_after_1_s{name}"] for name in ("", "_repeated")}
    assert at_first == {"": 2, "_repeated": 4}
    assert found["held_out_error_after_0.5_s_repeated"] == 2
    assert found["held_out_error_after_1_s_averaged"] == 0
    assert found["held_out_gain_after_1_s"] is None  # nothing beats what has no error


def test_too_short_clips_are_a_sentence(monkeypatch):
    loaded = halfway(monkeypatch, 1.0)
    with pytest.raises(UsageError, match="three frames at 1 a second"):
        interpolation(loaded, 2, engine=TorchEngine({}, "cpu"), settings={"temperature": 0.5})


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    small = TokenizerConfig(codebook_size=32, code_dim=8, encoder_widths=(8, 8, 8),
                            decoder_widths=(8, 8, 8), clusters=4)  # fmt: skip
    config = Config(image_size=32, width=16, layers=2, heads=2, positions=32, tokenizer=small)
    return Model(config, Vocabulary(["lion", "drinking"])).eval()


def test_cogvideo_draws_between_frames_at_each_of_its_rates(model):
    system, engine = load(MODELS["cogvideo"]), TorchEngine(model.graphs(), "cpu")
    assert system.rates(model) == [1.0, 2.0, 4.0]
    known = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
    drawn = [
        system.between(engine, model, Request("lion drinking", seed), known, 2.0)
        for seed in (0, 0, 1)
    ]
    assert drawn[0].shape == (4, 32, 32, 3)
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_a_new_frame_depends_on_its_window_alone(model):
    """Frames 0, 2 and 4 decide over 1 and 3, and not over those of the next window."""
    system, engine = load(MODELS["cogvideo"]), TorchEngine(model.graphs(), "cpu")
    known = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
    other = known.copy()
    other[4] = 0
    greedy = Request("lion drinking", 0, settings={"temperature": 0})
    first, second = (system.between(engine, model, greedy, k, 1.0) for k in (known, other))
    assert np.array_equal(first[:2], second[:2])


def test_others_draw_none(model):
    loaded = Loaded(model, MODELS["video-diffusion"], {}, "", Path("toy.safetensors"), False)
    loaded = replace(loaded, card={"data": {"name": "menagerie"}})
    with pytest.raises(UsageError, match="draws no frames between"):
        interpolation(loaded, 1)
