"""Commands that are imported when they are asked for: one pays for itself alone, help for all."""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

import typer

Settle = Callable[[Any], None]


class Commands(Mapping[str, Any]):
    """The commands of a group by name, in order, each in the module of `package` with its name.

    entries: what Typer is told of each, as keywords. settle is called with each as it is made.
    """

    def __init__(self, package: str, entries: dict[str, dict[str, Any]], settle: Settle) -> None:
        self.package, self.entries, self.settle = package, entries, settle
        self.made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        told = self.entries[name]
        if name not in self.made:
            self.made[name] = made(import_module(f".{name}", self.package), name, told, self.settle)
            self.settle(self.made[name])
        return self.made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, name: object) -> bool:
        return name in self.entries


def made(module: Any, name: str, told: dict[str, Any], settle: Settle) -> Any:
    """The command of a module as Typer builds it, or its group; ENTRIES there are made later."""
    app = typer.Typer()
    app.callback()(nothing)  # else a lone command would take the group's place
    if hasattr(module, "app"):
        app.add_typer(module.app, **told)
    else:
        app.command(name, **told)(getattr(module, name))
    whole: Any = typer.main.get_command(app)
    command = whole.commands[name]
    if hasattr(module, "ENTRIES"):
        command.commands = Commands(module.__name__, module.ENTRIES, settle)
    return command


def nothing() -> None:
    """What a group does by itself."""
