"""The study of methods for flat minima, and the sharpness of a finished training."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from dln.core.data import open_source
from dln.core.errors import Interrupted, UsageError
from dln.core.metrics import minimum
from dln.core.models.package import load_model
from dln.core.runs.train import train
from dln.core.study import study as study_module
from dln.core.study.report import COLUMNS, NUMBERS, PAGE, PICTURE, cells, write
from dln.core.study.study import Arm, Comparison, Study, study
from dln.core.training import evaluations
from dln.core.training.options import TrainOptions
from dln.core.training.sharpness import Sharpness

ARMS = [
    Arm("sgd", 0, 0.80, 10.0, 0.0, 0.1, 40.0, 1.0),
    Arm("saf", 0, 0.84, 11.0, 2.0, 0.1, 30.0, 0.5),
    Arm("sgd", 1, 0.82, 20.0, 0.0, 0.1, 50.0, 2.0),
    Arm("saf", 1, 0.80, 20.0, 2.0, 0.1, 60.0, 1.5),
    Arm("sgd", 2, 0.84, 10.0, 0.0, 0.1, 60.0, 3.0),
    Arm("saf", 2, 0.88, 10.4, 2.0, 0.1, 10.0, 1.0),
]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty noisy images in two classes, dark and bright."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for name, level in (("dark", 80), ("bright", 170)):
        (folder / name).mkdir()
        for number in range(30):
            pixels = rng.normal(level, 40, (8, 8, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:02}.png")
    return folder


def test_rows_by_hand():
    sgd, saf = Study(Comparison("resnet", "digits", ("sgd", "saf"), 3), tuple(ARMS)).rows()
    assert (sgd.accuracy, sgd.flatter, sgd.step_ratio) == (pytest.approx(0.82), 0, 1.0)
    assert saf.accuracy == pytest.approx(0.84)
    assert saf.accuracy_deviation == pytest.approx(0.04)
    assert (saf.flatter, saf.step_ratio, saf.memory_mib) == (2, pytest.approx(1.04), 2.0)
    assert (saf.top_hessian_eigenvalue, saf.sam_sharpness) == (pytest.approx(100 / 3), 1.0)


def test_a_report_to_read(tmp_path: Path):
    found = Study(Comparison("resnet", "digits", ("sgd", "saf"), 3), tuple(ARMS))
    assert [path.name for path in write(tmp_path, found)] == [PAGE, PICTURE, NUMBERS]
    page = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert "| saf | 84.00 ± 4.00 % | 33.3 | 2 of 3 | 1 | 1.04 | 2 |" in page
    assert [len(row) for row in cells(found)] == [len(COLUMNS)] * 2
    numbers = json.loads((tmp_path / NUMBERS).read_text(encoding="utf-8"))
    assert [Arm(**arm) for arm in numbers["arms"]] == ARMS
    with Image.open(tmp_path / PICTURE) as picture:
        assert picture.width > 500


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"methods": ("sgd", "saff")}, "no method 'saff'"),
        ({"methods": ("saf",)}, "every ratio is to sgd"),
        ({"methods": ("sgd", "none")}, "no method 'none'"),
        ({"seeds": 0}, "at least 1"),
    ],
)
def test_what_cannot_be_studied(asked, said):
    with pytest.raises(UsageError, match=said):
        Comparison("resnet", "digits", **asked)


def test_a_generator_has_no_accuracy():
    with pytest.raises(UsageError, match="cogvideo is no classifier"):
        study(Comparison("cogvideo", "menagerie", count=2, seeds=1, epochs=1))


def test_methods_start_alike(images: Path, monkeypatch: pytest.MonkeyPatch):
    """Same first weights and same order: a method that does nothing yet ends where SGD ends."""
    monkeypatch.setattr(study_module, "PROBED", 16)
    settings = Sharpness(start=1, rho=1e-12)
    asked = Comparison("resnet", str(images), seeds=1, epochs=2, batch=16, settings=settings)
    told = []
    found = study(asked, lambda *event: told.append(event))
    assert [arm.method for arm in found.arms] == ["sgd", "sam", "saf", "mesa"]
    sgd, sam, saf, mesa = (replace(arm, method="", step_ms=0, memory_mib=0) for arm in found.arms)
    assert saf == mesa == sgd
    assert sam.train_loss == pytest.approx(sgd.train_loss, rel=1e-2)  # its radius is rounding
    assert sgd.top_hessian_eigenvalue > 0
    assert all(arm.step_ms > 0 for arm in found.arms)
    saf, mesa = found.arms[2:]
    samples = len(open_source(str(images)))
    assert saf.memory_mib == pytest.approx(samples * 2 * 3 * 4 / 2**20)
    assert mesa.memory_mib > 0.1
    assert told[-1] == (4, 4, "trainings")


def test_a_long_training_is_judged_in_the_end(images: Path, monkeypatch: pytest.MonkeyPatch):
    """One of a thousand steps, which trainings look at early: here those of eight are long."""
    monkeypatch.setattr(evaluations, "LONG", 8)
    monkeypatch.setattr(study_module, "PROBED", 16)
    found = study(Comparison("resnet", str(images), ("sgd",), seeds=1, epochs=4, batch=16))
    assert 0 <= found.arms[0].accuracy <= 1


def test_an_interrupted_study_says_that_it_starts_anew(
    images: Path, monkeypatch: pytest.MonkeyPatch
):
    def stopped(*_: object) -> None:
        raise Interrupted("stopped", hint="dln train resnet --resume --out a-folder-that-is-gone")

    monkeypatch.setattr(study_module, "fit", stopped)
    with pytest.raises(Interrupted, match="training 1 of 2; nothing") as found:
        study(Comparison("resnet", str(images), ("sgd", "saf"), seeds=1, epochs=1))
    assert "--seeds" in str(found.value.hint)
    assert "resume" not in str(found.value.hint)


def test_the_minimum_of_a_finished_training(images: Path, tmp_path: Path):
    """The loss on the data that the card names, the same by hand."""
    options = TrainOptions(data=str(images), steps=4, batch=8, seed=0, out=tmp_path / "run")
    loaded = load_model(train("resnet", options, lambda event: None))
    found, slices = minimum.evaluate(loaded, count=12)
    (stage,) = minimum.prepared(loaded, loaded.card["recipe"], 12, tmp_path)
    batch = stage.collate(np.arange(12), 0)
    with torch.no_grad():
        logits = loaded.model(batch["images"].float() / 255)
    assert found["loss"] == pytest.approx(float(F.cross_entropy(logits, batch["labels"])), rel=1e-4)
    positions, losses = slices["classifier"]
    assert positions[len(positions) // 2] == 0
    assert losses[len(losses) // 2] == pytest.approx(found["loss"], rel=1e-5)
    assert {"top_hessian_eigenvalue", "hessian_trace", "sam_sharpness"} <= set(found)
    with pytest.raises(UsageError, match="does not say what it was trained on"):
        minimum.evaluate(replace(loaded, card={}))


def first_surface(weights: Path, folder: Path):
    """Of the first stage, and the stage."""
    loaded = load_model(weights)
    (stage,) = minimum.prepared(loaded, {"data": "menagerie"}, 12, folder)
    return stage, minimum.surface_of(stage, 12)


def test_the_minimum_of_a_loss_that_draws(toy_weights, tmp_path: Path):
    """The slope along a direction is what the loss does there: each pass draws the same."""
    _, surface = first_surface(toy_weights("toy-gan"), tmp_path)
    torch.manual_seed(1)
    way = [torch.randn_like(p) * 1e-3 for p in surface.parameters]
    slope = sum(float((g * d).sum()) for g, d in zip(surface.gradient(), way, strict=True))
    ends = []
    for sign in (1, -1):
        with surface.moved([sign * d for d in way]):
            ends.append(surface.loss())
    assert (ends[0] - ends[1]) / 2 == pytest.approx(slope, rel=2e-2)


def test_the_minimum_of_a_loss_that_comes_in_pieces(toy_weights, tmp_path: Path):
    """Loss and gradient are the means over the pieces."""
    stage, surface = first_surface(toy_weights("toy-pieces"), tmp_path)
    (turn,) = stage.players[0].turns
    losses = [turn.objective(p)["loss"] for p in turn.cut(stage.collate(np.arange(12), 0))]
    mean = torch.stack(losses).sum() / len(losses)
    assert surface.loss() == pytest.approx(float(mean.detach()), rel=1e-5)
    for found, expected in zip(
        surface.gradient(), torch.autograd.grad(mean, surface.parameters), strict=True
    ):
        torch.testing.assert_close(found, expected)
