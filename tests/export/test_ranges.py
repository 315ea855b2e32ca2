"""Sizes over which a graph's inputs vary: as they are given, and as they are assumed."""

import sys
from importlib.util import find_spec
from pathlib import Path

import onnx
import pytest

sys.path.append(str(Path(__file__).parent))
from test_readiness import FLOAT, node, save, value  # pyright: ignore

from dln.core.errors import UsageError
from dln.export.ranges import inputs_of, names_of, profile_of_inputs, read_range
from dln.export.readiness import check

needs_rtx = pytest.mark.skipif(find_spec("tensorrt_rtx") is None, reason="needs tensorrt-rtx")


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "graph.onnx"


def test_a_range_is_three_sizes_in_order():
    assert read_range("x:0=1,8,64") == ("x:0", (1, 8, 64))
    assert read_range("batch=4") == ("batch", (4, 4, 4))
    for odd in ("x", "=1,2,3", "x=", "x=1,2", "x=3,2,1", "x=-1,2,3", "x=1,2,99999999999", "x=1.5"):
        with pytest.raises(UsageError):
            read_range(odd)


def test_ranges_go_by_place_name_and_input(path):
    shape = ["batch", 3, "2*width", None]
    made = node("Add", ["x", "z"], ["y"])
    inputs = [value("x", FLOAT, shape), value("z", FLOAT, ["batch", 1, 1, 1])]
    save(path, [made], inputs, [value("y")])
    inputs = inputs_of(onnx.load(path))
    assert names_of(inputs) == ["batch", "width", "2*width", "x:0", "x:2", "x:3", "x", "z:0", "z"]
    given = {"batch": (1, 2, 3), "width": (4, 8, 16), "x": (5, 6, 7)}
    profile, assumed = profile_of_inputs(inputs, given)
    assert assumed == []
    assert profile.shapes["x"] == ((1, 3, 8, 5), (2, 3, 16, 6), (3, 3, 32, 7))
    assert profile.shapes["z"] == ((1, 1, 1, 1), (2, 1, 1, 1), (3, 1, 1, 1))
    profile, assumed = profile_of_inputs(inputs, {"x:3": (9, 9, 9)}, profile)
    assert assumed == []
    assert [sizes[3] for sizes in profile.shapes["x"]] == [9, 9, 9]
    assert [sizes[0] for sizes in profile.shapes["x"]] == [1, 2, 3]
    profile, assumed = profile_of_inputs(inputs, {})
    assert [words.split("=")[0] for words in assumed] == ["x:0", "x:2", "x:3", "z:0"]
    assert [s[0] for s in profile.shapes["x"]] == [s[0] for s in profile.shapes["z"]]


@needs_rtx
def test_the_third_level_takes_ranges_or_assumes_them_and_says_so(path):
    save(path, [node("Neg", ["x"], ["y"])], [value("x", FLOAT, ["n", 3])], [value("y")])
    (found,) = check(path, 3)
    assert (found.severity, found.level) == ("warning", 3)
    assert "assumed: x:0=1,2,4" in found.message
    assert check(path, 3, ranges={"n": (1, 8, 64)}) == []
