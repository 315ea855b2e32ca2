"""The errors a user can meet: one sentence, the next command to try, and the exit code."""

from collections.abc import Iterable
from difflib import get_close_matches


class DlnError(Exception):
    """Something failed while running (exit code 1)."""

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(DlnError):
    """Wrong usage or input."""

    exit_code = 2


class MissingCapability(DlnError):
    """A GPU, a library or weights are not there; the hint is the line that gets them."""

    exit_code = 3


class Paused(DlnError):
    """Stopped on purpose; the same command with --resume goes on."""

    exit_code = 75


class Interrupted(DlnError):
    """Ctrl-C, with the checkpoint saved."""

    exit_code = 130


def reason_of(error: Exception) -> str:
    """What went wrong, in words: of a system's error without its number and the file's name."""
    told = getattr(error, "strerror", None) or str(error)
    return (told.splitlines() or [type(error).__name__])[0]


def closest(name: str, names: Iterable[str]) -> str:
    """ " Did you mean 'x' or 'y'?" for a misspelt name, or "" where nothing is near."""
    near = get_close_matches(name.lower(), list(names), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""


def short(text: str, most: int = 60) -> str:
    """As much of a stranger's text as a sentence can quote."""
    return text if len(text) <= most else f"{text[: most - 3]}..."
