"""Answers kept on disk, under XDG_CACHE_HOME/dln/carbon: numbers and times, never a key."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from ...errors import DlnError
from ...files import cache_folder, make_folder, write_json
from ..values import iso
from .points import Points, parse_time


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
    try:
        table = json.loads(_path(folder, key).read_text(encoding="utf-8"))
        values = {parse_time(time): float(value) for time, value in table["points"]}
        points = Points(timedelta(seconds=table["step_seconds"]), values)
        return Answer(points, parse_time(table["fetched"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


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
