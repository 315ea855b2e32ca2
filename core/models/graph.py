"""A model as named tensor functions, the same for every engine that runs them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

Value = Tensor | Sequence[Tensor]  # a sequence is one input in several parts, one a layer


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
    tensors; engines know its parts as name_0, name_1 ... `sizes` names the numbers
    that the shapes follow from, each dimension a sum of them and a constant; example(**sizes)
    makes inputs of these sizes from torch's random state.
    """

    name: str
    module: nn.Module
    outputs: tuple[str, ...]
    example: Callable[..., dict[str, Value]]
    sizes: Mapping[str, Range] = field(default_factory=dict)

    def inputs(self, **sizes: int) -> dict[str, Value]:
        """Example inputs: of the typical sizes, save those that are given."""
        return self.example(**{name: r.typical for name, r in self.sizes.items()} | sizes)

    def axes(self) -> dict[str, dict[int, str]]:
        """The dimensions that vary: {tensor: {dimension: "cached + 16"}}, parts one by one."""
        base = {name: r.typical for name, r in self.sizes.items()}
        shapes = {name: list(t.shape) for name, t in flatten(self.example(**base)).items()}
        terms: dict[tuple[str, int], list[str]] = {}
        rest = {(name, d): n for name, shape in shapes.items() for d, n in enumerate(shape)}
        for size, typical in base.items():
            grown = flatten(self.example(**base | {size: typical + 1}))
            for (name, d), n in list(rest.items()):
                factor = grown[name].shape[d] - shapes[name][d]
                if factor:
                    terms.setdefault((name, d), []).append(f"{factor}*{size}"[2 * (factor == 1) :])
                    rest[name, d] = n - factor * typical
        found: dict[str, dict[int, str]] = {}
        for (name, d), parts in terms.items():
            constant = [str(rest[name, d])] if rest[name, d] else []
            found.setdefault(name, {})[d] = " + ".join([*parts, *constant])
        return found


def flatten(inputs: Mapping[str, Value]) -> dict[str, Tensor]:
    """The same tensors by name, the parts of a sequence as name_0, name_1 ..."""
    found: dict[str, Tensor] = {}
    for name, value in inputs.items():
        if isinstance(value, Tensor):
            found[name] = value
        else:
            found |= {f"{name}_{number}": part for number, part in enumerate(value)}
    return found
