"""Saving a stage in training, and restoring it to the same bits."""

import math
import time
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..errors import UsageError
from ..files import disk_errors, fsync_path
from .best import BestWeights
from .events import Note, OnEvent, Saved
from .journal import Journal, Progress, due
from .player import Player
from .run import Run
from .settings import FitSettings
from .sharpness import Saf, as_text
from .stage import Stage
from .state import Checkpoint, Checkpoints, Groups
from .team import Team

if TYPE_CHECKING:
    from accelerate import Accelerator

# Settings that may change when a training goes on: the result does not depend on them.
_FREE = ("checkpoint_every", "checkpoint_seconds", "evaluate_every", "log_every", "workers")


@dataclass
class Told(Progress):
    """What a checkpoint tells of how far it came."""

    sums: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, float | None] = field(default_factory=dict)


@dataclass
class Info:
    """The info.json of a checkpoint."""

    step: int
    progress: Told
    settings: dict[str, Any]

    def __post_init__(self) -> None:
        if self.progress.step != self.step:
            raise ValueError("the progress is of another step")


class Keeper:
    """The checkpoints of a stage: weights, optimisers, averages, what the stage carries."""

    def __init__(
        self,
        stage: Stage,
        settings: FitSettings,
        run: Run,
        accelerator: "Accelerator",
        on_event: OnEvent,
    ) -> None:
        self.stage, self.settings, self.run, self.accelerator = stage, settings, run, accelerator
        self.main, self.on_event = accelerator.is_main_process, on_event
        self.checkpoints = Checkpoints(run.state / stage.name, kind=Info)
        self.best = BestWeights(run.state / stage.name)
        self._step: int | None = None
        self.time = time.perf_counter()  # of the last checkpoint, or of the begin

    def judge(self, step: int, metrics: dict[str, float]) -> None:
        """Keep the weights that are in place, on the main process, where the stage is judged by a
        metric and this is its best value so far."""
        name = self.stage.judged_by
        if name is not None and name in metrics:
            weights = self.stage.modules.state_dict()
            self.best.offer(step, name, float(metrics[name]), weights)

    def due(self, step: int) -> bool:
        """By steps, or by the time since the last one."""
        seconds = self.settings.checkpoint_seconds
        late = seconds is not None and time.perf_counter() - self.time >= seconds
        return late or due(self.settings.checkpoint_every, step)

    def save(self, team: Team, progress: Progress) -> None:
        """Write a checkpoint, on the main process, unless this step has one. The others give what
        they alone have."""
        if self._step == progress.step:
            return
        groups = self._groups(team)
        if self.main:
            self._write(groups, progress)
        self._step, self.time = progress.step, time.perf_counter()

    def _write(self, groups: Groups, progress: Progress) -> None:
        if self.run.stats.exists():
            with disk_errors(self.run.stats):
                fsync_path(self.run.stats)
        info = {"settings": self._recipe(), "progress": progress.to_json()}
        path = self.checkpoints.save(progress.step, groups, info)
        self.on_event(Saved(self.stage.name, progress.step, path))

    def _groups(self, team: Team) -> Groups:
        groups: Groups = {
            "weights": self.stage.modules.state_dict(),
            "optimizer": {},
            "average": {},
            "stage": self.stage.state(),
        }
        for learner in team.learners:
            groups["optimizer"] |= learner.states()
            groups["average"] |= learner.averages()
        if team.penalty:
            groups["sharpness"] = team.penalty.tensors()
        return groups

    def restore(self, team: Team, journal: Journal) -> None:
        """Go on from the newest sound checkpoint, if there is one; drop later lines of the log.
        UsageError where it is not one of this stage."""
        with self.accelerator.main_process_first():
            checkpoint = self.checkpoints.load(self._note, quarantine=self.main)
            if self.main:
                self.run.rewind(self.stage.name, checkpoint.step if checkpoint else 0)
        if checkpoint is None:
            return
        try:
            self._load(team, checkpoint.groups)
            self.stage.load_state(checkpoint.groups["stage"])
            self._load_penalty(team, checkpoint.groups.get("sharpness"))
        except (KeyError, RuntimeError, ValueError) as error:
            raise UsageError(
                f"the checkpoint in {self.checkpoints.folder} belongs to another configuration",
                hint="resume with the run's own settings, or start over with --force",
            ) from error
        told = checkpoint.info["progress"]
        metrics = {k: math.nan if v is None else v for k, v in told["metrics"].items()}
        journal.resume(Progress(**told | {"metrics": metrics}))
        self._step = checkpoint.step
        self._compare(checkpoint)

    def _load(self, team: Team, groups: Groups) -> None:
        self.stage.modules.load_state_dict(groups["weights"])
        for learner in team.learners:
            learner.load(groups["optimizer"], groups["average"])

    def _load_penalty(self, team: Team, tensors: dict[str, Tensor] | None) -> None:
        """The history is one file: the main process fills it before any other reads."""
        if team.penalty and tensors is not None:
            shared = isinstance(team.penalty, Saf)
            with self.accelerator.main_process_first():
                if self.main or not shared:
                    team.penalty.load(tensors)

    def finish(self, team: Team, progress: Progress) -> None:
        """Keep the weights as the stage's result, on the main process; its checkpoints go."""
        if not self.main:
            return
        info = {
            "steps": progress.step,
            "seconds": round(progress.seconds, 3),
            "metrics": progress.metrics,
            "settings": self._recipe(),
        }
        self.checkpoints.finish(self.stage.modules.state_dict(), info)
        if team.penalty:
            team.penalty.close()

    def _recipe(self) -> dict[str, Any]:
        """What must be the same for a resumed run to end like an uninterrupted one."""
        settings = {k: v for k, v in asdict(self.settings).items() if k not in _FREE}
        settings["sharpness"] = as_text(self.settings.sharpness)
        return settings | {
            "steps": self.stage.steps,
            "batch": self.stage.batch,
            "samples": len(self.stage),
            "learning_rates": {player.name: player.learning_rate for player in self.stage.players},
            "optimisation": {player.name: _optimisation(player) for player in self.stage.players},
            "processes": self.accelerator.num_processes,
        }

    def _compare(self, checkpoint: Checkpoint) -> None:
        """A note of what differs. What the checkpoint does not tell is not compared."""
        before, now = checkpoint.info["settings"], self._recipe()
        names = [name for name in now if name in before and before[name] != now[name]]
        if names:
            text = "; ".join(f"{name} {before[name]} -> {now[name]}" for name in names)
            self._note(f"stage '{self.stage.name}' goes on with other settings: {text}")

    def _note(self, text: str) -> None:
        self.on_event(Note(text))


def _optimisation(player: Player) -> dict[str, Any]:
    """How a player is optimised, beside its learning rate, as it comes back from JSON."""
    return {
        "optimizer": player.optimizer,
        "betas": list(player.betas),
        "weight_decay": player.weight_decay,
        "muon_gain": player.muon_gain,
        "rate": _described(player.rate),
        "clip_norm": player.clip_norm,
        "mend": player.mend,
        "average": _described(player.average),
        "turns": {turn.name: turn.every for turn in player.turns},
    }


def _described(thing: object) -> str:
    """A dataclass with its values, anything else by its type's name."""
    return repr(thing) if thing is None or is_dataclass(thing) else type(thing).__name__
