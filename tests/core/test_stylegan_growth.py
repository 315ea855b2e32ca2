"""StyleGAN-V's weights of small pictures go on as ones of larger pictures."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from dln.core.errors import UsageError
from dln.core.models.stylegan_v.system import SYSTEM
from dln.core.runs.start import extended

from .toy_stylegan import toy
from .toy_systems import Colours

SMALL, SIDE = 32, 128


def grown(start: Any, side: int) -> Any:
    source = Colours()
    told = {"side": side, "fps": start.config.fps}
    return extended(SYSTEM, start, told, source)


def made(model: Any) -> Any:
    """(2, 2, 3, side, side) of latents, noise and moments that are the same for all sides."""
    draw = torch.Generator().manual_seed(3)
    latent = model.config.latent
    z, noise = (torch.randn(*size, latent, generator=draw) for size in ((2,), (2, 30)))
    with torch.no_grad():
        return model.generator(z, noise, torch.tensor([[0.0, 9.5], [3.0, 20.0]]))


def test_what_has_grown_begins_with_the_pictures_that_it_knew():
    start = toy(side=SMALL, seed=1)
    model = grown(start, SIDE)
    assert model.config.side == SIDE
    small, large = made(start), made(model)
    assert small.std() > 0.1
    wanted = small.flatten(0, 1)
    for _ in range(2):
        wanted = F.interpolate(wanted, scale_factor=2, mode="bilinear")
    inside = (..., slice(8, -8), slice(8, -8))  # there is a border of zeros
    assert torch.allclose(large.flatten(0, 1)[inside], wanted[inside], atol=1e-5)
    assert torch.equal(model.discriminator.b4.fc.weight, start.discriminator.b4.fc.weight)
    assert model.discriminator(large[:, [0, 1, 1]], torch.tensor([[0.0, 1, 2]] * 2)).shape == (2,)


def test_what_has_grown_learns_its_new_sides():
    model = grown(toy(side=SMALL, seed=1), SIDE)
    colours = model.generator.synthesis.b128.torgb
    assert not colours.weight.any()
    z, noise = torch.randn(1, model.config.latent), torch.randn(1, 30, model.config.latent)
    model.generator(z, noise, torch.zeros(1, 1)).square().mean().backward()
    assert colours.weight.grad.abs().max() > 0


def test_nothing_shrinks():
    with pytest.raises(UsageError, match="128 x 128 pixels do not begin ones of 32 x 32") as told:
        grown(toy(side=SIDE), SMALL)
    assert told.value.hint == "--set side=128, or more"
