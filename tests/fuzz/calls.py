"""What commands call, asked directly where the whole command line would only take longer."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from .case import Call
from .services import ask


def picture(folder: Path) -> None:
    """As `dln generate --image` reads it."""
    from dln.core.media.picture import picture as read

    assert read(str(folder / "p"), (8, 8)).shape == (8, 8, 3)


def plan(folder: Path) -> None:
    """As a training and an audit follow it."""
    from dln.core.carbon.plan.plan import Plan

    found = Plan.load(folder / "p.json")
    found.running(datetime.now(UTC))


CALLS: Mapping[str, Call] = {"http": ask, "picture": picture, "plan": plan}
