"""CogView2's trainings: what each is given, what it is scored on."""

import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

sys.path.append(str(Path(__file__).parents[1]))
from micro import MICRO  # pyright: ignore[reportMissingImports]

from dln.core.data import open_source
from dln.core.models.cogview2 import training
from dln.core.models.cogview2.pairs import STILLS, still_times
from dln.core.models.cogview2.sharpness import sharpness
from dln.core.models.layers.lessons import measured
from dln.core.models.layers.pixels import to_pixels
from dln.core.models.registry import MODELS, load
from dln.core.runs.build import build
from dln.core.training.events import silent
from dln.core.training.options import TrainOptions

SOURCE = open_source("menagerie", count=6)
ALL = np.arange(16)


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """By name, each prepared; all of one micro model."""
    torch.manual_seed(0)
    model = build(MODELS["cogview2"], None, MICRO["cogview2"], SOURCE)
    options = TrainOptions(data="menagerie", batch=2, steps=3, seed=0, precision="fp32")
    made = load(MODELS["cogview2"]).stages(model, SOURCE, options)
    for stage in made:
        stage.prepare(tmp_path_factory.mktemp(stage.name), silent)
    return {stage.name: stage for stage in made}


def test_codes_are_of_one_frame_in_two_sizes(stages):
    stage = stages["direct"]
    batch, config = stage.collate(ALL, 0), stage.model.config
    for row in (0, 7, 14):
        clip, still = divmod(row, STILLS)
        time = still_times(SOURCE, clip)[still : still + 1]
        for name, size in (("coarse", config.image_size), ("fine", config.fine_size)):
            frame, _ = SOURCE.frames(clip, time, (size, size))
            with torch.inference_mode():
                codes = stage.model.tokenizer.eval().encode(to_pixels(frame))[0]
            # A code apart may be a tie that the size of a batch decides otherwise.
            assert (codes == batch[name][row]).float().mean() > 0.9
    assert batch["fine"].shape == (16, config.fine_length)


def test_half_of_the_tokenizers_frames_are_parts_of_large_ones(stages):
    """Every second frame is a window of the same moment, three times as large."""
    stage = stages["tokenizer"]
    size, large = stage.model.config.image_size, stage.model.config.fine_size
    rng = np.random.default_rng([2, 4])
    times = np.sort(rng.uniform(0, SOURCE.duration(2), 4))
    small, _ = SOURCE.frames(2, times[:1], (size, size))
    wide, _ = SOURCE.frames(2, times[1:2], (large, large))
    assert np.array_equal(stage.table[2, 0][..., :3], small[0])
    part = stage.table[2, 1][..., :3]
    places = [(top, left) for top in range(large - size + 1) for left in range(large - size + 1)
              if np.array_equal(wide[0, top : top + size, left : left + size], part)]  # fmt: skip
    assert places


def test_measuring_takes_no_gradients(stages):
    """Nor warns that it drops them, whoever asks."""
    stage = stages["direct"]
    with warnings.catch_warnings(), torch.enable_grad():
        warnings.simplefilter("error")
        found = measured(stage, [ALL[:2]])
    assert found["loss"] > 0


def test_lessons_come_in_their_shares(stages):
    """By what is there: a picture without its opening is captioned, text alone is infilled, a
    picture that is all asked for is drawn."""
    stage, found = stages["image"], Counter()
    texts = stage.model.config.text_length
    for epoch in range(120):
        batch = stage.collate(ALL, epoch)
        for row in range(len(ALL)):
            scored, present = batch["scored"][row], batch["present"][row]
            if not present[texts + 1 :].any():
                found["infilling"] += 1
            elif not present[texts]:
                found["captions"] += 1
            else:
                found["drawn" if scored[texts:].sum() == 4 else "regions"] += 1
    total, shares = sum(found.values()), stage.model.config.training
    for name in ("infilling", "captions", "regions"):
        assert found[name] / total == pytest.approx(getattr(shares, name), abs=0.03)


def test_a_lesson_hangs_on_its_row_alone(stages):
    for name in ("image", "direct", "iterative"):
        one, two = stages[name].collate(ALL, 3), stages[name].collate(ALL[4:6], 3)
        for key in one:
            assert torch.equal(one[key][4:6], two[key]), (name, key)
        told = stages[name].example(16)
        assert {k: (v.shape, v.dtype) for k, v in told.items()} == {
            k: (v.shape, v.dtype) for k, v in one.items()}  # fmt: skip


def no_grad(stage: Any, batch: dict[str, torch.Tensor]) -> dict[str, Any]:
    with torch.no_grad():
        return stage.objective(batch)


def test_the_losses_are_of_what_is_asked_alone(stages):
    """Other labels elsewhere change nothing; the mean over what is asked, worked out here."""
    stage = stages["iterative"]
    batch = stage.collate(ALL, 0)
    found = no_grad(stage, batch)
    codes = torch.where(batch["asked"], stage.model.config.symbol("<start_of_image>"),
                        batch["fine"].long())  # fmt: skip
    with torch.no_grad():
        scores = stage.model.iterative(batch["text"], batch["seen"], codes)
    nats = -scores.log_softmax(-1).gather(-1, batch["fine"].long()[..., None])[..., 0]
    assert float(found["loss"]) == pytest.approx(float(nats[batch["asked"]].mean()), rel=1e-5)

    stage = stages["image"]
    batch = stage.collate(ALL, 0)
    labels = torch.where(batch["scored"], batch["labels"], batch["labels"] * 0 + 7)
    assert torch.equal(stage.objective(batch)["loss"],
                       stage.objective({**batch, "labels": labels})["loss"])  # fmt: skip
    counted = batch["scored"]
    texts = stage.model.config.text_length
    words, pictures = counted[:, :texts].sum(), counted[:, texts:].sum()
    told = no_grad(stage, batch)
    mean = (told["words"] * words + told["codes"] * pictures) / (words + pictures)
    assert float(told["loss"]) == pytest.approx(float(mean), rel=1e-5)


def test_fine_codes_are_asked_for_at_the_papers_ratios(stages):
    asked = torch.cat([stages["iterative"].collate(ALL, epoch)["asked"] for epoch in range(40)])
    assert float(asked.float().mean()) == pytest.approx(np.mean(training.RATIOS), abs=0.03)


def test_direct_super_resolution_starts_as_the_backbone(stages):
    model = stages["direct"].model
    layer = model.image.blocks[model.direct.first].attention
    assert torch.equal(model.direct.at(model.direct.first).qkv.weight, layer.qkv.weight)


def test_sharpness_is_told_beside_its_limits(stages):
    model = stages["direct"].model.eval()
    found = sharpness(model, SOURCE, len(SOURCE))
    assert found.keys() == {"psnr_large", "psnr_enlarged", "psnr_codes"}
    assert all(0 < value < 100 for value in found.values())
    metrics, shown = stages["direct"].evaluate()
    assert {"loss", *found} <= metrics.keys()
    assert {clip.frames.shape for clip in shown} == {(1, 48, 48, 3)}
    metrics, shown = stages["image"].evaluate()
    assert {"loss", "words", "codes"} == metrics.keys()
    assert {clip.frames.shape for clip in shown} == {(1, 16, 16, 3)}
