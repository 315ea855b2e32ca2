"""StyleGAN-V against the authors' code: weights by formula at full size, and small ones."""

from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from dln.core.models.layers.mapping import truncated
from dln.core.models.stylegan_v.config import Config
from dln.core.models.stylegan_v.discriminator import Discriminator
from dln.core.models.stylegan_v.generator import Generator

from .oracles import filled, found, near, oracle

Sizes = dict[str, Any]
SMALL: Sizes = {"side": 64, "latent": 64, "channel_base": 2048, "channel_max": 64, "waves": 32}
PAPER: Sizes = {"side": 256, "latent": 512, "channel_base": 16384, "channel_max": 512, "waves": 256}
SIZES = {"256": PAPER, "64_classes": {**SMALL, "classes": ("a", "b", "c", "d", "e")}}


@pytest.mark.parametrize("name", SIZES)
def test_the_generator(name: str):
    told, weights, given = oracle(f"stylegan_v_{name}_generator")
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
    told, weights, given = oracle(f"stylegan_v_{name}_discriminator")
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
    given, config = load_file(found("stylegan_v_small")), Config(**SMALL, judge_layers=8)
    generator, discriminator = Generator(config), Discriminator(config)
    for module, prefix in ((generator, "generator."), (discriminator, "discriminator.")):
        state = {k.removeprefix(prefix): v for k, v in given.items() if k.startswith(prefix)}
        module.load_state_dict({k: v for k, v in state.items() if "resample_filter" not in k})
    with torch.no_grad():
        videos = generator(given["z"], given["motion_noise"], given["times"])
        logits = discriminator(videos, given["times"])
    near(videos.flatten(0, 1), given["images"])
    near(logits, given["logits"])
