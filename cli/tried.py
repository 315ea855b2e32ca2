"""What `dln doctor --deep` says while it tries this machine, and of what came of it."""

import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dln.core.errors import DlnError, MissingCapability

from .preview import can_play, sample
from .show import Result, table, teller

if TYPE_CHECKING:
    from dln.export.checkup.outcome import Found, Outcome

STYLES = {"ok": "green", "failed": "bold red", "missing": "yellow"}
TERMINAL = "dln doctor --deep --only pictures, in a terminal that knows colours"


def tried(only: Sequence[str], limit_s: float | None, markdown: bool) -> Result:
    """Every check that `only` names, or all. Its exit code is 1 where one failed."""
    from dln.export.bench import machine
    from dln.export.checkup.examine import LIMIT_S, examine
    from dln.export.checkup.listed import Check, chosen, every_check
    from dln.export.checkup.report import by_state

    checks, about, begun = chosen(only, every_check()), machine(), time.monotonic()

    def begin(check: Check, number: int) -> None:
        teller("checking")(f"{check.name}: {check.what} ({number} of {len(checks)})")

    found: list[Outcome] = []
    for each in examine(checks, {"pictures": pictures}, limit_s or LIMIT_S, begin):
        found.append(each)
        teller(each.status)(f"{each.name}: {each.value}")
    seconds = round(time.monotonic() - begun, 1)
    states = by_state(found)
    data = {"deep": True, "machine": about, "seconds": seconds, **states,
            "checks": [asdict(each) for each in found]}  # fmt: skip
    return Result(data, shown(found, about, seconds, markdown), states["failed"],
                  exit_code=1 if states["failed"] else 0)  # fmt: skip


def shown(found: "Sequence[Outcome]", about: Any, seconds: float, markdown: bool) -> Any:
    """The table and what it holds for."""
    from dln.export.checkup.report import COLUMNS, remarks, row
    from dln.export.checkup.report import markdown as lines

    rows, told = [row(each) for each in found], remarks(found, about, seconds)
    if markdown:
        return "\n".join([*lines(COLUMNS, rows), "", *told])
    from rich.console import Group
    from rich.text import Text

    cells = [(name, Text(state, style=STYLES[state]), *rest) for name, state, *rest in rows]
    return Group(table(COLUMNS, cells), "", *map(Text, told))


def pictures() -> "Found":
    """Which protocol this terminal is sent pictures by. MissingCapability where nobody would see
    any, DlnError where what is sent is not that protocol's."""
    from dln.export.checkup.outcome import Found

    if not can_play():
        raise MissingCapability("no terminal with colours shows what is printed here", TERMINAL)
    if not all(os.get_terminal_size()):
        raise MissingCapability("the terminal tells no size", "stty rows 24 columns 80")
    protocol, begins, sent = sample()
    if begins not in sent:
        raise DlnError(f"a picture by {protocol} is sent without {begins!r}")
    return Found(f"{protocol}, {len(sent):,} bytes for a picture", {"protocol": protocol})
