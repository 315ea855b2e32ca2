"""Labelled images: real digits, folders, label noise; and the classifiers that learn them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dln.core.data import open_source
from dln.core.data.images import Digits, ImageFolder, Middles, is_image_folder, noisy
from dln.core.errors import UsageError
from dln.core.models.package import load_model
from dln.core.models.registry import MODELS, load
from dln.core.runs.train import train
from dln.core.text.vocabulary import Vocabulary
from dln.core.training.options import TrainOptions

COUNTS = {  # torchvision 0.2x and timm 1.0
    ("resnet", "resnet18"): 11_689_512,
    ("resnet", "resnet50"): 25_557_032,
    ("vit", "tiny"): 5_717_416,
    ("vit", "small"): 22_050_664,
}


@pytest.mark.parametrize(("name", "preset"), list(COUNTS))
def test_published_parameter_counts(name: str, preset: str):
    module = load(MODELS[name])
    with torch.device("meta"):
        model = module.Model(module.PRESETS[preset], Vocabulary([]))
    assert sum(p.numel() for p in model.parameters()) == COUNTS[name, preset]


def test_digits_are_split_once():
    pytest.importorskip("sklearn")
    teach, measure, every = Digits(False), Digits(True), Digits(None)
    assert (len(teach), len(measure), len(every)) == (1438, 359, 1797)
    assert len({teach.fingerprint(), measure.fingerprint(), every.fingerprint()}) == 3
    image = teach.image(0, (8, 8))
    assert image.shape == (8, 8, 3)
    assert image.dtype == np.uint8
    assert teach.label(0) == 0
    assert teach.caption(1, np.random.default_rng(0)) == "1"
    frames, mask = teach.frames(0, np.array([0.0, 0.5]), (16, 16))
    assert frames.shape == (2, 16, 16, 3)
    assert mask is None


def test_noise_is_symmetric_and_leaves_the_measuring_labels():
    labels = np.arange(20_000) % 10
    changed = noisy(labels, 10, 0.2)
    wrong = changed != labels
    assert wrong.mean() == pytest.approx(0.2, abs=0.01)
    shifts = np.bincount((changed - labels)[wrong] % 10, minlength=10)
    assert shifts[0] == 0
    assert shifts[1:] / wrong.sum() == pytest.approx(np.full(9, 1 / 9), abs=0.02)
    assert np.array_equal(noisy(labels, 10, 0.2), changed)
    pytest.importorskip("sklearn")
    clean, dirty = Digits(), open_source("digits,noise=0.2")
    differs = [clean.label(i) != dirty.label(i) for i in range(len(clean))]  # pyright: ignore
    assert np.mean(differs) == pytest.approx(0.2, abs=0.03)
    held = open_source("digits,noise=0.2", held_out=True)
    assert held.fingerprint() == Digits(True).fingerprint()


def make_folder(path: Path, *parts: str, count: int = 10) -> Path:
    for number, name in enumerate(("cat", "dog")):
        for part in parts or ("",):
            folder = path / part / name
            folder.mkdir(parents=True)
            for index in range(count):
                colour = (255 * number, 10 * index, 0)
                Image.new("RGB", (20, 12), colour).save(folder / f"{index}.png")
    return path


def test_a_folder_for_each_class(tmp_path: Path):
    make_folder(tmp_path)
    assert is_image_folder(tmp_path)
    source = open_source(str(tmp_path))
    assert isinstance(source, ImageFolder)
    assert source.classes == ("cat", "dog")
    assert (len(source), len(open_source(str(tmp_path), held_out=True))) == (16, 4)
    assert source.image(15, (8, 8))[0, 0].tolist() == [255, 80, 0]
    assert source.label(15) == 1
    assert source.words() == ["cat", "dog"]


def test_a_folder_that_says_what_measures(tmp_path: Path):
    make_folder(tmp_path, "train", "val", count=3)
    assert [len(open_source(str(tmp_path), held_out=h)) for h in (False, True, None)] == [6, 6, 12]


def test_hidden_and_empty_folders_are_no_classes(tmp_path: Path):
    make_folder(tmp_path)
    (tmp_path / ".cache").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / ".cache" / "a.png")
    (tmp_path / "ants").mkdir()
    assert open_source(str(tmp_path)).classes == ("cat", "dog")


def test_what_is_no_set_of_images(tmp_path: Path):
    (tmp_path / "one").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "one" / "a.png")
    with pytest.raises(UsageError, match="fewer than two folders"):
        open_source(str(tmp_path))
    make_folder(tmp_path / "two")
    (tmp_path / "two" / "cat" / "0.png").write_bytes(b"no image")
    with pytest.raises(UsageError, match="cannot be read as an image"):
        open_source(str(tmp_path / "two")).frames(0, np.zeros(1), (8, 8))
    with pytest.raises(UsageError, match=r"a share from 0 to below 1"):
        open_source("digits,noise=1.5")
    with pytest.raises(UsageError, match="a share such as"):
        open_source("digits,noise=much")


def test_clips_become_images_of_their_actors():
    from dln.core.models.layers.classification import labelled

    source = open_source("menagerie", count=4)
    images = labelled(source)
    assert isinstance(images, Middles)
    labels = source.labels(2)
    assert labels
    assert images.classes[images.label(2)] == labels["actor"]
    assert images.image(2, (16, 16)).shape == (16, 16, 3)


@pytest.mark.parametrize("name", ["resnet", "vit"])
def test_a_classifier_learns_colours(name: str, tmp_path: Path):
    """Two colours are told apart after a few steps, and the weights come back with their names."""
    data = make_folder(tmp_path / "data")
    options = TrainOptions(data=str(data), out=tmp_path / "run", steps=12, batch=8, device="cpu",
                           precision="fp32", sharpness="saf,start=0,lag=1")  # fmt: skip
    path = train(name, options, lambda event: None)
    loaded = load_model(path)
    assert loaded.model.config.names == ("cat", "dog")  # pyright: ignore
    assert loaded.card["metrics"]["classifier"]["accuracy"] == 1.0
    assert loaded.card["recipe"]["sharpness"] == "saf,start=0,lag=1"


def test_classes_that_do_not_fit(tmp_path: Path):
    module = load(MODELS["resnet"])
    model = module.Model(module.PRESETS["mini"], Vocabulary([]))
    data = str(make_folder(tmp_path))
    with pytest.raises(UsageError, match="has 2 classes, the model 10"):
        module.stages(model, open_source(data), TrainOptions(data=data))
