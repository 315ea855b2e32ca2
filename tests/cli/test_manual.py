"""README and the guide: every command line is one that `dln` takes, every link leads somewhere."""

import re
from typing import Any

import pytest

from dln.cli.called import split

from .manual import PAGES, ROOT, Line, lines_of, of_others

LINES = [line for page in PAGES for line in lines_of(page)]


@pytest.mark.parametrize("line", LINES, ids=str)
def test_a_line_names_commands_and_options_that_there_are(line: Line):
    context, args = split(line.args)
    command: Any = context.command
    assert not getattr(command, "commands", None), "a group does nothing by itself"
    command.make_context(context.info_name, args, parent=context.parent)


# Which file runs the lines of other programs that say of no need.
RUN_BY = {
    "pip install -c constraints.txt ": ".ci/run",
    "python tests/export/third_party/": "tests/export/test_third_party.py",
    "export DLN_MODELS=tests/systems": "tests/conftest.py",
}


@pytest.mark.parametrize("page", PAGES)
def test_lines_of_other_programs_are_run_elsewhere(page: str):
    for line in of_others(page):
        runner = next((file for begin, file in RUN_BY.items() if line.startswith(begin)), None)
        assert "# needs " in line or (runner and (ROOT / runner).is_file()), line


def test_all_pages_have_lines_or_need_none():
    assert {"README.md", "export.md", "carbon.md", "models.md"} <= {line.page for line in LINES}


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
