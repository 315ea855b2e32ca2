"""The authors' snapshots of StyleGAN-V become models of ours, equal in every number."""

import json
import pickle
import runpy
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dln.core.errors import UsageError
from dln.core.models.imported import import_published
from dln.core.models.package import load_model, save_model
from dln.core.models.published.parts import setting, tensors_of
from dln.core.models.published.streams import read
from dln.core.models.published.tensors import as_torch
from dln.core.models.stylegan_v.generator import Generator

from .published_cogvideo import backbone_state
from .snapshots import SMALL, network, pickled, settings, snapshot

ORACLES = Path(__file__).parents[3] / "shared" / "oracles"


def written(path: Path, held: Any) -> Path:
    path.write_bytes(pickled(held))
    return path


@pytest.mark.parametrize(
    "config", [SMALL, replace(SMALL, classes=("0", "1", "2"), mapping_layers=3, judge_layers=4)]
)
def test_a_snapshot_becomes_a_file_of_ours(config: Any, tmp_path: Path) -> None:
    held, theirs = snapshot(config)
    made = import_published(written(tmp_path / "sky.pkl", held))
    assert made.model.config == config
    save_model(tmp_path / "sky.safetensors", made.model, made.card)
    loaded = load_model(tmp_path / "sky.safetensors")
    assert loaded.about.name == "stylegan-v"
    assert asdict(loaded.model.config) == asdict(config)
    ours, state = loaded.model.state_dict(), theirs.state_dict()
    assert ours.keys() == state.keys()
    assert all(torch.equal(ours[name], state[name]) for name in state)
    told = loaded.card["published"]
    assert (told["file"], told["data"], told["images"]) == ("sky.pkl", "sky", 192)


def test_what_was_never_clamped_is_not(tmp_path: Path) -> None:
    sizes = {"channel_base": 256, "channel_max": 8, "conv_clamp": None}
    held, _ = snapshot(synthesis_kwargs=sizes)
    assert import_published(written(tmp_path / "sky.pkl", held)).model.config.clamp > 1e6


def test_the_average_is_taken(tmp_path: Path) -> None:
    """G is the generator as the last step left it, G_ema its average."""
    held, theirs = snapshot()
    with torch.random.fork_rng():
        torch.manual_seed(5)
        held["G"] = network(Generator(SMALL))
    made = import_published(written(tmp_path / "sky.pkl", held))
    name = "generator.synthesis.b4.input.input.const"
    assert torch.equal(made.model.state_dict()[name], theirs.state_dict()[name])


def test_a_file_without_its_discriminator_gets_one(tmp_path: Path) -> None:
    """The same whenever it is imported, and nothing else is drawn differently afterwards."""
    held, theirs = snapshot()
    del held["D"]
    path = written(tmp_path / "sky.pkl", held)
    torch.manual_seed(3)
    first = import_published(path)
    after = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(after, torch.rand(1))
    second = import_published(path)
    assert first.card["drawn"] == "discriminator"
    ours, again = first.model.state_dict(), second.model.state_dict()
    assert all(torch.equal(ours[name], again[name]) for name in ours)
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.state_dict().items()
               if name.startswith("generator."))  # fmt: skip
    assert float(ours["discriminator.b4.out.weight"].std()) > 0.5


def changed_weight(held: dict[str, Any]) -> dict[str, Any]:
    state = held["G_ema"].args[0]["state"]["_modules"]["mapping"].args[0]["state"]
    state["_modules"]["fc0"].args[0]["state"]["_parameters"]["weight"] = torch.zeros(3, 3)
    return held


def changed_filter(held: dict[str, Any]) -> dict[str, Any]:
    state = held["D"].args[0]["state"]["_modules"]["b32"].args[0]["state"]
    state["_modules"]["conv0"].args[0]["state"]["_buffers"]["resample_filter"] = torch.ones(4, 4)
    return held


def further_layer(held: dict[str, Any]) -> dict[str, Any]:
    state = held["G_ema"].args[0]["state"]["_modules"]
    state["another"] = network(torch.nn.Linear(1, 1))
    return held


def changed_cfg(**group: Any) -> dict[str, Any]:
    cfg = {"sampling": {"max_dist": 32, "fps": 30.0}, "motion": {"motion_z_distance": 16},
           "time_enc": {"dim": 4, "max_period_len": 1024}}  # fmt: skip
    return snapshot(cfg=settings({key: cfg[key] | group.get(key, {}) for key in cfg}))[0]


MISFITS = {
    "another shape": (lambda: changed_weight(snapshot()[0]), "mapping.fc0.weight is"),
    "another filter": (lambda: changed_filter(snapshot()[0]), "filters"),
    "a layer more": (lambda: further_layer(snapshot()[0]), "other tensors"),
    "no size": (lambda: snapshot(img_resolution=None)[0], "does not tell its side"),
    "an odd size": (lambda: snapshot(img_resolution=48)[0], "power of two"),
    "a size of text": (lambda: snapshot(img_resolution="x" * 99999)[0], "whole number"),
    "a huge size": (lambda: snapshot(w_dim=65536)[0], "do not fit"),
    "a size of its own": (lambda: snapshot(img_resolution=64)[0], "do not fit"),
    "other motion": (lambda: changed_cfg(motion={"gen_strategy": "autoregressive"}), "strategy"),
    "other times": (lambda: changed_cfg(time_enc={"cond_type": "sum_w"}), "cond_type"),
}


@pytest.mark.parametrize(("make", "words"), MISFITS.values(), ids=MISFITS)
def test_what_does_not_fit_is_refused_in_words(make: Any, words: str, tmp_path: Path) -> None:
    path = written(tmp_path / "sky.pkl", make())
    with pytest.raises(UsageError, match=words) as caught:
        import_published(path)
    assert len(caught.value.message) < 600


def test_what_is_nobodys_is_told(tmp_path: Path) -> None:
    path = tmp_path / "other.pkl"
    path.write_bytes(pickle.dumps({"weights": [1, 2], "more": {}, "c": 1, "d": 2}))
    with pytest.raises(UsageError, match=r"'weights' \(list\), 'more' \(dict\).* and 1 more"):
        import_published(path)
    held, _ = snapshot()
    with pytest.raises(UsageError, match="no weights of resnet"):
        import_published(written(path, held), "resnet")
    with pytest.raises(UsageError, match="no model named 'stylegan'"):
        import_published(path, "stylegan")


needs_oracles = pytest.mark.skipif(
    not (ORACLES / "stylegan_v_snapshot_tiny.pkl").exists(), reason="no oracles beside this tree"
)


def same(tensors: dict[str, Any], told: dict[str, Any]) -> None:
    assert tensors.keys() == told.keys()
    for name, (shape, kind, total) in told.items():
        tensor = as_torch(tensors[name])
        assert (list(tensor.shape), str(tensor.dtype)) == (shape, f"torch.{kind}"), name
        assert np.isclose(float(tensor.double().sum()), total, rtol=1e-6, atol=1e-6), name


@needs_oracles
def test_the_sample_has_every_tensor_that_it_lists() -> None:
    held = read(ORACLES / "stylegan_v_snapshot_tiny.pkl")
    listed = json.loads((ORACLES / "stylegan_v_snapshot_tiny.json").read_text())
    assert list(held) == listed["top_level"]
    found = {f"{part}.{name}": tensor for part in held
             for name, tensor in tensors_of(held[part]).items()}  # fmt: skip
    same(found, listed["tensors"])
    assert len(found) == 188


@needs_oracles
def test_the_sample_becomes_a_model() -> None:
    made = import_published(ORACLES / "stylegan_v_snapshot_tiny.pkl")
    config = made.model.config
    assert (config.side, config.latent, config.channel_max, config.fps) == (32, 8, 8, 25)
    listed = json.loads((ORACLES / "stylegan_v_snapshot_tiny.json").read_text())["tensors"]
    for name, tensor in made.model.state_dict().items():
        part, rest = name.split(".", 1)
        shape, _, total = listed[f"{ {'generator': 'G_ema', 'discriminator': 'D'}[part] }.{rest}"]
        assert list(tensor.shape) == shape
        assert np.isclose(float(tensor.double().sum()), total, rtol=1e-6, atol=1e-6), name


@needs_oracles
@pytest.mark.parametrize("name", ["hostile_plain", "hostile_in_a_tensor", "hostile_source"])
def test_the_hostile_samples_run_nothing(name: str) -> None:
    target = Path("/tmp/PWNED")
    there = target.exists()
    with pytest.raises(UsageError, match=f"{name}.pkl"):
        import_published(ORACLES / f"{name}.pkl")
    assert target.exists() == there


@needs_oracles
def test_the_sample_of_cogvideo_is_read() -> None:
    """Half precision, beside what an optimiser and generators of random numbers keep."""
    told = json.loads((ORACLES / "cogvideo_checkpoint_tiny" / "expected.json").read_text())
    held = read(ORACLES / "cogvideo_checkpoint_tiny" / "3" / "mp_rank_00_model_states.pt")
    drawn = runpy.run_path(str(ORACLES / "formula.py"))["fill"]
    rules = {name: {"shape": shape, "mean": 0.0, "positive": False, **told["rule"]}
             for name, shape in told["tensors"].items()}  # fmt: skip
    expected = drawn(rules, told["seed"])
    assert held["module"].keys() == expected.keys()
    for name, values in expected.items():
        ours = as_torch(held["module"][name])
        assert torch.equal(ours, torch.from_numpy(np.asarray(values)).half()), name
    state = backbone_state({name: as_torch(t) for name, t in held["module"].items()})
    assert state["layers.1.attention.qkv.weight"].shape == (48, 16)
    assert held["iteration"] == 3 or isinstance(held["iteration"], int)


@needs_oracles
@pytest.mark.parametrize("part", ["low", "super"])
def test_the_samples_of_long_video_gan_are_read(part: str) -> None:
    listed = json.loads((ORACLES / "long_video_gan_pkl_tiny.json").read_text())
    held = read(ORACLES / f"long_video_gan_{part}_tiny.pkl")
    same(tensors_of(held), listed[part])
    assert setting(held.args[0], "class_name") == "VideoGenerator"
