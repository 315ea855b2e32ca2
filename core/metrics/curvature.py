"""How sharp is the minimum? SAM's sharpness, the Hessian's eigenvalues and trace, and loss slices.

All of it looks at the mean loss of some batches as a function of the weights, in evaluation mode,
and leaves the weights, the buffers and the global random state with their bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.random import fork_rng

from ..errors import UsageError
from ..files import atomic_write
from ..training.stage import evaluating

# Okabe and Ito's, for any colour vision
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
LONGEST = 8.0  # radii that one step of the ascent may be long

Batch = dict[str, Tensor]
Pair = tuple[float, Tensor]  # an eigenvalue and its unit vector, (dimension,)
_slopes = partial(torch.autograd.grad, materialize_grads=True)


class Surface:
    """The mean loss over all samples of the batches, as a function of the parameters.

    `objective(batch)` returns {"loss": scalar, mean over the batch, ...}, as a Player's does; what
    it draws from torch's generator is the same at each pass. A batch has as many samples as its
    first tensor has rows, and visits the parameters' device, one for all of them, when its turn
    comes. UsageError where there is no sample, no parameter, or one that is not the objective's.
    """

    def __init__(
        self, objective: nn.Module, parameters: Sequence[nn.Parameter], batches: Sequence[Batch]
    ) -> None:
        self.objective, self.parameters, self.batches = objective, list(parameters), list(batches)
        counts = [len(next(iter(batch.values()))) for batch in self.batches]
        if not self.parameters or not sum(counts):
            raise UsageError("a loss surface needs parameters and samples", "give it some of both")
        if not {id(p) for p in self.parameters} <= {id(p) for p in objective.parameters()}:
            raise UsageError("a loss surface needs parameters of its objective", "take those")
        self.shares = [count / sum(counts) for count in counts]
        self.device = self.parameters[0].device
        self.dimension = sum(p.numel() for p in self.parameters)

    def loss(self) -> float:
        """The mean loss, summed over the batches in double precision."""
        with self._ready():
            return sum(share * float(loss) for share, loss in self._losses())

    def gradient(self) -> list[Tensor]:
        """The loss's gradient, shaped and typed as the parameters."""
        return self.loss_and_gradient()[1]

    def loss_and_gradient(self) -> tuple[float, list[Tensor]]:
        """What `loss` and `gradient` give, from one pass."""
        total, slope = 0.0, torch.zeros(self.dimension, dtype=torch.float64, device=self.device)
        with self._ready(), torch.enable_grad():
            for share, loss in self._losses():
                total += share * float(loss.detach())
                slope.add_(_flat(_slopes(loss, self.parameters)), alpha=share)
        return total, self.split(slope)

    def product(self, vector: Sequence[Tensor]) -> list[Tensor]:
        """The Hessian times `vector`, by double backward (Pearlmutter 1994), a batch at a time.

        vector and result: shaped and typed as the parameters.
        """
        total = torch.zeros(self.dimension, dtype=torch.float64, device=self.device)
        with self._ready(), torch.enable_grad():
            for share, loss in self._losses():
                slopes = _slopes(loss, self.parameters, create_graph=True)
                # where the loss is linear in a parameter, its slope has no derivative
                bent = [(s, v) for s, v in zip(slopes, vector, strict=True) if s.requires_grad]
                if bent:
                    outputs, parts = zip(*bent, strict=True)
                    total.add_(_flat(_slopes(outputs, self.parameters, parts)), alpha=share)
        return self.split(total)

    @contextmanager
    def moved(self, offset: Sequence[Tensor]) -> Iterator[None]:
        """Inside, the parameters are w + offset; afterwards bit for bit what they were."""
        kept = [p.detach().clone() for p in self.parameters]
        try:
            for parameter, step in zip(self.parameters, offset, strict=True):
                parameter.detach().add_(step)
            yield
        finally:
            for parameter, former in zip(self.parameters, kept, strict=True):
                parameter.detach().copy_(former)

    def split(self, flat: Tensor) -> list[Tensor]:
        """(dimension,) -> tensors shaped and typed as the parameters."""
        parts = flat.split([p.numel() for p in self.parameters])
        return [x.view(p.shape).to(p.dtype) for x, p in zip(parts, self.parameters, strict=True)]

    @contextmanager
    def _ready(self) -> Iterator[None]:
        """Evaluation mode, and all that derivatives need but that they are enabled."""
        frozen = [p for p in self.parameters if not p.requires_grad]
        for parameter in frozen:
            parameter.requires_grad_(True)
        try:
            cards = [self.device] if self.device.type == "cuda" else []
            # fused attention has no second derivative
            with evaluating(self.objective), sdpa_kernel(SDPBackend.MATH), fork_rng(cards):
                torch.manual_seed(0)
                yield
        finally:
            for parameter in frozen:
                parameter.requires_grad_(False)

    def _losses(self) -> Iterator[tuple[float, Tensor]]:
        for share, batch in zip(self.shares, self.batches, strict=True):
            if share:
                here = {name: value.to(self.device) for name, value in batch.items()}
                yield share, self.objective(here)["loss"]


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    """Any shapes -> (dimension,) in double precision, without history."""
    return torch.cat([tensor.detach().flatten().double() for tensor in tensors])


def _gaussian(surface: Surface, generator: torch.Generator) -> Tensor:
    """(dimension,) in double precision, the same on every device."""
    return torch.randn(surface.dimension, generator=generator).to(surface.device).double()


def _finite(value: float, what: str) -> float:
    if not np.isfinite(value):
        raise UsageError(f"the {what} at these weights is {value}", "take weights from before")
    return value


def top_eigenvalues(
    surface: Surface, count: int = 1, iterations: int = 100, tolerance: float = 1e-5, seed: int = 0
) -> list[float]:
    """The `count` largest eigenvalues of the Hessian (the algebraic order), the largest first.

    By Lanczos with full reorthogonalisation (Golub and Van Loan, Matrix Computations, section
    10.3). Done when |H x - theta x| of each is at most `tolerance` times the largest |eigenvalue|
    seen, which bounds the error, or after `iterations` products with the best lower estimates. A
    Krylov space holds one copy of a repeated eigenvalue: for count > 1 further runs, of so many
    iterations each, search the complement. Memory: `iterations` vectors as large as the weights.
    UsageError where count exceeds the dimension or the iterations, or the Hessian is not finite.
    """
    if not 1 <= count <= min(surface.dimension, iterations):
        size = f"{surface.dimension} dimensions and {iterations} iterations"
        raise UsageError(f"{size} do not give {count} eigenvalues", "ask for fewer, at least one")
    generator = torch.Generator().manual_seed(seed)
    found: list[Pair] = []
    for _ in range(count):  # each run finds at least the largest that is still missing
        if len(found) == surface.dimension:
            break
        start, wanted = _gaussian(surface, generator), max(count - len(found), 1)
        fresh = _lanczos(surface, found, start, wanted, (iterations, tolerance))
        complete = len(found) >= count and fresh[0][0] <= found[count - 1][0]
        found = sorted([*found, *fresh], key=lambda pair: pair[0], reverse=True)
        if complete:
            break
    return [value for value, _ in found[:count]]


def _lanczos(
    surface: Surface, found: list[Pair], start: Tensor, wanted: int, limits: tuple[int, float]
) -> list[Pair]:
    """`wanted` Ritz pairs orthogonal to `found`, or fewer where the Krylov space ends before."""
    dtype, known = surface.parameters[0].dtype, [vector for _, vector in found]
    iterations, tolerance = limits
    basis, diagonal, beside = [], [], []
    rest = _without(start, known)
    for _ in range(min(iterations, surface.dimension - len(known))):
        basis.append((rest / rest.norm()).to(dtype))
        image = _flat(surface.product(surface.split(basis[-1])))
        diagonal.append(_finite(float(torch.dot(basis[-1].double(), image)), "Hessian"))
        rest = _without(image, [*known, *basis])
        beta = float(rest.norm())
        values, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside, -1))
        scale = max(abs(value) for value in [*values, *(value for value, _ in found)])
        residual = beta * np.abs(vectors[-1, -wanted:]).max()
        ended = beta <= 10 * torch.finfo(dtype).eps * scale
        if ended or (len(values) >= wanted and residual <= tolerance * scale):
            break
        beside.append(beta)
    best = range(len(values))[-wanted:]
    return [(float(values[i]), _combined(basis, vectors[:, i])) for i in reversed(best)]


def _without(vector: Tensor, basis: Sequence[Tensor]) -> Tensor:
    """The part orthogonal to unit vectors; the second pass takes away what rounding left."""
    left = vector.clone()
    for unit in [*basis, *basis]:
        wide = unit.double()
        left.sub_(wide * torch.dot(wide, left))
    return left


def _combined(basis: Sequence[Tensor], weights: np.ndarray) -> Tensor:
    total = torch.zeros_like(basis[0], dtype=torch.float64)
    for unit, weight in zip(basis, weights, strict=True):
        total.add_(unit, alpha=float(weight))
    return total / total.norm()


def hutchinson_trace(surface: Surface, samples: int = 32, seed: int = 0) -> tuple[float, float]:
    """The Hessian's trace and the estimate's standard error.

    The mean of z^T H z over `samples` vectors z of random signs (Hutchinson 1990). UsageError for
    fewer than two, which tell no error, or a Hessian that is not finite.
    """
    if samples < 2:
        raise UsageError(f"{samples} samples give no standard error", "take at least two")
    generator, found = torch.Generator().manual_seed(seed), []
    for _ in range(samples):
        bits = torch.randint(2, (surface.dimension,), generator=generator)
        signs = 2 * bits.to(surface.device).double() - 1
        image = _flat(surface.product(surface.split(signs)))
        found.append(_finite(float(torch.dot(signs, image)), "Hessian"))
    return float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(samples))


def sam_sharpness(surface: Surface, rho: float = 0.05, steps: int = 20, seed: int = 0) -> float:
    """max L(w + eps) - L(w) over |eps|_2 <= rho (Foret et al. 2021, 2010.01412, section 2).

    From the first-order point rho g / |g| (equation 2), or a random one of the sphere where g = 0,
    `steps` of projected gradient ascent go on, as long as Barzilai and Borwein (1988) have them.
    The largest difference found, in units of the loss and never negative: a lower bound.
    UsageError for a rho that is not positive, or a loss that is not finite.
    """
    if not (rho > 0 and steps >= 0):
        raise UsageError(f"rho {rho:g} and {steps} steps span no ball", "rho is above 0")
    centre = torch.zeros(surface.dimension, dtype=torch.float64, device=surface.device)
    start, way = _ahead(surface, centre)
    if not way.any():
        way = _gaussian(surface, torch.Generator().manual_seed(seed))
    point = rho * way / way.norm()
    value, way = _ahead(surface, point)
    highest, ascent, length = max(start, value), _along(point, way, rho), rho / way.norm()
    for _ in range(steps):
        if not way.any():
            break
        tried = point + length * ascent
        tried *= rho / max(tried.norm(), rho)
        value, way = _ahead(surface, tried)
        highest = max(highest, value)
        step, bend = tried - point, ascent - _along(tried, way, rho)
        # 0 / 0 once nothing moves: nan loses to the other bound
        length = torch.fmin((step @ step / (step @ bend)).abs(), LONGEST * rho / way.norm())
        point, ascent = tried, ascent - bend
    return highest - start


def _ahead(surface: Surface, offset: Tensor) -> tuple[float, Tensor]:
    """Loss and gradient, (dimension,), at w + offset."""
    with surface.moved(surface.split(offset)):
        loss, slopes = surface.loss_and_gradient()
    return _finite(loss, "loss"), _flat(slopes)


def _along(point: Tensor, way: Tensor, rho: float) -> Tensor:
    """The way up; on the sphere, where it leads out of the ball, its part along the sphere."""
    outward = way @ point
    inside = outward <= 0 or point.norm() < (1 - 1e-9) * rho
    return way if inside else way - point * (outward / (point @ point))


def filter_direction(surface: Surface, generator: torch.Generator) -> list[Tensor]:
    """A random direction with the weights' own scale (Li et al. 2018, 1712.09913, section 4).

    Each filter, a row of a parameter of two or more dimensions, has the norm of the weight's
    filter; parameters of fewer dimensions (biases, normalisation) get zero. Shaped and typed as
    the parameters.
    """
    direction = surface.split(_gaussian(surface, generator))
    for weight, part in zip(surface.parameters, direction, strict=True):
        if weight.ndim < 2:
            part.zero_()
        else:
            rows, filters = part.flatten(1), weight.detach().flatten(1)
            rows *= filters.norm(dim=1, keepdim=True) / rows.norm(dim=1, keepdim=True)
    return direction


def loss_slice(
    surface: Surface, span: float = 1.0, points: int = 21, seed: int = 0, plane: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The loss along one or, for a plane, two random directions of `filter_direction`.

    -> positions (points,) from -span to span, and losses (points,) at w + position * d, or
    (points, points) at w + positions[i] * d + positions[j] * e: float64, and not finite where the
    loss is not. 1 is as far as the weights are long. UsageError for fewer than two points, or a
    span that is not positive.
    """
    if not (span > 0 and points >= 2):
        raise UsageError(f"{points} points over {span:g} make no slice", "take two or more")
    generator = torch.Generator().manual_seed(seed)
    first, second = (_flat(filter_direction(surface, generator)) for _ in range(2))
    positions = (
        span * (2 * np.arange(points) - (points - 1)) / (points - 1)
    )  # the middle is exactly 0
    losses = np.empty((points, points if plane else 1))
    for i, j in np.ndindex(losses.shape):
        offset = first * float(positions[i]) + second * (float(positions[j]) if plane else 0)
        with surface.moved(surface.split(offset)):
            losses[i, j] = surface.loss()
    return positions, losses if plane else losses[:, 0]


def plot_slice(path: Path | str, slices: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Write a PNG, at once or not at all, with a line for each label. UsageError for no line, a
    plane, or a place that cannot be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not slices or any(losses.ndim != 1 for _, losses in slices.values()):
        raise UsageError("only lines of losses are plotted", "take slices along one direction")
    drawing = Figure(figsize=(6, 4), layout="constrained")
    FigureCanvasAgg(drawing)
    axes = drawing.add_subplot()
    for number, (label, line) in enumerate(slices.items()):
        axes.plot(*line, color=COLOURS[number % len(COLOURS)], label=label)
    axes.set(xlabel="position, in lengths of the weights", ylabel="mean loss")
    axes.legend(frameon=False)
    with atomic_write(path) as file:
        drawing.savefig(file, format="png", dpi=150)


def measure(
    surface: Surface, rho: float = 0.05, iterations: int = 100, samples: int = 32, seed: int = 0
) -> dict[str, float]:
    """Loss, largest Hessian eigenvalue, trace with its standard error, and SAM's sharpness, with
    the settings and errors of the functions above."""
    trace, error = hutchinson_trace(surface, samples, seed)
    return {
        "loss": surface.loss(),
        "top_hessian_eigenvalue": top_eigenvalues(surface, iterations=iterations, seed=seed)[0],
        "hessian_trace": trace,
        "hessian_trace_standard_error": error,
        "sam_sharpness": sam_sharpness(surface, rho, seed=seed),
    }
