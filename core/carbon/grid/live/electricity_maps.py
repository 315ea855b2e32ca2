"""Electricity Maps: hourly average intensity with life-cycle factors, for about 350 zones.

https://app.electricitymaps.com/developer-hub/api/reference; the key travels in `auth-token`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil
from typing import Any

from ....errors import DlnError, UsageError
from ...values import iso, parse_time
from .adapter import Live, secret
from .http import Service
from .points import Points, collect

TOKEN = "ELECTRICITYMAPS_TOKEN"
HORIZONS = (24, 48, 72)  # hours that the forecast can be asked for


class ElectricityMaps(Live):
    """/carbon-intensity/past-range (at most 240 hours) and /carbon-intensity/forecast."""

    service = Service(
        "Electricity Maps", TOKEN, f"get a key at https://portal.electricitymaps.com, set {TOKEN}"
    )
    base = "https://api.electricitymaps.com/v3"
    signal = "average"
    factors = "life-cycle"
    step = timedelta(hours=1)
    longest = timedelta(days=10)

    def find_area(self) -> str:
        if self.region.zone is None:
            raise UsageError(
                f"{self.region.code} has no grid zone that Electricity Maps could be asked for",
                hint="dln carbon regions",
            )
        return self.region.zone

    def fetch_history(self, start: datetime, end: datetime) -> Points:
        answer = self._ask_zone("past-range", {"start": iso(start), "end": iso(end)})
        return self._points(answer["data"])

    def fetch_forecast(self, start: datetime, end: datetime) -> Points:
        hours = ceil((end - self.now()) / self.step)
        horizon = next((h for h in HORIZONS if h >= hours), HORIZONS[-1])
        answer = self._ask_zone("forecast", {"horizonHours": str(horizon)})
        return self._points(answer["forecast"])

    def _ask_zone(self, name: str, query: dict[str, str]) -> Any:
        token = secret(self.service, TOKEN)
        query = {"zone": self.area, "emissionFactorType": "lifecycle"} | query
        query["temporalGranularity"] = "hourly"
        answer = self.get(f"carbon-intensity/{name}", query, secret_headers={"auth-token": token})
        self._check(answer)
        return answer

    def _check(self, answer: Any) -> None:
        """Refuse the numbers of another zone, and the invented ones that a test key gets."""
        zone = answer.get("zone", self.area)
        if zone != self.area:
            raise DlnError(f"Electricity Maps answered for another zone than {self.area}")
        remark = str(answer.get("_disclaimer", "")).lower()
        if "sandbox" in remark or "testing" in remark:
            raise DlnError(
                f"the key in {TOKEN} is for tests only: Electricity Maps sends invented numbers",
                hint=self.service.register,
            )

    def _points(self, rows: Any) -> Points:
        pairs = ((parse_time(row["datetime"]), row["carbonIntensity"]) for row in rows)
        return Points(self.step, collect(self.service.title, pairs))
