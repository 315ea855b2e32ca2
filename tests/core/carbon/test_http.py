"""What a hostile or broken server does around its answer."""

from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread, enumerate

import pytest

from dln.core.carbon.grid.live.http import Query, Service, get_json


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server whose redirect says more than anybody wants to read, and leads to an answer."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    seen.clear()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers.get("auth-token")))
            if self.path == "/there":
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b'{"a": 1}')
                return
            self.send_response(302)
            self.send_header("Location", "/there")
            self.end_headers()
            with suppress(OSError):
                while True:
                    self.wfile.write(b" " * 65536)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/here"
    server.shutdown()
    server.server_close()


seen: list[tuple[str, str | None]] = []


def test_what_a_redirect_says_is_not_read(endless: str):
    """And the key stays with whom it is for."""
    query = Query(endless, secret_headers={"auth-token": "key"})
    assert get_json(Service("It"), query, timeout=20) == {"a": 1}
    assert seen == [("/here", "key"), ("/there", None)]
    readers = [thread for thread in enumerate() if "_read" in thread.name]
    for thread in readers:
        thread.join(5)
    assert not any(thread.is_alive() for thread in readers)
