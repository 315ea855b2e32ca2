"""Telling how a stage goes: means over log intervals, lines of stats.jsonl, events."""

import math
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from .accelerator import summed
from .events import Evaluated, Going, OnEvent, Stepped
from .run import Run
from .stage import Stage
from .team import Learnt

if TYPE_CHECKING:
    from accelerate import Accelerator

GOING_S = 1.0  # between two words on how it goes


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

    def __post_init__(self) -> None:
        """ValueError for what no training comes to."""
        if self.step < 0 or self.seconds < 0:
            raise ValueError("step and seconds are not negative")
        if self.sums.keys() != self.counts.keys() or min(self.counts.values(), default=1) < 1:
            raise ValueError("every sum has its count")

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"sums": {name: float(value) for name, value in self.sums.items()}}


class Journal:
    """What becomes of a stage's statistics and metrics."""

    def __init__(
        self, stage: Stage, run: Run, accelerator: "Accelerator", on_event: OnEvent, every: int
    ) -> None:
        """every: steps of a log interval."""
        self.stage, self.run, self.accelerator = stage, run, accelerator
        self.on_event, self.every = on_event, every
        self.progress = Progress()
        self._logged = (0, 0.0)
        self._told: float | None = None

    def resume(self, progress: Progress) -> None:
        """Go on from there."""
        self.progress, self._logged = progress, (progress.step, progress.seconds)

    def count(self, learnt: Learnt) -> None:
        """Add to the log interval's sums."""
        sums, counts = self.progress.sums, self.progress.counts
        for name, value in self._named(learnt).items():
            sums[name] = sums.get(name, 0.0) + value.to(self.accelerator.device)
            counts[name] = counts.get(name, 0) + 1

    def _named(self, learnt: Learnt) -> dict[str, torch.Tensor]:
        """The statistics by what tells them apart; the first turn's loss is the stage's."""
        players, turn, stats = self.stage.players, learnt.turn, learnt.stats
        prefix = f"{learnt.player.name}_" if len(players) > 1 else ""
        prefix += f"{turn.name}_" if turn.name else ""
        named = {f"{prefix}{name}": value for name, value in stats.items()}
        return named | ({"loss": stats["loss"]} if turn is players[0].turns[0] else {})

    def _means(self) -> dict[str, float]:
        """Means over the log interval and the processes; the next interval begins."""
        progress, device = self.progress, self.accelerator.device
        names = sorted(progress.sums)
        shares = [torch.as_tensor(progress.sums[n]).to(device) / progress.counts[n] for n in names]
        total = torch.stack([share.float().reshape(()) for share in shares])
        means = summed(self.accelerator, total) / self.accelerator.num_processes
        progress.sums, progress.counts = {}, {}
        return dict(zip(names, means.tolist(), strict=True))

    def log(self) -> None:
        """A line of stats.jsonl and an event, every log interval and at the end."""
        stage, progress = self.stage, self.progress
        if not (due(self.every, progress.step) or progress.step == stage.steps):
            self._tell()
            return
        stats, rate = self._means(), self._rate
        self._logged = (progress.step, progress.seconds)
        event = Stepped(
            stage.name,
            progress.step,
            stage.steps,
            stats.pop("loss"),
            stats,
            rate=rate * stage.batch,
            eta=(stage.steps - progress.step) / rate,
            told={name: stats[key] for key, name in stage.told.items() if key in stats},
        )
        if self.accelerator.is_main_process:
            self._write(event)
        self.on_event(event)

    @property
    def _rate(self) -> float:
        """Steps a second since the last line."""
        progress = self.progress
        return (progress.step - self._logged[0]) / max(progress.seconds - self._logged[1], 1e-9)

    def _tell(self) -> None:
        """How it goes on the main process, at the session's first step and then now and then; the
        interval goes on."""
        now, stage, progress = time.perf_counter(), self.stage, self.progress
        if self._told is not None and now < self._told + GOING_S:
            return
        self._told, rate = now, self._rate
        loss = float(progress.sums["loss"]) / progress.counts["loss"]
        eta = (stage.steps - progress.step) / rate
        self.on_event(Going(stage.name, progress.step, stage.steps, loss, rate * stage.batch, eta))

    def _write(self, event: Stepped) -> None:
        """The interval's line; `lr` is that of the first player's last step."""
        first = self.stage.players[0]
        self.run.log(
            {
                "stage": event.stage,
                "step": event.step,
                "loss": event.loss,
                **event.stats,
                "lr": first.learning_rate * first.rate.factor(event.step - 1, event.steps),
                "samples_per_s": round(event.rate, 3),
                "seconds": round(self.progress.seconds, 3),
            }
        )

    def history(self) -> list[dict[str, float]]:
        """The metrics of the stage's evaluations so far."""
        mine = [row for row in self.run.rows() if row.get("stage") == self.stage.name]
        return [
            {name: math.nan if value is None else value for name, value in row["metrics"].items()}
            for row in mine
            if isinstance(row.get("metrics"), dict)
        ]

    def report(
        self, metrics: dict[str, float], clips: list[Any] | None, concern: str | None = None
    ) -> None:
        """What an evaluation has given, on the main process, and what to say of it."""
        if not metrics and not clips:
            return
        step, name = self.progress.step, self.stage.name
        self.progress.metrics = metrics = {key: float(value) for key, value in metrics.items()}
        sheet = self.run.save_sheet(f"{name}-{step:06d}", clips) if clips else None
        row = {"stage": name, "step": step, "metrics": metrics}
        row |= {"sheet": sheet.name} if sheet else {}
        self.run.log(row | ({"concern": concern} if concern else {}))
        self.on_event(Evaluated(name, step, metrics, sheet))


def due(every: int | None, step: int) -> bool:
    """True at every `every`-th step, never where that is None."""
    return every is not None and step % every == 0
