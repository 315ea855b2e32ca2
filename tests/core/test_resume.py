"""Trainings that are stopped, killed or damaged end with the bits of one that was left alone."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from dln.core.errors import Interrupted, UsageError
from dln.core.training.events import Saved, silent
from dln.core.training.fit import fit
from dln.core.training.run import Run
from dln.core.training.stop import StopSignals

from .toy_systems import SYSTEMS
from .toy_training import QUICK, Stopping, Toy, rows, same


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder of killing.py's runs, and what it says."""
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, str(Path(__file__).with_name("killing.py")), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


@pytest.mark.parametrize("when", ["early", "late"])
@pytest.mark.parametrize("toy", ["two players", "history", "videos", *SYSTEMS])
def test_killed_where_it_writes(killed: tuple[Path, dict[str, Any]], toy: str, when: str):
    folder, died = killed
    (stage,) = (path.name for path in (folder / toy / "whole" / "state").iterdir())
    ended, left_alone = Run.open(folder / toy / when), Run.open(folder / toy / "whole")
    assert len(died[toy][when]) >= (3 if when == "late" else 6)
    assert same(ended, left_alone, stage)
    assert rows(ended) == rows(left_alone)
    names = [sorted(p.name for p in (run.state / stage).iterdir()) for run in (ended, left_alone)]
    best = ["best.safetensors"] if toy == "videos" else []
    assert names[0] == names[1] == [*best, "final.json", "final.safetensors"]
    kept = [(run.state / stage / name).read_bytes() for name in best for run in (ended, left_alone)]
    assert len(set(kept)) == len(best)


def test_the_kills_fall_everywhere(killed: tuple[Path, dict[str, Any]]):
    """Into tensors half written, before flushes and renames, between the files of a checkpoint."""
    died = killed[1]["two players"]
    assert {"half a file", "fsync", "open", "os.mkdir", "os.rename"} <= set(died["early"])
    assert {"half a file", "os.rename", "shutil.rmtree", "os.rmdir"} <= set(died["late"])
    assert died["early"].count("half a file") >= 4


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_saves_and_resumes(
    new_run: Callable[..., Run], accelerator: Accelerator, name: str
):
    number = getattr(signal, name)
    stopped, whole = new_run("it's stopped"), new_run("whole")
    before = signal.getsignal(number)
    options = replace(QUICK, log_every=5, evaluate_every=6)
    stops = {7: number, 13: number}
    for step in (7, 13):
        with pytest.raises(Interrupted, match=f"step {step} of 20, checkpoint saved") as caught:
            fit(Stopping(stops, noise=0.1), options, stopped, accelerator, silent)
        assert (caught.value.hint or "").startswith("dln train toy --resume --out '")
    fit(Stopping(stops, noise=0.1), options, stopped, accelerator, silent)
    fit(Toy(noise=0.1), options, whole, accelerator, silent)
    assert signal.getsignal(number) is before
    assert same(stopped, whole)
    assert rows(stopped) == rows(whole)


def test_stopped_after_the_last_step(
    new_run: Callable[..., Run], whole: Run, accelerator: Accelerator
):
    """What remains is done again, and the log has its lines once."""

    class Failing(Toy):
        def finish(self) -> None:
            raise KeyboardInterrupt

    run = new_run()
    with pytest.raises(KeyboardInterrupt):
        fit(Failing(), QUICK, run, accelerator, silent)
    fit(Toy(), QUICK, run, accelerator, silent)
    assert same(run, whole)
    assert rows(run) == rows(whole)


def test_a_signal_in_the_last_evaluation_is_heard_when_all_is_kept(
    new_run: Callable[..., Run], whole: Run, accelerator: Accelerator
):
    class Late(Toy):
        def evaluate(self) -> Any:
            os.kill(os.getpid(), signal.SIGINT)
            return super().evaluate()

    run = new_run()
    with pytest.raises(Interrupted, match="step 20 of 20"):
        fit(Late(), QUICK, run, accelerator, silent)
    assert same(run, whole)


@pytest.mark.parametrize(("first", "then"), [("adamw", "sgd"), ("sgd", "adamw")])
def test_another_optimizer_does_not_go_on_with_what_one_kept(
    new_run: Callable[..., Run], accelerator: Accelerator, first: str, then: str
):
    run = new_run()

    def toy(stop: int | None, optimizer: str) -> Toy:
        made = Stopping({stop: signal.SIGINT} if stop else {})
        for player in made.players:
            player.optimizer = optimizer
        return made

    with pytest.raises(Interrupted):
        fit(toy(7, first), QUICK, run, accelerator, silent)
    with pytest.raises(UsageError, match="belongs to another configuration"):
        fit(toy(None, then), QUICK, run, accelerator, silent)


def test_what_fails_in_a_stage_comes_through(
    new_run: Callable[..., Run], whole: Run, accelerator: Accelerator
):
    """In the background thread or in an evaluation; the weights in training come back."""

    class Failing(Toy):
        def collate(self, indices: np.ndarray, epoch: int) -> Any:
            if epoch == 2:
                raise OSError("video 7 cannot be read")
            return super().collate(indices, epoch)

        def evaluate(self) -> Any:
            raise RuntimeError("no clips")

    run, options = new_run(), replace(QUICK, checkpoint_every=3)
    with pytest.raises(OSError, match="video 7"):
        fit(Failing(), options, run, accelerator, silent)
    with pytest.raises(RuntimeError, match="no clips"):
        fit(Failing(samples=400), replace(options, evaluate_every=1), run, accelerator, silent)
    fit(Toy(), options, run, accelerator, silent)
    assert same(run, whole)


def test_stage_state_comes_back(new_run: Callable[..., Run], accelerator: Accelerator):
    run, stage = new_run(), Stopping({7: signal.SIGINT})
    with pytest.raises(Interrupted):
        fit(stage, QUICK, run, accelerator, silent)
    again = Toy()
    fit(again, QUICK, run, accelerator, silent)
    assert again.counter.item() == pytest.approx(sum(1 / n for n in range(1, 21)))


def test_a_second_ctrl_c_is_at_once():
    with StopSignals() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)  # a launcher's echo
        assert stop.requested
        stop._since -= 2

        def again() -> None:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)

        with pytest.raises(KeyboardInterrupt):
            again()


def test_signals_need_the_main_thread():
    old = signal.getsignal(signal.SIGINT)

    def listen() -> None:
        with StopSignals() as stop:
            assert not stop.requested
            assert signal.getsignal(signal.SIGINT) is old

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()


def test_an_ignored_signal_stays_ignored():
    old = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with StopSignals() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            assert not stop.requested
    finally:
        signal.signal(signal.SIGTERM, old)


def test_a_player_with_muon_resumes_to_the_same_bits(
    new_run: Callable[..., Run], accelerator: Accelerator
):
    def toy(steps: int) -> Toy:
        stage = Toy(steps=steps)
        player = stage.players[0]
        player.muon = [p for p in player.parameters if p.ndim == 2][:1]
        return stage

    whole, halves = toy(6), toy(6)
    settings = replace(QUICK, checkpoint_every=3)
    fit(whole, settings, new_run("whole"), accelerator, silent)
    run = new_run("halves")

    class Stop(Exception):
        pass

    def stop(event: Any) -> None:
        if isinstance(event, Saved) and event.step == 3:
            raise Stop

    with pytest.raises(Stop):
        fit(toy(6), settings, run, accelerator, stop)
    fit(halves, settings, run, accelerator, silent)
    for name, tensor in whole.modules.state_dict().items():
        assert torch.equal(tensor, halves.modules.state_dict()[name])
