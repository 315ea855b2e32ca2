"""README and the guide as the tests read them: pages, and the command lines in them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dln.cli.called import split

ROOT = Path(__file__).parents[2]
GUIDE = sorted((ROOT / "cli" / "guide").glob("*.md"))
PAGES = {path.name: path for path in (ROOT / "README.md", *GUIDE)}
FENCED = re.compile(r"^```(\w*)\n(.*?)^```\n", re.M | re.S)
SPAN = re.compile(r"`(dln [^`]+)`")
BLANK = re.compile(r"\b[A-Z]{3,}\b")  # to be filled in, as in `dln verify FILE`
LASTING = re.compile(r"\b(\d+ s|minutes?|hours?|days?)\b")
NEEDING = re.compile(r"\bneeds .+")


@dataclass(frozen=True)
class Line:
    """A command line of `dln` on a page, and what stands behind it; in a sentence that is None."""

    page: str
    text: str
    remark: str | None = None

    def __str__(self) -> str:
        return f"{self.page}: {self.text}"

    @cached_property
    def args(self) -> list[str]:
        return shlex.split(self.text)[1:]

    @property
    def made(self) -> list[str]:
        """What it writes."""
        return [word for flag, word in zip(self.args, self.args[1:], strict=False)
                if flag == "--out"]  # fmt: skip

    @property
    def need(self) -> str | None:
        """What it needs that is not everywhere."""
        found = NEEDING.search(self.remark or "")
        return found and found[0]

    @property
    def lasts(self) -> bool:
        """Whether it says that it takes long; a sentence may leave that out."""
        return self.remark is None or bool(LASTING.search(self.remark))


def lines_of(page: str) -> list[Line]:
    """All of a page, each where it is first told."""
    text, found, end = PAGES[page].read_text(encoding="utf-8"), list[Line](), 0
    for block in FENCED.finditer(text):
        found += said(page, text[end : block.start()])
        if block[1] == "sh":
            found += typed(page, block[2])
        end = block.end()
    found += said(page, text[end:])
    return list({line.text: line for line in found[::-1]}.values())[::-1]


def typed(page: str, block: str) -> Iterator[Line]:
    """Those in a block for the shell."""
    for whole in block.splitlines():
        command, _, remark = whole.partition(" #")
        for part in command.split(" && "):
            if part.startswith("dln "):
                yield Line(page, part.rstrip(), remark.strip())


def of_others(page: str) -> list[str]:
    """The lines of a page's shell blocks that call other programs, with their remarks."""
    blocks = FENCED.findall(PAGES[page].read_text(encoding="utf-8"))
    lines = [line for kind, block in blocks if kind == "sh" for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("dln ")]


def said(page: str, prose: str) -> Iterator[Line]:
    """Those in sentences that can be typed as they are: with nothing to be filled in, and more than
    the names of a command and of flags."""
    for span in SPAN.findall(prose):
        line = Line(page, " ".join(span.split()))
        told = [word for word in split(line.args)[1] if not word.startswith("-")]
        if told and not BLANK.search(line.text):
            yield line
