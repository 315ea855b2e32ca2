"""All checks that were chosen, one after the other, within a time."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from . import apart
from .listed import Check
from .outcome import FAILED, MISSING, Found, Outcome, judged

LIMIT_S = 230.0  # of all checks together: less than four minutes
Ask = Callable[[Check, float, Path, Mapping[str, Mapping[str, Any]]], Outcome]
OnBegin = Callable[[Check, int], None]


def examine(
    checks: Sequence[Check],
    here: Mapping[str, Callable[[], Found]],
    limit_s: float = LIMIT_S,
    on_begin: OnBegin = lambda check, number: None,
    ask: Ask | None = None,
) -> Iterator[Outcome]:
    """An outcome of each, as it comes.

    here: what only the caller can look at, by the names of checks without a task. One that rests
    on another which is not ok is not made. What the time does not reach is missing, and says so;
    more than the usual time is for a slow machine, on which each check takes longer to hang too.
    """
    end, known = time.monotonic() + limit_s, dict[str, Outcome]()
    patience = max(1.0, limit_s / LIMIT_S)
    with TemporaryDirectory(prefix="dln-doctor-", ignore_cleanup_errors=True) as place:
        for number, each in enumerate(checks, 1):
            on_begin(each, number)
            begun, check = time.monotonic(), replace(each, limit_s=patience * each.limit_s)
            if (found := barred(check, known)) is None:
                found = made(check, here, end - begun, Path(place), known, ask or apart.ask)
            took = round(time.monotonic() - begun, 2)
            known[check.name] = found = replace(found, name=check.name, seconds=took)
            yield found


def barred(check: Check, known: Mapping[str, Outcome]) -> Outcome | None:
    """Why it makes no sense after what is known; None where it does."""
    for name in check.after:
        rests = known[name]
        if rests.status == FAILED:
            return Outcome(MISSING, f"it rests on {name}, which failed",
                           f"dln doctor --deep --only {name}")  # fmt: skip
        if rests.status == MISSING:
            return Outcome(MISSING, rests.value, rests.hint)
    return None


def made(
    check: Check,
    here: Mapping[str, Callable[[], Found]],
    left_s: float,
    folder: Path,
    known: Mapping[str, Outcome],
    ask: Ask,
) -> Outcome:
    """The check itself, here or in a process of its own."""
    if left_s <= 0:
        return apart.out_of_time(check.name)
    if not check.task:
        return judged(here[check.name])
    before = {name: dict(known[name].numbers) for name in check.after}
    return ask(check, min(check.limit_s, left_s), folder, before)
