"""A command with everything that it starts: stopped and resumed as one."""

import ctypes
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil

from ..errors import UsageError

_GRACE_S = 10.0  # between asking a tree to end and ending it
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)


class Tree:
    """A running command. Stopped means SIGSTOP (on Windows: suspended threads) for every process
    that descends from it; a guardian resumes them should this process die meanwhile.

    UsageError where the command cannot be started.
    """

    def __init__(self, command: Sequence[str], stdout: IO[str] | None = None) -> None:
        _adopt_orphans()
        self._guardian: subprocess.Popen[str] | None = None
        self._stopped: dict[int, psutil.Process] = {}
        try:
            self.root = subprocess.Popen(command, stdout=stdout)
        except (OSError, ValueError) as error:
            reason = (getattr(error, "strerror", None) or str(error)).lower()
            raise UsageError(f"cannot start {command[0]!r}: {reason}") from error

    @property
    def running(self) -> bool:
        return not self._stopped

    def wait(self, seconds: float) -> int | None:
        """The command's exit code, or None where it goes on after `seconds`."""
        with suppress(subprocess.TimeoutExpired):
            return self.root.wait(seconds)
        return None

    def members(self) -> list[psutil.Process]:
        """Every process below this one but the guardian; those whose parents died are among
        them on Linux."""
        mine = psutil.Process().children(recursive=True)
        return [p for p in mine if self._guardian is None or p.pid != self._guardian.pid]

    def stop(self) -> None:
        """Stop all of them; a process that forks meanwhile is found on the next look."""
        while fresh := [p for p in self.members() if p.pid not in self._stopped and alive(p)]:
            for process in fresh:
                self._stopped[process.pid] = process
            # Told before it happens: no moment in which a stopped process has no guardian.
            self._tell()
            for process in fresh:
                with suppress(psutil.Error):
                    process.suspend()

    def resume(self) -> None:
        for process in self._stopped.values():
            with suppress(psutil.Error):
                process.resume()
        self._stopped = {}
        self._tell()

    def _tell(self) -> None:
        """The guardian learns what is stopped now; it starts with the first stop."""
        if self._guardian is None:
            script = str(Path(__file__).with_name("guardian.py"))
            self._guardian = subprocess.Popen(
                [sys.executable, "-I", script],
                stdin=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        assert self._guardian.stdin
        with suppress(OSError, psutil.Error):
            words = [f"{p.pid}:{p.create_time()!r}" for p in self._stopped.values()]
            self._guardian.stdin.write(f"{' '.join(words)}\n")
            self._guardian.stdin.flush()

    def interrupt(self, pass_on: bool) -> None:
        """Let all go on to meet a SIGINT, which they have got, or get now."""
        if pass_on:
            for process in self.members():
                with suppress(psutil.Error):
                    process.send_signal(signal.SIGINT)
        self.resume()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send all of them the signal, resume them so that they can end, ask what ignores it to
        end, and after a while end what is left. The command's exit code."""
        members = self.members()
        for each in dict.fromkeys((number, signal.SIGTERM)):
            for process in members:
                with suppress(psutil.Error):
                    process.send_signal(each)
            self.resume()
            if self.wait(_GRACE_S) is not None:
                break
        for process in psutil.wait_procs(members, timeout=0)[1]:
            with suppress(psutil.Error):
                process.kill()
        return self.root.wait()

    def close(self) -> None:
        """Nothing stays stopped, and the guardian goes."""
        self.resume()
        if self._guardian and self._guardian.stdin:
            with suppress(OSError):
                self._guardian.stdin.close()
            self._guardian.wait()


def alive(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def _adopt_orphans() -> None:
    """On Linux a process whose parent ends becomes a child of this one, not of init: a tree
    stays a tree."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
