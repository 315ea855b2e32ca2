"""Command lines that make something again, as a person may copy them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from shlex import join
from typing import Any

from ...media.receipt import Receipt
from ...models.request import SHARED
from ...text.shown import on_one_line

Line = tuple[str, str]  # what it does, and the line itself
MOST_SEED = 2**31 - 1  # that the command takes; programs may ask for more
WORDS = ("true", "false", "inf", "nan")  # of TOML's, which are values


def lines_of_clip(path: Path, receipt: Receipt) -> list[Line]:
    """What checks a clip, and what makes it again beside it."""
    again = named(path.with_name(f"{path.stem}-again{path.suffix}"))
    first, last = _prompt(receipt.prompt)
    made = ["dln", "generate", *first, *_asked(receipt), "--out", again, *last]
    told = [("check it", ["dln", "verify", named(path)])]
    if receipt.seed <= MOST_SEED:
        told.append(("make it again", made))
    return copyable(told)


def lines_that_convert(path: Path) -> list[Line]:
    """What makes a clip that browsers play of one that they do not."""
    new = path.with_name(f"{path.stem}-h264.mp4")
    code = f"from dln.core import Clip; Clip.open({str(path)!r}).save({str(new)!r})"
    return copyable([("make one that browsers play", ["python", "-c", code])])


def named(path: Path) -> str:
    """As an argument: a name that begins with a dash is no option."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def copyable(told: list[tuple[str, list[str]]]) -> list[Line]:
    """Only lines that a page shows as they are: what is pasted obeys nothing but the shell."""
    lines = [(what, join(words)) for what, words in told]
    return [(what, line) for what, line in lines if on_one_line(line) == line]


def _asked(receipt: Receipt) -> Iterator[str]:
    yield from ("--model", receipt.model, "--seed", str(receipt.seed))
    engine, _, precision = receipt.engine.partition("-")
    yield from ("--engine", engine)  # unless told it is the fastest that is ready
    if precision:
        yield from ("--precision", precision)
    for name, value in receipt.settings.items():
        if value is not None:
            yield from _setting(name, value)
    if receipt.grid:
        yield from ("--count", str(receipt.grid), "--grid")


def _setting(name: str, value: Any) -> tuple[str, str]:
    """The flag and what follows it, as `dln generate` takes them."""
    if name == "size" and isinstance(value, list) and len(value) == 2:
        return "--size", f"{value[1]}x{value[0]}"  # a receipt has the height first
    if name == "extend" and isinstance(value, Mapping):
        return "--extend", ",".join(f"{side}={pixels}" for side, pixels in value.items())
    if name in SHARED:
        return SHARED[name], str(value)
    return "--set", f"{name}={_in_toml(value)}"


def _in_toml(value: Any) -> str:
    """A word as it is where TOML would not take it for something else."""
    word = isinstance(value, str) and value.isidentifier() and value not in WORDS
    return value if word else json.dumps(value)


def _prompt(prompt: str | None) -> tuple[list[str], list[str]]:
    """First, or last where it begins with a dash and would be taken for an option."""
    if not prompt:
        return [], []
    return ([], ["--", prompt]) if prompt.startswith("-") else ([prompt], [])
