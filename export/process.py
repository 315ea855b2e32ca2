"""A process of its own for what may crash or hang."""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dln.core.files import disk_errors

_CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL")


def run_apart(
    command: Sequence[str], text: str, log: Path, timeout_s: float
) -> tuple[int | None, bytes]:
    """Feed `text` to stdin; stderr goes to the log. Returns the exit code, negative for a signal
    and None where time ran out, and what stdout said. Nothing of it runs when this returns or
    raises."""
    with disk_errors(log):
        file = open(log, "wb")  # noqa: SIM115
    # A group of its own, so that what it starts can be stopped with it.
    with (
        file,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            start_new_session=True,
        ) as process,
    ):
        try:
            said, _ = process.communicate(text.encode(), timeout_s)
        except subprocess.TimeoutExpired:
            return None, b""
        finally:
            # Also where Ctrl-C ends the wait: no other group hears of that.
            _stop(process)
        return process.returncode, said


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        _stop_tree(process)


def _stop_tree(process: subprocess.Popen[bytes]) -> None:
    """Where there are no groups of processes: it and all that it has started."""
    import psutil

    children = []
    with suppress(psutil.Error):
        children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    for child in children:
        with suppress(psutil.Error):
            child.kill()


def ending(code: int) -> str:
    """How a process with this exit code, not 0, ended: "crashed (SIGSEGV)"."""
    if code > 0:
        # Windows reports crashes as large codes, known by their hexadecimal form.
        return f"ended with code {code:#x}" if code > 255 else f"ended with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        return f"was killed (signal {-code})"
    if name in _CRASHES:
        return f"crashed ({name})"
    memory = "; the memory may be full" if name == "SIGKILL" else ""
    return f"was killed ({name}{memory})"
