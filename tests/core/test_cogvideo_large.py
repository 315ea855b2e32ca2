"""CogVideo that holds CogView2: its sizes, its lessons, what old configurations mean."""

import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

sys.path.append(str(Path(__file__).parents[1]))
from micro import LARGE, MICRO  # pyright: ignore[reportMissingImports]

from dln.core.data import open_source
from dln.core.errors import UsageError
from dln.core.models.cogvideo.config import PRESETS, Config
from dln.core.models.cogvideo.model import Model
from dln.core.models.cogview2.config import PRESETS as PICTURES
from dln.core.models.cogview2.config import LargeConfig
from dln.core.models.locate import bundled, read_header
from dln.core.models.package import load_model, rebuild
from dln.core.models.registry import MODELS, load
from dln.core.runs.build import build, override
from dln.core.text.vocabulary import Vocabulary
from dln.core.training.events import silent
from dln.core.training.options import TrainOptions

SOURCE = open_source("menagerie", count=6)


def test_all_of_it_stays_below_thirty_megabytes():
    """As it lies in a file: half precision, with the words and the sizes."""
    words = Vocabulary(load_model("cogvideo").model.reader.words)  # pyright: ignore
    with torch.device("meta"):
        state = Model(PRESETS["tiny"], words).state_dict()
    count = sum(t.numel() * (2 if t.is_floating_point() else t.element_size())
                for t in state.values())  # fmt: skip
    assert count + 60_000 < 29.5e6
    assert {name.split(".")[0] for name in state} == {
        "tokenizer", "image", "keyframes", "interpolation", "direct", "iterative"
    }  # fmt: skip


def test_the_cogview2_in_it_is_the_one_of_the_same_preset():
    for name in ("tiny", "paper"):
        ours, theirs = asdict(PRESETS[name].pictures), asdict(PICTURES[name])
        differing = {key for key in ours if ours[key] != theirs[key]}
        assert differing <= {"text_positions", "text_length"}
    small = PRESETS["small"].pictures
    assert (small.fine_size, small.fine_grid % 6) == (384, 0)


def test_its_networks_are_the_very_same_ones():
    model: Any = build(MODELS["cogvideo"], None, LARGE, SOURCE)
    ours, theirs = dict(model.pictures.named_parameters()), dict(model.named_parameters())
    assert {name.split(".")[0] for name in ours} == {"tokenizer", "image", "direct", "iterative"}
    assert all(ours[name] is theirs[name] for name in ours)


def test_what_is_stored_without_it_has_none():
    assert read_header(bundled(MODELS["cogvideo"])).config.get("large") is None
    assert load_model("cogvideo").model.config.large is None
    stored = asdict(PRESETS["tiny"]) | {"large": None}
    assert rebuild(Config, {k: v for k, v in stored.items() if k != "large"}).large is None
    assert rebuild(Config, asdict(PRESETS["tiny"])) == PRESETS["tiny"]


def test_it_is_left_out_and_put_in_by_name():
    without = override(PRESETS["tiny"], {"large": False})
    assert without.large is None
    assert override(without, {"large": True}).large == LargeConfig()
    assert override(without, {"large": {"kernel": 3}}).large == LargeConfig(kernel=3)
    again = override(PRESETS["tiny"], {"large": {"kernel": 3}}).large
    assert again == LargeConfig(kernel=3, direct_layers=3, direct_input="coarse")
    assert override(PRESETS["tiny"], {"large": True}) == PRESETS["tiny"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"positions": 80}, "less than the 81"),
        ({"image_size": 72, "window": 9, "positions": 98}, "multiple of 16"),
        ({"large": {"direct_layers": 7}}, "more than layers 6"),
        ({"large": {"cross": 4}}, "must be odd"),
        ({"large": {"iterative": {"heads": 3}}}, "not divisible"),
        ({"large": 5}, "group of fields"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(change, told):
    with pytest.raises(UsageError, match=told):
        override(PRESETS["tiny"], change)


def stages(sizes: dict[str, Any]) -> list[Any]:
    torch.manual_seed(0)
    model = build(MODELS["cogvideo"], None, sizes, SOURCE)
    options = TrainOptions(data="menagerie", batch=2, steps=3, seed=0, precision="fp32")
    return load(MODELS["cogvideo"]).stages(model, SOURCE, options)


def test_its_stages_are_those_that_are_told():
    told = MODELS["cogvideo"].stages
    assert [stage.name for stage in stages(LARGE)] == [*told]
    assert [stage.name for stage in stages(MICRO["cogvideo"])] == [*told[:-2]]


def test_clips_begin_by_their_rate_and_all_four_tasks_are_practised(tmp_path):
    """Half of the pictures that are drawn from a text open a clip; other tasks are of stills."""
    stage, found = stages(LARGE)[2], Counter()
    stage.prepare(tmp_path, silent)
    config, texts = stage.model.config, stage.model.config.text_length
    rows = np.arange(len(stage))
    for epoch in range(200):
        batch = stage.collate(rows, epoch)
        for tokens, present, scored in zip(
            batch["tokens"], batch["present"], batch["scored"], strict=True
        ):
            if not present[texts + 1 :].any():
                found["infilling"] += 1
            elif not present[texts]:
                found["captions"] += 1
            elif scored[texts:].sum() < config.frame_length:
                found["regions"] += 1
                assert config.symbol("<4.0s>") not in tokens
            else:
                found["opening" if config.symbol("<4.0s>") in tokens else "still"] += 1
    total, shares = sum(found.values()), config.large.training
    for name in ("infilling", "captions", "regions"):
        assert found[name] / total == pytest.approx(getattr(shares, name), abs=0.04)
    assert found["opening"] / (found["opening"] + found["still"]) == pytest.approx(0.5, abs=0.06)
    example = stage.example(len(rows))
    assert {k: (v.shape, v.dtype) for k, v in example.items()} == {
        k: (v.shape, v.dtype) for k, v in batch.items()
    }
