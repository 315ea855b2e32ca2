"""When a run may go: whatever says so, and the limit on the grid's intensity that does."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ..errors import DlnError, UsageError


class Schedule(Protocol):
    """Says whether a run may go on; a plan is one."""

    def running(self, moment: datetime) -> bool: ...


@dataclass(frozen=True)
class Threshold:
    """Runs while the grid is at or below `limit` g/kWh, and from `deadline` on whatever it is.

    intensity: g/kWh of a moment. Where it fails (a service that is down), the run goes on.
    """

    limit: float
    intensity: Callable[[datetime], float]
    deadline: datetime | None = None

    def __post_init__(self) -> None:
        if not self.limit > 0:
            raise UsageError(f"--pause-above is g/kWh above 0, not {self.limit:g}")

    def running(self, moment: datetime) -> bool:
        if self.deadline is not None and moment >= self.deadline:
            return True
        try:
            return self.intensity(moment) <= self.limit
        except DlnError:
            return True
