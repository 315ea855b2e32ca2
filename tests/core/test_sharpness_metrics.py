"""Sharpness against dense Hessians and closed forms, and nothing that was looked at has changed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from dln.core.errors import UsageError
from dln.core.metrics.curvature import (
    Surface,
    filter_direction,
    hutchinson_trace,
    loss_slice,
    measure,
    plot_slice,
    sam_sharpness,
    top_eigenvalues,
)
from dln.core.models.vit.config import Config as VitConfig
from dln.core.models.vit.network import Network as Vit

SPECTRUM = (4.0, 1.5, 0.5, -2.0, -6.0)


class Objective(nn.Module):
    """Cross-entropy of a network."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"loss": F.cross_entropy(self.network(batch["x"]), batch["y"])}


class Quadratic(nn.Module):
    """0.5 w^T A w + b^T w, whatever the batch."""

    def __init__(self, matrix: Tensor, at: Tensor | None = None) -> None:
        super().__init__()
        self.matrix = matrix
        self.w = nn.Parameter(torch.zeros(len(matrix)).to(matrix) if at is None else at)

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"loss": 0.5 * self.w @ self.matrix @ self.w}


def rotated(eigenvalues: tuple[float, ...]) -> Tensor:
    """A symmetric matrix with these eigenvalues, in double precision."""
    size = len(eigenvalues)
    random = torch.randn(size, size, generator=torch.Generator().manual_seed(1)).double()
    turn = torch.linalg.qr(random).Q
    return turn @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ turn.T


def quadratic(eigenvalues: tuple[float, ...], at: Tensor | None = None) -> Surface:
    objective = Quadratic(rotated(eigenvalues), at)
    return Surface(objective, [objective.w], [{"x": torch.zeros(3)}])


def samples(count: int = 60, width: int = 6, classes: int = 4) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(2)
    x = torch.randn(count, width, generator=random)
    return {"x": x, "y": (x @ torch.randn(width, classes, generator=random)).argmax(-1)}


def mlp(steps: int = 60) -> Objective:
    """Trained a little, so that its spectrum has outliers."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(6, 10), nn.Tanh(), nn.Linear(10, 4))
    objective, batch = Objective(network), samples()
    optimizer = torch.optim.SGD(network.parameters(), 0.3)
    for _ in range(steps):
        optimizer.zero_grad()
        objective(batch)["loss"].backward()
        optimizer.step()
    optimizer.zero_grad()
    return objective


def cut(batch: dict[str, Tensor], sizes: list[int]) -> list[dict[str, Tensor]]:
    pieces = zip(*(value.split(sizes) for value in batch.values()), strict=True)
    return [dict(zip(batch, piece, strict=True)) for piece in pieces]


def surface_of(objective: nn.Module, sizes: list[int] | None = None) -> Surface:
    return Surface(objective, list(objective.parameters()), cut(samples(), sizes or [60]))


def dense_hessian(objective: Objective) -> Tensor:
    """By torch.func in double precision, from the flat weights."""
    network = objective.network
    shapes = {name: p.shape for name, p in network.named_parameters()}
    flat = torch.cat([p.detach().double().flatten() for p in network.parameters()])
    batch = samples()

    def loss(vector: Tensor) -> Tensor:
        parts = vector.split([shape.numel() for shape in shapes.values()])
        pairs = zip(shapes.items(), parts, strict=True)
        weights = {name: part.view(shape) for (name, shape), part in pairs}
        logits = torch.func.functional_call(network, weights, batch["x"].double())
        return F.cross_entropy(logits, batch["y"])

    hessian = torch.func.hessian(loss)(flat)
    assert isinstance(hessian, Tensor)
    return hessian


@pytest.fixture(scope="module")
def trained() -> Objective:
    return mlp()


@pytest.fixture(scope="module")
def hessian(trained: Objective) -> Tensor:
    return dense_hessian(trained)


def test_lanczos_agrees_with_a_dense_hessian(trained: Objective, hessian: Tensor) -> None:
    expected = torch.linalg.eigvalsh(hessian).flip(0)[:3].tolist()
    assert top_eigenvalues(surface_of(trained), 3) == pytest.approx(expected, rel=1e-4)
    assert top_eigenvalues(surface_of(trained), seed=7) == pytest.approx(expected[:1], rel=1e-4)


def test_products_are_the_dense_hessians_rows(trained: Objective, hessian: Tensor) -> None:
    surface = surface_of(trained)
    vector = torch.randn(surface.dimension, generator=torch.Generator().manual_seed(3))
    found = torch.cat([part.flatten() for part in surface.product(surface.split(vector))])
    torch.testing.assert_close(found.double(), hessian @ vector.double(), rtol=1e-5, atol=1e-6)


def test_the_trace_is_within_its_error(trained: Objective, hessian: Tensor) -> None:
    found, error = hutchinson_trace(surface_of(trained), 100)
    assert error > 0
    assert abs(found - float(hessian.trace())) < 3 * error


def test_the_trace_of_a_diagonal_is_exact() -> None:
    objective = Quadratic(torch.diag(torch.tensor(SPECTRUM, dtype=torch.float64)))
    surface = Surface(objective, [objective.w], [{"x": torch.zeros(3)}])
    assert hutchinson_trace(surface, 4) == pytest.approx((sum(SPECTRUM), 0.0), abs=1e-12)


@pytest.mark.parametrize(
    "spectrum",
    [
        SPECTRUM,
        (-1.0, -2.0, -3.0, -50.0),
        (3.0, 3.0, 1.0),
        (2.0, 2.0, 2.0, 2.0),
        (5.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0),
        (0.0, 0.0),
        (7.0,),
        (6.0, 6.0, *np.linspace(5, -40, 200).tolist()),
    ],
)
def test_lanczos_finds_every_copy_in_a_small_space(spectrum: tuple[float, ...]) -> None:
    count = min(3, len(spectrum))
    found = top_eigenvalues(quadratic(spectrum), count)
    assert found == pytest.approx(sorted(spectrum, reverse=True)[:count], rel=1e-4, abs=1e-9)


def test_too_few_iterations_give_a_lower_estimate() -> None:
    spectrum = tuple(np.linspace(-1, 1, 80).tolist())
    (found,) = top_eigenvalues(quadratic(spectrum), iterations=5)
    assert 0.3 < found < 1


@pytest.mark.parametrize("spectrum", [SPECTRUM, (3.0, 1.0), (2.0, 2.0, -9.0)])
def test_sam_sharpness_of_a_quadratic_at_its_middle(spectrum: tuple[float, ...]) -> None:
    """Where the gradient is 0: rho^2 lambda_max / 2."""
    found = sam_sharpness(quadratic(spectrum), rho=0.3)
    assert found == pytest.approx(0.3**2 * max(spectrum) / 2, rel=1e-4)


def test_sam_sharpness_beside_the_middle_of_a_bowl() -> None:
    """w = c e: rho c lambda + rho^2 lambda / 2, along the steepest axis of all."""
    matrix = rotated((4.0, 1.0, 0.5))
    steepest = torch.linalg.eigh(matrix).eigenvectors[:, -1]
    objective = Quadratic(matrix, 0.2 * steepest)
    surface = Surface(objective, [objective.w], [{"x": torch.zeros(1)}])
    assert sam_sharpness(surface, rho=0.1) == pytest.approx(0.1 * 0.2 * 4 + 0.1**2 * 4 / 2)


def test_sam_sharpness_goes_beyond_the_first_order_point() -> None:
    """Against the trust-region maximum: (A - m I)(w + eps) = -m w with |eps| = rho, m >= max."""
    matrix, rho = rotated((5.0, 1.0, 0.2)), 0.5
    w = torch.linalg.eigh(matrix).eigenvectors @ torch.tensor([0.3, 0.2, 0.02]).double()
    objective = Quadratic(matrix, w.clone())
    surface = Surface(objective, [objective.w], [{"x": torch.zeros(1)}])
    low, high = 5.0 + 1e-12, 1e6
    slope, eps, one = matrix @ w, torch.zeros(3).double(), torch.eye(3).double()
    for _ in range(200):
        middle = (low * high) ** 0.5
        eps = torch.linalg.solve(middle * one - matrix, slope)
        low, high = (middle, high) if eps.norm() > rho else (low, middle)
    best = float(slope @ eps + eps @ matrix @ eps / 2)
    first = rho * slope / slope.norm()
    assert sam_sharpness(surface, rho) == pytest.approx(best, rel=1e-4)
    assert sam_sharpness(surface, rho, steps=0) == pytest.approx(
        float(slope @ first + first @ matrix @ first / 2)
    )
    assert sam_sharpness(surface, rho, steps=0) < 0.95 * best


def test_no_point_near_a_peak_is_higher() -> None:
    assert sam_sharpness(quadratic((-1.0, -2.0))) == 0.0


def test_a_linear_loss_is_not_bent() -> None:
    """Its gradients do not depend on the weights at all."""

    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w, self.unused = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(2))

        def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
            return {"loss": (batch["x"] @ self.w).mean()}

    objective = Linear()
    surface = Surface(objective, list(objective.parameters()), [{"x": torch.ones(4, 3)}])
    assert top_eigenvalues(surface, 2) == [0.0, 0.0]
    assert hutchinson_trace(surface, 2) == (0.0, 0.0)
    assert [g.tolist() for g in surface.gradient()] == [[1.0] * 3, [0.0] * 2]
    assert sam_sharpness(surface, rho=0.1) == pytest.approx(0.1 * 3**0.5, rel=1e-5)


@pytest.mark.parametrize("sizes", [[20, 20, 20], [10, 1, 49], [60, 0]])
def test_batches_weigh_as_their_samples(trained: Objective, sizes: list[int]) -> None:
    whole, pieces = surface_of(trained), surface_of(trained, sizes)
    assert measure(pieces) == pytest.approx(measure(whole), rel=1e-4)
    for a, b in zip(whole.gradient(), pieces.gradient(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(loss_slice(pieces, points=5), loss_slice(whole, points=5), 1e-5)


def with_batch_norm() -> Objective:
    with torch.random.fork_rng([]):
        torch.manual_seed(4)
        layers = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 4)
        objective = Objective(nn.Sequential(*layers))
        objective(samples())  # running statistics of their own
    return objective


@pytest.mark.parametrize(
    "look",
    [
        Surface.loss,
        Surface.gradient,
        lambda surface: surface.product(surface.gradient()),
        lambda surface: top_eigenvalues(surface, 2, iterations=10),
        lambda surface: hutchinson_trace(surface, 2),
        lambda surface: sam_sharpness(surface, steps=3),
        lambda surface: loss_slice(surface, points=3, plane=True),
        lambda surface: measure(surface, iterations=5, samples=2),
    ],
)
def test_nothing_changes(look: Callable[[Surface], object]) -> None:
    objective = with_batch_norm()
    objective.network[1].eval()  # pyright: ignore[reportIndexIssue]
    parameters = list(objective.parameters())
    parameters[0].requires_grad_(False)
    before = {name: value.clone() for name, value in objective.state_dict().items()}
    modes, random = [m.training for m in objective.modules()], torch.get_rng_state()
    look(Surface(objective, parameters, cut(samples(), [40, 20])))
    assert all(torch.equal(before[k], value) for k, value in objective.state_dict().items())
    assert [m.training for m in objective.modules()] == modes
    assert [p.requires_grad for p in parameters] == [False, *[True] * (len(parameters) - 1)]
    assert all(p.grad is None for p in parameters)
    assert torch.equal(torch.get_rng_state(), random)


def test_weights_return_when_the_objective_fails(trained: Objective) -> None:
    surface, before = surface_of(trained), [p.detach().clone() for p in trained.parameters()]
    with pytest.raises(RuntimeError), surface.moved([torch.ones_like(p) for p in before]):
        raise RuntimeError
    assert all(torch.equal(a, b) for a, b in zip(before, trained.parameters(), strict=True))


def test_the_loss_is_that_of_evaluation_mode() -> None:
    objective = with_batch_norm()
    found = surface_of(objective, [30, 30]).loss()
    with torch.no_grad():
        assert found == pytest.approx(float(objective.eval()(samples())["loss"]))


def test_every_filter_is_as_long_as_the_weights_own() -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3, 4))
    parameters = list(network.parameters())
    surface = Surface(network, parameters, [samples()])
    direction = filter_direction(surface, torch.Generator().manual_seed(0))
    for weight, part in zip(parameters, direction, strict=True):
        assert part.shape == weight.shape
        if weight.ndim < 2:
            assert not part.any()
        else:
            torch.testing.assert_close(part.flatten(1).norm(dim=1), weight.flatten(1).norm(dim=1))
            assert not torch.allclose(part, weight)


def test_a_slice_holds_the_losses_of_moved_weights(trained: Objective) -> None:
    surface = surface_of(trained)
    positions, losses = loss_slice(surface, span=0.5, points=5, seed=3)
    assert positions.tolist() == [-0.5, -0.25, 0.0, 0.25, 0.5]
    assert losses[2] == surface.loss()
    generator = torch.Generator().manual_seed(3)
    first, second = (filter_direction(surface, generator) for _ in range(2))
    with surface.moved([0.25 * part for part in first]):
        assert losses[3] == pytest.approx(surface.loss(), rel=1e-6)
    _, plane = loss_slice(surface, span=0.5, points=3, seed=3, plane=True)
    assert plane[:, 1] == pytest.approx(losses[::2], rel=1e-6)
    with surface.moved([a / 2 - b / 2 for a, b in zip(first, second, strict=True)]):
        assert plane[2, 0] == pytest.approx(surface.loss(), rel=1e-6)


def test_a_plot_is_a_picture_with_a_line_a_label(tmp_path: Path, trained: Objective) -> None:
    line = loss_slice(surface_of(trained), points=5)
    plot_slice(tmp_path / "one.png", {"sgd": line})
    plot_slice(tmp_path / "two.png", {"sgd": line, "sam": (line[0], line[1] / 2)})
    one, two = (Image.open(tmp_path / name).convert("RGB") for name in ("one.png", "two.png"))
    orange = (0xE6, 0x9F, 0x00)
    assert orange in {c for _, c in two.getcolors(1 << 20) or []}  # pyright: ignore
    assert orange not in {c for _, c in one.getcolors(1 << 20) or []}  # pyright: ignore
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "two.png"]
    with pytest.raises(UsageError, match="lines"):
        plot_slice(tmp_path / "none.png", {"plane": (line[0], np.zeros((5, 5)))})
    with pytest.raises(UsageError, match="cannot write"):
        plot_slice(tmp_path / "nowhere" / "one.png", {"sgd": line})


def test_measure_names_what_it_measured(trained: Objective, hessian: Tensor) -> None:
    surface = surface_of(trained)
    found = measure(surface)
    assert list(found) == [
        "loss",
        "top_hessian_eigenvalue",
        "hessian_trace",
        "hessian_trace_standard_error",
        "sam_sharpness",
    ]
    assert found["loss"] == surface.loss()
    top = float(torch.linalg.eigvalsh(hessian)[-1])
    assert found["top_hessian_eigenvalue"] == pytest.approx(top, rel=1e-4)
    assert found["sam_sharpness"] == sam_sharpness(surface)
    assert found == measure(surface)


def test_attention_can_be_differentiated_twice() -> None:
    """By finite differences of gradients, in double precision."""
    with torch.random.fork_rng([]):
        torch.manual_seed(5)
        network = Vit(VitConfig(image_size=8, patch=4, width=8, heads=2, depth=1, classes=3))
        x, y = torch.randn(4, 3, 8, 8).double(), torch.arange(4) % 3
    objective = Objective(network.double())
    surface = Surface(objective, list(network.parameters()), [{"x": x, "y": y}])
    vector = surface.gradient()
    found = surface.product(vector)
    with surface.moved([1e-5 * part for part in vector]):
        ahead = surface.gradient()
    with surface.moved([-1e-5 * part for part in vector]):
        behind = surface.gradient()
    for product, a, b in zip(found, ahead, behind, strict=True):
        torch.testing.assert_close(product, (a - b) / 2e-5, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda s: Surface(s.objective, [], s.batches), "samples"),
        (lambda s: Surface(s.objective, s.parameters, []), "samples"),
        (lambda s: Surface(s.objective, [nn.Parameter(torch.ones(1))], s.batches), "objective"),
        (lambda s: top_eigenvalues(s, 0), "0 eigenvalues"),
        (lambda s: top_eigenvalues(s, 9, iterations=8), "9 eigenvalues"),
        (lambda s: hutchinson_trace(s, 1), "standard error"),
        (lambda s: sam_sharpness(s, 0.0), "rho"),
        (lambda s: loss_slice(s, points=1), "points"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(
    trained: Objective, ask: Callable[[Surface], object], says: str
) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        ask(surface_of(trained))
    assert caught.value.hint


def test_weights_that_overflow_are_a_usage_error() -> None:
    objective = mlp(0)
    with torch.no_grad():
        next(objective.parameters()).fill_(float("nan"))
    for look in (top_eigenvalues, hutchinson_trace, sam_sharpness):
        with pytest.raises(UsageError, match="nan"):
            look(surface_of(objective))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_measures_the_same(trained: Objective) -> None:
    expected = measure(surface_of(trained))
    try:
        assert measure(surface_of(trained.cuda())) == pytest.approx(expected, rel=1e-3)
    finally:
        trained.cpu()
