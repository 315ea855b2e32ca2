"""A headless Chromium, where there is one: what a page says in its console, and whom it asks.

Spoken to through pipes in the Chrome DevTools Protocol: JSON, each message ended by a zero byte.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "chromium-headless-shell", "google-chrome", "chrome")
QUIET = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--mute-audio",
         "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe")  # fmt: skip
ERRORS = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
PATIENCE_S = 240.0


def found() -> str | None:
    """The first of NAMES on the path."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@dataclass
class Tab:
    """One page. said: errors and remarks in its console; asked: addresses that it
    asked for, but for those that hold their own data."""

    reading: int
    writing: int
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    session: str = ""
    count: int = 0
    left: bytes = b""
    events: list[str] = field(default_factory=list)

    def call(self, method: str, **params: Any) -> Any:
        """The browser's answer, after whatever happened meanwhile."""
        self.count += 1
        message: dict[str, Any] = {"id": self.count, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.writing, json.dumps(message).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == self.count:
                assert "error" not in told, told
                return told["result"]

    def run(self, code: str) -> Any:
        """What JavaScript in the page gives; a promise is waited for."""
        told = self.call("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def visit(self, page: Path, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Open a file in a window of that size, and wait until it is there."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=width < 600)  # fmt: skip
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self.call("Page.navigate", url=page.absolute().as_uri())
        while "Page.loadEventFired" not in self.events:
            self._next()

    def picture(self, path: Path, whole: bool = True) -> None:
        taken = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(taken["data"]))

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE_S
        while b"\0" not in self.left:
            ready, _, _ = select.select([self.reading], [], [], end - time.monotonic())
            more = os.read(self.reading, 1 << 20) if ready else b""
            assert more, "the browser says nothing any more"
            self.left += more
        text, _, self.left = self.left.partition(b"\0")
        told = json.loads(text)
        self._hear(told.get("method", ""), told.get("params", {}))
        return told

    def _hear(self, method: str, params: dict[str, Any]) -> None:
        self.events.append(method)
        if method in ERRORS:
            self.said.append(json.dumps(params)[:2000])
        if method == "Network.requestWillBeSent":
            address = params["request"]["url"]
            self.asked += [] if address.startswith("data:") else [address]


@contextmanager
def browser(profile: Path) -> Iterator[Tab]:
    """A tab of a browser of its own, which is gone afterwards. profile: an empty folder."""
    ours, theirs = os.pipe(), os.pipe()

    def placed() -> None:  # it reads from 3 and writes to 4
        os.dup2(ours[0], 3)
        os.dup2(theirs[1], 4)

    program = found()
    assert program
    with subprocess.Popen(
        [program, *QUIET, f"--user-data-dir={profile}", "about:blank"],
        pass_fds=(3, 4), preexec_fn=placed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        os.close(ours[0])
        os.close(theirs[1])
        tab = Tab(theirs[0], ours[1])
        try:
            page = tab.call("Target.createTarget", url="about:blank")["targetId"]
            attached = tab.call("Target.attachToTarget", targetId=page, flatten=True)
            tab.session = attached["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                tab.call(f"{domain}.enable")
            yield tab
        finally:
            process.kill()
            os.close(theirs[0])
            os.close(ours[1])
