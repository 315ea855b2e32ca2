"""How runs and files of weights are told of, in tables and to programs."""

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dln.core.runs.shelf import Held

COLUMNS = ("name", "task", "state", "size", "when", "how good")


def shipped() -> "Iterator[Held]":
    """The weights that came with dln, those of models and further ones."""
    from dln.core.errors import DlnError
    from dln.core.models.locate import locate
    from dln.core.models.registry import MODELS
    from dln.core.runs.shelf import held_file

    for spec in MODELS.values():
        for name in (*([spec.name] if spec.bundled else []), *spec.further):
            with suppress(DlnError):  # not there: doctor tells
                yield held_file(locate(name), name)


def account(held: "Held", bundled: bool = False) -> dict[str, Any]:
    """What is told of a run or a file of weights."""
    from datetime import UTC, datetime

    return {
        "name": held.name,
        "model": held.about.name,
        "task": held.about.task,
        "state": "bundled" if bundled else held.state,
        "size_bytes": held.size,
        "written": None
        if bundled
        else datetime.fromtimestamp(held.written, UTC).isoformat(timespec="seconds"),
        "measure": held.measure,
    }


def row_of(told: dict[str, Any]) -> tuple[Any, ...]:
    """The same as a person reads it."""
    from datetime import datetime

    when = told["written"] and f"{datetime.fromisoformat(told['written']).astimezone():%d %b %H:%M}"
    return (told["name"], told["task"], told["state"], in_megabytes(told["size_bytes"]), when,
            told["measure"])  # fmt: skip


def in_megabytes(count: int) -> str:
    """Bytes in MB or GB, to three figures."""
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"
