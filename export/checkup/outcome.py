"""What a check of the machine comes to. Nothing here imports torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dln.core.errors import DlnError, MissingCapability, short

OK, FAILED, MISSING = "ok", "failed", "missing"
MOST = 300  # letters of what a library says


@dataclass(frozen=True)
class Found:
    """What was seen: in words, and as numbers by names that tell their units."""

    value: str
    numbers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """ok, with what was seen; failed, with what went wrong; or missing: it cannot be tried here,
    with why, and as `hint` the line that would mend it."""

    status: str
    value: str
    hint: str | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Job:
    """What every check may use: a folder that all of one examination share, and the numbers of the
    checks that it rests on."""

    folder: Path
    before: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def judged(check: Callable[[], Found]) -> Outcome:
    """How it ended, whatever it raises."""
    try:
        found = check()
    except MissingCapability as error:
        return Outcome(MISSING, short(error.message, MOST), error.hint)
    except DlnError as error:
        return Outcome(FAILED, short(error.message, MOST), error.hint)
    except Exception as error:
        said = " ".join(str(error).split())
        return Outcome(FAILED, short(f"{type(error).__name__}: {said}", MOST))
    return Outcome(OK, found.value, None, found.numbers)
