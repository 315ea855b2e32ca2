"""How far generated clips are from real ones, as distributions of features.

The Fréchet distance (Heusel et al. 2017, 1706.08500; on videos Unterthiner et al. 2018,
1812.01717) and the kernel distance (Bińkowski et al. 2018, 1801.01401), on the features of the
bundled recognizer or of an I3D that the user brings. Values of one kind of features, one number
of clips and one number of frames can be compared, others cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FEWEST = 4  # samples whose halves have a spread
ROWS = 1024  # of a kernel matrix at a time
Z = 1.959964  # standard errors on either side of a 95 % interval


@dataclass(frozen=True)
class Estimate:
    """A distance, why it may mislead (None where it may not), and its error where one was asked.

    The Fréchet distance is in the features' unit squared and never below zero; the kernel
    distance is a squared maximum mean discrepancy and may come out below zero.
    """

    distance: float
    warning: str | None = None
    standard_error: float | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 %: the distance and 1.96 standard errors on either side."""
        if self.standard_error is None:
            return None
        return self.distance - Z * self.standard_error, self.distance + Z * self.standard_error


def frechet_distance(a: np.ndarray, b: np.ndarray, subsets: int = 0, seed: int = 0) -> Estimate:
    """The Fréchet distance of the Gaussians fitted to features a (N, D) and b (M, D).

    |mean a - mean b|^2 + tr(A + B - 2 (A B)^(1/2)) in double precision, with unbiased covariances
    A and B as np.cov gives them (StyleGAN-V divides by N and not by N - 1). Covariances may be
    singular; with no more samples than dimensions they are, and `warning` says that the distance
    is too high. subsets: how many pairs of halves, drawn from `seed`, tell the standard error (see
    `halves`); it is that of the distance at this number of samples, whose bias it does not hold.
    A bootstrap would not do: what it draws twice adds to the bias. ValueError for fewer than two
    samples, four with subsets, for arrays that do not match and for values that are not finite.
    """
    a, b = matching(a, b)
    error = None
    if subsets:
        pairs = zip(*halves([len(a), len(b)], subsets, seed), strict=True)
        error = spread([_distance(a[first], b[second]) for first, second in pairs])
    return Estimate(_distance(a, b), few_samples(min(len(a), len(b)), a.shape[1]), error)


def halves(counts: Sequence[int], subsets: int, seed: int) -> list[np.ndarray]:
    """Half of the samples of each set, without replacement, again and again: (subsets, half) each.

    The spread of a statistic over halves is its standard error on the whole: a half has twice the
    whole's variance, and two halves of one sample have half of theirs in common. (Where two sets
    hardly differ, distances fall faster with the number of samples, and the error comes out up to
    twice too large.) The half is that of the smaller set. ValueError for a set of fewer than four.
    """
    if min(counts) < FEWEST:
        raise ValueError(f"halves of {min(counts)} samples are too small")
    rng, half = np.random.default_rng(seed), min(counts) // 2
    return [np.stack([rng.permutation(n)[:half] for _ in range(subsets)]) for n in counts]


def spread(values: Sequence[float] | np.ndarray) -> float:
    """The standard deviation, unbiased in its square; 0 of a single value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    shift = np.square(a.mean(axis=0) - b.mean(axis=0)).sum()
    # A = X'X for centred and scaled samples X, so A B has the eigenvalues of (X Y')(X Y')' and the
    # trace of its root is the sum of the singular values of X Y'. Unlike the roots of the
    # eigenvalues these keep full precision where a covariance is singular.
    x, y = ((each - each.mean(axis=0)) / np.sqrt(len(each) - 1) for each in (a, b))
    own = np.square(x).sum() + np.square(y).sum()
    root = np.linalg.svd(_compact(x) @ _compact(y).T, compute_uv=False).sum()
    return max(0.0, float(shift + own - 2 * root))


def _compact(x: np.ndarray) -> np.ndarray:
    """At most D rows with the same X'X, so that many samples cost no more than D."""
    return np.asarray(np.linalg.qr(x, mode="r")) if len(x) > x.shape[1] else x


def few_samples(samples: int, dimensions: int) -> str | None:
    """A sentence where covariances of so few samples are singular, else None."""
    if samples > dimensions:
        return None
    return (f"a Fréchet distance from {samples} samples of {dimensions} dimensions is too high: "
            f"{dimensions + 1} or more are needed, and only equal counts compare")  # fmt: skip


def matching(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both in double precision. ValueError unless they are finite, (N, D) and (M, D), N, M >= 2."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ValueError(f"features must be (N, D) and (M, D), N, M >= 2: {a.shape}, {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("features must be finite")
    return a, b


def kernel_distance(a: np.ndarray, b: np.ndarray, subsets: int = 100, seed: int = 0) -> Estimate:
    """The unbiased squared MMD of features a (N, D), b (M, D) under the kernel (x.y / D + 1)^3.

    The distance is that of all samples, which is the mean over all subsets; its standard error is
    the spread over `subsets` pairs of halves, drawn from `seed` (see `halves`). ValueError as for
    `frechet_distance` with subsets.
    """
    a, b = matching(a, b)
    # One column a subset, the first one everything.
    chosen = [np.ones((len(each), subsets + 1)) for each in (a, b)]
    for columns, drawn in zip(chosen, halves([len(a), len(b)], subsets, seed), strict=True):
        columns[:, 1:] = 0
        columns[drawn.T, np.arange(1, subsets + 1)] = 1
    found = discrepancies(a, b, *chosen)
    return Estimate(float(found[0]), None, spread(found[1:]))


def discrepancies(a: np.ndarray, b: np.ndarray, in_a: np.ndarray, in_b: np.ndarray) -> np.ndarray:
    """Unbiased squared MMD of each subset: (S,). in_a (N, S), in_b (M, S): 1 for its samples."""
    ones, others = in_a.sum(axis=0), in_b.sum(axis=0)
    within = _pairs(a, a, in_a, in_a) - _cube(np.square(a).sum(axis=1) / a.shape[1]) @ in_a
    beyond = _pairs(b, b, in_b, in_b) - _cube(np.square(b).sum(axis=1) / b.shape[1]) @ in_b
    across = _pairs(a, b, in_a, in_b)
    return (
        within / (ones * (ones - 1))
        + beyond / (others * (others - 1))
        - 2 * across / (ones * others)
    )


def _pairs(a: np.ndarray, b: np.ndarray, in_a: np.ndarray, in_b: np.ndarray) -> np.ndarray:
    """The kernel summed over all pairs of each subset: (S,)."""
    total = np.zeros(in_a.shape[1])
    for start in range(0, len(a), ROWS):
        rows = slice(start, start + ROWS)
        total += (in_a[rows] * (_cube(a[rows] @ b.T / a.shape[1]) @ in_b)).sum(axis=0)
    return total


def _cube(products: np.ndarray) -> np.ndarray:
    return (products + 1) ** 3
