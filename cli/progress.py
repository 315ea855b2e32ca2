"""Progress on stderr: bars and a live table on a terminal, else a plain line now and then."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from dln.core.progress import OnProgress
from dln.core.text.shown import on_one_line

from .show import errors, screen

PLAIN_EVERY = 10.0  # seconds between two plain lines


@contextmanager
def progress() -> Iterator[OnProgress]:
    """A callable (done, total, what) that draws one bar for each `what` that it hears of."""
    if screen.watched:
        with bars() as report:
            yield report
    else:
        yield plain_lines()


@contextmanager
def bars() -> Iterator[OnProgress]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeLeft())
    with Progress(*columns, console=errors(), transient=True) as drawn:
        tasks: dict[str, int] = {}

        def report(done: int, total: int, what: str) -> None:
            if what not in tasks:
                tasks[what] = drawn.add_task(what, total=total)
            drawn.update(tasks[what], completed=done, total=total)  # type: ignore[arg-type]

        yield report


def plain_lines() -> OnProgress:
    """Lines such as "clips 1/3, tokens 120/900", all that goes on as it was first heard of; the
    first only after PLAIN_EVERY seconds."""
    due, going = Due(), dict[str, str]()

    def report(done: int, total: int, what: str) -> None:
        going[what] = f"{what} {done}/{total}" if done < total else ""
        if due():
            line(", ".join(filter(None, going.values())) or f"{what} {done}/{total}")

    return report


class Due:
    """True once every PLAIN_EVERY seconds."""

    def __init__(self) -> None:
        self.next = time.monotonic() + PLAIN_EVERY

    def __call__(self) -> bool:
        if time.monotonic() < self.next:
            return False
        self.next = time.monotonic() + PLAIN_EVERY
        return True


def line(text: str) -> None:
    """One plain line on stderr; --quiet and --json drop it."""
    if not (screen.quiet or screen.json):
        print(on_one_line(text), file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """3725 -> "1:02:05"."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
