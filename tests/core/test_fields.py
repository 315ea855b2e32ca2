"""Sizes that users and files declare: of their kind, in their range, within what there is."""

from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import pytest
import torch
from torch import nn

from dln.core.data import open_source
from dln.core.errors import UsageError
from dln.core.models.fields import Checked, limited, size
from dln.core.models.package import rebuild
from dln.core.models.registry import MODELS, find, load
from dln.core.models.undrawn import TooLarge, at_most, undrawn
from dln.core.runs.build import build, override


@dataclass(frozen=True)
class Inner(Checked):
    width: int = size(8)


@dataclass(frozen=True)
class Outer(Checked):
    rate: float = limited(0.5, above=0, below=1)
    count: int | None = None
    flag: bool = False
    kind: str = limited("a", choices=("a", "b"))
    widths: tuple[int, ...] = size((1, 2), most=64, items=3)
    pair: tuple[int, float] = (1, 2.0)
    inner: Inner = Inner()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rate": float("nan")}, "rate is a finite number"),
        ({"rate": 0}, "rate is above 0 and below 1"),
        ({"rate": "1"}, "rate is a number"),
        ({"count": 1.0}, "count is a whole number"),
        ({"count": True}, "count is a whole number"),
        ({"count": 1 << 21}, "count is at most 1,048,576"),
        ({"count": -(10**4000)}, "count is at most"),
        ({"flag": 1}, "flag is true or false"),
        ({"kind": "c"}, "kind is one of a, b"),
        ({"widths": 5}, "widths is a list"),
        ({"widths": "abc"}, "widths is a list"),
        ({"widths": (1, 65)}, "an entry of widths is at least 1 and at most 64"),
        ({"widths": (1, 2, 3, 4)}, "widths has at most 3 entries"),
        ({"widths": ((1,),)}, "an entry of widths is a whole number"),
        ({"pair": (1,)}, "pair has 2 entries"),
        ({"inner": 5}, "inner is a group of fields"),
    ],
)
def test_a_field_of_another_kind_or_outside_its_range(given: dict[str, Any], words: str):
    with pytest.raises(UsageError, match=words):
        Outer(**given)
    with pytest.raises(UsageError, match=words):
        override(Outer(), given)
    with pytest.raises(UsageError, match=words):
        rebuild(Outer, {name: list(v) if isinstance(v, tuple) else v for name, v in given.items()})


def test_fields_within_their_range():
    told = Outer(rate=0.1, count=3, widths=(), inner=Inner(4))
    assert rebuild(Outer, asdict(told)) == told
    assert override(Outer(), {"inner": {"width": 4}, "widths": [64]}) == Outer(
        widths=(64,), inner=Inner(4)
    )
    assert replace(told, count=None).count is None


@pytest.mark.parametrize("name", MODELS)
def test_what_is_shipped_lies_well_within(name):
    """Each whole number of a preset may grow by half."""
    for preset in load(find(name)).PRESETS.values():
        for field in fields(preset):
            value, most = getattr(preset, field.name), field.metadata.get("most") or 1 << 20
            numbers = value if isinstance(value, tuple) else (value,)
            assert all(1.5 * x <= most for x in numbers if isinstance(x, int) and x > 1)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("value", ["a", [], {}, -1, 10**9, [10**9] * 3, 1e308, True, [[1]], None])
def test_no_size_of_a_model_ends_in_torch(name, value):
    """Whatever one field is set to: a network, or a UsageError."""
    about, source = find(name), open_source("menagerie", count=2)
    for key in asdict(load(about).PRESETS[about.default_preset]):
        with suppress(UsageError), torch.device("meta"):
            assert build(about, None, {key: value}, source).config


def test_a_network_takes_no_more_than_it_may():
    def million() -> nn.Module:
        return nn.Sequential(*(nn.Linear(2, 2) for _ in range(10**7)))

    with pytest.raises(TooLarge, match="tensors"), undrawn(), at_most(100, 10**9):
        million()
    with pytest.raises(TooLarge, match="numbers"), undrawn(), at_most(100, 1000):
        nn.Linear(1 << 15, 1 << 15)  # 4 GiB
    with pytest.raises(TooLarge, match="layers"), undrawn(), at_most(10, 10):
        nn.Sequential(*(nn.ReLU() for _ in range(1000)))
    with at_most(2, 6):
        nn.Linear(2, 2)
    nn.Linear(9, 9)  # nothing is counted any more
