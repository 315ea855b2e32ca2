"""When a run may go: whatever says so, and the limit on the grid's intensity that does."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from ..errors import DlnError
from .values import MOST_G, within

RETRY = timedelta(minutes=1)  # a service that fails is left alone so long: asking takes seconds


class Schedule(Protocol):
    """Says whether a run may go on; a plan is one."""

    def running(self, moment: datetime) -> bool: ...


@dataclass
class Threshold:
    """Runs while the grid is at or below `limit` g/kWh, and from `deadline` on whatever it is.

    intensity: g/kWh of a moment. Where it fails (a service that is down), the run goes on, and
    on_problem is told why, once until it answers again.
    """

    limit: float
    intensity: Callable[[datetime], float]
    deadline: datetime | None = None
    on_problem: Callable[[str], None] = lambda why: None
    _again: datetime | None = field(default=None, init=False)  # when a failing source is asked

    def __post_init__(self) -> None:
        within(self.limit, "--pause-above", MOST_G)

    def running(self, moment: datetime) -> bool:
        """Whether the run may go at `moment`."""
        if self.deadline is not None and moment >= self.deadline:
            return True
        if self._again is not None and moment < self._again:
            return True
        try:
            found = self.intensity(moment)
        except DlnError as error:
            if self._again is None:
                self.on_problem(f"the grid's intensity is not known, the run goes on: {error}")
            self._again = moment + RETRY
            return True
        self._again = None
        return found <= self.limit
