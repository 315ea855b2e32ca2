"""Over which sizes the inputs of a graph vary, where no model is at hand that tells."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from dln.core.errors import UsageError

from .axes import evaluate
from .tensorrt import Profile

Sizes = tuple[int, int, int]  # smallest, typical, largest
Inputs = Mapping[str, Sequence[int | str | None]]  # sizes, names of sizes that vary, None

LARGEST = 2**31 - 1
# Assumed of an input's first dimension, and of the others.
_FIRST, _OTHERS = (1, 2, 4), (32, 64, 128)


def read_range(text: str) -> tuple[str, Sizes]:
    """ "x=1,8,64" -> ("x", (1, 8, 64)); "x=8" is three times that. UsageError for another form."""
    name, _, numbers = text.rpartition("=")
    plain = re.fullmatch(r"(\d{1,10})(?:,(\d{1,10}),(\d{1,10}))?", numbers.replace(" ", ""))
    sizes = [int(n) for n in plain.groups(plain[1])] if plain else []
    if not name or not sizes or not sizes[0] <= sizes[1] <= sizes[2] <= LARGEST:
        raise UsageError(
            f"a range is NAME=SMALLEST,TYPICAL,LARGEST of an input's dimension, not {text!r}",
            "--range batch=1,8,64 by a dimension's name, --range x:2=32,64,128 by its place",
        )
    return name, (sizes[0], sizes[1], sizes[2])


def inputs_of(model: Any) -> dict[str, list[int | str | None]]:
    """The inputs of an onnx ModelProto that a caller gives, by name."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return {i.name: [_size(d) for d in i.type.tensor_type.shape.dim]
            for i in model.graph.input if i.name not in weights}  # fmt: skip


def _size(dimension: Any) -> int | str | None:
    if dimension.HasField("dim_value") and dimension.dim_value >= 0:
        return dimension.dim_value
    return dimension.dim_param or None


def names_of(inputs: Inputs) -> list[str]:
    """All that a range may be given by: the dimensions' names, "x:0", and "x" for all of x."""
    found: dict[str, None] = {}
    for name, sizes in inputs.items():
        varying = [d for d, size in enumerate(sizes) if not isinstance(size, int)]
        named = [size for size in sizes if isinstance(size, str)]
        parts = [part for size in named for part in _parts(size)]
        places = [f"{name}:{d}" for d in varying]
        found |= dict.fromkeys([*parts, *named, *places, *([name] if varying else [])])
    return list(found)


def _parts(formula: str) -> list[str]:
    """The names in "batch*frames"."""
    return re.findall(r"[^\W\d]\w*", formula)


def profile_of_inputs(
    inputs: Inputs, ranges: Mapping[str, Sizes], known: Profile | None = None
) -> tuple[Profile, list[str]]:
    """A profile of all inputs that vary, and what of it had to be assumed: ["x:0=1,2,4"].

    A range by place comes before one by a dimension's name, before one of the whole input, before
    what is known. The same name has the same size everywhere.
    """
    shapes, assumed = {}, []
    guesses: dict[str, Sizes] = {}
    for name, sizes in inputs.items():
        if all(isinstance(size, int) for size in sizes):
            continue
        given = known.shapes.get(name) if known else None
        columns = []
        for d, size in enumerate(sizes):
            if isinstance(size, int):
                columns.append((size,) * 3)
                continue
            found = _given(name, d, size, ranges)
            if found is None and given and d < len(given[0]):
                found = (given[0][d], given[1][d], given[2][d])
            if found is None:
                found = _assume(d, size, {**ranges, **guesses}, guesses)
                assumed.append(f"{name}:{d}={','.join(map(str, found))}")
            columns.append(found)
        smallest, typical, largest = zip(*columns, strict=True)
        shapes[name] = (smallest, typical, largest)
    return Profile(shapes), assumed


def _given(name: str, d: int, size: str | None, ranges: Mapping[str, Sizes]) -> Sizes | None:
    if f"{name}:{d}" in ranges:
        return ranges[f"{name}:{d}"]
    return (_computed(size, ranges) if size else None) or ranges.get(name)


def _computed(formula: str, ranges: Mapping[str, Sizes]) -> Sizes | None:
    """The sizes of "batch*frames" where those of its names are known."""
    if formula in ranges:
        return ranges[formula]
    found = [
        evaluate(formula, {name: sizes[i] for name, sizes in ranges.items()}) for i in range(3)
    ]
    small, typical, large = found
    if small is None or typical is None or large is None:
        return None
    return small, typical, large


def _assume(
    d: int, size: str | None, ranges: Mapping[str, Sizes], guesses: dict[str, Sizes]
) -> Sizes:
    usual = _OTHERS if d else _FIRST
    if not size or size == "?":  # which some exporters write for no name
        return usual
    for part in _parts(size):
        if part not in ranges:
            guesses[part] = usual
    return guesses.setdefault(size, _computed(size, {**ranges, **guesses}) or usual)
