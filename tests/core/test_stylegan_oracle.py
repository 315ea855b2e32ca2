"""StyleGAN-V against the authors' code: weights by formula at full size, and small ones."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from dln.core.models.layers.mapping import truncated
from dln.core.models.stylegan_v.config import Config
from dln.core.models.stylegan_v.discriminator import Discriminator
from dln.core.models.stylegan_v.generator import Generator

ORACLES = Path(__file__).parents[3] / "shared" / "oracles"
Sizes = dict[str, Any]
SMALL: Sizes = {"side": 64, "latent": 64, "channel_base": 2048, "channel_max": 64, "waves": 32}
PAPER: Sizes = {"side": 256, "latent": 512, "channel_base": 16384, "channel_max": 512, "waves": 256}
SIZES = {"256": PAPER, "64_classes": {**SMALL, "classes": ("a", "b", "c", "d", "e")}}


def oracle(name: str) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Tensor]]:
    """What is told of it, its weights and its tensors."""
    path = ORACLES / f"stylegan_v_{name}.safetensors"
    if not path.exists():
        pytest.skip(f"no reference file {path.name}")
    spec = importlib.util.spec_from_file_location("formula", ORACLES / "formula.py")
    assert spec is not None
    assert spec.loader is not None
    formula = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(formula)
    told, tensors = formula.read(path)
    drawn = formula.fill(told["weights"], told["seed"])
    given = formula.fill(told["inputs"], told["seed"])
    return told, as_tensors(drawn), as_tensors({**given, **tensors})


def as_tensors(group: dict[str, Any]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(value.copy()) for name, value in group.items()}


def filled(module: torch.nn.Module, weights: dict[str, Tensor], told: dict[str, Any]) -> None:
    """Only what the model computes itself may be missing."""
    missing, unexpected = module.load_state_dict(weights, strict=False)
    assert not unexpected
    assert set(missing) <= set(told["computed_by_the_model"])
    assert sum(p.numel() for p in module.parameters()) == told["parameters"]


def near(ours: Tensor, theirs: Tensor, most: float = 1e-4) -> None:
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= most * theirs.abs().max()


@pytest.mark.parametrize("name", SIZES)
def test_the_generator(name: str):
    told, weights, given = oracle(f"{name}_generator")
    generator = Generator(Config(**SIZES[name]))
    filled(generator, weights, told)
    label, times = given.get("input.labels"), given["input.times"]
    encoder = generator.synthesis.motion_encoder
    with torch.no_grad():
        w = generator.mapping(given["z"], label)
        codes = encoder.codes(given["motion_noise"], label)
        motion = encoder(given["motion_noise"], times, label)
        images = generator(given["z"], given["motion_noise"], times, label).flatten(0, 1)
    near(w, given["w"], 1e-5)
    near(truncated(w, generator.mapping.w_avg, 0.7), given["w_truncated"], 1e-5)
    index = (times / 16).floor().long()
    rows = torch.arange(len(times))[:, None]
    near(codes[rows, index], given["motion_u_left"], 1e-5)
    near(codes[rows, index + 1], given["motion_u_right"], 1e-5)
    # Phases are 64 times what the codes say: theirs must be told to the last digit.
    around = (given[f"motion_u_{side}"].flatten(0, 1) for side in ("left", "right"))
    anchor, moment = (16.0 * index).flatten(), times.flatten()
    with torch.no_grad():
        near(encoder.time_encoder(*around, anchor, moment, 16), given["motion_v"])
    near(motion, given["motion_v"], 1e-3)
    near(images[..., ::7, ::7], given["images"])
    near(images[..., -1, :], given["images_last_row"])
    flat = images.flatten(2)
    near(torch.stack([flat.mean(2), flat.std(2, correction=0)], 2), given["images_mean_std"])


@pytest.mark.parametrize("name", SIZES)
def test_the_discriminator(name: str):
    told, weights, given = oracle(f"{name}_discriminator")
    discriminator = Discriminator(Config(**SIZES[name]))
    filled(discriminator, weights, told)
    label, times = given.get("input.labels"), given["input.times"]
    videos = given["videos"].requires_grad_(True)
    near(discriminator.time_encoder(times).detach(), given["time_embedding"][:, :552], 1e-5)
    logits = discriminator(videos, times, label)
    (slope,) = torch.autograd.grad(logits.sum(), videos)
    near(logits.detach(), given["logits"])
    near(slope.square().sum((2, 3, 4)).mean(1), given["r1_penalty"])


def test_the_small_ones():
    path = ORACLES / "stylegan_v_small.safetensors"
    if not path.exists():
        pytest.skip(f"no reference file {path.name}")
    given, config = load_file(path), Config(**SMALL, judge_layers=8)
    generator, discriminator = Generator(config), Discriminator(config)
    for module, prefix in ((generator, "generator."), (discriminator, "discriminator.")):
        state = {k.removeprefix(prefix): v for k, v in given.items() if k.startswith(prefix)}
        module.load_state_dict({k: v for k, v in state.items() if "resample_filter" not in k})
    with torch.no_grad():
        videos = generator(given["z"], given["motion_noise"], given["times"])
        logits = discriminator(videos, given["times"])
    near(videos.flatten(0, 1), given["images"])
    near(logits, given["logits"])
