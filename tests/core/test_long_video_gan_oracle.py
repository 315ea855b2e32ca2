"""LongVideoGAN against the authors' code: single blocks, and its four networks at full size."""

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from dln.core.models.long_video_gan import (
    low_discriminator,
    low_generator,
    super_discriminator,
    super_generator,
)
from dln.core.models.long_video_gan.config import PRESETS, LowBlock
from dln.core.models.long_video_gan.filters import FilterBank, bank
from dln.core.models.long_video_gan.windows import Pyramid, Span, uncoded

from .oracles import filled, found, near, oracle

PAPER = PRESETS["paper"]
CODES, INTO, OUT = 16, 12, 8  # of the single blocks


@pytest.fixture
def blocks() -> dict[str, Tensor]:
    return load_file(found("long_video_gan_blocks"))


def state(given: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """A block's tensors; filters are constants here."""
    mark = f"{name}.state."
    own = {key.removeprefix(mark): value for key, value in given.items() if key.startswith(mark)}
    return {key: value for key, value in own.items() if not key.endswith("filter")}


def frames_of(x: Tensor) -> Tensor:
    """(B, C, T, ...) -> (B T, C, ...)."""
    return x.transpose(1, 2).flatten(0, 1)


def test_the_filters(blocks: dict[str, Tensor]):
    rows = bank(PAPER.filters, PAPER.shortest_rate, PAPER.longest_rate)
    ours = torch.from_numpy(rows / rows.sum(1, keepdims=True))
    near(ours[0, -125:], blocks["temporal.filter_0"].double(), 1e-6)
    near(ours[-1, -64:], blocks["temporal.filter_127_tail"].double(), 1e-5)
    near(1 / ours.norm(dim=1), blocks["temporal.output_scale"].double(), 1e-6)
    # Theirs adds up 5,000 products in single precision.
    near(FilterBank(PAPER)(blocks["temporal.noise"]), blocks["temporal.embedding"], 4e-6)


def test_latents_are_halved(blocks: dict[str, Tensor]):
    given, expected = blocks["latent_downsample.input"], blocks["latent_downsample.output"]
    near(Pyramid().halved(given), expected, 1e-6)


@pytest.mark.parametrize("name", ["block_plain", "block_up"])
def test_a_block_in_time(blocks: dict[str, Tensor], name: str):
    x, w, expected = (blocks[f"{name}.{what}"] for what in ("input", "latent", "output"))
    grows = name == "block_up"
    shape = LowBlock(INTO, OUT, (3, 4), (5, 8) if grows else (3, 4), temporal=True)
    block = low_generator.Block(CODES, shape, PAPER.clamp)
    block.load_state_dict(state(blocks, name))
    # Theirs pads with zeros in time; ours gives the frames that no such zero has reached. Of the
    # 10 those are 2 to 7, and of twice as many 5 to 14, of which theirs has left out the first 2.
    asked, same = (Span(0, 10), slice(3, 13)) if grows else (None, slice(2, 8))
    with torch.no_grad():
        near(block(x, w.transpose(1, 2), asked), expected[:, :, same], 1e-6)


def test_a_block_in_space(blocks: dict[str, Tensor]):
    x, w, expected = (blocks[f"block_spatial.{what}"] for what in ("input", "latent", "output"))
    shape = LowBlock(INTO, OUT, (3, 4), (6, 8), temporal=False)
    block = low_generator.Block(CODES, shape, PAPER.clamp)
    block.load_state_dict(state(blocks, "block_spatial"))
    with torch.no_grad():
        near(block(frames_of(x), frames_of(w)), frames_of(expected), 1e-6)


def test_the_colours(blocks: dict[str, Tensor]):
    x, w, expected = (blocks[f"to_rgb.{what}"] for what in ("input", "latent", "output"))
    layer = low_generator.ToRgb(CODES, INTO, PAPER.clamp)
    layer.load_state_dict(state(blocks, "to_rgb"))
    with torch.no_grad():
        near(layer(frames_of(x), frames_of(w)), frames_of(expected), 1e-6)


def test_the_low_generator():
    told, weights, given = oracle("long_video_gan_low_generator_16")
    generator = low_generator.Generator(PAPER)
    filled(generator, weights, told)
    with torch.no_grad():
        w = generator.latent_mapping(generator.bank(given["noise"]))
        video = generator.synthesis(w, int(given["input.frames"])).transpose(1, 2)
    assert uncoded(w.shape[2]) == 32  # of which theirs shows the middle
    near(w[:, ::8, 264:280], given["w_last"], 1e-5)
    near(video[..., ::3, ::3], given["video"])
    near(video[:, :, 0], given["first_frame"])
    near(video[:, :, -1], given["last_frame"])


def test_the_low_discriminator():
    told, weights, given = oracle("long_video_gan_low_discriminator")
    discriminator = low_discriminator.Discriminator(PAPER)
    filled(discriminator, weights, told)
    with torch.no_grad():
        near(discriminator(given["videos"].transpose(1, 2))[:, None], given["logits"])


def test_the_super_generator():
    told, weights, given = oracle("long_video_gan_super_generator")
    generator = super_generator.Generator(PAPER)
    filled(generator, weights, told)
    synthesis, low = generator.SG3.synthesis, given["low_video"].transpose(1, 2)
    for layer in (0, 5, 9, 14):
        seen = synthesis.grids[synthesis.resampled[layer]](low)
        near(seen[:, ::9, ::5, ::5], given[f"condition_{layer}"], 1e-6)
    with torch.no_grad():
        near(generator.SG3.mapping(given["z"]), given["w"], 1e-5)
        video = generator(low, given["z"]).transpose(1, 2)
    near(video[..., ::5, ::5], given["video"])
    near(video[..., -1, :], given["video_last_row"])


def test_the_super_discriminator():
    told, weights, given = oracle("long_video_gan_super_discriminator")
    discriminator = super_discriminator.Discriminator(PAPER)
    filled(discriminator, weights, told)
    # One sample of the two: they know nothing of each other.
    low, high = (given[f"{name}_video"][:1].transpose(1, 2) for name in ("low", "high"))
    logits = discriminator(low, high.requires_grad_(True))
    (slope,) = torch.autograd.grad(logits.sum(), high)
    near(logits.detach()[:, None], given["logits"][:1])
    near(slope.square().flatten(1).sum(1), given["r1_penalty"][:1])
