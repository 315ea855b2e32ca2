"""Strangers' documents: known types and ranges, or a sentence."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from dln.core.door import json_value, read_bytes, toml_value, typed
from dln.core.errors import UsageError


@dataclass
class Part:
    name: Annotated[str, Field(pattern=r"^[a-z]+$")]


@dataclass
class Whole:
    count: Annotated[int, Field(ge=1, le=10)]
    parts: list[Part]
    share: float = 0.5


def test_a_document_that_fits_becomes_values() -> None:
    found = typed(Whole, '{"count": 3, "parts": [{"name": "a"}], "later": 1}', "it")
    assert found == Whole(3, [Part("a")])


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"count": 11, "parts": []}', "count"),
        ('{"count": "3", "parts": []}', "count"),
        ('{"count": true, "parts": []}', "count"),
        ('{"count": 1, "parts": [{"name": "../a"}]}', "parts.0.name"),
        ('{"count": 1}', "parts"),
        ('{"count": 1, "parts": [], "share": 1e999}', "finite"),
        ('{"count": 1, "parts": [], "share": NaN}', "NaN"),
        ('{"count": %s, "parts": []}' % ("9" * 5000), "digits"),
        ("[" * 100_000, "deep"),
        ("[" * 70 + "]" * 70, "deep"),
        ("5", "damaged"),
        ("", "damaged"),
        ('{"count": 1, "parts": [{"name": "\\ud800"}]}', "damaged"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(text: str, place: str) -> None:
    with pytest.raises(UsageError, match="damaged") as told:
        typed(Whole, text, "the list")
    assert place in told.value.message
    assert len(told.value.message) < 300


@pytest.mark.parametrize("text", ["a = inf", "a = nan", "a = 1e999", "a = " + "[" * 5000, "a ="])
def test_toml_has_finite_numbers_and_few_levels(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        toml_value(text)


def test_values_are_what_the_standard_reader_gives() -> None:
    value: Any = {"a": [1, 2.5, None, True, "ж"], "b": {"c": -1}}
    assert json_value(json.dumps(value)) == value
    assert toml_value('a = [1, 2]\n[b]\nc = "x"') == {"a": [1, 2], "b": {"c": "x"}}


def test_only_a_file_of_a_known_size_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_bytes(path, 5) == b"12345"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for bad, most in ((path, 4), (tmp_path, 9), (tmp_path / ("x" * 300), 9), (pipe, 9),
                      (Path("/dev/zero"), 9), (tmp_path / "none", 9), ("a\0b", 9)):  # fmt: skip
        with pytest.raises(UsageError):
            read_bytes(bad, most)
