"""Great Britain: the Carbon Intensity API of the system operator, half-hourly, without a key.

https://carbon-intensity.github.io/api-definitions; data under CC BY 4.0. Operational factors, so
direct emissions only.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ....errors import UsageError
from ...values import floor, iso, parse_time
from .adapter import Live
from .http import Service
from .points import Points, collect


class GreatBritain(Live):
    """/intensity/{from}/{to} (at most 14 days) and /intensity/{from}/fw48h."""

    service = Service("the Carbon Intensity API")
    base = "https://api.carbonintensity.org.uk"
    signal = "average"
    factors = "direct"
    step = timedelta(minutes=30)
    longest = timedelta(days=13)  # the answer begins one half-hour early

    def find_area(self) -> str:
        # Northern Ireland is on the grid of its island.
        if self.region.zone != "GB":
            raise UsageError(
                f"the Carbon Intensity API knows Great Britain only, not {self.region.code}",
                hint="--region GB, or --source electricity-maps",
            )
        return "GB"

    def fetch_history(self, start: datetime, end: datetime) -> Points:
        return self._points(self.get(f"intensity/{iso(start)}/{iso(end)}"), "actual")

    def fetch_forecast(self, start: datetime, end: datetime) -> Points:
        begin = floor(min(start, self.now()), self.step)
        return self._points(self.get(f"intensity/{iso(begin)}/fw48h"), "forecast")

    def _points(self, answer: Any, name: str) -> Points:
        rows = ((parse_time(row["from"]), row["intensity"][name]) for row in answer["data"])
        return Points(self.step, collect(self.service.title, rows))
