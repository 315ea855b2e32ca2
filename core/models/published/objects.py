"""What stands for an object of a stranger's class: its name and what the file says of it."""

from dataclasses import dataclass, field
from typing import Any

from .tokens import Damaged

MOST_NAME = 256  # letters of a module's or a class's name


@dataclass(frozen=True)
class Name:
    """A class or a function that a file names. It is never looked up."""

    module: str
    name: str

    def __post_init__(self) -> None:
        if not all(isinstance(part, str) and len(part) <= MOST_NAME
                   for part in (self.module, self.name)):  # fmt: skip
            raise Damaged("what it names as a class is no name")

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Record:
    """An object that was not made: of which class or function, with which arguments, in which
    state, and what it holds as a list or as a dictionary."""

    kind: Name
    args: tuple[Any, ...] = ()
    keywords: dict[Any, Any] = field(default_factory=dict)
    state: Any = None
    entries: list[Any] = field(default_factory=list)
    items: dict[Any, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Record({self.kind})"
