"""What starts a command with a plan's first block: lines for cron, at and Slurm."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import UsageError
from ..values import ceil

if TYPE_CHECKING:
    from .plan import Plan

_SOON = timedelta(minutes=1)  # at and cron count in minutes
_YEAR = timedelta(days=365)  # a crontab's date comes round again


def lines(plan: Plan, command: str, now: datetime) -> dict[str, str]:
    """By what reads it: "cron" (two lines), "at" and "slurm", in UTC; "now" alone, the command
    itself, where the first block begins within a minute or has begun; nothing where the plan is
    over. UsageError as of check_line."""
    check_line(command)
    if plan.blocks[-1][1] <= now:
        return {}
    first = ceil(plan.blocks[0][0], _SOON)
    if first - now <= _SOON:
        return {"now": command}
    quoted = shlex.quote(command)
    # A % ends the command in a crontab.
    spelt = command.replace("%", r"\%")
    cron = {"cron": f"CRON_TZ=UTC\n{first:%M %H %d %m} * {spelt}"} if first - now < _YEAR else {}
    return cron | {
        "at": f"echo {quoted} | TZ=UTC at -t {first:%Y%m%d%H%M}",
        "slurm": f"TZ=UTC sbatch --begin={first:%Y-%m-%dT%H:%M:%S} --wrap={quoted}",
    }


def check_line(command: str) -> None:
    """UsageError for no command, or one of several lines, which a crontab cannot hold."""
    if not (command.strip() and command.replace("\t", " ").isprintable()):
        raise UsageError("--command is one line of letters that can be seen.",
                         "put it into a script, and start that")  # fmt: skip


def following(command: str, plan: Path, source: Sequence[str] = ()) -> str:
    """The command under what stops and resumes it by the plan in a file: a training by its own
    option, any other by an audit. One that names a plan already stays as it is. source: the options
    of the plan's intensities, so that what the run emits is told by the same; where the command
    says itself, that counts."""
    words = _words(command)
    if words[:1] == ["dln"] and any(_given(words, o) for o in ("--source", "--region", "-r")):
        source = ()
    given = shlex.join([str(plan), *source])
    if words[:2] == ["dln", "train"]:
        return command if _given(words, "--carbon-plan") else f"{command} --carbon-plan {given}"
    audit = f"dln carbon audit --plan {given}"
    if words[:3] == ["dln", "carbon", "audit"]:
        return command if _given(words, "--plan") else f"{audit} {shlex.join(words[3:])}"
    return f"{audit} -- {command if words else f'sh -c {shlex.quote(command)}'}"


def _given(words: list[str], option: str) -> bool:
    """Whether an option stands among the words, before those of another command."""
    own = words[: words.index("--")] if "--" in words else words
    return any(word.partition("=")[0] == option for word in own)


def _words(command: str) -> list[str]:
    """Its words; none where only a shell understands it."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--command cannot be read: {error}.") from error
    return words if shlex.join(words) == command and "=" not in words[0] else []
