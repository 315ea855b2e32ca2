"""Which code is the nearest: the same one in a training, a program and an export."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from dln.core.models.layers.codebook import Codebook, rounded
from dln.core.models.layers.tokenizer_config import TokenizerConfig
from dln.core.models.package import rebuild


def book(coarse: bool, size: int = 300, dim: int = 16) -> tuple[Codebook, torch.Tensor]:
    """A crowded one, and vectors of the length that an encoder gives them."""
    draw = torch.Generator().manual_seed(0)
    made = Codebook(size, dim, coarse=coarse)
    made.codes.copy_(F.normalize(1 + 0.2 * torch.randn(size, dim, generator=draw), dim=-1))
    return made, 200 * F.normalize(1 + 0.2 * torch.randn(2000, dim, generator=draw), dim=-1)


def test_rounding_by_sums_is_bfloat16():
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(100_000, generator=draw) * 10 ** torch.linspace(-6, 6, 100_000)
    assert torch.equal(rounded(x), x.bfloat16().float())


def test_the_nearest_code_has_the_largest_cosine():
    made, z = book(coarse=False)
    cosines = F.cosine_similarity(z.double()[:, None], made.codes.double()[None], dim=-1)
    assert (made.nearest(z) == cosines.argmax(1)).float().mean() > 0.999


def test_compared_coarsely_the_first_of_equal_codes_is_taken():
    made, z = book(coarse=True)
    told = (z.bfloat16().float() @ made.codes.bfloat16().float().T).bfloat16()
    first = [int((row == row.max()).nonzero()[0]) for row in told]
    assert made.nearest(z).tolist() == first
    fine = book(coarse=False)[0].nearest(z)
    assert (torch.tensor(first) == fine).float().mean() < 0.9, "it makes a difference here"


@pytest.mark.parametrize("coarse", [False, True])
def test_a_training_s_precision_finds_no_other_code(coarse: bool):
    made, z = book(coarse)
    with torch.autocast("cpu", torch.bfloat16):
        there = made.nearest(z)
    assert torch.equal(there, made.nearest(z))


def test_weights_that_do_not_say_it_were_trained_on_coarse_codes():
    said: dict[str, Any] = {"comparison": "float32"}
    assert rebuild(TokenizerConfig, {}).comparison == "bfloat16"
    assert rebuild(TokenizerConfig, said).comparison == TokenizerConfig().comparison == "float32"
