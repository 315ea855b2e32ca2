"""The training loop: one for every model.

- Players take their turns one after the other within a step, the others frozen meanwhile.
- Each step's samples and random numbers follow from (seed, stage, step, process) alone, so a
  resumed run ends with the same bits as one that was never stopped.
- The result is the average of the weights, for the players that have one.
"""

import time
from itertools import count
from typing import TYPE_CHECKING

import torch

from ..errors import Interrupted, UsageError
from .accelerator import agreed
from .batches import Batches, step_seed
from .evaluations import evaluated
from .events import OnEvent
from .pace import Pace
from .run import Run
from .session import Session
from .settings import FitSettings
from .stage import Stage
from .stop import StopSignals

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["FitSettings", "check", "fit"]


def fit(
    stage: Stage,
    settings: FitSettings,
    run: Run,
    accelerator: "Accelerator",
    on_event: OnEvent,
    pace: Pace | None = None,
) -> None:
    """Train `stage`, or go on with it, to its end; leaves its result in stage.modules and in
    state/<stage>/final.safetensors. Between two steps it waits as long as `pace` says.

    Paused where `pace` would rather leave than sleep, Interrupted after Ctrl-C, SIGTERM or
    SIGHUP, both with a checkpoint saved. DlnError where the loss is not finite, the disk is full
    or no checkpoint is sound. UsageError where the batch does not divide.
    """
    check(stage, settings, accelerator.num_processes)
    if len(stage) < 1:
        raise UsageError(f"stage '{stage.name}' has no samples")
    session = Session(stage, settings, run, accelerator, on_event)
    session.begin()
    progress, stopped = session.progress, False
    with StopSignals() as stop, session.batches() as batches:
        while progress.step < stage.steps:
            if pace:
                session.keep_pace(pace, stop)
            began = time.perf_counter()
            take_step(session, batches)
            progress.seconds += time.perf_counter() - began
            session.journal.log()
            last = progress.step == stage.steps
            if evaluated(stage, settings, progress.step):
                session.evaluate()
            stopped = agreed(accelerator, stop.requested)
            session.save_where_due(last or stopped)
            if stopped and not last:
                accelerator.wait_for_everyone()
                raise Interrupted(session.stopped_at(), hint=run.resume_command)
    session.finish()
    if stopped:
        raise Interrupted(session.stopped_at(), hint=run.resume_command)


def take_step(session: Session, batches: Batches) -> None:
    """Every player's turns on the next batch, and what follows from them."""
    progress, rank = session.progress, session.accelerator.process_index
    torch.manual_seed(step_seed(session.settings.seed, session.stage.name, progress.step, rank))
    session.learn(batches.get(progress.step))
    session.team.after_step(progress.step)
    progress.step += 1
    session.stage.after_step(progress.step, session.summed)


def check(stage: Stage, settings: FitSettings, world: int) -> None:
    """UsageError where the stage's numbers do not fit together, ValueError where a step may have
    no loss."""
    first = stage.players[0].turns[0]
    if first.every != 1 or first.after:
        raise ValueError(f"the first turn of stage '{stage.name}' comes at every step")
    if stage.steps < 1 or stage.batch < 1:
        raise UsageError(
            f"stage '{stage.name}' needs at least 1 step and a batch of at least 1, "
            f"not {stage.steps} and {stage.batch}"
        )
    parts = world * settings.accumulate
    if stage.batch % (parts * stage.together(stage.batch)):
        larger = count(parts * (stage.batch // parts + 1), parts)
        fits = next(each for each in larger if each % (parts * stage.together(each)) == 0)
        groups = stage.together(stage.batch)
        kind = f" that hold groups of {groups}" if groups > 1 else ""
        raise UsageError(
            f"batch {stage.batch} of stage '{stage.name}' does not divide by "
            f"{world} processes x {settings.accumulate} micro-batches{kind}",
            hint=f"--batch {fits}",
        )
