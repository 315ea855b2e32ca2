"""The dimensions of a graph's inputs as formulas of its sizes: recovered exactly, or refused."""

from collections.abc import Callable
from itertools import combinations
from math import prod
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dln.core.errors import DlnError
from dln.core.models.graph import Graph, Range, Value, compute, fit

RANGES = {"batch": Range(1, 2, 16), "frames": Range(1, 8, 40), "new": Range(0, 5, 9)}


def graph(example: Callable[..., dict[str, Value]], **ranges: Range) -> Graph:
    return Graph("g", torch.nn.Identity(), (), example, ranges or RANGES)


def of(rule: Callable[..., int], **ranges: Range) -> Graph:
    """A graph with one input of shape (4, rule(sizes))."""
    return graph(lambda **sizes: {"x": torch.empty(4, rule(**sizes))}, **ranges)


def test_axes_are_sums_of_the_sizes():
    def example(batch: int, new: int) -> dict[str, Value]:
        return {"x": torch.zeros(batch, 2 * new + 3, 5), "parts": [torch.zeros(4, batch + new)] * 2}

    assert graph(example, batch=Range(1, 2, 3), new=Range(0, 5, 9)).axes() == {
        "x": {0: "batch", 1: "2*new + 3"},
        "parts_0": {1: "batch + new"},
        "parts_1": {1: "batch + new"},
    }


BY_HAND = {
    "batch*frames": lambda batch, frames, new: batch * frames,
    "batch*frames + 1": lambda batch, frames, new: batch * frames + 1,
    "new + 2*batch*frames": lambda batch, frames, new: 2 * batch * frames + new,
    "batch*frames*new": lambda batch, frames, new: batch * frames * new,
    "batch*frames + batch*new": lambda batch, frames, new: batch * (frames + new),
    # (batch - 1) (frames - 1) + 1: nothing changes at batch 1 or at frames 1.
    "-batch - frames + batch*frames + 2": lambda batch, frames, new: (batch - 1) * (frames - 1) + 1,
    "-new + 20": lambda batch, frames, new: 20 - new,
}


@pytest.mark.parametrize("formula", BY_HAND)
def test_products_of_sizes(formula):
    assert of(BY_HAND[formula]).axes() == {"x": {1: formula}}


REFUSED = {
    "a quotient": lambda batch, frames, new: frames // 2,
    "a quotient of two": lambda batch, frames, new: frames // batch,
    "rounded up to a multiple": lambda batch, frames, new: -(-frames // 4) * 4,
    "a square": lambda batch, frames, new: new * new,
    "a square in a product": lambda batch, frames, new: batch * frames * frames,
    "a maximum": lambda batch, frames, new: max(batch, frames),
    "a maximum of one, far up": lambda batch, frames, new: max(frames, 30),
    "a minimum": lambda batch, frames, new: min(frames, 8),
    "a power": lambda batch, frames, new: 2**new,
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_sum_of_products_is_refused_by_name(kind):
    with pytest.raises(DlnError, match=r"graph 'g': dimension 1 of 'x' is no sum of products"):
        of(REFUSED[kind]).axes()


def test_the_refusal_says_where_it_was_seen():
    with pytest.raises(DlnError) as caught:
        of(lambda rows: rows // 2, rows=Range(2, 4, 9)).axes()
    # 2 // 2 and 3 // 2 are both 1.
    assert "at rows 9 it is 4, where 1 is 1" in caught.value.message


def test_tensors_that_come_and_go_are_refused_by_name():
    def parts(rows: int) -> dict[str, Value]:
        return {"x": [torch.zeros(2)] * rows}

    with pytest.raises(DlnError, match="graph 'g': 'x_1' is not there"):
        graph(parts, rows=Range(1, 2, 3)).axes()
    with pytest.raises(DlnError, match=r"graph 'g': 'x' .* as many dimensions"):
        graph(lambda rows: {"x": torch.zeros([1] * rows)}, rows=Range(1, 2, 3)).axes()


def test_a_range_of_one_number_is_a_name_too():
    """As --batch 1 makes it: its dimensions are found one above it."""
    made = of(lambda batch, frames: batch * frames, batch=Range(1, 1, 1), frames=Range(1, 2, 9))
    assert made.axes() == {"x": {1: "batch*frames"}}


def test_examples_are_small_and_inside_their_ranges():
    """All corners of the smallest box, two more, and none a second time."""
    asked: list[dict[str, int]] = []

    def example(**sizes: int) -> dict[str, Value]:
        asked.append(sizes)
        return {name: torch.empty(2, size) for name, size in sizes.items()}

    limits = {name: Range(low, low + 1, 30) for low, name in enumerate("abc")}
    made = graph(example, **limits)
    assert made.axes() == made.axes() == {name: {1: name} for name in "abc"}
    assert len(asked) == 2**3 + 2
    assert all(low <= sizes[n] <= 30 for sizes in asked for low, n in enumerate("abc"))
    assert sum(max(sizes.values()) <= 3 for sizes in asked) == 2**3


NAMES = ("a", "b", "c", "d")
PRODUCTS = [set_ for size in range(5) for set_ in combinations(NAMES, size)]


@st.composite
def formulas(draw: st.DrawFn, low: int = -5) -> dict[tuple[str, ...], int]:
    factor = st.integers(low, 9).filter(bool)
    return draw(st.dictionaries(st.sampled_from(PRODUCTS), factor, max_size=5))


@st.composite
def ranges(draw: st.DrawFn, least: int = 0) -> dict[str, Range]:
    ends = st.tuples(st.integers(0, 6), st.integers(least, 30))
    pairs = {name: draw(ends) for name in NAMES}
    return {name: Range(low, low, low + room) for name, (low, room) in pairs.items()}


@given(formulas(), ranges())
@settings(max_examples=150, deadline=None)
def test_any_sum_of_products_is_recovered_exactly(terms, limits):
    def value(sizes: Any) -> int:
        return sum(factor * prod(sizes[n] for n in product) for product, factor in terms.items())

    found = fit(value, limits, "it")
    assert found == terms
    assert compute(found, dict.fromkeys(NAMES, 7)) == value(dict.fromkeys(NAMES, 7))


@given(
    formulas(low=1), ranges(least=4), st.sampled_from(NAMES), st.integers(2, 4), st.integers(0, 3)
)
@settings(max_examples=150, deadline=None)
def test_anything_else_is_refused(terms, limits, size, power, kind):
    """A square or more, a quotient or a bound is added to any sum of products."""

    def value(sizes: Any) -> int:
        n, low, high = sizes[size], limits[size].smallest, limits[size].largest
        bent = [n**power, n // 2, max(n, low + 2), min(n, high - 1)][kind]
        return compute(terms, sizes) + bent

    with pytest.raises(DlnError, match=r"^it is no sum of products of sizes: at "):
        fit(value, limits, "it")
