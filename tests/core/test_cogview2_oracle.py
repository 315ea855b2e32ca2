"""CogView2's super-resolutions against the authors' code: random weights, published names."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from dln.core.models.cogview2.config import PRESETS, RefinerConfig
from dln.core.models.cogview2.direct import DirectSR
from dln.core.models.cogview2.iterative import IterativeSR
from dln.core.models.cogview2.published import renamed
from dln.core.models.layers.backbone import Backbone

from .oracles import found, near

PAPER = PRESETS["paper"]
# The oracles' table ends after 20 100 rows; their symbols are no others than codes here.
CONFIG = replace(
    PAPER,
    width=48,
    layers=2,
    heads=3,
    vocabulary_rows=20_100,
    iterative=RefinerConfig(48, 2, 3, 16),
    tokenizer=replace(PAPER.tokenizer, codebook_size=20_000),
)


def read(kind: str):
    tensors = load_file(found(f"cogview2_{kind}_sr_tiny"))
    state = {k.removeprefix("state."): v for k, v in tensors.items() if k.startswith("state.")}
    return tensors, renamed(state)


def part(state: dict, name: str) -> dict:
    return {k.removeprefix(f"{name}."): v for k, v in state.items() if k.startswith(f"{name}.")}


def shown(logits: torch.Tensor, theirs: torch.Tensor, texts: int) -> tuple:
    """What was kept of both: every 97th position of the sequence, every 20th code."""
    rows = torch.arange(0, texts + 3600, 97)
    rows = rows[rows >= texts]
    return logits[:, rows - texts][..., :20_000:20], theirs[:, -len(rows) :]


@torch.no_grad()
def test_direct_super_resolution_is_the_published_one():
    """Every fine token of the file is given, so <start_of_image> is not what opens them here."""
    tensors, state = read("direct")
    backbone, direct = Backbone(CONFIG, 0), Opened(CONFIG)
    backbone.load_state_dict(part(state, "image"))
    direct.load_state_dict(part(state, "direct"))
    tokens = tensors["tokens"]
    text, coarse, direct.fine = tokens.split([96, 400, 3600], dim=1)
    logits = direct(backbone, text, torch.ones_like(text), coarse)
    near(*shown(logits, tensors["logits"], 496))


class Opened(DirectSR):
    """With fine tokens that are given."""

    fine: torch.Tensor

    def _begin(self, backbone, text, seen, coarse, near):
        x, _ = super()._begin(backbone, text, seen, coarse, near)
        return x, (backbone.tokens(self.fine) + self.positions.weight)[:, near.order]


@torch.no_grad()
def test_iterative_super_resolution_is_the_published_one():
    tensors, state = read("iterative")
    iterative = IterativeSR(CONFIG, 0)
    iterative.load_state_dict(part(state, "iterative"))
    text, codes = tensors["tokens"].split([16, 3600], dim=1)
    near(*shown(iterative(text, torch.ones_like(text), codes), tensors["logits"], 16))


@pytest.mark.parametrize("kind", ["direct", "iterative"])
def test_every_published_tensor_has_a_place(kind):
    tensors, state = read(kind)
    assert len(state) == sum(name.startswith("state.") for name in tensors)
