"""The manual in the terminal."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = {path.stem: path for path in (Path(__file__).parents[2] / "cli" / "guide").glob("*.md")}


def test_the_subjects_are_listed(dln):
    listed = dln("guide")
    assert PAGES
    assert dln("guide", "-q").out.splitlines() == sorted(PAGES)
    told = {each["name"]: each["title"] for each in dln("guide", "--json").json["subjects"]}
    for name, path in PAGES.items():
        assert name in listed.out
        assert path.read_text(encoding="utf-8").startswith(f"# {told[name]}\n")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_its_markdown_in_a_pipe_and_drawn_elsewhere(dln, monkeypatch, name):
    text = PAGES[name].read_text(encoding="utf-8")
    assert dln("guide", name, "--json").json["markdown"] == text
    drawn = dln("guide", name).out
    for heading in re.findall(r"^#+ ([^`\n]+)$", text, re.M):
        assert heading in " ".join(drawn.split())
    assert "```" not in drawn
    monkeypatch.delenv("COLUMNS")
    assert dln("guide", name).out == text
    assert dln("guide", name, "-q").out == text


def test_a_subject_that_there_is_not(dln):
    outcome = dln("guide", "apy")
    assert outcome.code == 2
    assert "Did you mean 'api'" in outcome.err
    assert "try: dln guide" in outcome.err


@pytest.mark.skipif(os.name != "posix", reason="needs a terminal of its own")
def test_a_terminal_gets_its_pager(tmp_path):
    import pty

    pager = tmp_path / "pager"
    pager.write_text('#!/bin/sh\ncat > "$0.seen"\n')
    pager.chmod(0o755)
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PAGER": str(pager), "TERM": "xterm"}
    code = subprocess.call(
        [sys.executable, "-m", "dln.cli", "guide", "api"],
        stdin=theirs, stdout=theirs, stderr=theirs, env=environment,
    )  # fmt: skip
    os.close(theirs)
    os.close(ours)
    assert code == 0
    seen = (tmp_path / "pager.seen").read_text(encoding="utf-8")
    assert "A clip from a prompt" in seen
    assert "\x1b[" not in seen  # it is not known to bear colours
