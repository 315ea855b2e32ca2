"""Distances of features against formulas by hand, plain loops and a plain matrix square root."""

from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dln.core.data.menagerie import draw_story, render
from dln.core.data.menagerie.source import Menagerie
from dln.core.media.clip import Clip
from dln.core.metrics.likeness import Likeness
from dln.core.metrics.world import Real
from dln.core.models.frechet import (
    discrepancies,
    few_samples,
    frechet_distance,
    halves,
    kernel_distance,
)
from dln.core.models.package import load_model

RNG = np.random.default_rng(0)


def exact(mean: list[float], deviations: list[float]) -> np.ndarray:
    """Samples whose mean and (diagonal) covariance are exactly these."""
    corners = np.array(list(product([-1.0, 1.0], repeat=len(mean))))
    scale = np.sqrt((len(corners) - 1) / len(corners))
    return corners * deviations * scale + mean


def by_eigenvalues(a: np.ndarray, b: np.ndarray) -> float:
    """The definition: the root of A B by its eigenvalues, which are real and not negative."""
    first, second = (np.cov(each, rowvar=False) for each in (a, b))
    roots = np.sqrt(np.linalg.eigvals(first @ second).astype(complex)).real.sum()  # pyright: ignore
    shift = np.square(a.mean(axis=0) - b.mean(axis=0)).sum()
    return float(shift + np.trace(first) + np.trace(second) - 2 * roots)


def test_frechet_of_diagonal_gaussians_by_hand():
    a, b = exact([0, 1, 5], [1, 2, 3]), exact([3, 1, 1], [2, 2, 1])
    # 9 + 0 + 16 for the means, 1 + 0 + 4 for the deviations.
    assert frechet_distance(a, b).distance == pytest.approx(30, rel=1e-12)
    assert frechet_distance(b, a).distance == pytest.approx(30, rel=1e-12)
    assert frechet_distance(a, a + 2).distance == pytest.approx(12, rel=1e-12)


def test_frechet_of_any_gaussians():
    mix = RNG.standard_normal((8, 8))
    a, b = RNG.standard_normal((300, 8)) @ mix, RNG.standard_normal((50, 8)) * 3 + 1
    found = frechet_distance(a, b)
    assert found.distance == pytest.approx(by_eigenvalues(a, b), rel=1e-9)
    assert (found.warning, found.standard_error, found.interval) == (None, None, None)
    assert frechet_distance(a.astype(np.float32), b).distance == pytest.approx(
        found.distance, rel=1e-5
    )


def test_frechet_against_scipy():
    linalg = pytest.importorskip("scipy.linalg")
    a, b = RNG.standard_normal((200, 20)), RNG.standard_normal((150, 20)) @ np.diag(range(1, 21))
    first, second = (np.cov(each, rowvar=False) for each in (a, b))
    root = linalg.sqrtm(first @ second)
    shift = np.square(a.mean(axis=0) - b.mean(axis=0)).sum()
    expected = shift + np.trace(first + second - 2 * np.real(root))
    assert frechet_distance(a, b).distance == pytest.approx(expected, rel=1e-8)


def test_frechet_of_singular_covariances():
    # In the plane of the first two axes, and constant along the third.
    a, b = exact([0, 0, 7], [1, 2, 0]), exact([0, 0, 4], [3, 2, 0])
    assert frechet_distance(a, b).distance == pytest.approx(9 + 4, rel=1e-12)
    # Along axes at right angles nothing is shared: both traces count in full.
    a, b = exact([0, 0], [2, 0]), exact([0, 0], [0, 3])
    assert frechet_distance(a, b).distance == pytest.approx(4 + 9, rel=1e-12)
    constant = np.full((5, 4), 2.0)
    assert frechet_distance(constant, constant + 1).distance == pytest.approx(4, rel=1e-12)


def test_fewer_samples_than_dimensions():
    few, many = RNG.standard_normal((12, 30)), RNG.standard_normal((400, 30))
    found = frechet_distance(few, many)
    # Roots of eigenvalues that should be zero blur the definition, not what is tested.
    assert found.distance == pytest.approx(by_eigenvalues(few, many), rel=1e-4)
    assert "12 samples of 30 dimensions" in str(found.warning)
    assert "31 or more" in str(found.warning)
    assert frechet_distance(few, few).distance == pytest.approx(0, abs=1e-12)
    assert few_samples(30, 30)
    assert few_samples(31, 30) is None


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        (np.zeros((1, 3)), np.zeros((4, 3)), "must be"),
        (np.zeros((4, 3)), np.zeros((4, 2)), "must be"),
        (np.zeros(4), np.zeros((4, 1)), "must be"),
        (np.full((4, 2), np.nan), np.zeros((4, 2)), "finite"),
    ],
)
def test_features_that_make_no_sense(a, b, words):
    for distance in (frechet_distance, kernel_distance):
        with pytest.raises(ValueError, match=words):
            distance(a, b)


def test_too_few_for_halves():
    three, four = np.zeros((3, 2)), np.zeros((4, 2))
    with pytest.raises(ValueError, match="3 samples"):
        kernel_distance(three, four)
    with pytest.raises(ValueError, match="3 samples"):
        frechet_distance(four, three, subsets=5)


def plain(a: np.ndarray, b: np.ndarray) -> float:
    """The unbiased squared MMD, sum by sum."""

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return (float(np.dot(x, y)) / len(x) + 1) ** 3

    def within(z: np.ndarray) -> float:
        return float(np.mean([kernel(x, y) for x, y in permutations(z, 2)]))

    return within(a) + within(b) - 2 * float(np.mean([kernel(x, y) for x, y in product(a, b)]))


def test_kernel_distance_against_a_double_loop(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dln.core.models.frechet.ROWS", 3)
    a, b = RNG.standard_normal((11, 5)), RNG.standard_normal((8, 5)) + 0.5
    found = kernel_distance(a, b, subsets=7, seed=3)
    assert found.distance == pytest.approx(plain(a, b), rel=1e-12)
    drawn = zip(*halves([11, 8], 7, 3), strict=True)
    each = [plain(a[first], b[second]) for first, second in drawn]
    assert found.standard_error == pytest.approx(np.std(each, ddof=1), rel=1e-12)
    assert found.interval == pytest.approx(
        (found.distance - 1.959964 * np.std(each, ddof=1),
         found.distance + 1.959964 * np.std(each, ddof=1))
    )  # fmt: skip


def test_kernel_distance_of_alike_is_about_zero_and_repeats():
    a, b = RNG.standard_normal((2, 300, 10))
    found = kernel_distance(a, b)
    assert found == kernel_distance(a, b)
    assert found != kernel_distance(a, b, seed=1)
    low, high = found.interval or (1, 1)
    assert low < 0 < high
    assert (kernel_distance(a, b + 1).interval or (0, 0))[0] > 0


def test_halves_are_drawn_without_replacement():
    for drawn, count in zip(halves([9, 20], 30, 0), (9, 20), strict=True):
        assert drawn.shape == (30, 4)
        assert all(len(set(half)) == 4 for half in drawn.tolist())
        assert set(drawn.ravel().tolist()) == set(range(count))


def test_the_error_is_the_spread_between_experiments():
    distances, kernels, errors, kernel_errors = [], [], [], []
    for _ in range(60):
        a, b = RNG.standard_normal((80, 3)), RNG.standard_normal((80, 3)) * 1.5 + 1
        frechet, kernel = frechet_distance(a, b, subsets=50), kernel_distance(a, b, subsets=50)
        distances.append(frechet.distance)
        kernels.append(kernel.distance)
        errors.append(frechet.standard_error)
        kernel_errors.append(kernel.standard_error)
    assert np.mean(errors) == pytest.approx(np.std(distances), rel=0.3)
    assert np.mean(kernel_errors) == pytest.approx(np.std(kernels), rel=0.3)


def test_a_subset_counts_only_its_own():
    a, b = RNG.standard_normal((6, 2)), RNG.standard_normal((5, 2))
    in_a, in_b = np.ones((6, 2)), np.ones((5, 2))
    in_a[4:, 1] = in_b[3:, 1] = 0
    expected = [plain(a, b), plain(a[:4], b[:3])]
    np.testing.assert_allclose(discrepancies(a, b, in_a, in_b), expected, rtol=1e-12)


def film(seed: int, frames: int = 33, size: int = 64, **fixed: str) -> Clip:
    story = draw_story(seed, held_out=None, **fixed)
    return Clip(render(story, np.arange(frames) / 8, size)[0], 8.0)


def test_features_are_what_the_heads_read():
    model: Any = load_model("recognizer").model
    clips = [film(n, size=size) for n, size in enumerate((64, 32, 64))]
    found = model.features(clips)
    assert found.shape == (3, 3 * 160)
    torch.testing.assert_close(found[1:2], model.features(clips[1:2]), rtol=1e-3, atol=1e-4)
    assert model.names(found) == model.recognize(clips)
    assert model.features([]).shape == (0, 480)


def test_features_are_the_numbers_of_the_layers():
    network: Any = load_model("recognizer").model.network
    frames = torch.rand(2, 9, 3, 64, 64)
    with torch.no_grad():
        seen = torch.stack([network.trunk(clip) for clip in frames])
        x = seen.transpose(1, 2)
        x = x + network.before(x).relu()
        x = x + network.after(x).relu()
        parts = seen.mean(1), x.mean(2), x.max(2).values
        torch.testing.assert_close(network.features(frames), torch.cat(parts, 1))
        logits = network(frames)
        torch.testing.assert_close(logits["actor"], network.heads["actor"](parts[0]))
        moving = torch.cat(parts[1:], 1)
        torch.testing.assert_close(logits["action"], network.heads["action"](moving))


class Detector(torch.nn.Module):
    """Stands for I3D: checks how it is called, and gives means of the corners of the clip."""

    def forward(
        self, x: torch.Tensor, rescale: bool = False, resize: bool = False,
        return_features: bool = False,
    ) -> torch.Tensor:  # fmt: skip
        assert rescale and resize and return_features  # noqa: PT018 (TorchScript)
        assert x.dtype == torch.float32
        assert x.size(1) == 3
        begin, end = x[:, :, 0].mean(dim=(2, 3)), x[:, :, -1].mean(dim=(2, 3))
        return torch.cat([begin, end], dim=1)


def scripted(folder: Path, module: torch.nn.Module) -> Path:
    path = folder / f"{type(module).__name__}.pt"
    torch.jit.script(module).save(str(path))
    return path


def likeness_of(
    clips: list[Clip], detector: Path | None = None, held_out: bool | None = None
) -> dict:
    likeness, told = Likeness(detector, trust=True), []
    for clip in clips:
        likeness.add(clip)
    stories = Menagerie(len(clips), 5, held_out)
    real = Real(stories, np.arange(len(clips)), np.zeros(len(clips)))
    found = likeness.against(real, lambda *event: told.append(event))
    assert told[-1] == (len(clips), len(clips), "real clips")
    return found


def test_real_clips_are_nearer_to_real_ones_than_others_are(tmp_path):
    detector = scripted(tmp_path, Detector())
    alike = likeness_of([film(n, 17) for n in range(24)], detector)
    asleep = {"actor": "lion", "action": "sleeping"}
    lions = likeness_of([film(n, 17, 64, **asleep) for n in range(24)], detector)
    frozen = likeness_of([Clip(film(n, 1).frames[[0] * 17], 8.0) for n in range(24)])
    for other in (lions, frozen):
        assert other["frechet_distance_low"] > alike["frechet_distance_high"]
        assert other["kernel_distance_low"] > 0
    assert alike["kernel_distance_low"] < 0 < alike["kernel_distance_high"]
    assert "24 samples of 480 dimensions" in alike["warning"]
    assert (alike["i3d_frames"], "i3d_frames" in frozen) == (16, False)
    assert alike["i3d_frechet_distance_low"] <= alike["i3d_frechet_distance"]


def test_the_same_clips_have_no_distance():
    source = Menagerie(5, 5, True)
    for size, frames, fps in ((64, 33, 8.0), (32, 9, 8.0), (64, 5, 1.0)):
        times = np.arange(frames) / fps
        clips = [Clip(source.frames(n, times, (size, size))[0], fps) for n in range(5)]
        found = likeness_of(clips, held_out=True)
        assert found["frechet_distance"] == pytest.approx(0, abs=1e-6)


def test_too_few_clips_have_no_distance():
    found = likeness_of([film(n) for n in range(3)])
    assert set(found.values()) == {None}
    assert found["frechet_distance"] is None
