"""Answers of the services that know the grid, spoilt, given by a server on loopback."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

from hypothesis import strategies as st

from .case import Case
from .nasty import json_files
from .pantry import Pantry

NOW = datetime(2026, 3, 10, 12, 10, tzinfo=UTC)
START = datetime(2026, 3, 1, tzinfo=UTC)
STEPS = {"gb": 30, "electricity-maps": 60, "watttime": 5, "eia": 60}  # minutes
REGIONS: dict[str, Any] = {
    "gb": SimpleNamespace(code="GB", country="GBR", zone="GB"),
    "electricity-maps": SimpleNamespace(code="DE", country="DEU", zone="DE"),
    "watttime": SimpleNamespace(code="US-CAL-CISO", country="USA", zone="US-CAL-CISO"),
    "eia": SimpleNamespace(code="US-CAL-CISO", country="USA", zone="US-CAL-CISO"),
}
KEYS = {name: "key" for name in ("ELECTRICITYMAPS_TOKEN", "WATTTIME_USERNAME", "WATTTIME_PASSWORD",
                                 "EIA_API_KEY")}  # fmt: skip
STATUS = (200,) * 12 + (204, 206, 301, 302, 400, 401, 403, 404, 418, 429, 500, 503, 599)
PATIENCE_S = 1.0
ENDLESS_BYTES = 3 << 30


def sound(name: str) -> Any:
    """Two hours as the service tells them."""
    step = timedelta(minutes=STEPS[name])
    times = [START + i * step for i in range(int(timedelta(hours=2) / step))]
    if name == "gb":
        return {"data": [{"from": f"{t:%Y-%m-%dT%H:%MZ}", "to": f"{t + step:%Y-%m-%dT%H:%MZ}",
                          "intensity": {"forecast": 200, "actual": 210, "index": "low"}}
                         for t in times]}  # fmt: skip
    if name == "electricity-maps":
        rows = [{"zone": "DE", "datetime": f"{t:%Y-%m-%dT%H:%M:%S.000Z}", "carbonIntensity": 300,
                 "emissionFactorType": "lifecycle",
                 "isEstimated": False} for t in times]  # fmt: skip
        return {"zone": "DE", "data": rows, "forecast": rows}
    if name == "watttime":
        meta = {"data_point_period_seconds": 300, "units": "lbs_co2_per_mwh"}
        rows = [{"point_time": t.isoformat(), "value": 900.0} for t in times]
        return {"token": "jwt", "data": rows, "meta": meta}
    hours = [t + step for t in times]
    rows = [{"period": f"{t:%Y-%m-%dT%H}", "respondent": "CISO", "fueltype": fuel, "value": "100"}
            for t in hours for fuel in ("COL", "NUC")]  # fmt: skip
    return {"response": {"total": str(len(rows)), "data": rows}}


def answers(pantry: Pantry) -> st.SearchStrategy[Case]:
    """Any service, any status, any body, also one that never ends."""

    @st.composite
    def drawn(draw: st.DrawFn) -> Case:
        name = draw(st.sampled_from(sorted(STEPS)))
        told = {"service": name, "status": draw(st.sampled_from(STATUS)),
                "endless": draw(st.integers(0, 79)) == 0,
                "forecast": draw(st.booleans())}  # fmt: skip
        files = {"body": draw(json_files(sound(name))), "told.json": json.dumps(told).encode()}
        return Case(files=files, call="http", environment=KEYS)

    return drawn()


def ask(folder: Path) -> None:
    """As a schedule or a paused training asks; DlnError for whatever is answered."""
    from dln.core.carbon.grid.live import ADAPTERS
    from dln.core.carbon.grid.live.http import resting

    resting.clear()  # what failed is asked again
    told = json.loads((folder / "told.json").read_bytes())
    server = serving()
    server.status, server.body = told["status"], (folder / "body").read_bytes()
    server.endless = told["endless"]
    url = f"http://127.0.0.1:{server.http.server_port}"
    now: Callable[[], datetime] = lambda: START if told["forecast"] else NOW  # noqa: E731
    live = ADAPTERS[told["service"]](
        REGIONS[told["service"]], url, PATIENCE_S, folder / "kept", now
    )
    asked = live.forecast if told["forecast"] else live.history
    asked(START, START + timedelta(hours=2)).mean(START, START + timedelta(hours=1))


class Server:
    """Answers every question with the same status and body."""

    def __init__(self) -> None:
        self.status, self.body, self.endless = 200, b"", False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(outer.status)
                if 300 <= outer.status < 400:
                    self.send_header("Location", "/again")
                self.end_headers()
                with suppress(OSError):
                    self.wfile.write(outer.body)
                    if outer.endless:
                        self.go_on()

            def go_on(self) -> None:
                """So much that nobody who keeps it all stays small."""
                end, piece = time.monotonic() + 2 * PATIENCE_S, b"[" * (1 << 20)
                for _ in range(ENDLESS_BYTES >> 20):
                    if time.monotonic() > end:
                        return
                    self.wfile.write(piece)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.handle_error = lambda request, client_address: None  # a client that left
        Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()


@cache
def serving() -> Server:
    return Server()
