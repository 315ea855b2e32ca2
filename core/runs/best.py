"""The best weights of a run as a model of their own, beside the last ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..files import remove
from ..training.best import Best, BestWeights
from ..training.events import Note, OnEvent
from ..training.run import Run
from ..training.stage import Stage

if TYPE_CHECKING:
    from ..models.system import SystemModel


def package_best(
    model: SystemModel, stages: list[Stage], run: Run, card: dict[str, Any], on_event: OnEvent
) -> None:
    """best.safetensors, where a stage is judged by a metric and was better before it ended than in
    the end: each such stage at its best, the others as they are. None where the last is the best.
    The model's weights are the last ones again afterwards."""
    from ..models.package import save_model

    path = run.path / "best.safetensors"
    found = {stage.name: _earlier(stage, run, card) for stage in stages}
    better = {name: best for name, best in found.items() if best}
    if not better:
        remove(path)
        return
    last = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for stage in stages:
        if loaded := stage.name in better and BestWeights(run.state / stage.name).load():
            stage.modules.load_state_dict(loaded[1])
    save_model(path, model, card | _told(card, better))
    model.load_state_dict(last)
    told = ", ".join(f"step {b.step}: {b.metric} {b.value:.4g}" for b in better.values())
    on_event(Note(f"{path} holds the best weights ({told}), {run.weights.name} the last"))


def _earlier(stage: Stage, run: Run, card: dict[str, Any]) -> Best | None:
    """The best weights of a stage, unless they are its last."""
    best = BestWeights(run.state / stage.name).told() if stage.judged_by else None
    return best if best and best.step != card["steps"].get(stage.name) else None


def _told(card: dict[str, Any], better: dict[str, Best]) -> dict[str, Any]:
    """Steps and metrics of the best weights, in the card's form."""
    steps = {name: best.step for name, best in better.items()}
    metrics = {name: {best.metric: best.value} for name, best in better.items()}
    return {"steps": card["steps"] | steps, "metrics": card["metrics"] | metrics}
