"""One check in a process of its own, which may crash or hang without anybody else."""

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dln.core.cache import cache_folder
from dln.core.errors import DlnError, short
from dln.core.files import make_folder

from ..bench_process import last_words
from ..process import ending, run_apart
from .listed import Check
from .outcome import FAILED, MISSING, MOST, Outcome

WORKER = (sys.executable, "-P", "-m", "dln.export.checkup.worker")
LOGS = "doctor"  # of what failed, in the user's cache


def ask(
    check: Check,
    seconds: float,
    folder: Path,
    before: Mapping[str, Mapping[str, Any]],
    command: Sequence[str] = WORKER,
) -> Outcome:
    """What it comes to within `seconds`; where those are fewer than the check's own limit, or it is
    one of those that are slow, running out of them is no fault of the machine's."""
    log = folder / f"{check.name}.log"
    asked = {"task": check.task, "given": dict(check.given), "folder": str(folder),
             "before": before, "limit_s": seconds, "parent": os.getpid()}  # fmt: skip
    code, said = run_apart(command, json.dumps(asked), log, seconds)
    if code is None and seconds < check.limit_s:
        return out_of_time(check.name)
    if code is None and check.instead:
        return Outcome(MISSING, f"it takes longer than {seconds:.0f} s here", check.instead)
    found = answered(code, said, seconds, log)
    return found if found.status != FAILED else kept(found, check.name, log)


def answered(code: int | None, said: bytes, seconds: float, log: Path) -> Outcome:
    """The worker's own word, or how it ended without one."""
    if code is None:
        return Outcome(FAILED, short(f"it hung: stopped after {seconds:.0f} s{last_words(log)}",
                                     MOST))  # fmt: skip
    if code or not said:
        how = ending(code) if code else "ended without an answer"
        return Outcome(FAILED, short(f"its process {how}{last_words(log)}", MOST))
    return Outcome(**json.loads(said))


def kept(found: Outcome, name: str, log: Path) -> Outcome:
    """With the place of its log, where it has no better hint."""
    with suppress(OSError, DlnError):
        place = make_folder(cache_folder() / LOGS) / f"{name}.log"
        shutil.copyfile(log, place)
        return Outcome(found.status, found.value, found.hint or f"the log is {place}")
    return found


def out_of_time(name: str) -> Outcome:
    return Outcome(MISSING, "no time was left for it", f"dln doctor --deep --only {name}")
