"""Progress without a terminal."""

import pytest

from dln.cli import progress
from dln.cli.show import screen


@pytest.fixture
def lines(monkeypatch, capsys):
    """What is told where every report is due."""
    monkeypatch.setattr(progress, "PLAIN_EVERY", 0.0)
    monkeypatch.setattr(screen, "quiet", False)
    monkeypatch.setattr(screen, "json", False)
    return lambda: capsys.readouterr().err.splitlines()


def test_a_line_tells_all_that_goes_on(lines):
    """So that the tokens of a film's seventh clip are not taken for those of the whole."""
    report = progress.plain_lines()
    for told in [(0, 2, "clips"), (5, 9, "tokens"), (9, 9, "tokens"), (1, 2, "clips"),
                 (3, 9, "tokens"), (2, 2, "clips")]:  # fmt: skip
        report(*told)
    assert lines() == [
        "clips 0/2", "clips 0/2, tokens 5/9", "clips 0/2", "clips 1/2",
        "clips 1/2, tokens 3/9", "tokens 3/9",
    ]  # fmt: skip


def test_nothing_is_told_before_it_is_due(lines, monkeypatch):
    monkeypatch.setattr(progress, "PLAIN_EVERY", 60.0)
    progress.plain_lines()(5, 9, "tokens")
    assert lines() == []
