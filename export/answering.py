"""The side of a process apart that answers: its stdout is its own, and it ends with who asked."""

import ctypes
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

_LOOK_S = 1.0  # between two looks for the process that asked
_PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>


def own_stdout() -> TextIO:
    """The real stdout, kept from the libraries: what they print there goes to stderr."""
    kept = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return kept


def end_after(seconds: float) -> None:
    """Die even where nobody is left to kill this process and it hangs outside Python."""
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(math.ceil(seconds))
    else:
        _in_background(lambda: time.sleep(seconds))


def end_with(parent: int) -> None:
    """Die with the process that asked, however it ends: Linux kills this one then, elsewhere it
    looks every now and then."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit("nobody is left to answer")
    else:
        _in_background(lambda: _outlive(parent))


def _outlive(parent: int) -> None:
    """Return when that process has ended."""
    import psutil

    with suppress(psutil.Error):
        process = psutil.Process(parent)
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(_LOOK_S)


def _in_background(wait: Callable[[], None]) -> None:
    """End this process, whatever it does, when the wait is over."""

    def end() -> None:
        wait()
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()
