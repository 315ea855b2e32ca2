"""Answers kept on disk, under XDG_CACHE_HOME/dln/carbon: numbers and times, never a key."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from ....cache import cache_folder
from ....errors import DlnError, UsageError
from ....files import make_folder, write_json
from ...values import iso
from .points import Points


@dataclass(frozen=True)
class Answer:
    """Points and when they were fetched; stale where the server failed to renew them."""

    points: Points
    fetched: datetime
    stale: bool = False


def answers_folder() -> Path:
    """Where answers are kept for this user."""
    return cache_folder() / "carbon"


def load(folder: Path, key: str) -> Answer | None:
    """The answer kept for `key`; None where there is none, or none that can be read."""
    from ...documents import AnswerForm, read_document

    try:
        form = read_document(AnswerForm, _path(folder, key))
    except UsageError:
        return None
    return Answer(Points(timedelta(seconds=form.step_seconds), dict(form.points)), form.fetched)


def save(folder: Path, key: str, answer: Answer) -> None:
    """Keep `answer`; a cache that cannot be written is no reason to fail."""
    table = {
        "key": key,
        "fetched": iso(answer.fetched),
        "step_seconds": answer.points.step.total_seconds(),
        "points": [[iso(time), value] for time, value in sorted(answer.points.values.items())],
    }
    with suppress(DlnError):
        make_folder(folder)
        write_json(_path(folder, key), table)


def _path(folder: Path, key: str) -> Path:
    return folder / f"{sha256(key.encode()).hexdigest()[:24]}.json"
