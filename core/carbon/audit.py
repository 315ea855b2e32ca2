"""Running any command under the meter, and stopping it while its schedule says wait."""

import signal
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import IO

from .processes import Tree
from .recorder import Recorder
from .threshold import Schedule

_NAP_S = 0.2  # between two looks at the clock
_SAVE_S = 60.0


class Signals:
    """SIGINT, SIGTERM and SIGHUP are kept for the loop to see; afterwards all is as it was. A
    SIGHUP that is ignored (nohup) stays so."""

    def __init__(self) -> None:
        self.received: int | None = None

    def __enter__(self) -> "Signals":
        numbers = [signal.SIGINT, signal.SIGTERM]
        hang_up = getattr(signal, "SIGHUP", None)  # Windows has none
        if hang_up and signal.getsignal(hang_up) != signal.SIG_IGN:
            numbers.append(hang_up)
        self._old = {number: signal.signal(number, self._keep) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _keep(self, number: int, frame: object) -> None:
        self.received = number


def audit(
    command: Sequence[str],
    recorder: Callable[[datetime], Recorder],
    schedule: Schedule | None = None,
    on_change: Callable[[bool], None] = lambda running: None,
    stdout: IO[str] | None = None,
) -> int:
    """Run the command to its end and return its exit code, as shells give it: 128 and the number
    for a signal. It starts once the schedule lets it; at that moment `recorder` is made, from the
    time of submission.

    UsageError where the command cannot be started. A SIGINT, SIGTERM or SIGHUP to this process
    ends the command too; whatever happens, nothing of it stays stopped.
    """
    submitted = datetime.now(UTC)
    with Signals() as signals:
        if schedule and not _wait(schedule, signals, on_change):
            return 128 + (signals.received or 0)
        metered = recorder(submitted)
        tree = Tree(command, stdout)
        try:
            code = _follow(tree, metered, schedule, signals, on_change)
        except BaseException:
            tree.end()
            raise
        finally:
            tree.close()
            metered.close()
    return code if code >= 0 else 128 - code


def _runs(schedule: Schedule | None) -> bool:
    return schedule is None or schedule.running(datetime.now(UTC))


def _wait(schedule: Schedule, signals: Signals, on_change: Callable[[bool], None]) -> bool:
    """Until the schedule lets the command start; False where a signal came first."""
    if _runs(schedule):
        return True
    on_change(False)
    while not _runs(schedule):
        if signals.received:
            return False
        time.sleep(_NAP_S)
    on_change(True)
    return True


def _follow(
    tree: Tree,
    recorder: Recorder,
    schedule: Schedule | None,
    signals: Signals,
    on_change: Callable[[bool], None],
) -> int:
    saved = time.monotonic()
    while (code := tree.wait(_NAP_S)) is None:
        if signals.received:
            return _leave(tree, signals)
        if (runs := _runs(schedule)) != tree.running:
            tree.resume() if runs else tree.stop()
            recorder.mark(runs)
            on_change(runs)
        if time.monotonic() - saved > _SAVE_S:
            recorder.mark(runs)
            recorder.save()
            saved = time.monotonic()
    return code


def _leave(tree: Tree, signals: Signals) -> int:
    """Pass the signal on. Ctrl-C on a terminal has reached the whole tree already, and the command
    may take its time."""
    if signals.received == signal.SIGINT:
        tree.interrupt(pass_on=not sys.stdin.isatty())
        if (code := tree.wait(10.0)) is not None:
            return code
        return tree.end()
    return tree.end(signals.received or signal.SIGTERM)
