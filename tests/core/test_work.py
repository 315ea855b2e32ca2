"""A training's floating-point operations: against formulas worked by hand, and real batches."""

import numpy as np
import pytest
import torch
from torch import nn

from dln.core.data import open_source
from dln.core.errors import UsageError
from dln.core.models.registry import find as model_of
from dln.core.models.registry import load
from dln.core.runs.build import override
from dln.core.runs.work import flop_per_sample, work
from dln.core.text.vocabulary import Vocabulary
from dln.core.training.options import TrainOptions
from dln.core.training.stage import Player, Stage

from .toy_systems import toy_gan, toy_pieces

SOURCE = open_source("menagerie", count=6)


class Linear(nn.Module):
    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, batch):
        return {"loss": self.layers(batch["x"]).square().mean()}


class Layers(Stage):
    name = "layers"

    def __init__(self) -> None:
        with torch.device("meta"):
            self.modules = nn.Sequential(nn.Linear(7, 11, bias=False), nn.Linear(11, 5))
        own = list(self.modules.parameters())
        self.players = [Player("layers", Linear(self.modules), own, 1e-3)]

    def example(self, count):
        return {"x": torch.zeros(count, 7)}


def test_two_layers_by_hand():
    """Forward both; backward both weights, and the input of the second alone."""
    assert flop_per_sample(Layers()) == 2 * (7 * 11 + 11 * 5) * 2 + 2 * 11 * 5


def test_a_gan_by_hand():
    """Its widths are 4 -> 16 -> 192 and 192 -> 16 -> 1. The penalty comes every fourth step: a pass
    forward, one back to the picture, of that one two products a matrix; and, as the leaky ReLU's
    slope is a function of its input too (of derivative 0), two products of the first matrix."""
    narrow, wide = 4 * 16 + 16 * 192, 192 * 16 + 16
    generator = 2 * narrow + 2 * wide + 2 * wide + 2 * (narrow + 16 * 192)
    discriminator = 2 * narrow + 2 * (2 * wide + 2 * wide + 2 * 16)
    penalty = 2 * wide + 2 * wide + 2 * (2 * 192 * 16 + 16) + 2 * 2 * 192 * 16
    assert flop_per_sample(toy_gan("meta")) == generator + discriminator + penalty / 4


def test_pieces_add_up():
    """Three pieces: a state of 16 from patch (48) and state (16), a guess of 48; forward, back to
    the weights, and from the guess back to the state."""
    state, guess = (48 + 16) * 16, 16 * 48
    assert flop_per_sample(toy_pieces("meta")) == 3 * 2 * (2 * state + 3 * guess)


def test_the_image_transformer_takes_six_operations_a_weight_and_token():
    """6 N D (Kaplan et al. 2020, section 2.1), with attention's share above it."""
    options = TrainOptions(steps=10, batch=4)
    image = {one.stage: one for one in work("cogvideo", options)}["image"]
    assert (image.steps, image.batch) == (10, 4)
    assert image.flop == 40 * image.flop_per_sample
    config = load(model_of("cogvideo")).PRESETS["tiny"]
    tokens = config.text_length + config.frame_length
    weights = 12 * config.layers * config.width**2
    head = config.width * config.codes * config.frame_length
    attention = 12 * config.layers * config.width * tokens**2
    by_hand = 6 * (weights * tokens + head) + attention
    assert image.flop_per_sample == pytest.approx(by_hand, rel=0.1)


@pytest.mark.parametrize("name", ["cogvideo", "recognizer", "resnet", "video-diffusion", "vit"])
def test_an_example_is_like_a_batch(name, tmp_path):
    spec = model_of(name)
    module = load(spec)
    config = module.PRESETS[spec.default_preset]
    if hasattr(module, "fitted"):
        config = override(config, module.fitted(config, SOURCE))
    model = module.Model(config, Vocabulary(SOURCE.words()))
    for stage in module.stages(model, SOURCE, TrainOptions(data="menagerie", seed=0)):
        stage.prepare(tmp_path, lambda event: None)
        real, example = stage.collate(np.arange(2), 0), stage.example(2)
        assert {k: (v.shape, v.dtype) for k, v in real.items()} == {
            k: (v.shape, v.dtype) for k, v in example.items()
        }


def test_what_cannot_be_counted():
    with pytest.raises(UsageError, match="no preset 'papr'"):
        work("cogvideo", TrainOptions(preset="papr"))
    stage = Layers()
    stage.example = lambda count: Stage.example(stage, count)
    with pytest.raises(UsageError, match="'layers' cannot be counted"):
        flop_per_sample(stage)
