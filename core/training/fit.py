"""The training loop: one for every model.

- Players are optimised one after the other within a step, the others frozen meanwhile.
- Each step's samples and random numbers follow from (seed, stage, step, process) alone, so a
  resumed run ends with the same bits as one that was never stopped.
- The result is the exponential moving average of the weights.
"""

import time
from typing import TYPE_CHECKING

import torch

from ..errors import Interrupted, UsageError
from .batches import Batches, step_seed
from .events import OnEvent
from .pace import Pace
from .run import Run
from .session import Session, due
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

    Paused where `pace` would rather leave than sleep, Interrupted after Ctrl-C or SIGTERM, both
    with a checkpoint saved. DlnError where the loss is not finite, the disk is full or no
    checkpoint is sound. UsageError where the batch does not divide.
    """
    check(stage, settings, accelerator.num_processes)
    session = Session(stage, settings, run, accelerator, on_event)
    session.restore()
    session.begin()
    progress = session.progress
    with StopSignals() as stop, session.batches() as batches:
        while progress.step < stage.steps:
            if pace:
                session.keep_pace(pace, stop)
            began = time.perf_counter()
            last = progress.step == stage.steps - 1
            take_step(session, batches, last)
            progress.seconds += time.perf_counter() - began
            session.log()
            if last or due(settings.evaluate_every, progress.step):
                session.evaluate()
            stopped = session.agreed(stop.requested)
            if last or stopped or session.agreed(session.checkpoint_due()):
                session.save()
                if session.penalty:  # nobody writes the next outputs while these are saved
                    accelerator.wait_for_everyone()
            if stopped and not last:
                accelerator.wait_for_everyone()
                raise Interrupted(session.stopped_at(), hint=run.resume_command)
    session.finish()


def take_step(session: Session, batches: Batches, last: bool) -> None:
    """Every player's turn on the next batch, and what follows from it."""
    progress, rank = session.progress, session.accelerator.process_index
    torch.manual_seed(step_seed(session.settings.seed, session.stage.name, progress.step, rank))
    micro = batches.get(progress.step, last)
    for learner in session.learners:
        session.optimise(learner, micro)
    session.ema.update(progress.step)
    if session.penalty:
        session.penalty.after_step()
    progress.step += 1
    session.stage.after_step(progress.step, session.reduce)


def check(stage: Stage, settings: FitSettings, world: int) -> None:
    """UsageError where the stage's numbers do not fit together."""
    if stage.steps < 1 or stage.batch < 1:
        raise UsageError(
            f"stage '{stage.name}' needs at least 1 step and a batch of at least 1, "
            f"not {stage.steps} and {stage.batch}"
        )
    parts = world * settings.accumulate
    if stage.batch % parts:
        raise UsageError(
            f"batch {stage.batch} of stage '{stage.name}' does not divide by "
            f"{world} processes x {settings.accumulate} micro-batches",
            hint=f"--batch {parts * (stage.batch // parts + 1)}",
        )
    if len(stage) < 1:
        raise UsageError(f"stage '{stage.name}' has no samples")
