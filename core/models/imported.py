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
from .undrawn import at_most, fill, undrawn

SPARE_TENSORS, SPARE_NUMBERS = 64, 1 << 20  # that a model may have and a file lack
TOLD = 3  # entries of a file that is nobody's, in the sentence about it


@dataclass(frozen=True)
class Imported:
    """A model with weights of a published file, and the card for a file of ours. drawn: what the
    file lacks, if anything."""

    model: SystemModel
    about: About
    card: dict[str, Any]
    drawn: str


def import_published(path: Path, name: str | None = None) -> Imported:
    """Read what others published as weights of the model `name`, or of the one whose they are.

    Nothing in the file is run. UsageError for one that cannot be read, is of no model that is known
    here, or does not fit together.
    """
    held = read(path)
    about, found = _owner(held, path, [find(name)] if name else list(MODELS.values()))
    with readable(path):
        model = _filled(about, found)
    card = {
        "model": about.name,
        "published": {"file": visible(path.name), "sha256": sha256_file(path), **found.told},
        "drawn": found.drawn.rstrip(".") or None,
    }
    return Imported(model.eval(), about, card, found.drawn.rstrip("."))


def _owner(held: Any, path: Path, models: list[About]) -> tuple[About, Published]:
    """The first model that knows the file as its own."""
    with readable(path):
        for about in models:
            if found := load(about).published(held):
                return about, found
    whom = models[0].name if len(models) == 1 else "any model here"
    raise UsageError(f"{path} holds no weights of {whom}: it is {_in_words(held)}.",
                     "dln models import --help")  # fmt: skip


def _filled(about: About, found: Published) -> SystemModel:
    """A model of the sizes that the file tells, with its numbers. Damaged where they do not fit."""
    tensors = found.state()
    try:
        model = _made(about, found, sum(tensor.numel() for tensor in tensors.values()))
        own = model.state_dict()
        absent = {name: own[name] for name in own if found.drawn and name.startswith(found.drawn)}
        fill(model, absent | tensors)
    except (RuntimeError, ValueError, TypeError, ArithmeticError) as error:
        told = short((str(error).splitlines() or [type(error).__name__])[0], 200)
        raise Damaged(f"they do not fit {about.name}'s configuration: {told}") from error
    return model


def _made(about: About, found: Published, numbers: int) -> SystemModel:
    """The model with room for so many numbers, or with those that a fixed seed draws."""
    system = load(about)
    most = at_most(2 * len(found.tensors) + SPARE_TENSORS, 2 * numbers + SPARE_NUMBERS)
    with most, _seeded() if found.drawn else undrawn():
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
