"""EIA: hourly generation by fuel of a US balancing area (Form EIA-930), as average intensity.

https://www.eia.gov/opendata (v2, electricity/rto/fuel-type-data), public domain, about a day late.
Generation times the median life-cycle factor of each fuel, over all generation: what the area
produces, without imports.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from ....errors import DlnError, UsageError
from ...values import MOST_KWH, parse_time
from .adapter import Live, secret
from .http import Service
from .points import Points, collect

KEY = "EIA_API_KEY"
# g CO2e/kWh: IPCC AR5 WG3 annex III, table A.III.2, medians; oil and the rest as IPCC has none.
FACTORS = {
    "COL": 820.0,
    "NG": 490.0,
    "OIL": 650.0,
    "NUC": 12.0,
    "WAT": 24.0,
    "WND": 11.0,
    "WNB": 11.0,  # wind with a battery
    "SUN": 45.0,
    "SNB": 45.0,  # solar with a battery
    "GEO": 38.0,
}
OTHER = 230.0
STORAGE = frozenset({"BAT", "PS"})  # gives back what was generated, and counted, before
ROWS = 5000  # the most in one answer


class Eia(Live):
    """/electricity/rto/fuel-type-data/data: history only."""

    service = Service(
        "EIA", KEY, f"get a free key at https://www.eia.gov/opendata/register.php, set {KEY}"
    )
    base = "https://api.eia.gov/v2"
    signal = "average"
    factors = "life-cycle"
    step = timedelta(hours=1)
    longest = timedelta(days=12)  # 288 hours of up to 17 fuels stay below ROWS

    def find_area(self) -> str:
        parts = (self.region.zone or "").split("-")
        if len(parts) != 3 or parts[0] != "US":
            raise UsageError(
                f"EIA knows US balancing areas only, and {self.region.code} is none",
                hint="--region US-CAL-CISO",
            )
        return parts[2]

    def fetch_history(self, start: datetime, end: datetime) -> Points:
        key = secret(self.service, KEY)
        query = {
            "frequency": "hourly",
            "data[0]": "value",
            "facets[respondent][]": self.area,
            "start": _hour(start + self.step),  # hours are named by their end
            "end": _hour(end),
            "sort[0][column]": "period",
            "sort[0][direction]": "asc",
            "offset": "0",
            "length": str(ROWS),
        }
        path = "electricity/rto/fuel-type-data/data/"
        answer = self.get(path, query, secret_query={"api_key": key})
        return self._points(answer["response"])

    def fetch_forecast(self, start: datetime, end: datetime) -> Points:
        raise UsageError(
            "EIA has no forecast of generation by fuel",
            hint="--source typical, electricity-maps or watttime",
        )

    def _points(self, response: Any) -> Points:
        rows = response["data"]
        if int(response["total"]) > len(rows):
            raise DlnError(f"EIA sent {len(rows)} rows, and not all of them")
        hours: dict[datetime, dict[str, float]] = defaultdict(dict)
        for row in rows:
            if row["fueltype"] not in STORAGE and row["value"] is not None:
                begin = parse_time(f"{row['period']}:00") - self.step
                hours[begin][row["fueltype"]] = _mwh(row["value"])
        fuels = {fuel for mix in hours.values() for fuel in mix}
        # An hour without one of the area's fuels has no known mix: it is left out, so a gap.
        known = ((t, intensity(mix)) for t, mix in hours.items() if mix.keys() == fuels)
        return Points(self.step, collect(self.service.title, known))


def intensity(mix: dict[str, float]) -> float | None:
    """g/kWh of MWh by fuel code; None where nothing is generated.

    A plant that takes more than it gives (solar at night) generates nothing.
    """
    generated = {fuel: max(0.0, mwh) for fuel, mwh in mix.items()}
    total = sum(generated.values())
    if total == 0:
        return None
    return sum(FACTORS.get(fuel, OTHER) * mwh for fuel, mwh in generated.items()) / total


def _mwh(value: Any) -> float:
    """ValueError for what is no number of MWh that an area could generate in an hour."""
    found = float(value)
    if not abs(found) <= MOST_KWH:
        raise ValueError(value)
    return found


def _hour(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H")
