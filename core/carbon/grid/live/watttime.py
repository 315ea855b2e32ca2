"""WattTime: marginal operating emissions rate (MOER), each five minutes.

https://docs.watttime.org (v3). lb CO2 for each MWh at the chimney, given here in g/kWh. The
preview that every account has is CAISO_NORTH.
"""

from __future__ import annotations

import os
from base64 import b64encode
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from ....errors import DlnError, UsageError
from ...values import HOUR, LB_PER_MWH, iso, parse_time
from .adapter import Live, secret
from .http import Service
from .points import Points, collect

USERNAME, PASSWORD, REGION = "WATTTIME_USERNAME", "WATTTIME_PASSWORD", "WATTTIME_REGION"
UNITS = "lbs_co2_per_mwh"
REGIONS = {"US-CAL-CISO": "CAISO_NORTH"}
LONGEST_FORECAST = 72  # hours


class WattTime(Live):
    """/login for a token of 30 minutes, then /v3/historical (at most 32 days), /v3/forecast."""

    service = Service(
        "WattTime",
        f"{USERNAME} and {PASSWORD}",
        f"register at https://docs.watttime.org, set {USERNAME} and {PASSWORD}",
    )
    base = "https://api.watttime.org"
    signal = "marginal"
    factors = "direct"
    step = timedelta(minutes=5)
    longest = timedelta(days=31)

    def find_area(self) -> str:
        area = os.environ.get(REGION) or REGIONS.get(self.region.zone or "")
        if area is None:
            raise UsageError(
                f"WattTime's own region for {self.region.code} is not known here",
                hint=f"set {REGION}, for example {REGION}=CAISO_NORTH",
            )
        return area

    def fetch_history(self, start: datetime, end: datetime) -> Points:
        return self._ask_signal("historical", {"start": iso(start), "end": iso(end)})

    def fetch_forecast(self, start: datetime, end: datetime) -> Points:
        hours = min(LONGEST_FORECAST, max(24, ceil((end - self.now()) / HOUR)))
        return self._ask_signal("forecast", {"horizon_hours": str(hours)})

    def _ask_signal(self, name: str, query: dict[str, str]) -> Points:
        query = {"region": self.area, "signal_type": "co2_moer"} | query
        bearer = {"Authorization": f"Bearer {self._login()}"}
        return self._points(self.get(f"v3/{name}", query, secret_headers=bearer))

    def _login(self) -> str:
        pair = f"{secret(self.service, USERNAME)}:{secret(self.service, PASSWORD)}"
        basic = {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
        return str(self.get("login", secret_headers=basic)["token"])

    def _points(self, answer: Any) -> Points:
        meta = answer["meta"]
        if meta["units"] != UNITS or meta["data_point_period_seconds"] != self.step.seconds:
            raise DlnError(f"WattTime answered in other units or steps than {UNITS} and 5 min")
        values = collect(
            self.service.title,
            ((parse_time(row["point_time"]), row["value"]) for row in answer["data"]),
        )
        grams = {time: value * LB_PER_MWH for time, value in values.items()}
        return Points(self.step, grams)
