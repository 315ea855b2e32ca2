"""Ctrl-C, SIGTERM and SIGHUP wait for the end of the step; a second Ctrl-C does not."""

import signal
import threading
import time
from types import FrameType
from typing import Any

_HEARD = [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)]
_ECHO = 1.0  # seconds in which launchers repeat the signal that the terminal has already sent


class StopSignals:
    """`requested` turns True at the first SIGINT, SIGTERM or SIGHUP; a SIGINT later than a second
    after that raises KeyboardInterrupt where it falls.

    Only the main thread can listen, and a signal that the caller ignores stays ignored.
    """

    def __init__(self) -> None:
        self.requested = False
        self._since = 0.0
        self._old: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            for number in _HEARD:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._old[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self.requested:
            self.requested, self._since = True, now
        elif number == signal.SIGINT and now - self._since > _ECHO:
            raise KeyboardInterrupt
