"""What the adapters share: questions cut to the server's size, the cache, the label."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ....errors import DlnError, MissingCapability, UsageError
from ...values import Factors, Kind, Label, Series, Signal, ceil, floor, iso
from . import cache
from .cache import Answer
from .http import TIMEOUT, Query, ServerFailed, Service, get_json
from .points import Points

if TYPE_CHECKING:
    from ...places.regions import Region

FRESH = timedelta(minutes=30)  # how long a forecast is kept
PARTIAL = timedelta(minutes=5)  # how long a history is kept that did not reach so far yet
SETTLED = timedelta(days=2)  # younger history is still revised, so it is kept no longer than FRESH


class Live(ABC):
    """Carbon intensity of one region from one server, in g/kWh.

    base_url, timeout (seconds), folder (of the cache) and now are for tests. The network is used
    by `series`, `history` and `forecast` only; nothing is fetched before.
    """

    service: ClassVar[Service]
    base: ClassVar[str]
    signal: ClassVar[Signal]
    factors: ClassVar[Factors]
    step: ClassVar[timedelta]
    longest: ClassVar[timedelta]  # the longest history in one request

    def __init__(
        self,
        region: Region,
        base_url: str | None = None,
        timeout: float = TIMEOUT,
        folder: Path | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.region = region
        self.base_url = (base_url or self.base).rstrip("/")
        self.timeout = timeout
        self.folder = folder or cache.answers_folder()
        self.now = now
        self.area = self.find_area()

    def history(self, start: datetime, end: datetime) -> Series:
        """The intervals that touch [start, end), all of them.

        Raises UsageError where the server's data ends earlier, DlnError for a gap in it or a
        server that fails, MissingCapability without a key.
        """
        first, last = self._bounds(start, end)
        answers, arrays = [], []
        for begin, stop in self._pieces(first, last):
            answer = self._ask_history(begin, stop)
            answers.append(answer)
            arrays.append(answer.points.array(self.service.title, begin, stop))
        label = self._label("estimated", first, last, answers)
        return Series(first, self.step, np.concatenate(arrays), label)

    def series(self, start: datetime, end: datetime) -> Series:
        """The intervals that touch [start, end): the history of those that have passed by now, as
        far as the server has it, and its newest forecast of the others; errors as `history`."""
        first, last = self._bounds(start, end)
        now = floor(self.now(), self.step)
        if now <= first:
            return self.forecast(start, end)
        if last <= now - SETTLED:
            return self.history(start, end)
        return self._joined(first, last, min(last, now))

    def _joined(self, first: datetime, last: datetime, passed: datetime) -> Series:
        """[first, last), of which [first, passed) has passed."""
        pieces = self._pieces(first, passed)
        answers = [self._ask_history(*piece, whole=False) for piece in pieces]
        values = {time: value for answer in answers for time, value in answer.points.values.items()
                  if first <= time < passed}  # fmt: skip
        known = max(values) + self.step if values else first
        if known < last:
            answers.append(self._ask_rest(values, known, last, late=passed == last))
        kind: Kind = "forecast" if known < last else "estimated"
        label = self._label(kind, first, last, answers)
        if first < known < last:
            label = replace(label, origin=f"{label.origin}, forecast from {iso(known)} on")
        points = Points(self.step, values)
        return Series(first, self.step, points.array(self.service.title, first, last), label)

    def _ask_rest(
        self, values: dict[datetime, float], start: datetime, end: datetime, late: bool
    ) -> Answer:
        """Add the forecast of [start, end) to `values`. late: all of it has passed, so that where
        nothing was foreseen the end of the history is what to tell."""
        try:
            answer = self._ask_forecast(start, end)
        except UsageError:
            if late and values:
                Points(self.step, values).array(self.service.title, min(values), end)
            raise
        values |= {time: value for time, value in answer.points.values.items() if time >= start}
        return answer

    def forecast(self, start: datetime, end: datetime) -> Series:
        """The newest forecast for the intervals that touch [start, end); errors as `history`."""
        first, last = self._bounds(start, end)
        answer = self._ask_forecast(first, last)
        values = answer.points.array(self.service.title, first, last)
        return Series(first, self.step, values, self._label("forecast", first, last, [answer]))

    @abstractmethod
    def find_area(self) -> str:
        """The server's name for the region. UsageError where it knows none."""

    @abstractmethod
    def fetch_history(self, start: datetime, end: datetime) -> Points:
        """Ask the server for [start, end), no longer than `longest`."""

    @abstractmethod
    def fetch_forecast(self, start: datetime, end: datetime) -> Points:
        """Ask the server for its newest forecast, as far as `end` where it reaches that."""

    def get(self, path: str, query: dict[str, str] | None = None, **secrets: dict[str, str]) -> Any:
        """The JSON of base_url/path."""
        asked = Query(f"{self.base_url}/{path}", query or {}, **secrets)
        return get_json(self.service, asked, self.timeout)

    def _bounds(self, start: datetime, end: datetime) -> tuple[datetime, datetime]:
        if not start < end:
            raise UsageError(f"the end {iso(end)} is not after the start {iso(start)}")
        return floor(start, self.step), ceil(end, self.step)

    def _pieces(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
        while start < end:
            stop = min(start + self.longest, end)
            yield start, stop
            start = stop

    def _ask_history(self, start: datetime, end: datetime, whole: bool = True) -> Answer:
        settled = end <= self.now() - SETTLED
        key = f"{self._key('history')} {iso(start)} {iso(end)}"
        return self._ask(key, start, end, settled, lambda: self.fetch_history(start, end), whole)

    def _ask_forecast(self, start: datetime, end: datetime) -> Answer:
        fetch = lambda: self.fetch_forecast(start, end)  # noqa: E731
        return self._ask(self._key("forecast"), start, end, False, fetch)

    def _key(self, kind: str) -> str:
        return f"{self.base_url} {kind} {self.area}"

    def _ask(
        self,
        key: str,
        start: datetime,
        end: datetime,
        for_ever: bool,
        fetch: Callable[[], Points],
        whole: bool = True,
    ) -> Answer:
        """The kept answer where it is fresh, the server's else, the kept one where that fails.
        whole: whether it has to reach from `start` to `end`."""
        kept = cache.load(self.folder, key)
        reaches = bool(kept and kept.points.covers(start, end))
        usable = kept if reaches or not whole else None
        fresh = FRESH if reaches else PARTIAL
        if usable and ((for_ever and reaches) or self.now() - usable.fetched < fresh):
            return usable
        try:
            points = self._checked(fetch)
        except ServerFailed:
            if usable is None:
                raise
            return replace(usable, stale=True)
        answer = Answer(points, self.now())
        if whole:
            points.array(self.service.title, start, end)  # an answer with gaps is not worth keeping
        cache.save(self.folder, key, answer)
        return answer

    def _checked(self, fetch: Callable[[], Points]) -> Points:
        try:
            return fetch()
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
            # Without its cause, which may quote the answer.
            title = self.service.title
            raise ServerFailed(f"{title} sent an answer of an unknown form") from None

    def _label(self, kind: Kind, start: datetime, end: datetime, answers: list[Answer]) -> Label:
        last = (end - self.step).year
        year = str(last) if start.year == last else f"{start.year}-{last}"
        origin = f"{self.service.title}, {self.area}"
        stale = [answer.fetched for answer in answers if answer.stale]
        if stale:
            origin += f", kept since {iso(min(stale))} as the server failed"
        return Label(self.signal, self.factors, year, origin, kind)


def secret(service: Service, variable: str) -> str:
    """The key in an environment variable. MissingCapability that says where to get one."""
    value = os.environ.get(variable, "").strip()
    if not value:
        raise MissingCapability(
            f"{service.title} needs a key in the environment variable {variable}",
            hint=service.register,
        )
    if not (value.isascii() and value.isprintable()):
        raise DlnError(f"the key in {variable} holds characters that no key has")
    return value
