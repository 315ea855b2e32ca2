"""CogVideo against the authors' code: random weights under the published tensor names."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from dln.core.models.cogvideo import masks
from dln.core.models.cogvideo.config import PRESETS
from dln.core.models.cogvideo.transformer import Channel, clip_logits
from dln.core.models.layers.backbone import Backbone
from dln.core.models.layers.tokenizer import TokenizerConfig

from .published_cogvideo import backbone_state, channel_state

ORACLES = Path(__file__).parents[3] / "shared" / "oracles"


def read(stage: int):
    path = ORACLES / f"cogvideo_stage{stage}_tiny.safetensors"
    if not path.exists():
        pytest.skip(f"no reference file {path.name}")
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    state = {k.removeprefix("state."): v for k, v in tensors.items() if k.startswith("state.")}
    return tensors, state


@pytest.mark.parametrize("stage", [1, 2])
def test_logits_equal_the_published_models(stage):
    tensors, state = read(stage)
    config = replace(
        PRESETS["paper"],
        width=48,
        layers=2,
        heads=3,
        vocabulary_rows=20_200,
        tokenizer=TokenizerConfig(codebook_size=20_200, clusters=1),
    )
    backbone, channel = Backbone(config, 0), Channel(config)
    backbone.load_state_dict(backbone_state(state))
    channel.load_state_dict(channel_state(state))
    tokens = tensors["tokens"]
    text, codes = tokens[:, :64], tokens[:, 64:].view(1, 5, 400)
    seen = torch.ones_like(text)
    visibility = (
        masks.sequential(20, 5, "cpu") if stage == 1 else masks.interpolating(20, 5, 10, "cpu")
    )
    with torch.no_grad():
        logits = clip_logits(backbone, channel, text, seen, codes, visibility).flatten(1, 2)
    theirs = tensors["logits"]
    rows = torch.arange(0, 2064, 97)
    frame_rows = rows[rows >= 64]
    ours = logits[:, frame_rows - 64][..., ::20]
    expected = theirs[:, len(rows) - len(frame_rows) :]
    assert (ours - expected).abs().max() <= 1e-5 * expected.abs().max()
