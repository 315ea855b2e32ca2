"""A model as named tensor functions, the same for every engine that runs them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor, nn

from ..errors import DlnError

Value = Tensor | Sequence[Tensor]  # a sequence is one input in several parts, one a layer
Sizes = Mapping[str, int]
Terms = dict[tuple[str, ...], int]  # the factor of each product of sizes, () the constant


@dataclass(frozen=True)
class Range:
    """The values that one size of a graph's inputs may take."""

    smallest: int
    typical: int
    largest: int


@dataclass(frozen=True)
class Graph:
    """One pure function: named tensors in, named tensors out.

    module(**inputs) returns the tensors of `outputs` in order. An input may be a sequence of
    tensors; engines know its parts as name_0, name_1 ... `sizes` names the numbers that the
    shapes follow from: each dimension is a sum of them, of their products and of a constant.
    example(**sizes) makes inputs of these sizes from torch's random state. exact: an export in
    another precision leaves it in float32.
    """

    name: str
    module: nn.Module
    outputs: tuple[str, ...]
    example: Callable[..., dict[str, Value]]
    sizes: Mapping[str, Range] = field(default_factory=dict)
    exact: bool = False

    def inputs(self, **sizes: int) -> dict[str, Value]:
        """Example inputs: of the typical sizes, save those that are given."""
        return self.example(**{name: r.typical for name, r in self.sizes.items()} | sizes)

    def axes(self) -> dict[str, dict[int, str]]:
        """The dimensions that vary: {tensor: {dimension: "batch*frames + 16"}}, parts one by one.

        Found at examples inside the ranges, or one above a range of a single number. DlnError,
        which names the graph, the tensor and the dimension, for what is no integer sum of
        products of different sizes: a quotient, a square, a maximum.
        """
        return self._axes

    @cached_property
    def _axes(self) -> dict[str, dict[int, str]]:
        shapes = _Shapes(self)
        found: dict[str, dict[int, str]] = {}
        for name, shape in shapes.at({name: r.smallest for name, r in self.sizes.items()}).items():
            for d in range(len(shape)):

                def extent(sizes: Sizes, name: str = name, d: int = d) -> int:
                    return shapes.at(sizes)[name][d]

                terms = fit(extent, self.sizes, f"graph '{self.name}': dimension {d} of '{name}'")
                if any(terms):
                    found.setdefault(name, {})[d] = spell(terms)
        return found


class _Shapes:
    """The shapes of a graph's example inputs, which are made once for the same sizes."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._seen: dict[tuple[int, ...], dict[str, tuple[int, ...]]] = {}

    def at(self, sizes: Sizes) -> dict[str, tuple[int, ...]]:
        """{tensor: shape}. DlnError where the tensors or their ranks are others than before."""
        place = tuple(sizes[name] for name in self._graph.sizes)
        if place not in self._seen:
            made = flatten(self._graph.example(**sizes))
            self._seen[place] = {name: tuple(tensor.shape) for name, tensor in made.items()}
            self._compare(next(iter(self._seen.values())), self._seen[place], told(sizes))
        return self._seen[place]

    def _compare(self, first: dict, now: dict, where: str) -> None:
        for name in dict.fromkeys((*first, *now)):
            if name not in first or name not in now or len(first[name]) != len(now[name]):
                raise DlnError(
                    f"graph '{self._graph.name}': '{name}' is not there at all sizes, or not with "
                    f"as many dimensions: look at {where}"
                )


def fit(value: Callable[[Sizes], int], ranges: Mapping[str, Range], what: str) -> Terms:
    """The sum of products of sizes that `value` is inside the ranges.

    A polynomial of degree one in each size is told by its values where each size is its smallest
    or one more; then it is held against two points that had no part in it. DlnError, beginning
    with `what`, where it is something else.
    """
    low = {name: r.smallest for name, r in ranges.items()}
    found = _interpolate(value, low, list(ranges))
    terms = {product: factor for product, factor in found.items() if factor}
    for sizes in _independent(ranges):
        if value(sizes) != compute(terms, sizes):
            raise DlnError(
                f"{what} is no sum of products of sizes: at {told(sizes)} it is {value(sizes)}, "
                f"where {spell(terms)} is {compute(terms, sizes)}",
                hint="give the graph a size for what it follows from",
            )
    return terms


def _interpolate(value: Callable[[Sizes], int], low: Sizes, varied: Sequence[str]) -> Terms:
    """The polynomial through all corners at low and low + 1 of the sizes `varied`."""
    if not varied:
        return {(): value(low)}
    name, *rest = varied
    below = _interpolate(value, low, rest)
    above = _interpolate(value, {**low, name: low[name] + 1}, rest)
    slopes = {product: above[product] - below[product] for product in below}
    rest_of = {product: below[product] - slopes[product] * low[name] for product in below}
    return {(name, *product): slope for product, slope in slopes.items()} | rest_of


def _independent(ranges: Mapping[str, Range]) -> Iterator[Sizes]:
    """The largest sizes, and some between, of which no two stand at one part of their ranges."""
    yield {name: r.largest for name, r in ranges.items()}
    golden = 0.6180339887
    between = {}
    for number, (name, r) in enumerate(ranges.items(), start=1):
        room = max(0, r.largest - r.smallest - 2)
        between[name] = min(r.largest, r.smallest + 2 + int(number * golden % 1 * room))
    yield between


def compute(terms: Terms, sizes: Sizes) -> int:
    """The sum at these sizes."""
    total = 0
    for product, factor in terms.items():
        for name in product:
            factor *= sizes[name]
        total += factor
    return total


def spell(terms: Terms) -> str:
    """ "batch + 2*batch*frames - 1": single sizes first, the constant last."""
    words = ""
    for product in sorted(terms, key=lambda product: (not product, len(product))):
        factor = terms[product]
        number = [] if abs(factor) == 1 and product else [str(abs(factor))]
        words += (" - " if factor < 0 else " + ") + "*".join([*number, *product])
    return ("-" + words[3:] if words.startswith(" - ") else words[3:]) or "0"


def told(sizes: Sizes) -> str:
    """ "batch 2, frames 8"."""
    return ", ".join(f"{name} {size}" for name, size in sizes.items())


def flatten(inputs: Mapping[str, Value]) -> dict[str, Tensor]:
    """The same tensors by name, the parts of a sequence as name_0, name_1 ..."""
    found: dict[str, Tensor] = {}
    for name, value in inputs.items():
        if isinstance(value, Tensor):
            found[name] = value
        else:
            found |= {f"{name}_{number}": part for number, part in enumerate(value)}
    return found
