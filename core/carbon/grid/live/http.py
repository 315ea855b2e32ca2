"""One GET of a JSON answer, with a hard time limit and errors that never show a key."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse
from math import inf
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ....door import json_value
from ....errors import DlnError, MissingCapability

TIMEOUT = 2.0  # seconds for a whole answer
MOST_BYTES = 16 << 20  # of one; a month of five minutes has two million
# Seconds that a failing server is left alone, twice as many each time.
WAIT, LONGEST_WAIT, MOST_ASKED_FOR = 60.0, 1800.0, 86400.0
REFUSALS = (401, 403)
_clock = time.monotonic


class ServerFailed(DlnError):
    """The server, not the question, is at fault: a kept answer may stand in.

    wait: seconds that the server itself asks to be left alone, if it does.
    """

    wait: float | None = None


class Refused(DlnError):
    """The server answers no question of ours."""


class _Transient(ServerFailed):
    """Worth asking again at once."""


@dataclass(frozen=True)
class _Rest:
    """A server that is left alone: until when, for how long, and why."""

    until: float
    seconds: float
    why: DlnError


resting: dict[str, _Rest] = {}  # by the server's address


@dataclass(frozen=True)
class Service:
    """Who is asked, and what a refusal should tell: the key's variables and where to get one."""

    title: str
    variables: str = ""
    register: str = ""


@dataclass(frozen=True)
class Query:
    """A GET. secret_headers and secret_query go to the server and nowhere else."""

    url: str
    query: dict[str, str] = field(default_factory=dict)
    secret_headers: dict[str, str] = field(default_factory=dict, repr=False)
    secret_query: dict[str, str] = field(default_factory=dict, repr=False)


def get_json(service: Service, query: Query, timeout: float = TIMEOUT) -> Any:
    """The answer's JSON; a failing server is asked once more, a silent one is not. Afterwards it
    is left alone, for as long as it says or longer each time, and for good where it refuses the
    key: until then the same error comes without a question.

    Proxies come from the environment. Raises ServerFailed for a time-out, a lost connection,
    HTTP 429 and 5xx, an answer without end, and JSON that is broken; MissingCapability where the
    key is refused; DlnError for any other HTTP status.
    """
    server = urlsplit(query.url).netloc
    rest = resting.get(server)
    if rest and _clock() < rest.until:
        raise type(rest.why)(rest.why.message, rest.why.hint)
    try:
        answer = _get_twice(service, query, timeout)
    except (ServerFailed, MissingCapability, Refused) as error:
        resting[server] = _rest(error, rest.seconds if rest else 0.0)
        raise
    resting.pop(server, None)
    return answer


def _rest(error: DlnError, before: float) -> _Rest:
    """How long the server is left alone after an error. before: how long it was the last time."""
    if not isinstance(error, ServerFailed):
        return _Rest(inf, inf, error)
    seconds = min(2 * before, LONGEST_WAIT) or WAIT
    return _Rest(_clock() + max(seconds, error.wait or 0.0), seconds, error)


def _get_twice(service: Service, query: Query, timeout: float) -> Any:
    try:
        return _get_once(service, query, timeout)
    except _Transient as error:
        if error.wait is not None:
            raise
        return _get_once(service, query, timeout)


def _get_once(service: Service, query: Query, timeout: float) -> Any:
    """Ask from a thread, as a time-out of the socket covers neither names nor slow drips."""
    answers: SimpleQueue[bytes | Exception] = SimpleQueue()
    Thread(target=_read, args=(query, timeout, answers), daemon=True).start()
    try:
        answer = answers.get(timeout=timeout)
    except Empty:
        answer = TimeoutError()
    if isinstance(answer, Exception):
        # The cause is dropped: its text or its attributes may hold the address with the key.
        raise _explain(service, answer, timeout) from None
    if len(answer) > MOST_BYTES:
        raise ServerFailed(f"{service.title} sent an answer of more than {MOST_BYTES:,} bytes")
    try:
        return json_value(answer)
    except ValueError:
        raise ServerFailed(f"{service.title} sent an answer that is not JSON") from None


def _read(query: Query, timeout: float, answers: SimpleQueue[bytes | Exception]) -> None:
    try:
        parameters = urlencode(query.query | query.secret_query)
        request = Request(f"{query.url}?{parameters}" if parameters else query.url)
        request.add_header("Accept", "application/json")
        request.add_header("User-Agent", "dln")
        for name, value in query.secret_headers.items():
            request.add_unredirected_header(name, value)  # not to where a redirect leads
        with build_opener(_Redirects).open(request, timeout=timeout) as response:
            answers.put(_body(response, time.monotonic() + timeout))
    except (OSError, ValueError, HTTPException) as error:
        answers.put(error)


class _Redirects(HTTPRedirectHandler):
    """Follows as urllib does, but reads nothing of what a redirect itself says: it may not end."""

    def http_error_302(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any) -> Any:
        fp.read = lambda *_: b""
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _body(response: HTTPResponse, deadline: float) -> bytes:
    """At most a byte more than MOST_BYTES. TimeoutError for what goes on after the deadline: a
    thread that nobody waits for any longer must end."""
    parts: list[bytes] = []
    size = 0
    while size <= MOST_BYTES and (part := response.read1(MOST_BYTES + 1 - size)):
        if time.monotonic() > deadline:
            raise TimeoutError
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _explain(service: Service, error: Exception, timeout: float) -> DlnError:
    if isinstance(error, HTTPError):
        found = _explain_status(service, error.code)
        if isinstance(found, ServerFailed):
            found.wait = _seconds(error.headers.get("Retry-After", ""))
        return found
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, TimeoutError):
        return ServerFailed(f"{service.title} did not answer within {timeout:g} s")
    if isinstance(reason, OSError) and reason.strerror:
        return _Transient(f"cannot reach {service.title}: {reason.strerror}")
    if isinstance(reason, OSError | HTTPException):
        return _Transient(f"the connection to {service.title} was lost")
    return DlnError(f"the request to {service.title} cannot be made: is the key one plain line?")


def _explain_status(service: Service, status: int) -> DlnError:
    title = service.title
    if status in REFUSALS and service.variables:
        return MissingCapability(
            f"{title} refused the key in {service.variables} (HTTP {status}): "
            "it is wrong, has expired, or does not include this region",
            hint=service.register,
        )
    if status in REFUSALS:
        return Refused(f"{title} refused the request (HTTP {status})")
    if status == 429:
        return ServerFailed(f"{title} allows no more requests for now (HTTP 429): wait a while")
    if status >= 500:
        return _Transient(f"{title} failed (HTTP {status})")
    return DlnError(f"{title} refused the request (HTTP {status})")


def _seconds(text: str) -> float | None:
    """What a Retry-After asks for, seconds or a date; None where it says neither."""
    try:
        if text.strip().isdecimal():
            found = float(text)
        else:
            date = parsedate_to_datetime(text)
            found = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - _now()
    except (ValueError, OverflowError):
        return None
    return min(max(found, 0.0), MOST_ASKED_FOR)


def _now() -> float:
    return datetime.now(UTC).timestamp()
