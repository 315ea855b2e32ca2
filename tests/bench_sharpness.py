"""Step times of SAM, SAF and MESA over plain SGD's, the methods in turn within one process.

A study (`dln bench MODEL --against ...`) trains one method after the other, and a machine whose
speed drifts in between blurs its step times. Run: python tests/bench_sharpness.py
"""

import argparse
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import torch
from accelerate import Accelerator

from dln.core.data import open_source
from dln.core.study.study import Comparison, _stage
from dln.core.training.allocator import keep_freed_memory
from dln.core.training.batches import Batches
from dln.core.training.events import silent
from dln.core.training.fit import take_step
from dln.core.training.run import Run
from dln.core.training.session import Session
from dln.core.training.settings import FitSettings
from dln.core.training.sharpness import parse

METHODS = ("none", "sam", "saf", "mesa")


def session_of(request: Comparison, source, method: str, folder: Path) -> Session:
    """As the study trains it, with the method at work from the first step on."""
    stage = _stage(request, source, seed=0)
    stage.prepare(folder / "cache", silent)
    stage.batch, stage.steps = request.batch, 10**6
    player = stage.players[0]
    player.optimizer, player.clip_norm, player.average = "sgd", None, None
    settings = FitSettings(sharpness=parse(f"{method},start=0"))
    run = Run.create(folder / method, {"model": request.model})
    return Session(stage, settings, run, Accelerator(mixed_precision="no"), silent)


def advance(session: Session, batches: Batches, steps: int) -> float:
    """Some steps as `fit` takes them: seconds a step."""
    began = time.perf_counter()
    for _ in range(steps):
        take_step(session, batches)
    return (time.perf_counter() - began) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="resnet")
    parser.add_argument("--data", default="digits,noise=0.2")
    parser.add_argument("--count", type=int)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--steps", type=int, default=10, help="of a method in a round")
    asked = parser.parse_args()
    keep_freed_memory()
    request = Comparison(asked.model, asked.data, count=asked.count)
    source = open_source(request.data, count=request.count)
    times: dict[str, list[float]] = {method: [] for method in METHODS}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        sessions = {method: session_of(request, source, method, Path(name)) for method in METHODS}
        batches = {method: stack.enter_context(s.batches()) for method, s in sessions.items()}
        epochs = 4 * -(-len(sessions["saf"].stage) // request.batch)  # SAF's history fills
        for number in range(asked.rounds + 1):
            for method, session in sessions.items():
                seconds = advance(session, batches[method], asked.steps if number else epochs)
                if number:
                    times[method].append(seconds)
    print(
        f"{torch.get_num_threads()} threads, {asked.model} on {asked.data}, {asked.rounds} rounds"
    )
    for method, seconds in times.items():
        ratios = [own / base for own, base in zip(seconds, times["none"], strict=True)]
        low, middle, high = (sorted(ratios)[int(q * (len(ratios) - 1))] for q in (0.2, 0.5, 0.8))
        print(f"{method:5} {statistics.median(seconds) * 1e3:8.2f} ms a step, ratio {middle:.3f} "
              f"(a fifth below {low:.3f}, a fifth above {high:.3f})")  # fmt: skip


if __name__ == "__main__":
    main()
