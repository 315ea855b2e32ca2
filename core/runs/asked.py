"""What was asked of a training, laid on the stages that its model has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..errors import UsageError, closest
from ..training.options import TrainOptions
from ..training.run import Run
from ..training.settings import FitSettings
from ..training.sharpness import Sharpness, parse
from ..training.stage import Stage
from ..training.state import Checkpoints
from ..training.team import obstacle


def adjust(stages: list[Stage], options: TrainOptions) -> None:
    """--steps, --batch and --lr win over what the stages ask for."""
    players = [player for stage in stages for player in stage.players]
    steps = _each(options.steps, "stage", [stage.name for stage in stages])
    rates = _each(options.lr, "player", [player.name for player in players])
    for stage in stages:
        stage.steps = steps.get(stage.name, stage.steps)
        stage.batch = options.batch or stage.batch
    for player in players:
        player.learning_rate = rates.get(player.name, player.learning_rate)
        player.optimizer = options.optimizer or player.optimizer


def _each(given: Any, kind: str, names: list[str]) -> dict[str, Any]:
    """One value for all, or those of some by name ("": of the rest), as {name: value}. UsageError
    for a name that there is not."""
    if given is None:
        return {}
    values = dict(given) if isinstance(given, dict) else {"": given}
    rest = dict.fromkeys(names, values.pop("")) if "" in values else {}
    for name in values:
        _known(name, names, kind)
    return rest | values


def _known(name: str, names: list[str], kind: str = "stage") -> None:
    if name not in names:
        there = list(dict.fromkeys(names))
        hint = f"its {kind}s are {', '.join(there)}"
        raise UsageError(f"no {kind} '{name}'.{closest(name, there)}", hint=hint)


def selected(stages: list[Stage], only: str | None, run: Run) -> list[Stage]:
    """All stages, or `only` after those that are finished, so that the model holds every result.

    UsageError where one that it needs is not; weights to start from hold that of every stage.
    """
    if only is None:
        return stages
    names = [stage.name for stage in stages]
    _known(only, names)
    wanted = stages[names.index(only)]
    before = stages[: names.index(only)]
    needed = [s for s in before if wanted.needs is None or s.name in wanted.needs]
    others = [s for s in stages if s is not wanted and Checkpoints(run.state / s.name).finished()]
    for stage in needed:
        if stage not in others and not run.config.get("start"):
            raise UsageError(
                f"stage '{only}' needs '{stage.name}', which is not finished in {run.path}",
                hint=f"{run.resume_command} --stage {stage.name}",
            )
    return [*others, wanted]


def settings_of(options: TrainOptions) -> FitSettings:
    names = ("seed", "precision", "compile", "accumulate", "checkpoint_every", "evaluate_every")
    given = {name: getattr(options, name) for name in names}
    chosen = {name: value for name, value in given.items() if value is not None}
    workers = max(1, options.workers or 1)
    return FitSettings(**chosen, workers=workers, sharpness=parse(options.sharpness))


def flattened(stage: Stage, chosen: list[Stage], settings: FitSettings) -> FitSettings:
    """The method for flat minima goes where it can (SAF and MESA: where the loss starts from
    logits); beside such stages the others train without. Where there is none, the stage itself
    says so."""
    able = [other for other in chosen if obstacle(other, settings.sharpness) is None]
    return replace(settings, sharpness=Sharpness()) if able and stage not in able else settings
