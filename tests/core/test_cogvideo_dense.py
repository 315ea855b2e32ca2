"""CogVideo against dense arithmetic under the published names: padding, biases and mixing drawn."""

from typing import cast

import pytest
import torch

from dln.core.models.cogvideo import masks
from dln.core.models.cogvideo.config import PRESETS, Config
from dln.core.models.cogvideo.model import Model
from dln.core.models.cogvideo.transformer import Channel, clip_logits
from dln.core.models.layers.backbone import Backbone
from dln.core.models.layers.backbone_graphs import TextGraph
from dln.core.models.layers.tokenizer import TokenizerConfig
from dln.core.models.package import load_model, rebuild

from .dense_cogvideo import Layout, drawn, logits
from .published_cogvideo import backbone_state, channel_state


def config_of(layout: Layout, window: int) -> Config:
    return Config(
        image_size=8 * layout.grid,
        text_length=layout.text,
        width=layout.width,
        layers=layout.layers,
        heads=layout.heads,
        window=window,
        image_position=layout.start,
        positions=layout.start + layout.frame,
        vocabulary_rows=layout.rows,
        tokenizer=TokenizerConfig(codebook_size=layout.codes, clusters=1),
    )


@pytest.mark.parametrize("frames", [3, 5])
@pytest.mark.parametrize("padding", [0, 1, 5])
@pytest.mark.parametrize("stage", [1, 2])
def test_logits_equal_dense_arithmetic(stage: int, padding: int, frames: int):
    layout = Layout(text=8, frames=frames, grid=4, start=9)
    window = 4 if stage == 1 else 2
    state = drawn(layout, 10 * stage + padding + frames)
    backbone, channel = Backbone(config_of(layout, window), 0), Channel(config_of(layout, window))
    backbone.load_state_dict(backbone_state(state))
    channel.load_state_dict(channel_state(state))
    tokens = torch.randint(layout.codes, (layout.text + frames * layout.frame,))
    seen = torch.ones(layout.text, dtype=torch.long)
    seen[:padding] = 0
    text, codes = tokens[None, : layout.text], tokens[layout.text :].view(1, frames, -1)
    visibility = (
        masks.sequential(4, frames, "cpu")
        if stage == 1
        else masks.interpolating(4, frames, 2, "cpu")
    )
    with torch.no_grad():
        ours = clip_logits(backbone, channel, text, seen[None], codes, visibility)[0].flatten(0, 1)
    theirs = logits(layout, state, tokens, seen, stage, window)
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


def test_padding_takes_places_of_its_own():
    """The word after three places of padding has the fourth position."""
    layout = Layout(text=8, frames=5, grid=4, start=9)
    backbone = Backbone(config_of(layout, 4), 0)
    seen = torch.tensor([[0, 0, 0, 1, 1, 1, 1, 1]])
    words = torch.full((1, 8), 3)
    read = backbone.read(words, seen)[0] - backbone.tokens(words)[0]
    assert torch.allclose(read, backbone.positions.weight[:8], atol=1e-6)


def test_weights_that_do_not_say_it_count_from_the_first_word():
    """Those that come along were trained so; every new model is as published."""
    model = cast(Model, load_model("cogvideo").model)
    assert model.config.text_positions == "word"
    assert {preset.text_positions for preset in PRESETS.values()} == {"place"}
    assert rebuild(Config, {}).text_positions == "word"
    seen = torch.tensor([[0] * 12 + [1] * 4])
    words = torch.full((1, 16), model.config.word(0))
    shifted = seen.flip(-1)
    graph = TextGraph(model.image, [])
    with torch.no_grad():
        late, early = graph(words, seen)[1], graph(words, shifted)[1]
    assert torch.allclose(late[..., 12:, :], early[..., :4, :], atol=1e-4)
