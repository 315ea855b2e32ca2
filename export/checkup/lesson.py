"""A training of a few seconds: of two kinds of pictures, which any classifier tells apart."""

import json
import signal
import sys
from dataclasses import asdict, dataclass
from os import _exit, getpid, kill
from pathlib import Path
from typing import Any

import numpy as np

from dln.core.media.png import write_png
from dln.core.training.events import Event, Going, Stepped
from dln.core.training.options import TrainOptions

SIDE, EACH = 16, 24  # pixels; pictures of a class
STEPS, SAVED_EVERY = 60, 25  # of which a line of the log comes every 20
KILLED_AT = 40  # past a checkpoint, short of the next
# Small ones of each kind of layer: convolutions with batch norm, attention.
SIZES: dict[str, dict[str, Any]] = {
    "resnet": {"width": 8, "blocks": (1, 1)},
    "vit": {"width": 32, "depth": 2, "heads": 2},
}


@dataclass(frozen=True)
class Lesson:
    """What to train on what, and where. precision: None for the device's own. killed_at: the step
    at which this process kills itself; told: a file for its losses."""

    model: str
    data: str
    out: str
    device: str = "cpu"
    precision: str | None = "fp32"
    batch: int = 16
    resume: bool = False
    killed_at: int | None = None
    told: str | None = None


def drawn(folder: Path) -> str:
    """Pictures that are bright above or below, in noise; the same every time."""
    rng = np.random.default_rng(0)
    for part, count in (("train", EACH), ("val", EACH // 4)):
        for row, name in enumerate(("above", "below")):
            place = folder / part / name
            place.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                picture = rng.integers(0, 120, (SIDE, SIDE, 3), np.uint8)
                picture[row * SIDE // 2 : (row + 1) * SIDE // 2] += 100
                write_png(place / f"{number}.png", (SIDE, SIDE), iter([picture]), {})
    return str(folder)


def learn(lesson: Lesson) -> list[float]:
    """Its loss at the first step of this session, and the means over each 20 steps."""
    from dln.core.runs.train import train

    losses: list[float] = []

    def hear(event: Event) -> None:
        if isinstance(event, Stepped) or (isinstance(event, Going) and not losses):
            losses.append(event.loss)
        if isinstance(event, Stepped) and event.step == lesson.killed_at:
            die()

    train(lesson.model, options(lesson), hear)
    return losses


def options(lesson: Lesson) -> TrainOptions:
    asked = {"out": lesson.out, "resume": lesson.resume, "device": lesson.device}
    if lesson.resume:
        return TrainOptions(**asked)
    return TrainOptions(**asked, data=lesson.data, precision=lesson.precision, batch=lesson.batch,
                        steps=STEPS, checkpoint_every=SAVED_EVERY, seed=0,
                        config=SIZES[lesson.model] | {"image_size": SIDE})  # fmt: skip


def die() -> None:
    """At once: nothing is closed, nothing is written any more."""
    if hasattr(signal, "SIGKILL"):
        kill(getpid(), signal.SIGKILL)
    _exit(1)


def command(lesson: Lesson) -> list[str]:
    """What learns it in a process of its own."""
    return [sys.executable, "-P", "-m", "dln.export.checkup.lesson", json.dumps(asdict(lesson))]


def main() -> None:
    lesson = Lesson(**json.loads(sys.argv[1]))
    losses = learn(lesson)
    if lesson.told:
        Path(lesson.told).write_text(json.dumps(losses), encoding="utf-8")


if __name__ == "__main__":
    main()
