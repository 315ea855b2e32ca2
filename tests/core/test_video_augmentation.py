"""What is done to all videos alike that small videos' discriminator sees, worked by hand."""

import numpy as np
import pytest
import torch
from torch import Tensor

from dln.core.models.layers.video_augmentation import (
    CHANGES,
    changed_alike,
    coloured,
    moves,
    shifted,
    stretched,
    uncut,
)

NEUTRAL = 0.5  # leaves all but the contrast, which goes on as 1, and the box


def drawn(**numbers: float) -> Tensor:
    """(1, CHANGES), by their names."""
    names = ("brightness", "saturation", "contrast", "down", "right", "y", "x", "time")
    assert len(names) == CHANGES
    return torch.tensor([[numbers.get(name, NEUTRAL) for name in names]])


def videos(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_numbers_in_the_middle_change_nothing_but_the_box():
    x = videos(1, 6, 3, 8, 12)
    mask = torch.ones(8, 12)
    mask[2:6, 3:9] = 0
    assert torch.allclose(changed_alike(x, drawn()), x * mask, atol=1e-6)
    out = changed_alike(x, drawn(y=0.0, x=0.999))
    assert torch.allclose(out[..., 2:, :9], x[..., 2:, :9], atol=1e-6), "it hangs over a corner"
    assert (out[..., :2, 9:] == 0).all()


def test_colours_are_those_of_the_paper():
    x = torch.tensor([0.1, 0.2, 0.6]).view(1, 1, 3, 1, 1).repeat(1, 2, 1, 1, 1)
    x[:, 1] = 0.5
    found = coloured(x, torch.tensor([[0.9, 0.75, 0.2]]))
    first = 0.4 + 0.3 + 1.5 * (np.array([0.1, 0.2, 0.6]) - 0.3)
    second = np.array([0.9, 0.9, 0.9])
    mean = np.mean([first, second])
    assert found[0, 0, :, 0, 0].numpy() == pytest.approx(mean + 0.7 * (first - mean), abs=1e-6)
    assert found[0, 1, :, 0, 0].numpy() == pytest.approx(mean + 0.7 * (second - mean), abs=1e-6)


def test_shifts_are_by_up_to_a_quarter_with_zeros_moving_in():
    x = 1 + videos(2, 2, 3, 8, 16).abs()
    found = shifted(x, torch.tensor([[0.0, 0.999], [0.5, 0.999]]))
    assert torch.equal(found[0, ..., :6, 4:], x[0, ..., 2:, :12]), "two up, four to the right"
    assert (found[0, ..., 6:, :] == 0).all()
    assert (found[0, ..., :4] == 0).all()
    assert torch.equal(found[1, ..., 4:], x[1, ..., :12])
    every = {int(moves(torch.tensor([n / 100]), 8)[0].argmax(0).sub(torch.arange(8)).mode().values)
             for n in range(100)}  # fmt: skip
    assert every == {-2, -1, 0, 1, 2}


def test_boxes_of_half_the_sides_lie_anywhere():
    areas = torch.zeros(8, 6)
    for y in np.linspace(0, 0.999, 37):
        for x in np.linspace(0, 0.999, 29):
            box = 1 - uncut(torch.tensor([[y, x]], dtype=torch.float32), 8, 6)[0]
            assert 2 <= box.sum() <= 4 * 3
            areas += box
    assert (areas > 0).all()


def test_time_is_stretched_about_the_middle():
    x = torch.arange(1.0, 9).view(1, 8, 1, 1, 1).expand(3, 8, 3, 1, 1)
    longer, shorter, same = stretched(x, torch.tensor([2.0, 0.5, 1.0]))[:, :, 0, 0, 0]
    line = np.arange(8)
    assert longer.numpy() == pytest.approx(np.interp((line - 3.5) / 2 + 3.5, line, line + 1.0))
    assert torch.equal(same, torch.arange(1.0, 9))
    padded = np.interp(2 * (line - 3.5) + 3.5, np.arange(-1, 9), [0, *range(1, 9), 0], 0, 0)
    assert shorter.numpy() == pytest.approx(padded)


def test_all_frames_of_a_video_are_changed_alike_and_videos_apart():
    x = videos(2, 1, 3, 8, 12).expand(2, 6, 3, 8, 12)
    uniform = torch.rand(2, CHANGES, generator=torch.Generator().manual_seed(1))
    uniform[:, -1] = 0.5
    out = changed_alike(x, uniform)
    assert torch.equal(out, out[:, :1].expand_as(out))
    alone = changed_alike(x[1:], uniform[1:])
    assert torch.allclose(out[1:], alone, atol=1e-6)


def test_it_is_differentiable_twice():
    x = videos(1, 4, 3, 4, 4).double().requires_grad_()
    uniform = torch.rand(1, CHANGES, generator=torch.Generator().manual_seed(2)).double()

    def change(x: Tensor) -> Tensor:
        moved = shifted(coloured(x, uniform[:, :3]), uniform[:, 3:5])
        return stretched(moved, 2 ** uniform[:, 7]) * uncut(uniform[:, 5:7], 4, 4)

    assert torch.autograd.gradcheck(change, x, fast_mode=True)
    assert torch.autograd.gradgradcheck(change, x, fast_mode=True)
