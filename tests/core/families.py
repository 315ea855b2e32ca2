"""Every stage of every family for a few steps: by one process that does the work of two, and, as a
script, by two processes under `accelerate launch`, once with FSDP and once with DDP."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

sys.path.append(str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1]))
from micro import micro
from toy_classes import Classes
from toy_classes import settings as with_sharpness
from toy_training import QUICK, Toy, rows

from dln.core.data import open_source
from dln.core.errors import Interrupted
from dln.core.models.layers.codebook import Codebook
from dln.core.models.registry import MODELS, load
from dln.core.runs.build import build
from dln.core.training.accelerator import create_accelerator
from dln.core.training.batches import Batches, step_seed
from dln.core.training.events import silent
from dln.core.training.fit import fit
from dln.core.training.options import TrainOptions
from dln.core.training.run import Run
from dln.core.training.settings import FitSettings
from dln.core.training.sharpness import Sharpness
from dln.core.training.stage import Stage
from dln.core.training.team import Team

FAMILIES = ("cogvideo", "cogview2", "long-video-gan", "nuwa-infinity", "recognizer", "resnet",
            "stylegan-v", "video-diffusion", "vit")  # fmt: skip
WAYS = {"fsdp": "true", "ddp": "false"}
SHARED = ("tokenizer", "decoder", "image")  # stages that CogView2 has of CogVideo
STEPS, STOP = 3, 1
# What looks at averages, and what needs the weights besides.
TOYS: Mapping[str, tuple[Callable[[], Stage], FitSettings]] = {
    "toy": (partial(Toy, 6), replace(QUICK, evaluate_every=2)),
} | {
    method: (partial(Classes, 8), with_sharpness(Sharpness(method, start=0, lag=1)))
    for method in ("sam", "saf", "mesa")
}


def model_of(name: str) -> tuple[Any, list[Stage]]:
    """One of a few thousand weights, and its trainings on six clips, none of them twice."""
    torch.manual_seed(0)
    about, sizes = micro(name)
    source = open_source("menagerie", count=6)
    model = build(MODELS[about], None, sizes, source)
    stages = load(MODELS[about]).stages(model, source, TrainOptions(data="menagerie", seed=0))
    if name == "cogview2":
        stages = [stage for stage in stages if stage.name not in SHARED]
    for stage in stages:
        stage.steps = STEPS
        stage.batch = 2 * max(2, stage.together(8))
        stage.evaluate_every, stage.judged_by = None, None
        stage.evaluate = lambda: ({}, None)
    for module in model.modules():
        if isinstance(module, Codebook):
            module.revive_below = 0.0  # each process proposes vectors of its own
    return model, stages


def prepared(stage: Stage, run: Run) -> Stage:
    """With the tables that the one process has made, for weights that are the same."""
    torch.manual_seed(step_seed(0, f"{stage.name}/prepare", 0, 0))
    stage.prepare(run.path.parent / "one" / "cache", silent)
    return stage


def new_run(folder: Path, name: str, way: str) -> Run:
    return Run.create(folder / name / way, {"model": name})


# One process that does the work of two.


class Streams:
    """The random numbers of two processes, drawn in turn by one."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.step, self.states = stage, 0, list[Tensor]()

    def draw(self, rank: int, work: Callable[[], Any]) -> Any:
        if not self.states:
            for each in range(2):
                torch.manual_seed(step_seed(0, self.stage.name, self.step, each))
                self.states.append(torch.get_rng_state())
        torch.set_rng_state(self.states[rank])
        try:
            return work()
        finally:
            self.states[rank] = torch.get_rng_state()

    def next(self) -> None:
        self.step, self.states = self.step + 1, []


class Twin(nn.Module):
    """An objective whose every second call is the second process's."""

    def __init__(self, objective: nn.Module, streams: Streams) -> None:
        super().__init__()
        self.objective, self.streams, self.calls = objective, streams, count()

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Any]:
        return self.streams.draw(next(self.calls) % 2, lambda: self.objective(batch))


def twins(stage: Stage) -> Stage:
    streams = Streams(stage)

    def cutting(pieces: Any) -> Any:
        calls = count()

        def cut(batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
            rank = next(calls) % 2
            row = streams.draw(rank, lambda: iter(pieces(batch)))
            while (piece := streams.draw(rank, lambda: next(row, None))) is not None:
                yield piece

        return cut

    for player in stage.players:
        player.turns = [
            replace(t, objective=Twin(t.objective, streams), pieces=t.pieces and cutting(t.pieces))
            for t in player.turns
        ]
    after = stage.after_step

    def after_step(step: int, reduce: Any) -> None:
        streams.draw(0, lambda: after(step, reduce))
        streams.next()

    stage.after_step = after_step
    return stage


class Dealt(Batches):
    """Two micro-batches, of the samples that two processes would take."""

    def _collate(self, step: int) -> list[dict[str, Tensor]]:
        start = step * self.stage.batch
        whole = np.arange(start, start + self.stage.batch)
        return [self._micro(whole[rank::2]) for rank in range(2)]


def alone(folder: Path) -> None:
    """Every family by this process. Batches of fit are to be Dealt."""
    accelerator = create_accelerator("cpu")
    for way in WAYS:
        for name in (*FAMILIES, *TOYS):
            new_run(folder, name, way)
    for name in FAMILIES:
        run = new_run(folder, name, "one")
        for stage in model_of(name)[1]:
            fit(twins(prepared(stage, run)), replace(QUICK, accumulate=2), run, accelerator, silent)


# Two processes.


def stopping(stage: Stage) -> Stage:
    """The second process alone gets a Ctrl-C."""
    after = stage.after_step

    def after_step(step: int, reduce: Any) -> None:
        after(step, reduce)
        if step == STOP and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGINT)

    stage.after_step = after_step
    return stage


def stopped(name: str, run: Run, accelerator: Any) -> str:
    """Each stage is stopped, and goes on in another model whose weights are nonsense. Returns a
    hash of all that was learnt; running means of batch norms are each process's own."""
    found, asked = sha256(), os.environ["ACCELERATE_USE_FSDP"]
    model, stages = model_of(name)
    for number in range(len(stages)):
        before = {key: value.clone() for key, value in model.state_dict().items()}
        try:
            fit(stopping(prepared(stages[number], run)), QUICK, run, accelerator, silent)
            raise AssertionError(f"{stages[number].name} was not stopped")
        except Interrupted:
            pass
        model, stages = model_of(name)
        model.load_state_dict(before)
        stage = prepared(stages[number], run)
        parameters = [each for player in stage.players for each in player.parameters]
        with torch.no_grad():
            for parameter in parameters:
                parameter.fill_(7.0)
        if number % 2:  # a checkpoint goes on either way
            os.environ["ACCELERATE_USE_FSDP"] = next(w for w in WAYS.values() if w != asked)
        fit(stage, QUICK, run, accelerator, silent)
        os.environ["ACCELERATE_USE_FSDP"] = asked
        for parameter in parameters:
            found.update(parameter.detach().numpy().tobytes())
    return found.hexdigest()


def kept_numbers(accelerator: Any, run: Run) -> int:
    """How many an optimiser of this process moves of the toy's."""
    learners = Team(Toy(), QUICK, run, accelerator).learners
    optimizers = [o for learner in learners for o in learner.optimizers.values()]
    return sum(p.numel() for o in optimizers for g in o.param_groups for p in g["params"])


def work(folder: Path) -> None:
    accelerator = create_accelerator("cpu")
    report: dict[str, Any] = {"asked": os.environ.get("ACCELERATE_USE_FSDP")}
    for way, asked in WAYS.items():
        os.environ["ACCELERATE_USE_FSDP"] = asked
        for name in FAMILIES:
            report[f"{name}/{way}"] = stopped(name, Run.open(folder / name / way), accelerator)
        for name, (make, settings) in TOYS.items():
            fit(make(), settings, Run.open(folder / name / way), accelerator, silent)
        report[f"numbers/{way}"] = kept_numbers(accelerator, Run(folder, {}))
    (folder / f"rank-{accelerator.process_index}.json").write_text(json.dumps(report))


def losses(run: Run) -> list[dict[str, float]]:
    """Of every step of every stage."""
    return [{k: v for k, v in row.items() if k.endswith("loss") or k == "step"}
            for row in rows(run)]  # fmt: skip


if __name__ == "__main__":
    torch.set_num_threads(1)
    work(Path(sys.argv[1]))
