"""Two CPU processes against one. As a script: what `accelerate launch` starts."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

sys.path.append(str(Path(__file__).parent))
from toy_classes import SAF, Classes
from toy_classes import settings as with_sharpness
from toy_systems import SYSTEMS, stage_of
from toy_training import QUICK, Toy, rows, weights

from dln.core.errors import DlnError, Interrupted, UsageError
from dln.core.training.accelerator import create_accelerator, first_here
from dln.core.training.events import Event, Saved, silent
from dln.core.training.fit import fit
from dln.core.training.run import Run
from dln.core.training.settings import FitSettings
from dln.core.training.stage import Stage

SETTINGS = replace(QUICK, evaluate_every=10, accumulate=2)
TOYS: dict[str, tuple[Callable[[], Stage], FitSettings]] = {
    "toy": (Toy, SETTINGS),
    "classes": (Classes, with_sharpness(SAF)),
}
STAGES = {stage_of(name).name: name for name in SYSTEMS}
TOYS |= {stage: (partial(stage_of, name), SETTINGS) for stage, name in STAGES.items()}
LAUNCH = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2")
HANG = 1800  # seconds; above what the slowest machine takes


def interrupting(stage: Stage) -> Stage:
    """The second process alone gets a Ctrl-C at step 7."""
    after = stage.after_step

    def after_step(step: int, reduce: Any) -> None:
        after(step, reduce)
        if step == 7 and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGINT)

    stage.after_step = after_step
    return stage


def work(folder: Path) -> None:
    """Train each toy, and again, stopped and resumed. Says what this process has seen."""
    accelerator = create_accelerator("cpu")
    report: dict[str, Any] = {}
    for name, (make, settings) in TOYS.items():
        events: list[Event] = []
        stage = make()
        fit(stage, settings, Run.open(folder / name / "two"), accelerator, events.append)
        resumed, stopped = Run.open(folder / name / "resumed"), ""
        try:
            fit(interrupting(make()), settings, resumed, accelerator, silent)
        except Interrupted as error:
            stopped = error.message
        fit(make(), settings, resumed, accelerator, silent)
        report[name] = {
            "saved": sum(isinstance(event, Saved) for event in events),
            "events": len(events),
            "stopped": stopped,
            "weights": {k: v.tolist() for k, v in stage.modules.state_dict().items()},
            "state": {k: v.tolist() for k, v in stage.state().items()},
            "samples": getattr(stage, "seen", []),
        }
    report["uneven"] = uneven(folder / "uneven", accelerator)
    (folder / f"rank-{accelerator.process_index}.json").write_text(json.dumps(report))


def uneven(path: Path, accelerator: Any) -> str:
    """What is said where the second process has a piece less."""
    stage = stage_of("toy-pieces")
    turn = stage.players[0].turns[0]
    cut = turn.pieces
    assert cut is not None

    def fewer(batch: dict[str, Any]) -> list[dict[str, Any]]:
        return list(cut(batch))[accelerator.process_index :]

    stage.players[0].turns = [replace(turn, pieces=fewer)]
    try:
        fit(stage, SETTINGS, Run.open(path), accelerator, silent)
    except DlnError as error:
        return error.message
    return ""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For each toy the runs `one` (trained here), `two` and `resumed` (by two processes)."""
    folder = tmp_path_factory.mktemp("distributed")
    Run.create(folder / "uneven", {"model": "toy"})
    for toy, (make, settings) in TOYS.items():
        one, *_ = (Run.create(folder / toy / n, {"model": toy}) for n in ("one", "two", "resumed"))
        fit(make(), settings, one, create_accelerator("cpu"), silent)
    command = [sys.executable, *LAUNCH, __file__, str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def ranks(folder: Path) -> list[dict[str, Any]]:
    return [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in range(2)]


def run_of(folder: Path, toy: str, name: str) -> Run:
    return Run.open(folder / toy / name)


def close(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(torch.allclose(a[name], b[name], atol=1e-5) for name in a)


def of_each_sample_alone(stage: Stage) -> bool:
    """Whether the loss hangs on nothing but the samples one by one: where noise or batch norm is in
    it, two processes draw and see other numbers than one."""
    if any(isinstance(module, _BatchNorm) for module in stage.modules.modules()):
        return False
    turn, losses = stage.players[0].turns[0], []
    for seed in (0, 1):
        torch.manual_seed(seed)
        pieces = turn.cut(stage.collate(np.arange(4), 0))
        losses.append([float(turn.objective(piece)["loss"].detach()) for piece in pieces])
    return losses[0] == losses[1]


COMPARED = [toy for toy, (make, _) in TOYS.items() if of_each_sample_alone(make())]


def test_some_are_compared():
    assert {"toy", "patches"} <= set(COMPARED)
    assert not {"classes", "adversarial"} & set(COMPARED)


@pytest.mark.parametrize("toy", COMPARED)
def test_the_losses_are_those_of_one_process(folder: Path, toy: str):
    one, two = run_of(folder, toy, "one"), run_of(folder, toy, "two")
    assert [row["step"] for row in rows(one)] == [row["step"] for row in rows(two)]
    for a, b in zip(rows(one), rows(two), strict=True):
        assert a.get("metrics", a) == pytest.approx(b.get("metrics", b), abs=1e-5)
    assert close(weights(one, toy), weights(two, toy))


def test_each_sample_once_an_epoch(ranks: list[dict[str, Any]]):
    """20 steps of 8 samples are 4 epochs of 40."""
    first, second = ([tuple(pair) for pair in rank["toy"]["samples"]] for rank in ranks)
    assert len(first) == len(second)
    assert sorted(first + second) == [(epoch, i) for epoch in range(4) for i in range(40)]


@pytest.mark.parametrize("toy", TOYS)
def test_only_the_main_process_writes_and_tells(ranks: list[dict[str, Any]], toy: str):
    assert ranks[0][toy]["saved"] == 1
    assert ranks[1][toy]["events"] == 0


@pytest.mark.parametrize("toy", [toy for toy in TOYS if toy != "classes"])
def test_the_processes_end_alike(ranks: list[dict[str, Any]], toy: str):
    assert ranks[0][toy]["weights"] == ranks[1][toy]["weights"]
    assert ranks[0][toy]["state"] == ranks[1][toy]["state"]


def test_sums_are_over_the_processes(ranks: list[dict[str, Any]]):
    harmonic = sum(1 / n for n in range(1, 21))
    assert ranks[1]["toy"]["state"]["counter"] == pytest.approx([2 * harmonic])


@pytest.mark.parametrize("toy", TOYS)
def test_a_signal_to_one_stops_all_and_resumes(folder: Path, ranks: list[dict[str, Any]], toy: str):
    assert all("at step 7 of" in rank[toy]["stopped"] for rank in ranks)
    two, resumed = run_of(folder, toy, "two"), run_of(folder, toy, "resumed")
    parameters = {name for name, _ in TOYS[toy][0]().modules.named_parameters()}
    again = weights(resumed, toy)
    assert all(torch.equal(weights(two, toy)[name], again[name]) for name in parameters)
    assert rows(two) == rows(resumed)


def test_two_processes_see_the_history_of_one(folder: Path):
    """Batch norm sees half a batch on each of two processes, so the numbers are near, not equal;
    but where there is a past, and from when on, is the same."""
    runs = [run_of(folder, "classes", name) for name in ("one", "two")]
    moved = [[row["trajectory"] > 0 for row in rows(run)] for run in runs]
    assert moved[0] == moved[1] == [False] * 10 + [True] * 20


def test_a_penalty_with_no_use_for_a_bias_is_learnt_by_two(folder: Path):
    penalties = [row for row in rows(run_of(folder, "adversarial", "two")) if "step" in row]
    steps = [row["step"] for row in penalties if "discriminator_r1_loss" in row]
    assert steps == [1, 5, 9, 13, 17, 21]


def test_other_numbers_of_pieces_are_said_by_both(ranks: list[dict[str, Any]]):
    assert all("different numbers of pieces" in rank["uneven"] for rank in ranks)


@dataclass
class Beside:
    """An accelerator for a thread."""

    is_local_main_process: bool
    barrier: Barrier

    def wait_for_everyone(self) -> None:
        self.barrier.wait(60)


@pytest.mark.parametrize("fails", [False, True])
def test_the_first_of_a_machine_goes_alone_and_keeps_none_waiting(fails: bool):
    seen: list[str] = []
    barrier = Barrier(2)

    def go(name: str) -> None:
        with suppress(UsageError), first_here(Beside(name == "first", barrier)):  # pyright: ignore[reportArgumentType]
            time.sleep(0.1 if name == "first" else 0)
            seen.append(name)
            if fails:
                raise UsageError("no such folder")

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(go, ["other", "first"]))
    assert seen == ["first", "other"]


if __name__ == "__main__":
    torch.set_num_threads(1)
    work(Path(sys.argv[1]))
