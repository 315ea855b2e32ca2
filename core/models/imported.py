"""Weights that others published, laid into a model of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import UsageError, short
from ..files import sha256_file
from ..text.shown import visible
from .about import About
from .published.parts import Published, kind_of
from .published.streams import read, readable
from .published.tokens import Damaged
from .registry import MODELS, find, load
from .system import SystemModel
from .undrawn import fill, room_for, undrawn

TOLD = 3  # entries of a file that is nobody's, in the sentence about it


@dataclass(frozen=True)
class Imported:
    """A model with published weights, and the card for a file of ours. drawn: the networks that
    were not published, in words, if any."""

    model: SystemModel
    about: About
    card: dict[str, Any]
    drawn: str


def import_published(path: Path, name: str | None = None, other: Path | None = None) -> Imported:
    """Read what others published as weights of the model `name`, or of the one whose they are.

    other: the second file of a model whose weights come in two, in whichever order. Nothing in them
    is run. UsageError for one that cannot be read, is of no model that is known here, or does not
    fit together, also with the other.
    """
    files = [path] if other is None else [path, other]
    held = [read(file) for file in files]
    about, found = _owner(held, files, [find(name)] if name else list(MODELS.values()))
    with readable(_named(files)):
        model = _filled(about, found)
    first, *more = ({"file": visible(f.name), "sha256": sha256_file(f)} for f in files)
    published = {**first, **found.told, **({"with": more[0]} if more else {})}
    drawn = " and ".join(found.drawn)
    card = {"model": about.name, "published": published, "drawn": drawn or None}
    return Imported(model.eval(), about, card, drawn)


def _owner(held: list[Any], files: list[Path], models: list[About]) -> tuple[About, Published]:
    """The first model that knows the files as its own."""
    with readable(_named(files)):
        for about in models:
            if found := load(about).published(*held):
                return about, found
    whom = models[0].name if len(models) == 1 else "any model here"
    what = " and ".join(map(_in_words, held))
    holds = "holds" if len(files) == 1 else "hold together"
    told = "it is" if len(files) == 1 else "they are"
    raise UsageError(f"{_named(files)} {holds} no weights of {whom}: {told} {what}.",
                     "dln models import --help")  # fmt: skip


def _named(files: list[Path]) -> str:
    return " and ".join(map(str, files))


def _filled(about: About, found: Published) -> SystemModel:
    """A model of the sizes that the file tells, with its numbers. Damaged where they do not fit."""
    tensors = found.state()
    try:
        model = _made(about, found, sum(tensor.numel() for tensor in tensors.values()))
        own = model.state_dict()
        absent = {name: own[name] for name in own if name.split(".")[0] in found.drawn}
        fill(model, absent | tensors)
    except (RuntimeError, ValueError, TypeError, ArithmeticError) as error:
        told = short((str(error).splitlines() or [type(error).__name__])[0], 200)
        raise Damaged(f"they do not fit {about.name}'s configuration: {told}") from error
    return model


def _made(about: About, found: Published, numbers: int) -> SystemModel:
    """The model with room for so many numbers, or with those that a fixed seed draws."""
    system = load(about)
    with room_for(len(found.tensors), numbers), _seeded() if found.drawn else undrawn():
        return system.Model(found.config, system.reader(found.config, []))


@contextmanager
def _seeded() -> Iterator[None]:
    """Inside, PyTorch draws the same as ever, and outside as if nothing had been drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def _in_words(held: Any) -> str:
    """What a file holds, for a sentence: "a dict of 'G' (io.open) and 3 more"."""
    if not isinstance(held, dict):
        return f"a {kind_of(held)}"
    entries = [f"{short(str(name))!r} ({kind_of(value)})"
               for name, value in list(held.items())[:TOLD]]  # fmt: skip
    more = f" and {len(held) - TOLD} more" if len(held) > TOLD else ""
    return f"a dict of {', '.join(entries) or 'nothing'}{more}"
