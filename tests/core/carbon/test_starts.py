"""Lines that start a plan's command: as a shell and a crontab read them."""

import shlex
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dln.core.carbon.plan.plan import Plan
from dln.core.carbon.plan.starts import following, lines
from dln.core.carbon.values import Label
from dln.core.errors import UsageError

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LABEL = Label("average", "life-cycle", "2024", "a test", "measured")
PLAN = Plan("DE", "typical", "start", NOW, ((NOW + HOUR, NOW + 2 * HOUR),), 200.0, 300.0, False,
            LABEL, HOUR)  # fmt: skip


def test_lines_that_start_it():
    found = lines(PLAN, "dln train cogvideo", NOW)
    assert found["cron"] == "CRON_TZ=UTC\n00 13 01 06 * dln train cogvideo"
    assert found["at"] == "echo 'dln train cogvideo' | TZ=UTC at -t 202406011300"
    assert "--begin=2024-06-01T13:00:00" in found["slurm"]
    awkward = lines(PLAN, "sh -c 'date +%s'", NOW)
    assert awkward["cron"].endswith(r"* sh -c 'date +\%s'")
    assert shlex.split(awkward["at"])[:2] == ["echo", "sh -c 'date +%s'"]
    assert shlex.split(awkward["slurm"])[-1] == "--wrap=sh -c 'date +%s'"


def test_no_line_lies_in_the_past():
    begins = PLAN.blocks[0][0]
    for late in (timedelta(minutes=-1), timedelta(), HOUR / 2):
        assert lines(PLAN, "make", begins + late) == {"now": "make"}
    assert lines(PLAN, "make", begins + HOUR) == {}
    assert set(lines(PLAN, "make", begins - timedelta(minutes=2))) == {"cron", "at", "slurm"}
    assert set(lines(PLAN, "make", begins - timedelta(days=366))) == {"at", "slurm"}
    seconds = replace(PLAN, blocks=((begins + timedelta(seconds=7), begins + HOUR),))
    assert "at -t 202406011301" in lines(seconds, "make", NOW)["at"]


@pytest.mark.parametrize("command", ["", "  ", "make\nrm x", "make\x1b"])
def test_what_no_line_can_hold(command: str):
    with pytest.raises(UsageError, match="one line"):
        lines(PLAN, command, NOW)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python train.py --n 3", "dln carbon audit --plan '/a b.json' -- python train.py --n 3"),
        ("sh -c 'a | b'", "dln carbon audit --plan '/a b.json' -- sh -c 'a | b'"),
        ("dln train resnet", "dln train resnet --carbon-plan '/a b.json'"),
        ("dln train resnet --carbon-plan x", "dln train resnet --carbon-plan x"),
        ("dln carbon audit --plan x -- make", "dln carbon audit --plan x -- make"),
        ("dln carbon audit -- cc --plan", "dln carbon audit --plan '/a b.json' -- cc --plan"),
    ],
)
def test_a_command_that_follows_its_plan(command: str, expected: str):
    assert following(command, Path("/a b.json")) == expected


@pytest.mark.parametrize("command", ["a && b", "a > b", "X=1 make", "echo $HOME", "a; b", "ls *"])
def test_what_only_a_shell_understands_is_left_to_one(command: str):
    found = following(command, Path("plan.json"))
    assert found.startswith("dln carbon audit --plan plan.json -- sh -c ")
    assert shlex.split(found)[-1] == command


def test_a_command_without_its_end():
    with pytest.raises(UsageError, match="cannot be read: No closing quotation"):
        following("echo 'a", Path("plan.json"))
