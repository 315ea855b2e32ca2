"""A --source that is none, and what belongs to it."""

from pathlib import Path

import pytest


@pytest.mark.parametrize("command", [["schedule"], ["audit", "-o", "r.json", "--", "true"]])
@pytest.mark.parametrize("place", [[], ["--region", "de"]])
def test_a_file_without_its_kind(dln, tmp_path: Path, command: list[str], place: list[str]):
    Path("grid").write_text("timestamp_utc,gco2_per_kwh\n", encoding="utf-8")
    name, *rest = command
    for source in ("grid", "none.csv"):
        outcome = dln("carbon", name, "--source", source, *place, *rest)
        assert (outcome.code, outcome.out) == (2, "")
        assert f"no source '{source}'" in outcome.err
        assert f"--source csv:{source}" in outcome.err


@pytest.mark.parametrize("place", [[], ["--region", "de"]])
def test_a_source_mistyped(dln, place: list[str]):
    outcome = dln("carbon", "schedule", "--source", "typcal", *place)
    assert outcome.code == 2
    assert "no source 'typcal'. Did you mean 'typical'" in outcome.err
