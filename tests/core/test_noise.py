"""Noise that is carried from one picture to the next."""

import math

import numpy as np
import pytest

from dln.core.models.noise import noise_of
from dln.core.models.request import Request

COUNT = 20_000
ROOM = 4 / math.sqrt(COUNT)  # four standard errors of a correlation or a mean


def numbers(drift: float, kind: str, **how) -> np.ndarray:
    return getattr(noise_of(Request("lion", 5, drift=drift)), kind)(COUNT, **how)


@pytest.mark.parametrize("kind", ["random", "standard_normal"])
def test_without_drift_it_is_the_seed_s_own(kind):
    np.testing.assert_array_equal(numbers(0, kind), getattr(np.random.default_rng(5), kind)(COUNT))


@pytest.mark.parametrize("drift", [0.1, 0.5, 0.9, 1, 1.3])
def test_it_stays_as_normal_and_is_as_like_as_the_angle_says(drift):
    own, gone = numbers(0, "standard_normal"), numbers(drift, "standard_normal")
    like = math.cos(drift * math.pi / 2) if drift < 1 else 0
    assert np.corrcoef(own, gone)[0, 1] == pytest.approx(like, abs=ROOM)
    assert gone.mean() == pytest.approx(0, abs=ROOM)
    assert gone.std() == pytest.approx(1, abs=ROOM)


@pytest.mark.parametrize("drift", [0.1, 0.5, 1.3])
def test_uniform_numbers_stay_uniform(drift):
    gone = np.sort(numbers(drift, "random"))
    even = (np.arange(COUNT) + 0.5) / COUNT
    assert np.abs(gone - even).max() < 1.95 / math.sqrt(COUNT)  # Kolmogorov, one in a thousand
    assert 0 <= gone[0] <= gone[-1] < 1


def test_near_noises_are_alike_and_far_ones_are_not():
    own = numbers(0, "random")
    assert np.corrcoef(own, numbers(0.05, "random"))[0, 1] > 0.99
    assert abs(np.corrcoef(own, numbers(1, "random"))[0, 1]) < ROOM
    assert np.corrcoef(numbers(0.99, "random"), numbers(1.01, "random"))[0, 1] > 0.99


def test_types_and_single_numbers():
    for kind in ("random", "standard_normal"):
        assert numbers(0.3, kind, dtype=np.float32).dtype == np.float32
        assert isinstance(getattr(noise_of(Request(drift=0.3)), kind)(), float)
