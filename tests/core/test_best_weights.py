"""A stage that is judged by a metric: its best weights beside its last ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from dln.core.training.best import BestWeights
from dln.core.training.events import Event, Note

from .toy_run import Part, World, kept

VALUES = {"first": (3.0, 1.0, 2.0), "second": (3.0, 2.0, 1.0)}


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[float, ...]]:
    """The toy's stages are told these values at their evaluations, every second step."""
    values = dict(VALUES)

    def evaluate(self: Part) -> tuple[dict[str, float], None]:
        counted = getattr(self, "evaluations", 0)
        self.evaluations = counted + 1  # pyright: ignore[reportAttributeAccessIssue]
        return {"distance": values[self.name][counted]}, None

    monkeypatch.setattr(Part, "evaluate", evaluate)
    monkeypatch.setattr(Part, "judged_by", "distance")
    monkeypatch.setattr(Part, "evaluate_every", 2)
    return values


def test_the_best_is_a_model_of_its_own_beside_the_last(
    judged: Any, world: World, go: Callable[..., Path]
):
    events: list[Event] = []
    run = go(events.append)
    best = load_file(run / "best.safetensors")
    states = {name: BestWeights(run / "state" / name).load() for name in VALUES}
    assert {name: found and found[0].step for name, found in states.items()} == {
        "first": 4,
        "second": 6,
    }
    first = states["first"]
    assert first is not None
    assert all(torch.equal(best[f"first.{name}"], t) for name, t in first[1].items())
    last = kept(run)
    assert any(not torch.equal(best[name], last[name]) for name in best)
    assert all(torch.equal(best[name], last[name]) for name in best if name.startswith("second."))
    final = load_file(run / "state" / "first" / "final.safetensors")
    assert all(torch.equal(last[f"first.{name}"], t) for name, t in final.items())
    assert [card["steps"] for card in world.cards] == [
        {"first": 6, "second": 6},
        {"first": 4, "second": 6},
    ]
    assert world.cards[1]["metrics"]["first"] == {"distance": 1.0}
    (said,) = [e.text for e in events if isinstance(e, Note) and "best.safetensors" in e.text]
    assert "step 4: distance 1" in said


def test_where_the_last_is_the_best_there_is_no_other(
    judged: dict[str, tuple[float, ...]], world: World, go: Callable[..., Path]
):
    judged["first"] = judged["second"]
    run = go()
    assert (run / "model.safetensors").exists()
    assert not (run / "best.safetensors").exists()


def test_it_goes_with_its_run(judged: Any, world: World, go: Callable[..., Path]):
    """What --force removes."""
    run = go()
    assert (run / "best.safetensors").exists()
    judged["first"] = judged["second"]
    assert go(force=True) == run
    assert not (run / "best.safetensors").exists()
    assert sorted(p.name for p in (run / "state" / "first").iterdir()) == [
        "best.safetensors",
        "final.json",
        "final.safetensors",
    ]
