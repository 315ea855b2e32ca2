"""One stage in training: what `fit` does between and around the steps."""

import math
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import DlnError, Interrupted, Paused, UsageError
from ..files import disk_errors, fsync_path
from .batches import Batch, Batches, step_seed
from .ema import Ema
from .events import Evaluated, Event, Finished, Note, OnEvent, Saved, Started, Stepped, silent
from .history import History
from .learner import Learner
from .pace import Pace, parked
from .run import Run
from .settings import FitSettings, rate_factor
from .sharpness import Mesa, Penalty, Saf, as_text, ascended
from .stage import Player, Stage, evaluating, trainable_parameters, turn
from .state import Checkpoints, load_optimizer_tensors, optimizer_tensors
from .stop import StopSignals

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass
class Progress:
    """What the loop carries from step to step beside the tensors.

    `sums` and `counts` are those of the log interval, by statistic.
    """

    step: int = 0
    seconds: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    sums: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


class Session:
    """One stage in training: its learners, average, progress and checkpoints."""

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
        self.checkpoints = Checkpoints(run.state / stage.name)
        self.progress = Progress()
        self.trainable = trainable_parameters(stage)
        stage.modules.to(accelerator.device).train()
        self.learners: list[Learner] = []
        for player in stage.players:
            with turn(player, stage):
                self.learners.append(Learner(player, settings, accelerator))
        self.ema = Ema(self.trainable, settings.ema_decay)
        self.penalty = self._make_penalty()
        self.saved_step: int | None = None
        self.saved_time = time.perf_counter()
        self.logged = (0, 0.0)

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
        )

    def _make_penalty(self) -> Penalty | None:
        """SAF's or MESA's, for the first player. UsageError where its loss has no logits, or its
        history no room."""
        chosen, stage = self.settings.sharpness, self.stage
        if not chosen.tracks:
            return None
        if stage.outputs is None:
            raise UsageError(
                f"the loss of stage '{stage.name}' does not start from logits: "
                f"{chosen.method.upper()} has nothing to compare there",
                "--sharpness sam asks for a gradient alone",
            )
        if chosen.method == "mesa":
            return Mesa(chosen, stage.players[0].objective)
        folder = self.run.cache / stage.name
        with self.accelerator.main_process_first():
            return Saf(
                chosen,
                History(folder, len(stage), stage.outputs, chosen.lag, chosen.half, self.main),
            )

    def optimise(self, learner: Learner, batches: list[Batch]) -> None:
        """One player's turn. DlnError before its step where loss or gradient is not finite."""
        player, settings = learner.player, self.settings
        with turn(player, self.stage):
            stats = self._gradients(learner, batches)
        loss = float(stats["loss"])
        factor = rate_factor(self.progress.step, self.stage.steps, settings.warmup)
        norm = learner.step(factor, settings.clip_norm) if math.isfinite(loss) else math.nan
        if not math.isfinite(norm):
            self._diverged(player, loss)
        self._count(player, stats | {"norm": torch.tensor(norm)})

    def _gradients(self, learner: Learner, batches: list[Batch]) -> dict[str, Tensor]:
        """The gradients that the step takes; loss and statistics at the weights themselves."""
        precision, sharpness = self.settings.precision, self.settings.sharpness
        penalty = self.penalty if learner is self.learners[0] else None
        if sharpness.method != "sam":
            return learner.gradients(batches, precision, self.accelerator, penalty)
        device = self.accelerator.device
        # Both gradients are of one function: the same noise, where there is any.
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            stats = learner.gradients(batches, precision, self.accelerator)
        with ascended(learner.parameters, sharpness, self.stage.modules):
            learner.gradients(batches, precision, self.accelerator)
        return stats

    def _diverged(self, player: Player, loss: float) -> None:
        saved = self.checkpoints.steps()
        where = f"the checkpoint of step {saved[-1]} is intact" if saved else "no checkpoint yet"
        what = "gradient" if math.isfinite(loss) else "loss"
        raise DlnError(
            f"stage '{self.stage.name}' diverged at step {self.progress.step + 1}: the {what} of "
            f"{player.name} is not finite; {where}",
            hint="resume with a lower --lr, or with --precision fp32",
        )

    def _count(self, player: Player, stats: dict[str, Tensor]) -> None:
        """Add to the log interval's sums; the first player's loss is the stage's."""
        named = stats
        if len(self.learners) > 1:
            named = {f"{player.name}_{name}": value for name, value in stats.items()}
        if player is self.learners[0].player:
            named = named | {"loss": stats["loss"]}
        sums, counts = self.progress.sums, self.progress.counts
        for name, value in named.items():
            sums[name] = sums.get(name, 0.0) + value.to(self.accelerator.device)
            counts[name] = counts.get(name, 0) + 1

    def reduce(self, tensor: Tensor) -> Tensor:
        """The sum over processes, where the tensor was."""
        if self.accelerator.num_processes == 1:
            return tensor
        total = self.accelerator.reduce(tensor.to(self.accelerator.device), "sum")
        return total.to(tensor.device)  # pyright: ignore[reportAttributeAccessIssue]

    def agreed(self, flag: bool) -> bool:
        """True on every process where it is on one."""
        return bool(self.reduce(torch.tensor(float(flag))) > 0)

    def _means(self) -> dict[str, float]:
        """Means over the log interval and the processes; the next interval begins."""
        progress, device = self.progress, self.accelerator.device
        names = sorted(progress.sums)
        shares = [torch.as_tensor(progress.sums[n]).to(device) / progress.counts[n] for n in names]
        total = self.reduce(torch.stack([share.float().reshape(()) for share in shares]))
        progress.sums, progress.counts = {}, {}
        return dict(zip(names, (total / self.accelerator.num_processes).tolist(), strict=True))

    def log(self) -> None:
        """A line of stats.jsonl and an event, every log interval and at the end."""
        stage, progress = self.stage, self.progress
        if not (due(self.settings.log_every, progress.step) or progress.step == stage.steps):
            return
        stats = self._means()
        rate = (progress.step - self.logged[0]) / max(progress.seconds - self.logged[1], 1e-9)
        self.logged = (progress.step, progress.seconds)
        loss = stats.pop("loss")
        event = Stepped(
            stage.name,
            progress.step,
            stage.steps,
            loss,
            stats,
            rate=rate * stage.batch,
            eta=(stage.steps - progress.step) / rate,
        )
        if self.main:
            factor = rate_factor(progress.step - 1, stage.steps, self.settings.warmup)
            self.run.log(
                {
                    "stage": stage.name,
                    "step": progress.step,
                    "loss": loss,
                    **stats,
                    "lr": stage.players[0].learning_rate * factor,
                    "samples_per_s": round(event.rate, 3),
                    "seconds": round(progress.seconds, 3),
                }
            )
        self.on_event(event)

    def evaluate(self) -> None:
        """The stage's metrics and clips with the averaged weights; the other processes wait."""
        if self.main:
            torch.manual_seed(step_seed(self.settings.seed, f"{self.stage.name}/evaluate", 0, 0))
            with self.ema.swapped(), evaluating(self.stage.modules):
                metrics, clips = self.stage.evaluate()
            self._report(metrics, clips)
        self.accelerator.wait_for_everyone()

    def _report(self, metrics: dict[str, float], clips: list[Any] | None) -> None:
        if not metrics and not clips:
            return
        step, name = self.progress.step, self.stage.name
        self.progress.metrics = metrics = {key: float(value) for key, value in metrics.items()}
        sheet = self.run.save_sheet(f"{name}-{step:06d}", clips) if clips else None
        row = {"stage": name, "step": step, "metrics": metrics}
        self.run.log(row | ({"sheet": sheet.name} if sheet else {}))
        self.on_event(Evaluated(name, step, metrics, sheet))

    def checkpoint_due(self) -> bool:
        """By steps, or by the time since the last one."""
        seconds = self.settings.checkpoint_seconds
        late = seconds is not None and time.perf_counter() - self.saved_time >= seconds
        return late or due(self.settings.checkpoint_every, self.progress.step)

    def save(self) -> None:
        """Write a checkpoint, on the main process, unless this step has one."""
        if not self.main or self.saved_step == self.progress.step:
            return
        optimizers: dict[str, Tensor] = {}
        for learner in self.learners:
            for name, optimizer in learner.optimizers.items():
                optimizers |= optimizer_tensors(optimizer, name)
        groups = {
            "weights": self.stage.modules.state_dict(),
            "optimizer": optimizers,
            "average": self.ema.averages,
            "stage": self.stage.state(),
        }
        if self.penalty:
            groups["sharpness"] = self.penalty.tensors()
        if self.run.stats.exists():
            with disk_errors(self.run.stats):
                fsync_path(self.run.stats)
        path = self.checkpoints.save(self.progress.step, groups, self._info())
        self.saved_step, self.saved_time = self.progress.step, time.perf_counter()
        self.on_event(Saved(self.stage.name, self.progress.step, path))

    def stopped_at(self) -> str:
        """The sentence for a stop between two steps."""
        steps = f"{self.progress.step} of {self.stage.steps}"
        return f"stage '{self.stage.name}' stopped at step {steps}, checkpoint saved"

    def keep_pace(self, pace: Pace, stop: StopSignals) -> None:
        """Save and wait where the pace says so; the main process's clock decides for all.

        Paused where the pace leaves instead, Interrupted where a signal ends the wait.
        """
        if not self.agreed(self.main and pace.waits()):
            return
        self.save()
        if pace.leave:
            self.accelerator.wait_for_everyone()
            raise Paused(self.stopped_at(), hint=self.run.resume_command)
        self.on_event(Note(f"{self.stopped_at()}: waiting for cleaner hours"))
        states = [s for x in self.learners for o in x.optimizers.values() for s in o.state.values()]
        with parked(self.stage.modules, [*states, self.ema.averages]):
            if self.main:
                pace.wait(lambda: stop.requested)
            self.accelerator.wait_for_everyone()
        if self.agreed(stop.requested):
            raise Interrupted(self.stopped_at(), hint=self.run.resume_command)
        self.on_event(Note(f"stage '{self.stage.name}' goes on"))

    def _info(self) -> dict[str, Any]:
        progress = asdict(self.progress)
        progress["sums"] = {name: float(value) for name, value in self.progress.sums.items()}
        return {"settings": self._recipe(), "progress": progress}

    def _recipe(self) -> dict[str, Any]:
        """What must be the same for a resumed run to end like an uninterrupted one."""
        settings = asdict(self.settings)
        for name in ("checkpoint_every", "checkpoint_seconds", "evaluate_every", "log_every"):
            del settings[name]
        settings["sharpness"] = as_text(self.settings.sharpness)
        rates = {player.name: player.learning_rate for player in self.stage.players}
        return settings | {
            "steps": self.stage.steps,
            "batch": self.stage.batch,
            "samples": len(self.stage),
            "learning_rates": rates,
            "processes": self.accelerator.num_processes,
        }

    def restore(self) -> None:
        """Go on from the newest sound checkpoint, if there is one; drop later lines of the log."""
        with self.accelerator.main_process_first():
            note = self.on_event
            found = self.checkpoints.load(lambda text: note(Note(text)), quarantine=self.main)
            if self.main:
                self.run.rewind(self.stage.name, found.step if found else 0)
        if found is None:
            return
        try:
            self.stage.modules.load_state_dict(found.groups["weights"])
            for learner in self.learners:
                for name, optimizer in learner.optimizers.items():
                    load_optimizer_tensors(optimizer, name, found.groups["optimizer"])
            self.ema.load(found.groups["average"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise UsageError(
                f"the checkpoint in {self.checkpoints.folder} belongs to another configuration",
                hint="resume with the run's own settings, or start over with --force",
            ) from error
        self.stage.load_state(found.groups["stage"])
        self._restore_penalty(found.groups.get("sharpness"))
        self.progress = Progress(**found.info["progress"])
        self.saved_step = found.step
        self.logged = (found.step, self.progress.seconds)
        self._compare(found.info["settings"])

    def _restore_penalty(self, tensors: dict[str, Tensor] | None) -> None:
        """The history is one file: the main process fills it before any other reads."""
        if self.penalty and tensors is not None:
            shared = isinstance(self.penalty, Saf)
            with self.accelerator.main_process_first():
                if self.main or not shared:
                    self.penalty.load(tensors)

    def _compare(self, before: dict[str, Any]) -> None:
        now = self._recipe()
        changed = [f"{k} {before.get(k)} -> {now[k]}" for k in now if before.get(k) != now[k]]
        if changed:
            text = "; ".join(changed)
            self.on_event(Note(f"stage '{self.stage.name}' goes on with other settings: {text}"))

    def begin(self) -> None:
        count = sum(p.numel() for p in self.trainable.values())
        stage = self.stage
        event: Event = Started(stage.name, self.progress.step, stage.steps, len(stage), count)
        self.on_event(event)
        self.saved_time = time.perf_counter()

    def finish(self) -> None:
        """The averages become the weights, the stage has its last word, the result is kept."""
        stage, progress = self.stage, self.progress
        self.ema.copy_to_weights()
        stage.modules.eval()
        torch.manual_seed(step_seed(self.settings.seed, f"{stage.name}/finish", 0, 0))
        with torch.no_grad():
            stage.finish()
        info = {
            "steps": progress.step,
            "seconds": round(progress.seconds, 3),
            "metrics": progress.metrics,
            "settings": self._recipe(),
        }
        if self.main:
            self.checkpoints.finish(stage.modules.state_dict(), info)
            if self.penalty:
                self.penalty.close()
        self.accelerator.wait_for_everyone()
        if self.accelerator.num_processes > 1:
            self.accelerator.free_memory()
        self.on_event(Finished(stage.name, progress.step, progress.seconds, progress.metrics))


def due(every: int | None, step: int) -> bool:
    """True at every `every`-th step, never where that is None."""
    return every is not None and step % every == 0
