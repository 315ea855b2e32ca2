"""A training as it happens: a live table on a terminal, else plain lines now and then."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

from dln.core.training.events import (
    Evaluated,
    Event,
    Finished,
    Going,
    Looked,
    Note,
    Planned,
    Saved,
    Started,
    Stepped,
)

from .progress import Due, clock, line
from .show import errors, number, screen, table
from .whole import Whole

if TYPE_CHECKING:
    from rich.live import Live

FIRST, LAST = ("stage", "step", "loss"), ("samples/s",)
BAR = 40  # characters


class Watch:
    """Takes the events of a training, remembers each stage's state, and says what matters."""

    def __init__(self, live: "Live | None" = None) -> None:
        self.live = live
        self.due = Due()
        self.whole, self.heard = Whole(), False
        self.rows: dict[str, dict[str, str]] = {}
        self.stages: dict[str, dict[str, Any]] = {}

    def __call__(self, event: Event) -> None:
        """Show it; a training does not end because nobody can see it any more."""
        with suppress(OSError):
            self.show(event)

    def show(self, event: Event) -> None:
        match event:
            case Looked():
                self.look(event)
            case Started():
                self.tell(f"{event.stage}: step {event.step} of {event.steps}, "
                          f"{number(event.samples)} samples, "
                          f"{number(event.parameters)} parameters")  # fmt: skip
            case Planned():
                self.whole = Whole(event.stages)
            case Stepped() | Going():
                self.step(event)
            case Evaluated():
                sheet = f" ({event.sheet})" if event.sheet else ""
                self.tell(f"{event.stage} step {event.step}: {listed(event.metrics)}{sheet}")
            case Saved():
                screen.detail(f"{event.stage}: checkpoint of step {event.step} in {event.path}")
            case Note():
                self.tell(event.text)
            case Finished():
                self.finish(event)

    def look(self, event: Looked) -> None:
        what, done = f"looking at {event.what}", f"{event.done}/{event.total}"
        self.rows[what] = dict(zip(FIRST, (what, done), strict=False))
        if event.done == event.total:
            del self.rows[what]
        if self.live:
            self.live.update(self.drawn() if self.rows else "")
        elif self.due():
            line(f"{what} {done}")

    def step(self, event: Stepped | Going) -> None:
        self.whole.heed(event)
        done, loss, rate = f"{event.step}/{event.steps}", f"{event.loss:.4g}", f"{event.rate:.3g}"
        told = {name: f"{value:.3g}" for name, value in getattr(event, "told", {}).items()}
        cells = zip((*FIRST, *LAST), (event.stage, done, loss, rate), strict=True)
        self.rows[event.stage] = self.rows.get(event.stage, {}) | dict(cells) | told
        if self.live:
            self.live.update(self.drawn())
        elif self.due() or not self.heard:
            more = "".join(f", {name} {value}" for name, value in told.items())
            line(f"{event.stage} {done} loss {loss}{more}, {rate} samples/s, {self.ahead()}")
        self.heard = True

    def ahead(self) -> str:
        """How much of all stages is done, and how long the rest takes."""
        share = f"{100 * self.whole.share:.0f} % done"
        return share if self.whole.left is None else f"{share}, {clock(self.whole.left)} left"

    def finish(self, event: Finished) -> None:
        self.stages[event.stage] = {
            "steps": event.steps,
            "seconds": round(event.seconds, 3),
            "metrics": event.metrics,
        }
        self.tell(f"{event.stage} finished: {event.steps} steps in {clock(event.seconds)}")

    def tell(self, text: str) -> None:
        """A line of its own, above the table where there is one."""
        if self.live:
            self.live.console.print(text, soft_wrap=True, markup=False, highlight=False)
        else:
            line(text)

    def drawn(self):
        """The table, and one bar for all stages once a step has been taken."""
        from rich.console import Group

        return Group(self.table(), self.bar()) if self.heard else self.table()

    def bar(self):
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        drawn = Table.grid(padding=(0, 1))
        drawn.add_row(ProgressBar(1.0, self.whole.share, BAR), self.ahead())
        return drawn

    def table(self):
        names = dict.fromkeys(name for row in self.rows.values() for name in row)
        columns = [*FIRST, *(name for name in names if name not in (*FIRST, *LAST)), *LAST]
        rows = [[row.get(name, "") for name in columns] for row in self.rows.values()]
        return table(columns, rows)


def listed(metrics: dict[str, float]) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in metrics.items())


@contextmanager
def watching() -> Iterator[Watch]:
    """A watch that draws on stderr for as long as the block lasts. A terminal that is closed
    meanwhile takes nothing more: what ends then, ends as if somebody had seen it."""
    terminals = [stream for stream in (sys.stdout, sys.stderr) if stream.isatty()]
    with live() as drawn:
        try:
            yield Watch(drawn)
        finally:
            for stream in terminals:
                if not stream.isatty():
                    silence(stream)


@contextmanager
def live() -> "Iterator[Live | None]":
    """A table that changes, where somebody watches."""
    if not screen.watched:
        yield None
        return
    from rich.live import Live

    with Live(console=errors(), refresh_per_second=4) as drawn:
        yield drawn


def silence(stream: TextIO) -> None:
    """What is written there from now on is lost."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
