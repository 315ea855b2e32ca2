"""A command with everything that it starts: stopped and resumed as one."""

import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil

from ...errors import UsageError

_GRACE_S = 10.0  # between asking a tree to end and ending it
_NAP_S = 0.05
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)


class Tree:
    """A running command. Stopped means SIGSTOP (on Windows: suspended threads) for every process
    that descends from it; a guardian resumes them should this process die meanwhile.

    UsageError where the command cannot be started.
    """

    def __init__(self, command: Sequence[str], stdout: IO[str] | None = None) -> None:
        _adopt_orphans()
        self._others = {p.pid for p in psutil.Process().children()}
        self.refused: list[psutil.Process] = []
        self._guardian: subprocess.Popen[str] | None = None
        self._stopped: dict[int, psutil.Process] = {}
        try:
            self.root = subprocess.Popen(command, stdout=stdout)
        except (OSError, ValueError) as error:
            reason = (getattr(error, "strerror", None) or str(error)).lower()
            raise _cannot_start(command, reason) from error

    @property
    def running(self) -> bool:
        return not self._stopped

    def wait(self, seconds: float) -> int | None:
        """The command's exit code, or None where it goes on after `seconds`."""
        with suppress(subprocess.TimeoutExpired):
            return self.root.wait(seconds)
        return None

    def members(self) -> list[psutil.Process]:
        """Every process below this one but the guardian and what was there before; those whose
        parents died are among them on Linux."""
        others = self._others | ({self._guardian.pid} if self._guardian else set())
        return [p for p in psutil.Process().children(recursive=True) if p.pid not in others]

    def stop(self) -> None:
        """Stop all of them; a process that forks meanwhile is found on the next look, and one of
        another user is among the refused."""
        self.refused = []
        while fresh := [p for p in self.members() if p.pid not in self._stopped and alive(p)]:
            for process in fresh:
                self._stopped[process.pid] = process
            # Told before it happens: no moment in which a stopped process has no guardian.
            self._tell()
            for process in fresh:
                try:
                    process.suspend()
                except psutil.AccessDenied:
                    self.refused.append(process)
                except psutil.Error:
                    pass

    def resume(self) -> None:
        if not self._stopped:
            return
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

    def end(
        self,
        number: int = signal.SIGTERM,
        hurried: Callable[[], bool] = lambda: False,
        sent: bool = False,
        tell: Callable[[str], None] = lambda sentence: None,
    ) -> int:
        """Send all of them the signal unless they have got it, resume them so that they can end,
        ask what ignores it to end, and after a while, or where `hurried`, end what is left. The
        command's exit code."""
        for each in dict.fromkeys((number, signal.SIGTERM)):
            if not (sent and each == number):
                self._send(each)
            self.resume()
            if self._ended(each, hurried):
                break
            told = "are killed" if each == signal.SIGTERM else "are asked to end"
            tell(f"these go on and {told}: {listed(self.members())}")
        for process in self.members():
            with suppress(psutil.Error):
                process.kill()
        code = self.wait(_GRACE_S)  # only a command of another user is still there then
        return -number if code is None else code

    def _send(self, number: int) -> None:
        for process in self.members():
            with suppress(psutil.Error):
                process.send_signal(number)

    def _ended(self, number: int, hurried: Callable[[], bool]) -> bool:
        """Whether all of them end in time. What outlives the command and ignores the signal, as a
        shell's background jobs do SIGINT, is not waited for."""
        limit = time.monotonic() + _GRACE_S
        while time.monotonic() < limit and not hurried():
            if self.wait(_NAP_S) is not None:
                left = [process for process in self.members() if alive(process)]
                if not left:
                    return True
                if all(ignores(process, number) for process in left):
                    return False
                time.sleep(_NAP_S)
        return False

    def close(self) -> None:
        """Nothing stays stopped, and the guardian goes."""
        self.resume()
        if self._guardian and self._guardian.stdin:
            with suppress(OSError):
                self._guardian.stdin.close()
            self._guardian.wait()


def check_command(command: Sequence[str]) -> None:
    """UsageError where nothing of that name can be started."""
    if shutil.which(command[0]) is None:
        there = os.sep in command[0] and os.path.exists(command[0])
        raise _cannot_start(command, "permission denied" if there else "no such file or directory")


def _cannot_start(command: Sequence[str], reason: str) -> UsageError:
    hint = None
    if len(command) == 1 and " " in command[0]:
        hint = f"without the quotes, or -- sh -c {shlex.quote(command[0])}"
    return UsageError(f"cannot start {command[0]!r}: {reason}", hint)


def listed(processes: Iterable[psutil.Process]) -> str:
    """ "process 17 (python), 18 (cat)", for a person."""
    names: list[str] = []
    for process in processes:
        with suppress(psutil.Error):
            names.append(f"{process.pid} ({process.name()})")
    return f"process {', '.join(names)}"


def ignores(process: psutil.Process, number: int) -> bool:
    """Whether Linux says that the process ignores the signal."""
    with suppress(OSError, ValueError):
        for line in Path(f"/proc/{process.pid}/status").read_text(errors="replace").splitlines():
            if line.startswith("SigIgn:"):
                return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def alive(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def _adopt_orphans() -> None:
    """On Linux a process whose parent ends becomes a child of this one, not of init: a tree
    stays a tree."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
