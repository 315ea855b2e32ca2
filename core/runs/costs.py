"""What a training will take, stage by stage and in all."""

from __future__ import annotations

from dataclasses import dataclass

from ..carbon.values import Spread

COPIES = 3  # checkpoints: two that are kept, and the one that is being written
LIKE_STEPS = 8  # that an evaluation takes as long as, where none was tried: assumed
MEASURED, ESTIMATED, DONE = "measured", "estimated", "finished"


@dataclass(frozen=True)
class Took:
    """A step: seconds, and bytes of a sample that its backward pass needs. evaluation_s: of the
    first evaluation and of each later one, where one was tried; samples: in a step that was taken;
    flop: of a sample, where operations tell the time."""

    step_s: Spread
    activation_bytes: float
    evaluation_s: tuple[float, float] | None = None
    samples: int | None = None
    flop: float | None = None

    def evaluations_s(self, count: int) -> float:
        """Seconds of so many evaluations."""
        if self.evaluation_s is None:
            return count * LIKE_STEPS * self.step_s.expected
        first, later = self.evaluation_s
        return first + (count - 1) * later


@dataclass(frozen=True)
class StageCost:
    """Of a stage as far as it is still to be trained. steps: left; how: MEASURED, ESTIMATED or
    DONE. Seconds: prepare_s of its tables, evaluate_s of all evaluations, save_s of all
    checkpoints."""

    name: str
    steps: int
    batch: int
    parameters: int
    how: str = DONE
    took: Took = Took(Spread.exact(0.0), 0.0)
    evaluations: int = 0
    prepare_s: float = 0.0
    evaluate_s: float = 0.0
    save_s: float = 0.0
    memory_bytes: int = 0
    checkpoint_bytes: int = 0
    weights_bytes: int = 0

    @property
    def seconds(self) -> Spread:
        beside = self.prepare_s + self.evaluate_s + self.save_s
        return self.took.step_s * self.steps + Spread.exact(beside)


@dataclass(frozen=True)
class Forecast:
    """begin_s: until the first stage begins. table_bytes: on the disk. watts: of all that the meter
    reads while stages were tried, None where it told nothing; power: how that came to be, by part.
    rate: of matrix products, in FLOP/s, None where no stage needed it. others: cores that other
    programs kept busy meanwhile, None where the system does not tell."""

    stages: list[StageCost]
    device: str
    precision: str
    begin_s: float
    table_bytes: int
    watts: float | None
    power: dict[str, str]
    rate: float | None
    others: float | None = None

    @property
    def seconds(self) -> Spread:
        total = Spread.exact(self.begin_s)
        for stage in self.stages:
            total += stage.seconds
        return total

    @property
    def beside_s(self) -> tuple[float, float, float]:
        """Of the seconds those of tables, evaluations and checkpoints."""
        parts = ((stage.prepare_s, stage.evaluate_s, stage.save_s) for stage in self.stages)
        tables, evaluations, checkpoints = map(sum, zip(*parts, strict=True))
        return tables, evaluations, checkpoints

    @property
    def kwh(self) -> Spread | None:
        """Before PUE."""
        return None if self.watts is None else self.seconds * (self.watts / 3.6e6)

    @property
    def memory_bytes(self) -> int:
        return max((stage.memory_bytes for stage in self.stages), default=0)

    @property
    def memory_tried(self) -> bool:
        """Whether it is what the process held while stages were tried."""
        tried = any(stage.took.samples for stage in self.stages)
        return self.device == "cpu" and tried

    @property
    def disk_bytes(self) -> dict[str, int]:
        """Tables; checkpoints at the most; weights, of each stage and of the model."""
        checkpoints = COPIES * max((s.checkpoint_bytes for s in self.stages), default=0)
        weights = 2 * sum(stage.weights_bytes for stage in self.stages)
        return {"tables": self.table_bytes, "checkpoints": checkpoints, "weights": weights}
