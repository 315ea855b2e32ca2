"""Commands by the words that call them."""

from collections.abc import Sequence
from typing import Any

import typer

from dln.core.errors import UsageError, closest, short


def called(words: Sequence[str]) -> typer.Context:
    """The command of these words, in the context of the groups that lead to it. UsageError for a
    word that is none there."""
    context, left = split(words)
    if left:
        there = getattr(context.command, "commands", {})
        raise UsageError(
            f"{context.command_path} has no command {short(left[0])!r}.{closest(left[0], there)}",
            f"{context.command_path} --help",
        )
    return context


def split(words: Sequence[str]) -> tuple[typer.Context, list[str]]:
    """The command that the first words call, and the words that are left."""
    from .main import SETTINGS, tree

    level: Any = tree()
    context, left = typer.Context(level, info_name="dln", **SETTINGS), list(words)
    while left and left[0] in (there := getattr(level, "commands", {})):
        level = there[left[0]]
        context = typer.Context(level, info_name=left.pop(0), parent=context)
    return context, left
