"""The proof itself: its numbers worked by hand, and what it refuses."""

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

sys.path.append(str(Path(__file__).parent))
from toy_export import Apply, Pair, graph, loaded

from dln.core.models.engine import TorchEngine
from dln.core.models.graph import Graph, Range
from dln.export.engines import OnnxEngine
from dln.export.onnx import tracing_sizes, write_onnx
from dln.export.parity import (
    LIMITS,
    Difference,
    ParityError,
    check_graph,
    example,
    shapes,
)
from dln.export.precision import half


def compared(want: Any, got: Any) -> Difference:
    found = Difference()
    found.add({"y": torch.tensor(want)}, {"y": torch.tensor(got)})
    return found


def test_numbers_by_hand():
    # Gaps 0, 0.3, 0, 0.4 on a peak of 4: error 0.4 / 4. Mean squares 30 / 4 and 0.25 / 4.
    found = compared([1.0, 2.0, 3.0, 4.0], [1.0, 2.3, 3.0, 3.6])
    assert found.error == pytest.approx(0.1)
    assert found.snr_db == pytest.approx(10 * math.log10(30 / 0.25))
    assert found.differing == 0
    # Below a peak of 1 the error is absolute.
    assert compared([0.01, 0.02], [0.01, 0.05]).error == pytest.approx(0.03)
    assert compared([1, 2, 3, 4, 5], [1, 2, 9, 4, 0]).differing == pytest.approx(2 / 5)
    assert compared([True, False], [True, True]).differing == 0.5


def test_equal_is_exact_and_reported_so():
    found = compared([0.5, -2.0], [0.5, -2.0])
    assert (found.error, found.snr_db, found.differing) == (0, math.inf, 0)
    assert found.report()["snr_db"] is None
    assert compared([1.0, 1.0], [1.0, 0.9]).report()["snr_db"] == pytest.approx(23.01, abs=0.01)


def test_the_worst_run_stands():
    found = Difference()
    for gap in (0.1, 0.4, 0.2):
        found.add({"y": torch.tensor([1.0, 1.0])}, {"y": torch.tensor([1.0, 1.0 + gap])})
    assert found.runs == 3
    assert found.error == pytest.approx(0.4)
    assert found.snr_db == pytest.approx(10 * math.log10(2 / 0.16))


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=20), st.floats(1e-3, 1e3))
@settings(max_examples=50, deadline=None)
def test_the_ratio_does_not_depend_on_the_scale(values, scale):
    want = torch.tensor(values, dtype=torch.float64)
    got = want + torch.linspace(0.1, 1, len(values), dtype=torch.float64)
    pairs = [Difference(), Difference()]
    pairs[0].add({"y": want}, {"y": got})
    pairs[1].add({"y": want * scale}, {"y": got * scale})
    assert pairs[0].snr_db == pytest.approx(pairs[1].snr_db, abs=1e-4)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none_are_refused(bad):
    with pytest.raises(ParityError, match=r"'y' holds 2 values that are not finite"):
        compared([1.0, 2.0, 3.0], [bad, 2.0, bad])
    with pytest.raises(ParityError, match=r"not finite"):
        compared([1.0, bad], [1.0, 2.0])


def test_other_shapes_are_refused():
    with pytest.raises(ParityError, match=r"'y' is \[1, 2\], not \[2\]"):
        compared([1.0, 2.0], [[1.0, 2.0]])


@pytest.mark.parametrize("precision", LIMITS)
def test_limits(precision):
    """A hair inside each passes, a hair outside is put in words."""
    said = {"error": "error", "snr_db": "dB below", "differing": "of the integers differ"}
    for name, limit in LIMITS[precision].items():
        worse = -0.01 if name == "snr_db" else 0.01
        inside, outside = Difference(), Difference()
        setattr(inside, name, limit * (1 - worse))
        setattr(outside, name, limit * (1 + worse))
        assert inside.broken(precision) is None
        assert said[name] in (outside.broken(precision) or "")
    assert Difference().broken(precision) is None


def test_limits_are_stricter_for_more_bits():
    order = ["fp16", "bf16", "int8"]
    ratios = [LIMITS[precision]["snr_db"] for precision in order]
    assert ratios == sorted(ratios, reverse=True)
    assert LIMITS["fp32"]["error"] < 2.0**-10  # the rounding of fp16 would not pass for fp32


def ranges() -> st.SearchStrategy[dict[str, Range]]:
    ends = st.lists(st.integers(0, 40), min_size=3, max_size=3).map(sorted)
    names = st.sampled_from(["batch", "cached", "new"])
    return st.dictionaries(names, ends.map(lambda three: Range(*three)), max_size=3)


@given(ranges(), st.text(max_size=5))
@settings(max_examples=50, deadline=None)
def test_shapes_are_inside_their_ranges(sizes, name):
    made = Graph(name, nn.Identity(), ("y",), lambda **_: {}, sizes)
    found = list(shapes(made))
    for end in ("smallest", "typical", "largest"):
        assert {n: getattr(r, end) for n, r in sizes.items()} in found
    for chosen in found:
        assert all(sizes[n].smallest <= size <= sizes[n].largest for n, size in chosen.items())
    assert found == list(shapes(made))


def test_shapes_hold_some_that_no_trace_has_seen():
    for name, made in loaded().model.graphs().items():  # pyright: ignore
        found = list(shapes(made))
        seen = tracing_sizes(made)
        others = [sizes for sizes in found if all(sizes[n] != seen[n] for n in seen)]
        assert len(others) >= 2, name
        assert min(sizes["batch"] for sizes in found) == 1, name


def test_examples_follow_their_seed_and_leave_torch_alone():
    made = graph(Pair())
    torch.manual_seed(11)
    before = torch.random.get_rng_state()
    first, again, other = (example(made, {"rows": 3}, seed)["x"] for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first, again)  # pyright: ignore
    assert not torch.equal(first, other)  # pyright: ignore


class Played:
    """An engine that gives what a function makes of the true outputs."""

    name = "played"

    def __init__(self, module: nn.Module, change: Callable[[Tensor], Tensor]) -> None:
        self.change, self.inner = change, TorchEngine({"step": graph(module)})
        self.seen: list[int] = []

    def run(self, graph: str, **inputs: Any) -> dict[str, Tensor]:
        self.seen.append(len(inputs["x"]))
        return {name: self.change(t) for name, t in self.inner.run(graph, **inputs).items()}


def test_a_right_engine_passes_at_every_shape():
    engine = Played(Pair(), lambda y: y + 1e-6)
    found = check_graph(graph(Pair()), engine, "fp32")
    assert found.runs == len(engine.seen) == 3 * len(found.shapes)
    assert {1, 4, 9} <= set(engine.seen)
    assert 0 < found.error < 1e-5
    assert found.shapes[:3] == ["rows 1", "rows 4", "rows 9"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda y: y * 1.01, r"graph 'step' at rows 1: error 0\.0\d+ above 1e-04"),
        (lambda y: y if len(y) < 9 else y + 1, r"graph 'step' at rows 9: error"),
        (lambda y: y.where(y < 1, math.nan) if len(y) > 4 else y, r"at rows 9: .*not finite"),
        (lambda y: y[:, :7], r"at rows 1: 'y' is \[1, 7\], not \[1, 8\]"),
        (lambda y: y[None], r"at rows 1: 'y' is"),
    ],
    ids=["scaled", "wrong at the largest", "no numbers", "cut", "another rank"],
)
def test_a_wrong_engine_is_refused_by_graph_and_shape(change, said):
    with pytest.raises(ParityError, match=said):
        check_graph(graph(Pair()), Played(Pair(), change), "fp32")


def test_an_engine_that_fails_is_refused_by_graph_and_shape():
    def fail(y):
        raise RuntimeError("out of memory\nsomewhere")

    with pytest.raises(ParityError, match="graph 'step' at rows 1: out of memory"):
        check_graph(graph(Pair()), Played(Pair(), fail), "fp32")


def test_a_branch_on_a_size_is_found(tmp_path):
    """torch traces one side of it without a word: only other sizes show what is missing."""
    made = graph(Apply(lambda x: x * 2 if x.shape[0] > 4 else x))
    write_onnx(made, tmp_path / "step.onnx")
    engine = OnnxEngine({"step": tmp_path / "step.onnx"}, "cpu")
    with pytest.raises(ParityError, match="graph 'step' at rows 9: error"):
        check_graph(made, engine, "fp32")


def test_half_precision_that_overflows_is_refused(tmp_path):
    """Squares of a thousand are beyond 65504, the largest half."""
    made = graph(Apply(lambda x: (1e3 + x).square().mean(-1, keepdim=True)))
    write_onnx(half(made, "fp16"), tmp_path / "step.onnx")
    engine = OnnxEngine({"step": tmp_path / "step.onnx"}, "cpu", "fp16")
    with pytest.raises(ParityError, match=r"graph 'step' at rows 1: .*not finite"):
        check_graph(made, engine, "fp16")


def test_half_precision_passes_its_own_limit_alone(tmp_path):
    write_onnx(half(graph(Pair()), "fp16"), tmp_path / "step.onnx")
    engine = OnnxEngine({"step": tmp_path / "step.onnx"}, "cpu", "fp16")
    found = check_graph(graph(Pair()), engine, "fp16")
    assert 40 < found.snr_db < 90
    with pytest.raises(ParityError, match="error"):
        check_graph(graph(Pair()), engine, "fp32")


def test_zeros_are_equal_to_zeros_alone():
    """Where nothing was expected, anything else is noise without a signal."""
    found = Difference()
    found.add({"y": torch.zeros(3)}, {"y": torch.zeros(3)})
    assert found.broken("int8") is None
    found.add({"y": torch.zeros(3)}, {"y": torch.full((3,), 5.0)})
    assert "signal-to-noise" in (found.broken("int8") or "")
