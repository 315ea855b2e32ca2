"""README and the guide: every command line is one that `dln` takes, every link leads somewhere."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from dln.cli.called import split

ROOT = Path(__file__).parents[2]
PAGES = {path.name: path for path in (ROOT / "README.md", *(ROOT / "cli" / "guide").glob("*.md"))}
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.M | re.S)


def command_lines(page: Path) -> list[str]:
    """Those of `dln` in a page's shell blocks, without remarks and what goes before them."""
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    lines = [line.split(" && ")[-1] for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("dln ")]


LINES = [(name, line) for name, page in PAGES.items() for line in command_lines(page)]


@pytest.mark.parametrize(("page", "line"), LINES)
def test_a_line_names_commands_and_options_that_there_are(page: str, line: str):
    context, args = split(shlex.split(line, comments=True)[1:])
    command: Any = context.command
    assert not getattr(command, "commands", None), "a group does nothing by itself"
    command.make_context(context.info_name, args, parent=context.parent)


def test_all_pages_have_lines_or_need_none():
    assert {"README.md", "export.md", "carbon.md", "models.md"} <= {name for name, _ in LINES}


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str):
    page = PAGES[name]
    text = page.read_text(encoding="utf-8")
    titles = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
              for title in re.findall(r"^#+ (.*)$", text, re.M)}  # fmt: skip
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in titles
        elif "://" not in target:
            assert (page.parent / target).is_file(), target


def test_readme_links_every_page():
    text = PAGES["README.md"].read_text(encoding="utf-8")
    for name in PAGES.keys() - {"README.md"}:
        assert f"](cli/guide/{name})" in text
