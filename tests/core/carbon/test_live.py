"""The four adapters against servers on loopback that answer in the recorded shapes."""

import base64
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread, active_count
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest

from dln.core.carbon.grid.live import ADAPTERS, Live, open_live
from dln.core.carbon.grid.live.eia import intensity
from dln.core.errors import DlnError, MissingCapability, UsageError

KEY = "k3y-never-shown"
NOW = datetime(2026, 3, 10, 12, 10, tzinfo=UTC)
START = datetime(2026, 3, 1, tzinfo=UTC)  # settled: older than two days
HOUR = timedelta(hours=1)
REGIONS: dict[str, Any] = {
    "gb": SimpleNamespace(code="GB", country="GBR", zone="GB"),
    "electricity-maps": SimpleNamespace(code="DE", country="DEU", zone="DE"),
    "watttime": SimpleNamespace(code="US-CAL-CISO", country="USA", zone="US-CAL-CISO"),
    "eia": SimpleNamespace(code="US-CAL-CISO", country="USA", zone="US-CAL-CISO"),
}


class Server:
    """Answers each path with what `routes` hold: a JSON value, bytes, a status, or a function."""

    def __init__(self) -> None:
        self.routes: dict[str, Any] = {}
        self.seen: list[tuple[str, dict[str, list[str]], dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.seen.append((parts.path, parse_qs(parts.query), headers))
                answer = outer.routes.get(parts.path, 404)
                answer = answer() if callable(answer) else answer
                status = answer if isinstance(answer, int) else 200
                body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.handle_error = lambda request, client_address: None  # a client that left
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name in ("ELECTRICITYMAPS_TOKEN", "WATTTIME_USERNAME", "WATTTIME_PASSWORD", "EIA_API_KEY"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.delenv("WATTTIME_REGION", raising=False)
    found = Server()
    yield found
    found.http.shutdown()
    found.http.server_close()


@pytest.fixture
def adapter(server: Server, tmp_path: Path) -> Callable[..., Live]:
    def make(name: str, now: datetime = NOW, timeout: float = 2.0) -> Live:
        return ADAPTERS[name](REGIONS[name], server.url, timeout, tmp_path, lambda: now)

    return make


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%MZ")


def gb_answer(start: datetime, name: str, values: list[int | None]) -> dict[str, Any]:
    half = timedelta(minutes=30)
    rows = []
    for i, value in enumerate(values):
        figures = {"forecast": 999, "actual": None, "index": "low"} | {name: value}
        begin = start + i * half
        rows.append({"from": stamp(begin), "to": stamp(begin + half), "intensity": figures})
    return {"data": rows}


GB_PATH = "/intensity/2026-03-01T00:00Z/2026-03-01T01:00Z"


def test_gb_history(server: Server, adapter: Callable[..., Live]) -> None:
    early = START - timedelta(minutes=30)  # the API's first row ends where the question begins
    server.routes[GB_PATH] = gb_answer(early, "actual", [500, 100, 120])
    series = adapter("gb").history(START + timedelta(minutes=10), START + timedelta(minutes=55))
    assert series.start == START
    assert series.step == timedelta(minutes=30)
    assert series.g_per_kwh.tolist() == [100.0, 120.0]
    label = series.label
    assert (label.signal, label.factors, label.year) == ("average", "direct", "2026")
    assert label.kind == "estimated"
    assert "Carbon Intensity API" in label.origin


def test_gb_forecast(server: Server, adapter: Callable[..., Live]) -> None:
    begin = datetime(2026, 3, 10, 12, tzinfo=UTC)
    path = "/intensity/2026-03-10T12:00Z/fw48h"
    server.routes[path] = gb_answer(begin, "forecast", list(range(100, 196)))
    series = adapter("gb").forecast(begin + 2 * HOUR, begin + 4 * HOUR)
    assert series.g_per_kwh.tolist() == [104.0, 105.0, 106.0, 107.0]
    assert series.label.kind == "forecast"
    with pytest.raises(UsageError, match="has data for 2026-03-10T12:00Z to 2026-03-12T12:00Z"):
        adapter("gb").forecast(begin, begin + 49 * HOUR)


def test_electricity_maps(server: Server, adapter: Callable[..., Live]) -> None:
    row = {"zone": "DE", "emissionFactorType": "lifecycle", "isEstimated": False}
    times = [(START + i * HOUR).strftime("%Y-%m-%dT%H:%M:%S.000Z") for i in range(3)]
    rows = [row | {"datetime": t, "carbonIntensity": 300 + i} for i, t in enumerate(times)]
    server.routes["/carbon-intensity/past-range"] = {"zone": "DE", "data": rows[:2]}
    series = adapter("electricity-maps").history(START, START + 2 * HOUR)
    assert series.g_per_kwh.tolist() == [300.0, 301.0]
    assert (series.label.signal, series.label.factors) == ("average", "life-cycle")
    _, query, headers = server.seen[0]
    assert headers["auth-token"] == KEY
    assert query["zone"] == ["DE"]
    assert query["start"] == ["2026-03-01T00:00Z"]
    server.routes["/carbon-intensity/forecast"] = {"zone": "DE", "forecast": rows}
    series = adapter("electricity-maps", now=START).forecast(START + HOUR, START + 3 * HOUR)
    assert series.g_per_kwh.tolist() == [301.0, 302.0]
    server.routes["/carbon-intensity/forecast"] = {"zone": "FR", "forecast": rows}
    with pytest.raises(DlnError, match="another zone than DE"):
        adapter("electricity-maps", now=START + HOUR).forecast(START + HOUR, START + 3 * HOUR)


def test_watttime_converts_pounds(server: Server, adapter: Callable[..., Live]) -> None:
    rows = [
        {"point_time": "2026-03-01T00:00:00+00:00", "value": 1.0},
        {"point_time": "2026-03-01T00:05:00+00:00", "value": 1000.0},
        {"point_time": "2026-03-01T00:10:00+00:00", "value": 5.0},
    ]
    meta = {
        "data_point_period_seconds": 300,
        "region": "CAISO_NORTH",
        "signal_type": "co2_moer",
        "units": "lbs_co2_per_mwh",
    }
    server.routes["/login"] = {"token": "jwt-of-the-session"}
    server.routes["/v3/historical"] = {"data": rows, "meta": meta}
    series = adapter("watttime").history(START, START + timedelta(minutes=10))
    assert series.g_per_kwh.tolist() == pytest.approx([0.45359237, 453.59237], rel=1e-12)
    assert (series.label.signal, series.label.factors) == ("marginal", "direct")
    pair = base64.b64encode(f"{KEY}:{KEY}".encode()).decode()
    assert server.seen[0][2]["authorization"] == f"Basic {pair}"
    assert server.seen[1][2]["authorization"] == "Bearer jwt-of-the-session"
    assert server.seen[1][1]["region"] == ["CAISO_NORTH"]
    server.routes["/v3/forecast"] = {"data": rows, "meta": meta}
    forecast = adapter("watttime", now=START).forecast(START, START + timedelta(minutes=15))
    assert forecast.g_per_kwh[2] == pytest.approx(2.26796185, rel=1e-12)
    server.routes["/v3/forecast"] = {"data": rows, "meta": meta | {"units": "percentile"}}
    with pytest.raises(DlnError, match="other units"):
        adapter("watttime", now=START + HOUR).forecast(START, START + timedelta(minutes=10))


EIA_PATH = "/electricity/rto/fuel-type-data/data/"


def eia_answer(mixes: Mapping[str, Mapping[str, str | None]]) -> dict[str, Any]:
    rows = [
        {"period": period, "respondent": "CISO", "fueltype": fuel, "value": value}
        for period, mix in mixes.items()
        for fuel, value in mix.items()
    ]
    return {"response": {"total": str(len(rows)), "data": rows}, "request": {"api_key": KEY}}


def test_eia_weighs_fuels(server: Server, adapter: Callable[..., Live]) -> None:
    hours = {
        "2026-03-01T01": {"COL": "100", "NUC": "300", "SUN": "-2", "BAT": "500"},
        "2026-03-01T02": {"COL": "0", "NUC": "100", "SUN": "100", "BAT": "-500"},
    }
    server.routes[EIA_PATH] = eia_answer(hours)
    series = adapter("eia").history(START, START + 2 * HOUR)
    # By hand: (100 820 + 300 12) / 400 = 214 and (100 12 + 100 45) / 200 = 28.5.
    assert series.g_per_kwh.tolist() == [214.0, 28.5]
    _, query, _ = server.seen[0]
    assert query["api_key"] == [KEY]
    assert query["facets[respondent][]"] == ["CISO"]
    assert (query["start"], query["end"]) == (["2026-03-01T01"], ["2026-03-01T02"])
    with pytest.raises(UsageError, match="no forecast"):
        adapter("eia").forecast(NOW, NOW + HOUR)


def test_eia_other_fuels_and_missing_ones(server: Server, adapter: Callable[..., Live]) -> None:
    assert intensity({"OTH": 1.0, "NG": 1.0}) == 360.0
    assert intensity({"SUN": -1.0}) is None
    full = {"COL": "1", "NUC": "1"}
    mixes: dict[str, dict[str, str | None]] = {
        "2026-03-01T01": dict(full),
        "2026-03-01T02": {"COL": None, "NUC": "1"},
        "2026-03-01T03": dict(full),
    }
    server.routes[EIA_PATH] = eia_answer(mixes)
    with pytest.raises(DlnError, match=r"gap: 1 of 3 values .* first at 2026-03-01T01:00Z"):
        adapter("eia").history(START, START + 3 * HOUR)


def test_long_history_is_asked_in_pieces(server: Server, adapter: Callable[..., Live]) -> None:
    middle, end = START - 7 * 24 * HOUR, START + HOUR
    first = middle - 6 * 24 * HOUR
    for begin, stop in ((first, START), (START, end)):
        count = (stop - begin) // timedelta(minutes=30)
        path = f"/intensity/{stamp(begin)}/{stamp(stop)}"
        server.routes[path] = gb_answer(begin, "actual", [count] * count)
    series = adapter("gb").history(first, end)
    assert series.g_per_kwh.tolist() == [624.0] * 624 + [2.0] * 2
    assert len(server.seen) == 2


def test_invented_numbers_are_refused(server: Server, adapter: Callable[..., Live]) -> None:
    remark = "This data is for testing purposes only"
    server.routes["/carbon-intensity/past-range"] = {
        "zone": "DE",
        "data": [{"datetime": "2026-03-01T00:00:00.000Z", "carbonIntensity": 1}],
        "_disclaimer": remark,
    }
    with pytest.raises(DlnError, match="invented numbers"):
        adapter("electricity-maps").history(START, START + HOUR)


@pytest.mark.parametrize("status", [401, 403])
def test_refused_key(server: Server, adapter: Callable[..., Live], status: int) -> None:
    server.routes["/carbon-intensity/past-range"] = status
    with pytest.raises(MissingCapability, match="refused the key in ELECTRICITYMAPS_TOKEN"):
        adapter("electricity-maps").history(START, START + HOUR)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("answer", "message", "requests"),
    [
        (429, "allows no more requests", 1),
        (500, "failed \\(HTTP 500\\)", 2),
        (404, "refused the request \\(HTTP 404\\)", 1),
        (b'{"data": [', "not JSON", 1),
        ([1, 2], "unknown form", 1),
        ({"data": []}, "has no data for", 1),
        (gb_answer(START, "actual", [100, None, 120]), "gap: 1 of 2 values", 1),
        (gb_answer(START, "actual", [100, -5]), "impossible value", 1),
        (gb_answer(START, "actual", [100, 10**12]), "impossible value", 1),
        (b"[" * 200_000, "not JSON", 1),
        (b'{"data": Infinity}', "not JSON", 1),
        (b'{"data": ' + b"9" * 5000 + b"}", "not JSON", 1),
        (b'{"data": "\xff"}', "not JSON", 1),
        ({"data": [{"from": "9999-12-31T23:59-23:59", "intensity": {"actual": 1}}]}, "unknown", 1),
        ({"data": [{"from": "0001-01-01T00:00+23:59", "intensity": {"actual": 1}}]}, "unknown", 1),
        ({"data": [{"from": 5, "intensity": {"actual": 1}}]}, "unknown", 1),
        (gb_answer(START, "actual", cast(Any, [1, 10**400])), "unknown form", 1),
        (b" " * (16 << 20) + b"{} ", "more than 16,777,216 bytes", 1),
    ],
)
def test_failures(
    server: Server, adapter: Callable[..., Live], answer: Any, message: str, requests: int
) -> None:
    server.routes[GB_PATH] = answer
    with pytest.raises(DlnError, match=message):
        adapter("gb").history(START, START + HOUR)
    assert len(server.seen) == requests


def test_an_answer_without_end_ends_its_thread(
    server: Server, adapter: Callable[..., Live], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte now and then keeps every read of the socket within its time-out."""
    before = active_count()
    with socket.create_server(("127.0.0.1", 0)) as drip:

        def serve() -> None:
            client, _ = drip.accept()
            with client, suppress(OSError):
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                for _ in range(60):
                    client.sendall(b" ")
                    time.sleep(0.05)

        Thread(target=serve, daemon=True).start()
        slow = adapter("gb", timeout=0.3)
        slow.base_url = f"http://127.0.0.1:{drip.getsockname()[1]}"
        with pytest.raises(DlnError, match="did not answer"):
            slow.history(START, START + HOUR)
        until = time.monotonic() + 10
        while active_count() > before and time.monotonic() < until:
            time.sleep(0.02)
    assert active_count() <= before


def test_energies_that_are_no_numbers(server: Server, adapter: Callable[..., Live]) -> None:
    row = {"period": "2026-03-01T01", "fueltype": "NG"}
    for value in ("nan", "inf", "1e400", "1e300"):
        answer = {"response": {"total": "1", "data": [row | {"value": value}]}}
        server.routes["/electricity/rto/fuel-type-data/data/"] = answer
        with pytest.raises(DlnError, match="unknown form"):
            adapter("eia").history(START, START + HOUR)


@pytest.mark.parametrize(
    "damage", [b"", b"[" * 100_000, b"{}", b'{"points": [["9999-12-31T23:59-23:59", 1]]}', b"\xff"]
)
def test_a_damaged_cache_is_asked_again(
    server: Server, adapter: Callable[..., Live], tmp_path: Path, damage: bytes
) -> None:
    server.routes[GB_PATH] = gb_answer(START, "actual", [100, 120])
    adapter("gb").history(START, START + HOUR)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(damage)
    assert adapter("gb").history(START, START + HOUR).g_per_kwh.tolist() == [100, 120]
    assert len(server.seen) == 2


def test_a_second_try_after_a_failure(server: Server, adapter: Callable[..., Live]) -> None:
    answers = [500, gb_answer(START, "actual", [1, 2])]
    server.routes[GB_PATH] = lambda: answers.pop(0)
    assert adapter("gb").history(START, START + HOUR).g_per_kwh.tolist() == [1.0, 2.0]


def test_hanging_server(server: Server, adapter: Callable[..., Live]) -> None:
    def sleep() -> int:
        time.sleep(1.0)
        return 500

    server.routes[GB_PATH] = sleep
    begun = time.monotonic()
    with pytest.raises(DlnError, match=r"did not answer within 0.2 s"):
        adapter("gb", timeout=0.2).history(START, START + HOUR)
    assert time.monotonic() - begun < 0.8
    assert adapter("gb").timeout == ADAPTERS["gb"](REGIONS["gb"]).timeout == 2.0


def test_unreachable_server(server: Server, adapter: Callable[..., Live]) -> None:
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(DlnError, match="cannot reach the Carbon Intensity API"):
        adapter("gb").history(START, START + HOUR)


def test_history_is_kept_for_ever(server: Server, adapter: Callable[..., Live]) -> None:
    server.routes[GB_PATH] = gb_answer(START, "actual", [100, 120])
    first = adapter("gb").history(START, START + HOUR)
    server.routes.clear()
    later = adapter("gb", now=NOW + timedelta(days=3000)).history(START, START + HOUR)
    assert later.g_per_kwh.tolist() == first.g_per_kwh.tolist()
    assert later.label == first.label
    assert len(server.seen) == 1


def test_forecast_is_kept_for_half_an_hour(server: Server, adapter: Callable[..., Live]) -> None:
    begin = datetime(2026, 3, 10, 12, tzinfo=UTC)
    old = gb_answer(begin, "forecast", [100] * 96)
    new = gb_answer(begin, "forecast", [200] * 96)
    server.routes["/intensity/2026-03-10T12:00Z/fw48h"] = old
    server.routes["/intensity/2026-03-10T12:30Z/fw48h"] = new
    ask = (begin + HOUR, begin + 2 * HOUR)
    assert adapter("gb").forecast(*ask).g_per_kwh[0] == 100
    assert adapter("gb", now=NOW + timedelta(minutes=29)).forecast(*ask).g_per_kwh[0] == 100
    assert len(server.seen) == 1
    assert adapter("gb", now=NOW + timedelta(minutes=31)).forecast(*ask).g_per_kwh[0] == 200


@pytest.mark.parametrize("failure", [500, 429, b"<html>"])
def test_kept_answer_when_the_server_fails(
    server: Server, adapter: Callable[..., Live], failure: Any
) -> None:
    begin = datetime(2026, 3, 10, 12, tzinfo=UTC)
    server.routes["/intensity/2026-03-10T12:00Z/fw48h"] = gb_answer(begin, "forecast", [100] * 96)
    adapter("gb").forecast(begin, begin + HOUR)
    server.routes["/intensity/2026-03-10T14:00Z/fw48h"] = failure
    later = adapter("gb", now=NOW + 2 * HOUR)
    series = later.forecast(begin + 2 * HOUR, begin + 3 * HOUR)
    assert series.g_per_kwh.tolist() == [100.0, 100.0]
    assert "kept since 2026-03-10T12:10Z as the server failed" in series.label.origin
    with pytest.raises(DlnError, match=r"HTTP|JSON"):  # it does not reach so far
        later.forecast(begin + 47 * HOUR, begin + 49 * HOUR)


@pytest.mark.parametrize("answer", [401, 429, 500, b"{", {"data": 1}, "whole"])
def test_key_is_never_shown(
    server: Server, adapter: Callable[..., Live], answer: Any, tmp_path: Path
) -> None:
    whole = eia_answer({"2026-03-01T01": {"COL": "1"}})
    server.routes[EIA_PATH] = whole if answer == "whole" else answer
    text = ""
    try:
        text = str(adapter("eia").history(START, START + HOUR).label)
    except DlnError as error:
        text = f"{error.message} {error.hint} {error.__cause__}"
    assert text
    assert KEY not in text
    kept = [path.read_text() for path in tmp_path.iterdir()]
    assert len(kept) == (answer == "whole")
    assert not any(KEY in body for body in kept)


@pytest.mark.parametrize(
    ("name", "variable", "where"),
    [
        ("electricity-maps", "ELECTRICITYMAPS_TOKEN", "electricitymaps.com"),
        ("watttime", "WATTTIME_USERNAME", "watttime.org"),
        ("eia", "EIA_API_KEY", "eia.gov"),
    ],
)
def test_missing_key(
    server: Server,
    adapter: Callable[..., Live],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    variable: str,
    where: str,
) -> None:
    monkeypatch.delenv(variable)
    with pytest.raises(MissingCapability, match=variable) as caught:
        adapter(name).history(START, START + HOUR)
    assert where in (caught.value.hint or "")
    assert server.seen == []


def test_regions_and_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATTTIME_REGION", raising=False)
    germany = REGIONS["electricity-maps"]
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert open_live("electricity-maps", germany).folder == Path("/somewhere/dln/carbon")
    with pytest.raises(UsageError, match="Great Britain only"):
        open_live("gb", germany)
    with pytest.raises(UsageError, match="US balancing areas"):
        open_live("eia", germany)
    with pytest.raises(UsageError, match="WattTime") as caught:
        open_live("watttime", germany)
    assert "WATTTIME_REGION" in (caught.value.hint or "")
    monkeypatch.setenv("WATTTIME_REGION", "DE")
    assert open_live("watttime", germany).area == "DE"
    with pytest.raises(UsageError, match="Did you mean 'watttime'"):
        open_live("wattime", germany)
    with pytest.raises(UsageError, match="not after"):
        open_live("electricity-maps", germany).history(START, START)
