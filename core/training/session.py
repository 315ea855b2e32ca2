"""One stage in training: what `fit` does between and around the steps."""

import time
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import DlnError, Interrupted, Paused
from .accelerator import agreed, summed
from .batches import Batch, Batches, step_seed
from .events import Finished, Note, OnEvent, Started, silent
from .journal import Journal, Progress
from .keeper import Keeper
from .pace import Pace, parked
from .run import Run
from .settings import FitSettings
from .stage import Stage, evaluating
from .stop import StopSignals
from .team import Diverged, Team

if TYPE_CHECKING:
    from accelerate import Accelerator

    from ..media.clip import Clip


class Session:
    """One stage in training: the team that optimises it, the journal that tells of it, the keeper
    of its checkpoints."""

    def __init__(
        self,
        stage: Stage,
        settings: FitSettings,
        run: Run,
        accelerator: "Accelerator",
        on_event: OnEvent,
    ) -> None:
        self.stage, self.settings, self.run, self.accelerator = stage, settings, run, accelerator
        self.main = accelerator.is_main_process
        self.on_event: OnEvent = on_event if self.main else silent
        self.team = Team(stage, settings, run, accelerator)
        self.journal = Journal(stage, run, accelerator, self.on_event, settings.log_every)
        self.keeper = Keeper(stage, settings, run, accelerator, self.on_event)

    @property
    def progress(self) -> Progress:
        return self.journal.progress

    def batches(self) -> Batches:
        a, s = self.accelerator, self.settings
        return Batches(
            self.stage,
            s.seed,
            a.process_index,
            a.num_processes,
            s.accumulate,
            a.device,
            track=s.sharpness.tracks,
            workers=s.workers,
        )

    def begin(self) -> None:
        """Go on from the newest checkpoint, if there is one; say so."""
        self.keeper.restore(self.team, self.journal)
        count = sum(p.numel() for x in self.team.learners for p in x.parameters)
        stage = self.stage
        self.on_event(Started(stage.name, self.progress.step, stage.steps, len(stage), count))
        self.keeper.time = time.perf_counter()

    def learn(self, batches: list[Batch]) -> None:
        """Every turn that is due. DlnError where loss or gradient is not finite."""
        try:
            for learnt in self.team.take_turns(self.progress.step, batches):
                self.journal.count(learnt)
        except Diverged as error:
            step, saved = self.progress.step + 1, self.keeper.checkpoints.steps()
            kept = f"the checkpoint of step {saved[-1]} is intact" if saved else "no checkpoint yet"
            raise DlnError(
                f"stage '{self.stage.name}' diverged at step {step}: {error} is not finite; {kept}",
                hint="resume with a lower --lr, or with --precision fp32",
            ) from error

    def summed(self, tensor: Tensor) -> Tensor:
        """The sum over processes, where the tensor was."""
        return summed(self.accelerator, tensor)

    def evaluate(self) -> None:
        """The stage's metrics and clips with the averaged weights; the other processes wait."""
        with self.team.averaged():
            if self.main:
                seed = step_seed(self.settings.seed, f"{self.stage.name}/evaluate", 0, 0)
                torch.manual_seed(seed)
                with evaluating(self.stage.modules):
                    metrics, clips = self.stage.evaluate()
                    self.keeper.judge(self.progress.step, metrics)
                self._report(metrics, clips)
            self.accelerator.wait_for_everyone()

    def _report(self, metrics: dict[str, float], clips: "list[Clip] | None") -> None:
        """Metrics and clips, and a warning where the metrics do not go as they should."""
        history = [*self.journal.history(), metrics]
        concern = self.stage.concern(history) if metrics else None
        self.journal.report(metrics, clips, concern)
        if concern:
            step, best = self.progress.step, self.keeper.best.told()
            kept = ""
            if best:
                kept = f"; the best weights, of step {best.step}, are kept"
            self.on_event(
                Note(
                    f"stage '{self.stage.name}' may have collapsed at step {step}: {concern}"
                    f"{kept}. To end it here: Ctrl-C, then "
                    f"{self.run.resume_command} --steps {step}"
                )
            )

    def save(self) -> None:
        """A checkpoint. SAF's history is read while it is saved: nobody writes to it then."""
        self.keeper.save(self.team, self.progress)
        if self.team.penalty:
            self.accelerator.wait_for_everyone()

    def save_where_due(self, certain: bool) -> None:
        """A checkpoint where `certain`, or where any process's clock or the step asks for one."""
        if certain or agreed(self.accelerator, self.keeper.due(self.progress.step)):
            self.save()

    def stopped_at(self) -> str:
        """The sentence for a stop between two steps."""
        steps = f"{self.progress.step} of {self.stage.steps}"
        return f"stage '{self.stage.name}' stopped at step {steps}, checkpoint saved"

    def keep_pace(self, pace: Pace, stop: StopSignals) -> None:
        """Save and wait where the pace says so; the main process's clock decides for all.

        Paused where the pace leaves instead, Interrupted where a signal ends the wait.
        """
        if not agreed(self.accelerator, self.main and pace.waits()):
            return
        self.keeper.save(self.team, self.progress)
        if pace.leave:
            self.accelerator.wait_for_everyone()
            raise Paused(self.stopped_at(), hint=self.run.resume_command)
        self.on_event(Note(f"{self.stopped_at()}: waiting for cleaner hours"))
        with parked(self.team.modules(), self.team.tables()):
            if self.main:
                pace.wait(lambda: stop.requested)
            self.accelerator.wait_for_everyone()
        if agreed(self.accelerator, stop.requested):
            raise Interrupted(self.stopped_at(), hint=self.run.resume_command)
        self.on_event(Note(f"stage '{self.stage.name}' goes on"))

    def finish(self) -> None:
        """The averages become the weights, the stage has its last word, the result is kept."""
        stage, progress = self.stage, self.progress
        self.team.settle()
        stage.modules.eval()
        torch.manual_seed(step_seed(self.settings.seed, f"{stage.name}/finish", 0, 0))
        with torch.no_grad():
            stage.finish()
        self.keeper.finish(self.team, progress)
        self.accelerator.wait_for_everyone()
        self.on_event(Finished(stage.name, progress.step, progress.seconds, progress.metrics))
