"""A live source knows a run's own hours: those that have passed, and those to come."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from dln.core.carbon.grid.live import ADAPTERS, Live
from dln.core.carbon.grid.sources import LiveSource
from dln.core.carbon.meter.emissions import Emissions, Interval
from dln.core.carbon.places.regions import find
from dln.core.errors import DlnError, UsageError

HALF = timedelta(minutes=30)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%MZ}"


class Grid:
    """The British service on loopback: 200 + the half-hour's number is what was, 500 + it what is
    foreseen; what was is known until `lag` before its clock."""

    def __init__(self) -> None:
        self.now, self.lag, self.asked = NOON, timedelta(), list[str]()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                _, _, begin, end = self.path.split("/")
                first = datetime.fromisoformat(begin)
                last = first + 96 * HALF if end == "fw48h" else datetime.fromisoformat(end)
                rows = [outer.row(first + i * HALF) for i in range((last - first) // HALF)]
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps({"data": rows}).encode())

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def row(self, begin: datetime) -> dict[str, Any]:
        number = int((begin - NOON) / HALF)
        was = 200 + number if begin + HALF <= self.now - self.lag else None
        return {"from": at(begin), "to": at(begin + HALF),
                "intensity": {"actual": was, "forecast": 500 + number}}  # fmt: skip


@pytest.fixture
def grid(monkeypatch: pytest.MonkeyPatch) -> Iterator[Grid]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    found = Grid()
    yield found
    found.http.shutdown()
    found.http.server_close()


@pytest.fixture
def live(grid: Grid, tmp_path: Path) -> Callable[[], Live]:
    url = f"http://127.0.0.1:{grid.http.server_port}"
    return lambda: ADAPTERS["gb"](find("gb"), url, 5.0, tmp_path / "cache", lambda: grid.now)


def test_a_run_that_passed_while_the_source_was_open(grid: Grid, live, tmp_path: Path):
    """The source is made when the run begins; what it emitted is asked for when it has ended."""
    source = LiveSource(live(), "gb")
    grid.now = NOON + 4 * HALF
    series = source.series(NOON, NOON + 4 * HALF)
    assert series.g_per_kwh.tolist() == [200, 201, 202, 203]
    assert series.label.kind == "estimated"
    assert not any("fw48h" in path for path in grid.asked)


def test_history_and_forecast_are_joined(grid: Grid, live):
    grid.now = NOON + 2 * HALF + timedelta(minutes=10)
    series = LiveSource(live(), "gb").series(NOON, NOON + 4 * HALF)
    assert series.g_per_kwh.tolist() == [200, 201, 502, 503]
    assert series.label.kind == "forecast"
    assert "forecast from 2026-03-10T13:00Z on" in series.label.origin


def test_what_is_not_published_yet_is_foreseen(grid: Grid, live):
    grid.now, grid.lag = NOON + 4 * HALF, 2 * HALF
    series = LiveSource(live(), "gb").series(NOON, NOON + 4 * HALF)
    assert series.g_per_kwh.tolist() == [200, 201, 502, 503]
    grid.now, grid.lag = NOON + 5 * HALF, timedelta()  # it is now, and is asked for again
    assert LiveSource(live(), "gb").series(NOON, NOON + 4 * HALF).g_per_kwh.tolist() == [
        200, 201, 202, 203,
    ]  # fmt: skip


def test_hours_to_come_and_hours_long_past_need_one_question(grid: Grid, live):
    assert LiveSource(live(), "gb").series(NOON + HALF, NOON + 2 * HALF).g_per_kwh.tolist() == [501]
    assert len(grid.asked) == 1
    grid.now, grid.lag = NOON + timedelta(days=9), timedelta(days=8, hours=23)
    with pytest.raises(UsageError, match="has data for"):
        LiveSource(live(), "gb").series(NOON, NOON + 4 * HALF)  # no forecast stands in for history


def test_no_questions_while_a_partial_answer_is_fresh(grid: Grid, live):
    grid.now, grid.lag = NOON + 4 * HALF, 2 * HALF
    source = LiveSource(live(), "gb")
    for _ in range(3):
        source.series(NOON, NOON + 4 * HALF)
    assert len(grid.asked) == 2


def test_what_a_run_emitted_counts_its_own_hours(grid: Grid, live):
    """A kWh in each half-hour: what was, not what was foreseen when it began."""
    source = LiveSource(live(), "gb")
    intervals = tuple(Interval(NOON + i * HALF, 1800, 1.0) for i in range(3))
    grid.now = NOON + 3 * HALF
    found = Emissions("job", NOON, intervals, {"cpu": "measured"}).placed(find("gb"), source)
    assert found.kg == pytest.approx((200 + 201 + 202) / 1000)


def test_the_end_of_a_history_without_a_forecast(grid: Grid, live, monkeypatch):
    gb = live()
    grid.now, grid.lag = NOON + 4 * HALF, 2 * HALF

    def none(start: datetime, end: datetime) -> Any:
        raise UsageError("there is no forecast")

    monkeypatch.setattr(gb, "fetch_forecast", none)
    with pytest.raises(DlnError, match="data for 2026-03-10T12:00Z to 2026-03-10T13:00Z"):
        gb.series(NOON, NOON + 4 * HALF)
    with pytest.raises(UsageError, match="no forecast"):
        gb.series(NOON, NOON + 6 * HALF)
