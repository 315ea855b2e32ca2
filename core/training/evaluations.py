"""When a stage is evaluated: every so many steps, or early and ever more seldom; always at the end.

The result does not hang on it, so a training that goes on may have another schedule.
"""

from .settings import FitSettings
from .stage import Stage

LONG = 1000  # steps, from which on a stage is looked at before its end where nobody says how often
EARLY = (32, 16, 8, 4, 2)  # parts of such a stage, after the first of which it is


def interval(stage: Stage, settings: FitSettings) -> int | None:
    """Steps from one evaluation to the next, where the user or the stage says."""
    return settings.evaluate_every or stage.evaluate_every


def early(stage: Stage, settings: FitSettings) -> list[int]:
    """The steps after which there is one where nobody says how often."""
    if interval(stage, settings) or stage.steps < LONG:
        return []
    return [stage.steps // parts for parts in EARLY]


def evaluated(stage: Stage, settings: FitSettings, step: int) -> bool:
    """Whether one follows step `step`, counted from 1."""
    every = interval(stage, settings)
    regular = every is not None and step % every == 0
    return regular or step == stage.steps or step in early(stage, settings)


def evaluations(stage: Stage, settings: FitSettings, done: int = 0) -> int:
    """How many there are after so many steps."""
    every = interval(stage, settings)
    if every is None:
        return 1 + sum(step > done for step in early(stage, settings))
    return stage.steps // every - done // every + (stage.steps % every > 0)
