"""Two CPU processes against one. As a script: what `accelerate launch` starts."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

sys.path.append(str(Path(__file__).parent))
from toy_training import QUICK, Toy, rows, weights

from dln.core.errors import Interrupted
from dln.core.training.accelerator import create_accelerator
from dln.core.training.events import Event, Saved, silent
from dln.core.training.fit import fit
from dln.core.training.run import Run

SETTINGS = replace(QUICK, evaluate_every=10, accumulate=2)


class Interrupting(Toy):
    """The second process alone gets a Ctrl-C at step 7."""

    def after_step(self, step: int, reduce: Any) -> None:
        super().after_step(step, reduce)
        if step == 7 and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGINT)


def work(folder: Path) -> None:
    """Train a run; train another, stop it, resume it. Says what this process has seen."""
    accelerator = create_accelerator("cpu")
    events: list[Event] = []
    stage = Toy()
    fit(stage, SETTINGS, Run.open(folder / "two"), accelerator, events.append)
    resumed = Run.open(folder / "resumed")
    try:
        fit(Interrupting(), SETTINGS, resumed, accelerator, silent)
    except Interrupted as error:
        stopped = error.message
    else:
        stopped = ""
    fit(Toy(), SETTINGS, resumed, accelerator, silent)
    report = {
        "seen": stage.seen,
        "counter": stage.counter.item(),
        "saved": sum(isinstance(event, Saved) for event in events),
        "events": len(events),
        "stopped": stopped,
        "weights": {k: v.tolist() for k, v in stage.modules.state_dict().items()},
    }
    (folder / f"rank-{accelerator.process_index}.json").write_text(json.dumps(report))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs `one` (trained here), `two` and `resumed` (trained by two processes)."""
    folder = tmp_path_factory.mktemp("distributed")
    one, *_ = (Run.create(folder / name, {"model": "toy"}) for name in ("one", "two", "resumed"))
    fit(Toy(), SETTINGS, one, create_accelerator("cpu"), silent)
    launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    command = [sys.executable, *launch, __file__, str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def ranks(folder: Path) -> list[dict[str, Any]]:
    return [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in range(2)]


def close(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(torch.allclose(a[name], b[name], atol=1e-5) for name in a)


def test_the_losses_are_those_of_one_process(folder: Path):
    one, two = rows(Run.open(folder / "one")), rows(Run.open(folder / "two"))
    assert [row["step"] for row in one] == [row["step"] for row in two]
    for a, b in zip(one, two, strict=True):
        assert a.get("metrics", a) == pytest.approx(b.get("metrics", b), abs=1e-5)
    assert close(weights(Run.open(folder / "one")), weights(Run.open(folder / "two")))


def test_each_sample_once_an_epoch(ranks: list[dict[str, Any]]):
    """20 steps of 8 samples are 4 epochs of 40."""
    seen = [tuple(pair) for rank in ranks for pair in rank["seen"]]
    assert len(ranks[0]["seen"]) == len(ranks[1]["seen"])
    assert sorted(seen) == [(epoch, i) for epoch in range(4) for i in range(40)]


def test_only_the_main_process_writes_and_tells(ranks: list[dict[str, Any]]):
    assert ranks[0]["saved"] == 1
    assert ranks[1]["events"] == 0


def test_the_processes_end_alike(ranks: list[dict[str, Any]]):
    assert ranks[0]["weights"] == ranks[1]["weights"]
    harmonic = sum(1 / n for n in range(1, 21))
    assert [rank["counter"] for rank in ranks] == pytest.approx([2 * harmonic] * 2)


def test_a_signal_to_one_stops_all_and_resumes(folder: Path, ranks: list[dict[str, Any]]):
    assert all("at step 7 of 20" in rank["stopped"] for rank in ranks)
    two, resumed = Run.open(folder / "two"), Run.open(folder / "resumed")
    assert all(torch.equal(weights(two)[k], v) for k, v in weights(resumed).items())
    assert rows(two) == rows(resumed)


if __name__ == "__main__":
    torch.set_num_threads(1)
    work(Path(sys.argv[1]))
