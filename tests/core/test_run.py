"""A run's folder, its configuration and its log."""

import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dln.core.errors import UsageError
from dln.core.training.run import Run, to_toml


def test_an_existing_run_is_kept(tmp_path: Path):
    run = Run.create(tmp_path / "x", {"model": "toy"})
    run.log({"stage": "toy", "step": 1})
    with pytest.raises(UsageError, match="x exists") as caught:
        Run.create(tmp_path / "x", {})
    assert "--force" in (caught.value.hint or "")
    assert Run.create(tmp_path / "x", {"model": "other"}, force=True).rows() == []
    assert Run.open(tmp_path / "x").config == {"model": "other"}


def test_force_spares_what_is_not_a_run(tmp_path: Path):
    (tmp_path / "samples").mkdir()
    with pytest.raises(UsageError, match="is not a run"):
        Run.create(tmp_path, {}, force=True)
    assert (tmp_path / "samples").is_dir()


def test_no_run_to_open(tmp_path: Path):
    with pytest.raises(UsageError, match="is not a run"):
        Run.open(tmp_path / "missing")
    (tmp_path / "config.toml").write_text("model = ")
    with pytest.raises(UsageError, match="cannot be read"):
        Run.open(tmp_path)


def test_one_training_at_a_time(tmp_path: Path):
    pytest.importorskip("fcntl")
    run = Run.create(tmp_path / "x", {})
    with run.locked():
        with pytest.raises(UsageError, match="by another process"), Run.open(run.path).locked():
            pass
        with pytest.raises(UsageError, match="by another process"):
            Run.create(run.path, {}, force=True)
    with Run.open(run.path).locked():
        pass


def test_the_log_survives_a_cut_line(tmp_path: Path):
    run = Run.create(tmp_path / "x", {})
    for step in (1, 2, 3):
        run.log({"stage": "a", "step": step, "loss": math.nan if step == 2 else 1.0})
    run.log({"stage": "b", "step": 9})
    with open(run.stats, "a") as file:
        file.write('{"stage": "a", "st')
    run.rewind("a", 2)
    assert run.rows() == [
        {"stage": "a", "step": 1, "loss": 1.0},
        {"stage": "a", "step": 2, "loss": None},
        {"stage": "b", "step": 9},
    ]


_SCALARS = st.one_of(
    st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False), st.text()
)


_TABLES = st.recursive(
    st.dictionaries(st.text(), st.one_of(_SCALARS, st.lists(_SCALARS)), max_size=4),
    lambda inner: st.dictionaries(st.text(), st.one_of(_SCALARS, inner), max_size=3),
    max_leaves=6,
)


@given(_TABLES)
@settings(max_examples=40, deadline=None)
def test_toml_round_trip(table: dict[str, Any]):
    assert tomllib.loads(to_toml(table)) == table


def test_toml_by_hand():
    table = {"model": "x", "none": None, "fit": {"lr": 1e-05, "sizes": (1, 2), "deep": {"a": True}}}
    assert to_toml(table) == (
        'model = "x"\n\n[fit]\nlr = 1e-05\nsizes = [1, 2]\n\n[fit.deep]\na = true\n'
    )
