"""What a command found, put on the screen: tables and lines for a person, one object for a program.

stdout carries the result and nothing else; notes and errors go to stderr. Whatever is shown may
come from a stranger's file: nothing in it is obeyed by a terminal.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from dln.core.door import finite
from dln.core.text.rows import number
from dln.core.text.shown import in_ascii, in_json, on_one_line, visible

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


SHARED_CODES = (2, 75, 130)
MOST_LETTERS = 2000  # of an error; what is longer quotes somebody's input


@dataclass
class Screen:
    """How this process talks: set by --json, --quiet and --verbose, read wherever it speaks."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False

    def note(self, text: str) -> None:
        """A remark on stderr; --quiet drops it."""
        if not self.quiet:
            say("note", text, "yellow")

    def detail(self, text: str) -> None:
        """A remark on stderr that only --verbose asks for."""
        if self.verbose and not self.quiet:
            errors().print(
                on_one_line(text), style="dim", soft_wrap=True, highlight=False, markup=False
            )

    @property
    def watched(self) -> bool:
        """Whether bars and live tables make sense: somebody sits at this terminal."""
        return sys.stderr.isatty() and not self.quiet and not self.json


screen = Screen()


def is_main_process() -> bool:
    """False in all but the first process of `accelerate launch` or torchrun."""
    rank = os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))
    return not rank.isdecimal() or not rank.strip("0")  # what is no number is no launch's


@dataclass(frozen=True)
class Result:
    """What a command function returns.

    data: the JSON object, snake_case keys with units. human: lines of text, or anything rich can
    draw. brief: what --quiet prints, one value a line. exit_code: not 0 where the answer is "no".
    """

    data: dict[str, Any]
    human: "str | RenderableType"
    brief: Sequence[str] = field(default_factory=list)
    exit_code: int = 0


def show(result: Result, command: str) -> int:
    """Print the result of `command` on stdout and return its exit code."""
    if screen.json:
        print_json({"command": command, **result.data})
    elif screen.quiet:
        print_text("\n".join(map(on_one_line, result.brief)) if result.brief else None)
    elif isinstance(result.human, str):
        print_text(result.human)
    else:
        print_drawn(result.human)
    sys.stdout.flush()
    return result.exit_code


def show_error(command: str, message: str, hint: str | None, code: int) -> int:
    """Print an error as a sentence on stderr, or under --json as one object on stdout.

    What every process of a launch would say alike, only the first says.
    """
    if not is_main_process():
        if code not in SHARED_CODES:
            say("error", message, "bold red")
        return code
    if screen.json:
        error = {"message": message, "hint": hint, "code": code}
        print_json({"command": command, "error": error})
        sys.stdout.flush()
    else:
        say("error", message, "bold red")
        if hint:
            say("try", hint, "cyan")
    return code


def say(label: str, text: str, style: str) -> None:
    """One "label: text" line on stderr, the label coloured on a terminal only."""
    from rich.text import Text

    # before rich, which leaves some characters out; what to try may be an example of some lines
    text = visible(text) if label == "try" else on_one_line(text)
    if len(text) > MOST_LETTERS:
        text = f"{text[: MOST_LETTERS // 2]} ... {text[-MOST_LETTERS // 2 :]}"
    errors().print(Text.assemble((f"{label}:", style), " ", text), soft_wrap=True)


def teller(label: str) -> Callable[[str], None]:
    """Says each stage as it begins, unless nobody wants to hear it."""

    def tell(stage: str) -> None:
        if not (screen.quiet or screen.json):
            say(label, stage, "cyan")

    return tell


def print_json(payload: dict[str, Any]) -> None:
    ascii_only = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    text = json.dumps(finite(payload), ensure_ascii=ascii_only, indent=2, default=plain)
    sys.stdout.write(f"{in_json(text)}\n")


def plain(value: Any) -> Any:
    """The JSON form of a value that json does not know: numpy scalars and arrays, paths, sets."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)


def print_text(text: str | None) -> None:
    """Whole lines; None is no line at all."""
    if text is not None:
        sys.stdout.write(f"{drawable(visible(text), sys.stdout.encoding)}\n")


def drawable(text: str, encoding: str | None) -> str:
    """The text as a stream of this encoding can show it: where that has no bars, likenesses."""
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return in_ascii(text)
    return text


def print_drawn(renderable: "RenderableType") -> None:
    """Draw first, write afterwards: rich itself would end the process where a pipe is closed."""
    drawing = output()
    with drawing.capture() as captured:
        drawing.print(renderable, crop=False)  # what must not be wrapped is longer
    sys.stdout.write(captured.get())


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str | None = None):
    """A rich table; cells are plain text, so "[x]" in a name is not taken for markup."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=SIMPLE_HEAD, title=title, title_justify="left")
    drawn.show_edge = drawn.pad_edge = False
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        cells = (cell if isinstance(cell, Text) else Text(visible(number(cell))) for cell in row)
        drawn.add_row(*cells)
    return drawn


def facts(rows: Sequence[tuple[str, str]], title: str) -> "str | RenderableType":
    """Names and values: a table for who reads a terminal; in a pipe, each on a line of its own
    however long it is, since nothing there would wrap it."""
    if not is_piped(sys.stdout):
        return table(("", title), rows)
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join([title, *(on_one_line(f"{name:{width}}  {value}") for name, value in rows)])


def output() -> "Console":
    """The console of stdout; a pipe gets wide lines, since nothing there would wrap them."""
    return console(sys.stdout)


def errors() -> "Console":
    """The console of stderr."""
    return console(sys.stderr)


def console(stream: Any, pictures: bool = False) -> "Console":
    """One that obeys its own styles alone: what the text itself would order is spelt, unless it is
    for the pictures that some terminals draw so."""
    from rich.console import Console

    kind = Console if pictures else spelling()
    return kind(file=stream, width=160 if is_piped(stream) else None, highlight=False)


def is_piped(stream: Any) -> bool:
    """Whether nobody's window limits its lines."""
    return not stream.isatty() and "COLUMNS" not in os.environ


@cache
def spelling() -> "type[Console]":
    from rich.console import Console
    from rich.segment import Segment

    class Spelling(Console):
        def render(self, renderable: Any, options: Any = None) -> Iterator[Segment]:
            for part in super().render(renderable, options):
                text = part.text
                if not part.control:
                    text = drawable(visible(text), self.encoding)
                yield part if text == part.text else Segment(text, part.style)

    return Spelling
