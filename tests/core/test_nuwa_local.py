"""What a code is told of those around it: brute force, and the same in drawing as in training."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

sys.path.append(str(Path(__file__).parents[1]))
from micro import MICRO  # pyright: ignore[reportMissingImports]

from dln.core.errors import UsageError
from dln.core.models.engine import TorchEngine
from dln.core.models.nuwa_infinity.config import WAYS, Config
from dln.core.models.nuwa_infinity.directions import PATHS, Box, Order, outward, split, straight
from dln.core.models.nuwa_infinity.layout import blank
from dln.core.models.nuwa_infinity.local import BESIDE, DIRECTIONS, Surroundings, around, turns
from dln.core.models.nuwa_infinity.model import Model
from dln.core.models.nuwa_infinity.rendering import PatchObjective, pieces
from dln.core.models.nuwa_infinity.sample import Drawing
from dln.core.models.nuwa_infinity.text import encode_captions
from dln.core.models.registry import MODELS, load
from dln.core.models.request import Request
from dln.core.runs.build import resolve_config
from dln.core.text.vocabulary import Vocabulary

SYSTEM = load(MODELS["nuwa-infinity"])
CONFIG: Config = resolve_config(SYSTEM, "tiny", MICRO["nuwa-infinity"])
PATCH, NONE = CONFIG.patch, CONFIG.codes
ORDERS = [straight(way, 2, 2, 3) for way in PATHS] + [outward(1, 3, 3, Box(1, 1, 2, 2))]


def codes_of(order: Order) -> np.ndarray:
    shape = order.frames, order.rows * PATCH, order.columns * PATCH
    return np.random.default_rng(0).integers(0, CONFIG.codes, shape)


def test_tiny_is_told_and_the_published_ones_are_not():
    assert CONFIG.local
    assert not SYSTEM.PRESETS["base"].local
    assert not SYSTEM.PRESETS["large"].local


@pytest.mark.parametrize("order", ORDERS)
def test_a_patch_s_codes_come_row_after_row_in_its_turn(order: Order):
    found = turns(order, PATCH)
    frame, row, column = order.place(1)
    top, left = row * PATCH, column * PATCH
    assert found[frame, top, left : left + PATCH].tolist() == [*range(PATCH**2, PATCH**2 + PATCH)]
    assert sorted(found.ravel().tolist()) == [*range(found.size)]


@pytest.mark.parametrize("order", ORDERS)
def test_around_a_code_is_what_was_drawn_before_it(order: Order):
    codes, when = codes_of(order), turns(order, PATCH)
    found = around(codes, when, CONFIG)
    _, height, width = codes.shape
    for frame, row, column in np.ndindex(codes.shape):
        places = [(frame, row + r, column + c) for r, c in BESIDE] + [(frame - 1, row, column)]
        for direction, (f, r, c) in enumerate(places):
            there = f >= 0 and 0 <= r < height and 0 <= c < width
            known = there and when[f, r, c] < when[frame, row, column]
            expected = codes[f, r, c] if known else NONE
            assert found[direction, frame, row, column] == expected


@pytest.mark.parametrize("order", ORDERS)
def test_drawing_finds_what_training_finds(order: Order):
    codes, when = codes_of(order), turns(order, PATCH)
    expected = around(codes, when, CONFIG)
    there = Surroundings(CONFIG, order.rows, order.columns)
    last = 0
    for flat in when.ravel().argsort():
        frame, row, column = (int(n) for n in np.unravel_index(flat, when.shape))
        if frame > last:
            there.next_frame()
            last = frame
        assert there.at(row, column) == expected[:, frame, row, column].tolist()
        there.add(row, column, codes[frame, row, column])


def test_weights_without_earlier_frames_are_told_of_none():
    order, config = ORDERS[0], replace(CONFIG, extent_frames=0)
    assert (around(codes_of(order), turns(order, PATCH), config)[-1] == NONE).all()
    there = Surroundings(config, 1, 1)
    there.add(0, 0, 3)
    there.next_frame()
    assert there.at(0, 0) == [NONE] * DIRECTIONS


def test_what_the_pool_does_not_hold_is_not_told():
    with pytest.raises(UsageError, match="do not reach"):
        replace(CONFIG, extent_rows=0)


class Listening(TorchEngine):
    """Keeps the scores of each code that is drawn."""

    def run(self, graph: str, **inputs: Any) -> Any:
        out = super().run(graph, **inputs)
        if graph == "step" and int(inputs["places"][0]) < CONFIG.tokens:
            self.heard.append(out["logits"][0, -1])
        return out

    heard: list[torch.Tensor]


@pytest.mark.parametrize("frames", [None, 2])
def test_training_computes_what_drawing_computes(frames: int | None):
    torch.manual_seed(0)
    model = Model(CONFIG, Vocabulary(["lake"]))
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    model.eval()
    side = CONFIG.side
    request = Request("lake", 3, frames=frames, size=(2 * side, 3 * side),
                      settings={"guidance": 1.0})  # fmt: skip
    engine = Listening(model.graphs())
    engine.heard = []
    drawing = Drawing(engine, model, request, blank(CONFIG, (2 * side, 3 * side)), None)
    last = len(drawing.order.path) - 1
    canvas = np.stack([
        next(codes for number, codes in drawing.drawn(frame) if number == last)
        for frame in range(frames or 1)
    ])  # fmt: skip
    order, way = drawing.order, drawing.order.way(0)
    beside = split(
        torch.from_numpy(around(canvas, turns(order, PATCH), CONFIG)), PATCH, [order] * DIRECTIONS
    )
    text, seen = encode_captions(CONFIG, model.reader, ["lake"], [way], clip=frames is not None)
    batch = {
        "patches": split(torch.from_numpy(canvas)[None], PATCH, [order]), "text": text,
        "seen": seen, "around": beside.movedim(0, -1)[None],
        "grid": torch.tensor([[order.frames, order.rows, order.columns]]),
        "order": torch.tensor([WAYS.index(way)]),
    }  # fmt: skip
    objective = PatchObjective(model.transformer, model.vqgan.codebook)
    with torch.no_grad():
        found = [float(objective(piece)["loss"]) for piece in pieces(CONFIG, batch)]
    scores = torch.stack(engine.heard).view(len(order), CONFIG.tokens, -1)
    expected = [
        float(F.cross_entropy(each, own))
        for each, own in zip(scores, batch["patches"][0], strict=True)
    ]
    assert found == pytest.approx(expected, abs=1e-4)
