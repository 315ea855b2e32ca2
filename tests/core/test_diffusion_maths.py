"""Diffusion's maths against Gaussian data, whose optimal denoiser has a closed form."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dln.core.models.video_diffusion.guidance import reconstruction, replacement
from dln.core.models.video_diffusion.samplers import (
    alpha_sigma,
    ancestral,
    ddim,
    dpm_solver,
    langevin,
    log_snrs,
    posterior,
)
from dln.core.models.video_diffusion.schedule import (
    LIMIT,
    cosine_log_snr,
    noised,
    v_from,
    x_from_eps,
    x_from_v,
)

MEAN, SPREAD = 0.4, 0.6  # of the data: x ~ N(MEAN, SPREAD^2)


def gaussian(mean: float, spread: float):
    """E[x | z] for x ~ N(mean, spread^2)."""

    def denoise(z: torch.Tensor, log_snr: float) -> torch.Tensor:
        a, s = alpha_sigma(log_snr)
        return (a * spread**2 * z + s**2 * mean) / (a**2 * spread**2 + s**2)

    return denoise


def deviation(log_snr: float, spread: float) -> float:
    """Of z at this log-SNR."""
    a, s = alpha_sigma(log_snr)
    return math.sqrt(a**2 * spread**2 + s**2)


def even(first: float, last: float, steps: int) -> list[float]:
    """log-SNRs of `steps` steps and the one that ends the last of them."""
    return [*torch.linspace(first, last, steps + 1, dtype=torch.float64).tolist(), LIMIT]


@settings(max_examples=40, deadline=None)
@given(st.floats(-12, 12), st.integers(0, 10_000))
def test_x_comes_back_from_eps_and_from_v(log_snr, seed):
    torch.manual_seed(seed)
    x, eps = torch.randn(2, 5, dtype=torch.float64)
    ratio = torch.tensor(log_snr, dtype=torch.float64)
    z, v = noised(x, eps, ratio), v_from(x, eps, ratio)
    for found, true in (
        (x_from_v(z, v, ratio), x),
        (x_from_eps(z, eps, ratio), x),
    ):
        torch.testing.assert_close(found, true, atol=1e-6, rtol=0)


def test_the_cosine_schedule_is_cosine_within_its_limits():
    t = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)
    alpha = cosine_log_snr(t).sigmoid().sqrt()
    torch.testing.assert_close(alpha, torch.cos(math.pi / 2 * t), atol=2e-4, rtol=0)
    ends = cosine_log_snr(torch.tensor([0.0, 1.0], dtype=torch.float64))
    torch.testing.assert_close(ends.abs(), torch.full((2,), LIMIT, dtype=torch.float64))
    torch.testing.assert_close(cosine_log_snr(t, -2.0), cosine_log_snr(t) - 2)
    assert log_snrs(4, 0.0)[0] == pytest.approx(-LIMIT)


@pytest.mark.parametrize(("sampler", "order"), [(ddim, 1), (dpm_solver, 2)])
def test_solvers_reach_the_flow_s_solution_with_their_order(sampler, order):
    first, last = -6.0, 6.0
    z = torch.linspace(-2, 2, 9, dtype=torch.float64)
    a, a_last = alpha_sigma(first)[0], alpha_sigma(last)[0]
    stretch = deviation(last, SPREAD) / deviation(first, SPREAD)
    exact = gaussian(MEAN, SPREAD)(a_last * MEAN + stretch * (z - a * MEAN), last)
    errors = [
        float((sampler(gaussian(MEAN, SPREAD), z, even(first, last, n), None) - exact).abs().max())
        for n in (32, 64, 128)
    ]
    rates = [math.log2(errors[i] / errors[i + 1]) for i in (0, 1)]
    assert rates == pytest.approx([order, order], abs=0.25)
    assert errors[-1] < 2e-2 / order**4


@pytest.mark.parametrize(("gamma", "spread"), [(1.0, 1.0), (0.0, 0.0)])
def test_ancestral_sampling_is_exact_at_the_bounds_of_its_variance(gamma, spread):
    """Unit Gaussian data have the larger variance, a single point the smaller one."""
    torch.manual_seed(0)
    seen = []

    def denoise(z, log_snr):
        seen.append((z, log_snr))
        return gaussian(MEAN, spread)(z, log_snr)

    first = -6.0
    z = alpha_sigma(first)[0] * MEAN + deviation(first, spread) * torch.randn(100_000)
    ancestral(denoise, z, even(first, 4.0, 3), lambda: torch.randn(100_000), gamma)
    for z, log_snr in seen:
        assert float(z.std()) == pytest.approx(deviation(log_snr, spread), rel=0.01)
        assert float(z.mean()) == pytest.approx(alpha_sigma(log_snr)[0] * MEAN, abs=0.012)


def test_the_posterior_is_bayes_rule():
    """q(z_s | z_t, x) from the joint Gaussian of z_s and z_t given x."""
    now, then, x = -1.0, 0.7, torch.tensor(0.3, dtype=torch.float64)
    z = torch.tensor(-0.8, dtype=torch.float64)
    (a, s), (a_s, s_s) = alpha_sigma(now), alpha_sigma(then)
    step = a / a_s  # z_t = step z_s + noise
    added = s**2 - step**2 * s_s**2
    variance = 1 / (1 / s_s**2 + step**2 / added)
    mean = variance * (a_s * x / s_s**2 + step * z / added)
    found, smaller = posterior(z, x, now, then, gamma=0.0)
    assert float(found) == pytest.approx(float(mean))
    assert smaller == pytest.approx(math.sqrt(variance))
    assert posterior(z, x, now, then, gamma=1.0)[1] == pytest.approx(math.sqrt(added))


@pytest.mark.parametrize("start", [0.0, 2.0])
def test_langevin_steps_settle_where_they_should(start):
    """z <- (1 - d s^2 / 2) z + sqrt(d) s n for unit data: variance 1 / (1 - d s^2 / 4)."""
    torch.manual_seed(1)
    z, delta = start * torch.randn(60_000), 0.4
    for _ in range(40):
        z = langevin(gaussian(0.0, 1.0), z, 0.0, lambda: torch.randn(60_000), delta)
    assert float(z.var()) == pytest.approx(1 / (1 - delta * 0.5 / 4), rel=0.02)


def test_a_corrector_moves_the_ancestral_sampler_s_variance_to_the_truth():
    """gamma 0 draws too little for wide data; Langevin steps put it back."""
    torch.manual_seed(2)
    z, times = torch.randn(40_000), even(-6.0, 3.0, 6)
    errors = [
        abs(
            float(
                ancestral(
                    gaussian(0.0, 1.0), z, times, lambda: torch.randn(40_000), 0.0, delta
                ).std()
            )
            - alpha_sigma(3.0)[0]
        )
        for delta in (0.0, 1.0)
    ]
    assert errors[1] < 0.75 * errors[0]


COVARIANCE = torch.tensor([[1.0, 0.9], [0.9, 1.0]], dtype=torch.float64)


def pair(z: torch.Tensor, log_snr: float) -> torch.Tensor:
    """E[x | z] for two frames of one pixel, N(0, COVARIANCE); z: (B, 2, 1, 1, 1)."""
    a, s = alpha_sigma(log_snr)
    gain = a * COVARIANCE @ torch.linalg.inv(a**2 * COVARIANCE + s**2 * torch.eye(2))
    return (z.flatten(1) @ gain.T).view_as(z)


def seen(z: np.ndarray, log_snr: float) -> np.ndarray:
    return pair(torch.from_numpy(z), log_snr).numpy()


def pulled(z: np.ndarray, log_snr: float, loss):
    with torch.enable_grad():
        start = torch.from_numpy(z).requires_grad_()
        x = pair(start, log_snr)
        (slope,) = torch.autograd.grad(loss(x), start)
    return x.detach().numpy(), slope.numpy()


GIVEN = np.array([True, False])
KNOWN = np.array([1.5, 0.0]).reshape(1, 2, 1, 1, 1)


def run_pair(denoise, steps: int = 40) -> np.ndarray:
    z = np.random.default_rng(3).standard_normal((400, 2, 1, 1, 1))
    return ddim(denoise, z, even(-8.0, 8.0, steps), lambda: z)


def test_reconstruction_guidance_of_weight_0_is_the_replacement_method():
    one = run_pair(reconstruction(pulled, KNOWN, GIVEN, 0.0))
    two = run_pair(replacement(seen, KNOWN, GIVEN))
    assert np.array_equal(one, two)
    assert (one[:, 0] == KNOWN[:, 0]).all()


def test_guided_frames_fit_the_given_one_better_than_replaced_ones():
    """The truth is x_b = 0.9 * 1.5 on average."""
    truth = 0.9 * 1.5
    guided = run_pair(reconstruction(pulled, KNOWN, GIVEN, 3.0))[:, 1].mean()
    replaced = run_pair(replacement(seen, KNOWN, GIVEN))[:, 1].mean()
    assert abs(guided - truth) < 0.5 * abs(replaced - truth)


def test_the_pull_is_the_gradient_of_the_formula():
    """x_b - (w alpha / 2) d (x_a - x_a(z))^2 / d z_b with the gradient worked by hand."""
    log_snr, weight = -0.5, 2.0
    a, s = alpha_sigma(log_snr)
    gain = a * COVARIANCE @ torch.linalg.inv(a**2 * COVARIANCE + s**2 * torch.eye(2))
    z = np.array([0.2, -0.7]).reshape(1, 2, 1, 1, 1)
    x = (gain.numpy() @ z.ravel()).tolist()
    slope = -2 * (1.5 - x[0]) * float(gain[0, 1])
    found = reconstruction(pulled, KNOWN, GIVEN, weight)(z, log_snr).ravel().tolist()
    assert found == pytest.approx([1.5, x[1] - weight * a / 2 * slope])
