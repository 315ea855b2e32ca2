"""What trainings against a discriminator share, against values worked by hand."""

import math

import pytest
import torch
from torch import Tensor, nn

from dln.core.models.layers.adversarial import (
    Controller,
    HalfLife,
    Running,
    collapsed,
    controller_step,
    fooling,
    lazily,
    squared_slope,
    telling,
    usual_gamma,
)
from dln.core.training.learner import mend


def alone(tensor: Tensor) -> Tensor:
    """The sum over one process."""
    return tensor


def test_the_losses_are_the_logarithms():
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.5, 3.0])

    def sure(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    made = [-math.log(sure(x)) for x in (0.5, 3.0)]
    assert float(fooling(fake)) == pytest.approx(sum(made) / 2)
    told = [-math.log(sure(x)) for x in (2.0, -1.0)] + [-math.log(1 - sure(x)) for x in (0.5, 3.0)]
    assert float(telling(real, fake)) == pytest.approx(sum(told) / 2)


def test_the_penalty_of_a_quadratic_is_its_slope_squared():
    """D = sum of a x^2 / 2 has the slope a x: summed over a frame, averaged over 3 frames."""
    a = torch.tensor(1.5, requires_grad=True)
    videos = torch.randn(4, 3, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    videos.requires_grad_(True)
    logits = (a * videos.square() / 2).sum((1, 2, 3, 4))
    penalty = squared_slope(logits, videos)
    by_hand = (1.5 * videos.detach()).square().sum() / (4 * 3)
    assert penalty.item() == pytest.approx(by_hand.item(), rel=1e-5)
    penalty.backward()
    assert a.grad is not None
    assert a.grad.item() == pytest.approx(2 * by_hand.item() / 1.5, rel=1e-5)


def test_weights_and_rates_are_the_published_ones():
    assert usual_gamma(256, 64) == pytest.approx(0.2048)
    rate, betas = lazily(0.0025, (0.0, 0.99), 4)
    assert (rate, *betas) == pytest.approx((0.002, 0.0, 0.99**0.8))
    rate, betas = lazily(0.0025, (0.0, 0.99), 16)
    assert (rate, *betas) == pytest.approx((0.0025 * 16 / 17, 0.0, 0.99 ** (16 / 17)))
    assert controller_step(64, 100) == pytest.approx(64 * 4 / 100_000)


def test_half_of_the_average_is_forgotten_in_a_half_life():
    average = HalfLife(batch=64, samples=20_000, ramp=None)
    steps = 20_000 / 64
    assert average.decay_at(0) ** steps == pytest.approx(0.5)
    assert average.decay_at(10**6) ** steps == pytest.approx(0.5)
    ramped = HalfLife(batch=64, samples=20_000, ramp=0.05)
    assert ramped.decay_at(0) == pytest.approx(0, abs=1e-9), "the first weights are taken over"
    assert ramped.decay_at(1000) ** (0.05 * 1000) == pytest.approx(0.5)
    assert ramped.decay_at(10**6) == average.decay_at(0)


def heed(controller: Controller, step: int, *logits: float) -> float:
    controller.heed(torch.tensor(logits))
    controller.after_step(step, alone)
    return float(controller.probability)


def test_the_controller_follows_the_signs_of_four_steps():
    controller = Controller(step=0.25)
    for step in (1, 2, 3):
        assert heed(controller, step, 3.0, 0.1, 5.0, -0.1) == 0, "every fourth step alone"
    assert heed(controller, 4, 1.0, 1.0, 1.0, 1.0) == 0.25, "(3 * 2 + 4) / 16 = 0.625 is above 0.6"
    for step in (5, 6, 7):
        heed(controller, step, 3.0, 0.1, 5.0, -0.1)
    assert heed(controller, 8, 1.0, 1.0, 1.0, -1.0) == 0, "0.5 is below"
    for step in range(9, 13):
        heed(controller, step, -1.0)
    assert float(controller.probability) == 0, "never below"
    for step in range(13, 53):
        heed(controller, step, 1.0)
    assert float(controller.probability) == 2.5, "and as high as it likes"


def test_the_controller_hears_all_processes_and_remembers():
    """The other process has shown eight real samples that were all taken for made ones."""
    controller = Controller(step=0.1, every=2)
    controller.heed(torch.tensor([1.0, 1.0]))
    controller.after_step(1, lambda own: own + torch.tensor([-8.0, 8.0]))
    state = {name: tensor.clone() for name, tensor in controller.state().items()}
    again = Controller(step=0.1, every=2)
    again.load_state(state)
    again.probability += 0.5
    again.heed(torch.tensor([1.0] * 10))
    again.after_step(2, alone)
    assert float(again.probability) == pytest.approx(0.4), "(2 - 8 + 10) / 20 is 0.2"


def test_the_mean_style_follows_by_half_a_percent():
    mean = torch.tensor([1.0, 2.0])
    running = Running(mean)
    running.heed(torch.tensor([[3.0, 2.0], [5.0, 2.0]]))
    running.heed(torch.tensor([[4.0, 8.0], [4.0, 8.0]]))
    running.after_step(lambda own: 2 * own)
    assert torch.allclose(mean, torch.tensor([1 + 0.005 * 3, 2 + 0.005 * 3]))


def test_gradients_are_mended():
    layer = nn.Linear(3, 1)
    layer.weight.grad = torch.tensor([[math.nan, math.inf, -math.inf]])
    mend(list(layer.parameters()), 1e5)
    assert layer.weight.grad.tolist() == [[0.0, 1e5, -1e5]]
    assert layer.bias.grad is None


def test_what_a_collapse_looks_like():
    def history(*distances: float, variety: float = 0.8) -> list[dict[str, float]]:
        return [{"frechet_distance": d, "variety": variety} for d in distances]

    assert collapsed(history(9, 5, 6, 7)) is None, "twice is noise"
    assert "3 evaluations long: 5, 6, 7, 8" in (collapsed(history(9, 5, 6, 7, 8)) or "")
    assert collapsed(history(5, 6, 7, 6.5)) is None
    assert collapsed(history(5, 6, 6, 7)) is None
    assert collapsed(history(5, math.nan, 7, 8)) is None
    assert "one image" in (collapsed(history(9, 5, variety=0.01)) or "")
    assert collapsed([{"variety": 0.5}]) is None
