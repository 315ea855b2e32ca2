"""A pasted line counts with the intensities that its plan was made with."""

import json
import shlex
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dln.core.carbon.plan.starts import following

SOURCE = ("--source", "csv:/a b.csv", "--zeros")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("make", f"dln carbon audit --plan /p {shlex.join(SOURCE)} -- make"),
        ("make --source x -r y", f"dln carbon audit --plan /p {shlex.join(SOURCE)} -- make "
                                 "--source x -r y"),
        ("dln train resnet", f"dln train resnet --carbon-plan /p {shlex.join(SOURCE)}"),
        ("dln train resnet --source gb", "dln train resnet --source gb --carbon-plan /p"),
        ("dln carbon audit -r de -- make", "dln carbon audit --plan /p -r de -- make"),
        ("dln carbon audit -- make -r", f"dln carbon audit --plan /p {shlex.join(SOURCE)} -- "
                                        "make -r"),
    ],
)  # fmt: skip
def test_the_source_goes_with_the_plan(command: str, expected: str):
    assert following(command, Path("/p"), SOURCE) == expected


def test_what_is_pasted_knows_what_it_emitted(dln, tmp_path: Path):
    """From a file in tonnes, without any region; started in another folder."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    day = now - timedelta(hours=1)
    rows = [f"{(day + i * timedelta(minutes=5)).isoformat()},{0.4 + i % 2 / 10}" for i in range(40)]
    Path("g.csv").write_text("\n".join(["time,Wert", *rows]), encoding="utf-8")
    file = ("--source", "csv:g.csv", "--column", "wert", "--unit", "t/MWh", "--signal", "marginal")
    job = ("--start", now.isoformat(), "--duration", "12min", "--slack", "30min", "-o", "plan.json")
    line = shlex.join([sys.executable, "-c", "pass"])
    plan = dln("carbon", "schedule", *file, *job, "--command", line, "--json").json
    assert len(plan["blocks"]) > 1
    program, *words = shlex.split(plan["lines"]["now"])
    assert program == "dln"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    at = words.index("--")
    audit = [sys.executable, "-m", "dln.cli", *words[:at], "-o", "record.json", *words[at:]]
    subprocess.run(audit, cwd=elsewhere, check=True, capture_output=True, timeout=60)
    record = json.loads((elsewhere / "record.json").read_text())
    assert record["emissions_kg"] > 0
    assert record["intensity"]["label"]["signal"] == "marginal"
