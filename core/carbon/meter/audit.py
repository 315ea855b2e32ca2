"""Running any command under the meter, and stopping it while its schedule says wait."""

import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import IO

from ...errors import DlnError
from ..plan.threshold import Schedule
from ..values import Scope
from .meter import HEAD_START_S, Meter
from .processes import Tree, alive, check_command, listed
from .recorder import Recorder

_NAP_S = 0.2  # between two looks at the clock
_SAVE_S = 60.0


class Signals:
    """SIGINT, SIGTERM and SIGHUP are kept for the loop to see; afterwards all is as it was. A
    SIGHUP that is ignored (nohup) stays so."""

    def __init__(self) -> None:
        self.received: int | None = None
        self.count = 0

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
        self.received, self.count = number, self.count + 1


def audit(
    command: Sequence[str],
    recorder: Callable[[Meter, datetime | None], Recorder],
    schedule: Schedule | None = None,
    on_change: Callable[[bool], None] = lambda running: None,
    stdout: IO[str] | None = None,
    scope: Scope = "machine",
    tell: Callable[[str], None] = lambda sentence: None,
) -> int:
    """Run the command to its end and return its exit code, as shells give it: 128 and the number
    for a signal. It starts once the schedule lets it, beside the meter; at that moment `recorder`
    is made, from the meter and the time of submission where the command had to wait since.

    UsageError where the command cannot be started, before anything else happens. A SIGINT, SIGTERM
    or SIGHUP to this process ends the command too, and so does a second one what ignores it;
    whatever happens, nothing of it stays stopped. tell: hears what it cannot stop or end.
    """
    check_command(command)
    submitted = None
    with Signals() as signals:
        if not _runs(schedule):
            submitted = datetime.now(UTC)
            if schedule and not _wait(schedule, signals, on_change):
                return 128 + (signals.received or 0)
        meter = Meter(scope, HEAD_START_S)
        if signals.received:  # while the meter got ready: nothing is begun
            meter.close()
            return 128 + signals.received
        metered = recorder(meter, submitted)
        try:
            tree = Tree(command, stdout)
        except BaseException:
            meter.close()
            metered.forget()
            raise
        try:
            code = _follow(tree, metered, schedule, signals, on_change, tell)
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
    tell: Callable[[str], None],
) -> int:
    saved = time.monotonic()
    while (code := tree.wait(_NAP_S)) is None:
        if signals.received:
            return _leave(tree, signals, tell)
        if (runs := _runs(schedule)) != tree.running:
            tree.resume() if runs else tree.stop()
            recorder.mark(runs)
            on_change(runs)
            if tree.refused:
                tell(f"another user's, and not stopped: {listed(tree.refused)}")
        if time.monotonic() - saved > _SAVE_S:
            recorder.mark(runs)
            with suppress(DlnError):  # a full disk must not end the command; the end says it
                recorder.save()
            saved = time.monotonic()
    if left := [process for process in tree.members() if alive(process)]:
        tell(f"the command has ended, what it left behind goes on: {listed(left)}")
    return code


def _leave(tree: Tree, signals: Signals, tell: Callable[[str], None]) -> int:
    """Pass the signal on. Ctrl-C on a terminal has reached the whole tree already, and the command
    may take its time; what does not end then is asked, and made to. Another signal hurries."""
    number, heard = signals.received or signal.SIGTERM, signals.count
    sent = number == signal.SIGINT and sys.stdin.isatty()
    return tree.end(number, lambda: signals.count > heard, sent, tell)
