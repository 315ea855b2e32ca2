"""Waiting for a limit that never comes is refused, and a service that fails is left alone."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from threading import Thread

import numpy as np
import pytest

from dln.core.carbon.grid.live import http
from dln.core.carbon.grid.live.http import Query, Refused, ServerFailed, Service, get_json
from dln.core.carbon.grid.sources import Annual, FromFile, IntensitySource, Typical
from dln.core.carbon.places.embedded import typical
from dln.core.carbon.places.profiles import Profile
from dln.core.carbon.places.regions import find
from dln.core.carbon.plan.threshold import LONGEST_RETRY, RETRY, Threshold, check_reachable
from dln.core.carbon.values import Label, Series
from dln.core.errors import DlnError, MissingCapability, UsageError

START = datetime(2024, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LABEL = Label("average", "life-cycle", "2024", "a test", "measured")


def recorded(*values: float) -> FromFile:
    return FromFile(Series(START, HOUR, np.array(values), LABEL))


@pytest.mark.parametrize(
    ("source", "limit", "sentence"),
    [
        (Annual(300.0, LABEL), 200.0, "one figure for every hour, 300 g/kWh"),
        (Annual(300.0, LABEL), 400.0, "one figure for every hour"),
        (recorded(50.0, 300.0, 250.0), 100.0, "the least is 250"),
        (recorded(50.0, 300.0, 300.0), 400.0, "one figure"),
    ],
)
def test_a_limit_that_never_comes(source: IntensitySource, limit: float, sentence: str):
    with pytest.raises(UsageError, match=sentence) as caught:
        check_reachable(limit, source, START + HOUR)
    assert "--deadline" in (caught.value.hint or "")


def test_a_limit_that_comes():
    check_reachable(100.0, recorded(300.0, 300.0, 80.0), START)
    profile = typical(find("de"))
    assert isinstance(profile, Profile)
    low = float(profile.mean.min())
    check_reachable(low, Typical(profile), START)
    with pytest.raises(UsageError, match="never at"):
        check_reachable(low - 1, Typical(profile), START)


def test_a_source_that_fails_is_asked_less_and_less():
    asked: list[datetime] = []

    def intensity(moment: datetime) -> float:
        asked.append(moment)
        raise DlnError("down")

    limit = Threshold(100.0, intensity)
    assert all(limit.running(START + i * RETRY / 2) for i in range(400))
    apart = [b - a for a, b in pairwise(asked)]
    assert apart[:4] == [RETRY, 2 * RETRY, 4 * RETRY, 8 * RETRY]
    assert max(apart) == LONGEST_RETRY


def test_an_hour_without_a_figure_stops_nothing():
    told: list[str] = []
    assert Threshold(100.0, lambda moment: float("nan"), on_problem=told.append).running(START)
    assert "no figure for 2024-06-01T12:00Z" in told[0]


class Server:
    """Answers with the statuses in turn, the last one for ever; counts the questions."""

    def __init__(self) -> None:
        self.turns: list[tuple[int, dict[str, str]]] = []
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                status, headers = outer.turns.pop(0) if outer.turns[1:] else outer.turns[0]
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def ask(self, variables: str = "") -> object:
        address = f"http://127.0.0.1:{self.http.server_port}/a"
        return get_json(Service("It", variables), Query(address), timeout=20)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made = Server()
    Thread(target=made.http.serve_forever, args=(0.01,), daemon=True).start()
    yield made
    made.http.shutdown()
    made.http.server_close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(http, "_clock", lambda: now[0])
    return now


def test_a_failing_server_is_left_alone_twice_as_long_each_time(server: Server, clock: list[float]):
    server.turns = [(500, {})]
    times = []
    for _ in range(3000):
        before = server.asked
        with pytest.raises(ServerFailed, match="HTTP 500"):
            server.ask()
        if server.asked > before:
            assert server.asked == before + 2
            times.append(clock[0])
        clock[0] += 5.0
    apart = np.diff(times).tolist()
    assert apart[:6] == [60, 120, 240, 480, 960, 1800]
    assert set(apart[6:]) == {1800}
    server.turns = [(200, {})]
    clock[0] += 1800
    assert server.ask() == {}
    server.turns = [(500, {})]
    before = server.asked
    for _ in range(2):
        with pytest.raises(ServerFailed):
            server.ask()
        clock[0] += 61
    assert server.asked == before + 4


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("dated", [False, True])
def test_a_server_says_itself_when_to_ask_again(
    server: Server, clock: list[float], status: int, dated: bool
):
    date = datetime.now(UTC) + timedelta(seconds=600)
    server.turns = [
        (status, {"Retry-After": format_datetime(date, usegmt=True) if dated else "600"})
    ]
    for wait, asked in ((0, 1), (300, 1), (290, 1), (20, 2)):
        clock[0] += wait
        with pytest.raises(ServerFailed, match=f"HTTP {status}"):
            server.ask()
        assert server.asked == asked


@pytest.mark.parametrize("text", ["soon", "-5", "1e9", "", "9" * 5000, "Mon, 99 Foo 2024"])
def test_a_retry_after_that_says_nothing_sensible(server: Server, clock: list[float], text: str):
    server.turns = [(500, {"Retry-After": text})]
    with pytest.raises(ServerFailed):
        server.ask()
    clock[0] += 86_401
    before = server.asked
    with pytest.raises(ServerFailed):
        server.ask()
    assert server.asked > before


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(("variables", "kind"), [("KEY", MissingCapability), ("", Refused)])
def test_a_refusal_is_the_last_word(
    server: Server, clock: list[float], status: int, variables: str, kind: type[DlnError]
):
    server.turns = [(status, {}), (200, {})]
    for _ in range(3):
        with pytest.raises(kind, match=f"HTTP {status}"):
            server.ask(variables)
        clock[0] += 1e6
    assert server.asked == 1
