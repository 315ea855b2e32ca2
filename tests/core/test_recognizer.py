"""The recognizer: shapes, what degrades its lessons, its training, its graph, its weights."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from dln.core.data import open_source
from dln.core.data.menagerie import ACTIONS, ACTORS, HELD_OUT, SCENES, SPEEDS, draw_story, render
from dln.core.errors import UsageError
from dln.core.media.clip import Clip
from dln.core.models.engine import TorchEngine
from dln.core.models.package import load_model, save_model
from dln.core.models.recognizer import training
from dln.core.models.recognizer.augment import augment, resampling
from dln.core.models.recognizer.config import PRESETS, Config
from dln.core.models.recognizer.model import Model, moments
from dln.core.models.recognizer.system import SYSTEM
from dln.core.models.recognizer.training import RecognizerObjective, RecognizerStage
from dln.core.models.registry import MODELS
from dln.core.models.request import Request
from dln.core.progress import unheard
from dln.core.training.events import silent
from dln.core.training.options import TrainOptions

HEADS = ("actor", "action", "scene", "speed")
TOY = Config(image_size=32, width=24, trunk=(8, 8, 8))


def toy(seed: int = 0, config: Config = TOY) -> Model:
    torch.manual_seed(seed)
    return Model(config)


def film(seed: int = 0, frames: int = 9, size: int = 64, **fixed: str) -> Clip:
    story = draw_story(seed, held_out=None, **fixed)
    pixels, _ = render(story, np.linspace(0, 4, frames), size)
    return Clip(pixels, (frames - 1) / 4)


@pytest.fixture
def stage(tmp_path, monkeypatch: pytest.MonkeyPatch) -> RecognizerStage:
    monkeypatch.setattr(training, "CLIPS", 16)
    monkeypatch.setattr(training, "FRESH_CLIPS", 6)
    made = RecognizerStage(toy(), open_source("menagerie"), TrainOptions(seed=3))
    made.prepare(tmp_path, silent)
    return made


def test_logits_of_every_head():
    model = Model(PRESETS["tiny"])
    found = model(torch.rand(2, 9, 3, 64, 64))
    sizes = {"actor": len(ACTORS), "action": len(ACTIONS) + 1, "scene": len(SCENES), "speed": 2}
    assert {head: tuple(x.shape) for head, x in found.items()} == {h: (2, sizes[h]) for h in HEADS}
    assert 0.4e6 < sum(p.numel() for p in model.parameters()) < 0.8e6
    torch.cat(list(found.values()), dim=1).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"image_size": 40}, "image_size"),
        ({"frames": 0}, "frames"),
        ({"width": -1}, "width"),
        ({"trunk": (8, 8)}, "trunk"),
        ({"actors": ("lion",)}, "actors"),
        ({"actions": ACTIONS}, "still"),
        ({"speeds": ("slow", "slow")}, "speeds"),
    ],
)
def test_config_names_the_wrong_field(change, field):
    with pytest.raises(UsageError, match=field):
        replace(TOY, **change)


def test_graph_gives_what_the_model_gives():
    model = toy().eval()
    graphs = model.graphs()
    inputs = graphs["recognize"].inputs(batch=3)
    out = TorchEngine(graphs).run("recognize", **inputs)
    assert tuple(out) == HEADS
    with torch.no_grad():
        expected = model(inputs["frames"])
    for head in HEADS:
        torch.testing.assert_close(out[head], expected[head])


@pytest.mark.parametrize("frames", [1, 5, 9, 33, 40])
def test_moments_are_even_and_hold_both_ends(frames):
    pixels = np.arange(frames, dtype=np.uint8)[:, None, None, None].repeat(3, -1)
    pixels = np.broadcast_to(pixels, (frames, 32, 32, 3)).copy()
    seen = (moments(Clip(pixels, 8), TOY)[:, 0, 0, 0] * 255).round().int().tolist()
    assert len(seen) == 9
    assert (seen[0], seen[-1]) == (0, frames - 1)
    assert seen == sorted(seen)
    if frames == 33:
        assert seen == list(range(0, 33, 4))


def test_moments_shrink_and_grow_to_the_models_size():
    for size in (16, 64, 100):
        assert moments(film(size=size), TOY).shape == (9, 3, 32, 32)


def test_makes_no_clips():
    spec = MODELS["recognizer"]
    assert not spec.generates
    assert not spec.text
    with pytest.raises(UsageError, match="makes no clips"):
        SYSTEM.sample(None, toy(), Request(), unheard)  # pyright: ignore


def test_augment_changes_pixels_alike_for_the_same_generator():
    frames = np.moveaxis(film().frames, -1, 1)
    once, again, other = (augment(frames, np.random.default_rng(s)) for s in (5, 5, 6))
    assert once.dtype == np.uint8
    assert once.shape == frames.shape
    assert (once == again).all()
    assert (once != other).any()
    assert (once != frames).any()


def test_resampling_keeps_even_lines_and_moves_points():
    for sigma in (0.3, 1.7):
        matrix = resampling(64, sigma, 1.0, 2.0)
        np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-5)
        point = np.eye(64, dtype=np.float32)[20]
        assert (matrix @ point).argmax() == 22
    np.testing.assert_allclose(resampling(32, 0.3, 1.0, 0.0), np.eye(32), atol=0.1)


def test_a_frozen_lesson_is_still_at_no_speed(stage, monkeypatch):
    monkeypatch.setattr(training, "FROZEN", 1)
    monkeypatch.setattr(training, "augment", lambda frames, rng: frames)
    batch = stage.collate(np.arange(4), epoch=0)
    assert (batch["frames"] == batch["frames"][:, :1]).all()
    assert (batch["labels"][:, 1] == len(ACTIONS)).all()
    assert (batch["labels"][:, 3] == training.UNKNOWN).all()
    assert (batch["labels"][:, 0].numpy() == stage.labels[:4, 0]).all()


def test_collate_depends_on_epoch_and_index_alone(stage, monkeypatch):
    first = stage.collate(np.array([3, 7]), epoch=1)
    alone = stage.collate(np.array([7]), epoch=1)
    assert torch.equal(first["frames"][1], alone["frames"][0])
    assert first["frames"].shape == (2, 9, 3, 32, 32)
    assert not torch.equal(first["frames"], stage.collate(np.array([3, 7]), epoch=2)["frames"])
    monkeypatch.setattr(training, "FROZEN", 0)
    first = stage.collate(np.array([3, 7]), epoch=1)
    labels = stage.source.labels(7)
    names = [TOY.classes[h][i] for h, i in zip(HEADS, first["labels"][1].tolist(), strict=True)]
    assert names == [labels[head] for head in HEADS]


def test_every_pair_teaches_and_other_clips_measure(stage, monkeypatch):
    monkeypatch.setattr(training, "CLIPS", 400)
    teaching, fresh = training.sources(open_source("menagerie", held_out=False), 0)
    labels = [teaching.labels(index) or {} for index in range(len(teaching))]
    assert {(x["actor"], x["action"]) for x in labels} & HELD_OUT
    assert fresh.fingerprint() != teaching.fingerprint()


def test_loss_falls(stage):
    objective = RecognizerObjective(stage.model.network)
    batch = stage.collate(np.arange(8), epoch=0)
    optimizer = torch.optim.AdamW(objective.parameters(), lr=3e-3)
    losses = []
    for _ in range(15):
        result = objective(batch)
        optimizer.zero_grad()
        result["loss"].backward()
        optimizer.step()
        losses.append(result["loss"].item())
    assert losses[-1] < 0.7 * losses[0]


def test_evaluate_counts_each_head_in_three_ways(stage):
    with torch.no_grad():
        metrics, clips = stage.evaluate()
    prefixes = ("", "degraded_", "frozen_")
    names = {f"{prefix}{head}_accuracy" for prefix in prefixes for head in HEADS}
    assert set(metrics) == names - {"frozen_speed_accuracy"} | {"accuracy"}
    heads = [metrics[f"{head}_accuracy"] for head in HEADS]
    assert metrics["accuracy"] == pytest.approx(sum(heads) / len(heads))
    assert all(0 <= value <= 1 for value in metrics.values())
    assert clips is None


def test_data_without_labels_are_refused():
    class Unlabelled:
        name = "my-videos"

    for _ in range(2):
        with pytest.raises(UsageError, match="my-videos"):
            SYSTEM.stages(toy(), Unlabelled(), TrainOptions())  # pyright: ignore


def test_package_holds_the_names(tmp_path):
    config = replace(TOY, actors=("ghost", "witch"))
    path = tmp_path / "judge.safetensors"
    model = toy(config=config).eval()
    save_model(path, model, {"model": "recognizer"})
    again: Any = load_model(path).model
    assert again.config == config
    assert again.recognize([film()]) == model.recognize([film()])
    assert model.recognize([]) == {head: [] for head in HEADS}


def test_bundled_weights_know_every_actor_and_action():
    model: Any = load_model("recognizer").model
    pairs = list(zip(ACTORS, [*ACTIONS, *ACTIONS[:2]], strict=True)) + sorted(HELD_OUT)
    clips = [film(n, actor=actor, action=action) for n, (actor, action) in enumerate(pairs)]
    seen = model.recognize(clips)
    assert list(zip(seen["actor"], seen["action"], strict=True)) == pairs
    assert model.config.speeds == SPEEDS
