"""Curves of trainings: which numbers are drawn, and for what there is nothing to draw."""

from pathlib import Path

import pytest
from PIL import Image

from dln.core.runs.curves import curves
from dln.core.training.run import Run

ROWS = [
    {"stage": "low", "step": 20, "loss": 2.0, "lr": 1e-3, "seconds": 1.0, "generator_norm": 5.0},
    {"stage": "low", "step": 40, "loss": 1.0, "samples_per_s": 3.0, "real": None},
    {"stage": "low", "step": 40, "metrics": {"loss": 9.0, "whole": True}, "sheet": "a.png"},
    {"stage": "big", "step": 20, "loss": 0.01, "real": float("inf")},
    {"stage": "low", "step": "40", "loss": 1.0},
    {"step": 60, "loss": 1.0},
]


def a_run(name: str, rows: list[dict]) -> Run:
    run = Run.create(Path("runs") / name, {"model": "stylegan-v"})
    for row in rows:
        run.log(row)
    return run


def test_numbers_are_told_by_stage_and_whether_they_were_measured():
    assert curves(ROWS) == {
        ("low", "loss", False): [(20, 2.0), (40, 1.0)],
        ("low", "loss", True): [(40, 9.0)],
        ("big", "loss", False): [(20, 0.01)],
    }
    assert [stage for stage, _, _ in curves(ROWS)] == ["low", "low", "big"]
    assert curves([]) == {}


def test_runs_are_drawn_together(dln, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    a_run("one", ROWS[:4])
    a_run("two", ROWS[:1])
    found = dln("plot", "runs/one", "runs/two", "runs/one", "--json").json
    assert found["runs"] == [{"run": "runs/one", "points": 4}, {"run": "runs/two", "points": 1}]
    with Image.open(found["path"]) as picture:
        assert picture.width > picture.height > 200
    assert dln("plot", "runs/one").code == 2
    assert dln("plot", "runs/one", "--force").code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["runs/nothing"], "is not a run"),
        (["runs/empty"], "nothing has been learnt yet"),
        (["runs/empty", "--out", "curves.pdf"], "does not end with .png"),
    ],
)
def test_what_cannot_be_drawn(dln, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    a_run("empty", [])
    refused = dln("plot", *words)
    assert (refused.code, refused.out) == (2, "")
    assert said in " ".join(refused.err.split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs"]
