"""The training loop: the order of samples, what it writes and tells, what it refuses."""

import math
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dln.core.errors import DlnError, UsageError
from dln.core.training.batches import Batches, indices_at
from dln.core.training.events import Evaluated, Event, Finished, Saved, Started, Stepped, silent
from dln.core.training.fit import fit
from dln.core.training.run import Run
from dln.core.training.settings import FitSettings
from dln.core.training.state import Checkpoints

from .toy_training import QUICK, Toy, rows, weights


@given(st.integers(1, 7), st.sampled_from([(1, 1), (2, 1), (1, 3), (2, 3)]), st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_each_sample_once_an_epoch(samples: int, split: tuple[int, int], workers: int):
    """Whatever the processes, micro-batches and threads, and where a batch is larger than an
    epoch."""
    world, accumulate = split
    seen: list[tuple[int, int]] = []
    for rank in range(world):
        stage = Toy(batch=6, samples=samples, steps=samples)
        cpu = torch.device("cpu")
        with Batches(stage, 0, rank, world, accumulate, cpu, workers=workers) as batches:
            parts = [batches.get(step) for step in range(samples)]
        assert all(len(micro) == accumulate for micro in parts)
        assert {len(b["x"]) for micro in parts for b in micro} == {6 // world // accumulate}
        seen += stage.seen
    assert sorted(seen) == [(epoch, i) for epoch in range(6) for i in range(samples)]


def test_epochs_have_their_own_order():
    (_, first), (_, second) = indices_at(np.arange(40), 0, "toy", 20)
    assert sorted(first) == sorted(second) == list(range(20))
    assert list(first) != list(second)
    assert list(indices_at(np.arange(20), 1, "toy", 20)[0][1]) != list(first)
    assert list(indices_at(np.arange(20), 0, "other", 20)[0][1]) != list(first)


def test_threads_collate_at_once_and_in_order():
    """Three threads wait for each other in `collate`: one alone would never go on."""

    class Meeting(Toy):
        def collate(self, indices: np.ndarray, epoch: int) -> dict[str, torch.Tensor]:
            barrier.wait(timeout=60)
            return super().collate(indices, epoch)

    barrier, alone = threading.Barrier(3), Toy(steps=6)
    cpu = torch.device("cpu")
    with (
        Batches(Meeting(steps=6), 0, 0, 1, 1, cpu, workers=3) as batches,
        Batches(alone, 0, 0, 1, 1, cpu) as others,
    ):
        for step in range(6):
            (batch,), (other,) = batches.get(step), others.get(step)
            assert torch.equal(batch["x"], other["x"])


def test_threads_change_no_bit_and_stop_at_the_end(
    new_run: Callable[..., Run], whole: Run, accelerator: Accelerator
):
    stage, run = Toy(), new_run()
    fit(stage, replace(QUICK, workers=3), run, accelerator, silent)
    assert len(stage.seen) == 20 * 8
    assert all(torch.equal(weights(run)[k], v) for k, v in weights(whole).items())
    assert rows(run) == rows(whole)


def test_what_fails_in_a_thread_comes_at_its_step(
    new_run: Callable[..., Run], accelerator: Accelerator
):
    """Steps 0 to 9 are two epochs of five batches; the third epoch cannot be read."""

    class Failing(Toy):
        def collate(self, indices: np.ndarray, epoch: int) -> dict[str, torch.Tensor]:
            if epoch == 2:
                raise OSError("video 7 cannot be read")
            return super().collate(indices, epoch)

    run = new_run()
    with pytest.raises(OSError, match="video 7"):
        fit(Failing(), replace(QUICK, workers=4), run, accelerator, silent)
    assert [row["step"] for row in run.rows()] == list(range(1, 11))


def test_a_whole_training(new_run: Callable[..., Run], accelerator: Accelerator):
    run, events, stage = new_run(), list[Event](), Toy(steps=30)
    fit(stage, replace(QUICK, evaluate_every=10, log_every=5), run, accelerator, events.append)
    assert events[0] == Started("toy", 0, 30, 40, 97 + 5)
    assert isinstance(events[-1], Finished)
    assert [e.step for e in events if isinstance(e, Stepped)] == [5, 10, 15, 20, 25, 30]
    assert [e.step for e in events if isinstance(e, Evaluated)] == [10, 20, 30]
    assert [e.step for e in events if isinstance(e, Saved)] == [30]
    logged = [row for row in run.rows() if "loss" in row]
    assert logged[-1]["loss"] < logged[0]["loss"] / 2
    assert logged[0].keys() >= {"model_loss", "model_mae", "critic_loss", "critic_norm", "lr"}
    assert logged[0]["loss"] == logged[0]["model_loss"]
    kept = weights(run)
    assert all(torch.equal(kept[k], v) for k, v in stage.modules.state_dict().items())
    assert events[-1].metrics["mse"] == pytest.approx(stage.evaluate()[0]["mse"])
    assert sorted(p.name for p in (run.state / "toy").iterdir()) == [
        "final.json",
        "final.safetensors",
    ]


def test_a_player_leaves_the_others_alone(new_run: Callable[..., Run], accelerator: Accelerator):
    """The critic's loss depends on the model, whose weights only its own loss may move."""
    alone, both = Toy(steps=3), Toy(steps=3)
    alone.players = alone.players[:1]
    fit(alone, QUICK, new_run("a"), accelerator, silent)
    fit(both, QUICK, new_run("b"), accelerator, silent)
    for a, b in zip(alone.model.parameters(), both.model.parameters(), strict=True):
        assert torch.equal(a, b)
    assert all(p.requires_grad for p in both.modules.parameters())


def test_four_micro_batches_of_two_equal_eight(
    new_run: Callable[..., Run], whole: Run, accelerator: Accelerator
):
    parts = new_run("parts")
    fit(Toy(), replace(QUICK, accumulate=4), parts, accelerator, silent)
    for a, b in zip(rows(whole), rows(parts), strict=True):
        assert a == pytest.approx(b, abs=1e-6) if "loss" in a else a["step"] == b["step"]
    a, b = weights(whole), weights(parts)
    assert all(torch.allclose(a[k], b[k], atol=1e-6) for k in a)


def test_bf16_trains(new_run: Callable[..., Run], accelerator: Accelerator):
    run = new_run()
    fit(Toy(steps=40), replace(QUICK, precision="bf16"), run, accelerator, silent)
    losses = [row["loss"] for row in run.rows() if "loss" in row]
    assert losses[-1] < losses[0] / 2
    assert all(w.dtype == torch.float32 for w in weights(run).values())


def test_a_contact_sheet(new_run: Callable[..., Run], accelerator: Accelerator):
    from dln.core.media.clip import Clip

    class Shown(Toy):
        def evaluate(self) -> Any:
            return {}, [Clip(np.zeros((4, 16, 16, 3), np.uint8), 4.0)] * 2

    run, events = new_run(), list[Event]()
    fit(Shown(steps=2), QUICK, run, accelerator, events.append)
    sheet = run.samples / "toy-000002.png"
    assert sheet.read_bytes().startswith(b"\x89PNG")
    assert Evaluated("toy", 2, {}, sheet) in events


def test_a_loss_that_is_not_finite(new_run: Callable[..., Run], accelerator: Accelerator):
    class Diverging(Toy):
        def after_step(self, step: int, reduce: Any) -> None:
            if step == 9:
                self.players[0].parameters[0].data.fill_(math.nan)

    run = new_run()
    with pytest.raises(DlnError, match=r"stage 'toy' diverged at step 10: .* step 8 is") as caught:
        fit(Diverging(), replace(QUICK, checkpoint_every=4), run, accelerator, silent)
    assert "--lr" in (caught.value.hint or "")
    assert Checkpoints(run.state / "toy").steps() == [4, 8]
    checkpoint = Checkpoints(run.state / "toy").load(print)
    assert checkpoint is not None
    assert all(w.isfinite().all() for w in checkpoint.groups["weights"].values())


def test_a_batch_that_does_not_divide(new_run: Callable[..., Run], accelerator: Accelerator):
    with pytest.raises(UsageError, match=r"batch 8 .* 1 processes x 3 micro-batches") as caught:
        fit(Toy(), replace(QUICK, accumulate=3), new_run(), accelerator, silent)
    assert caught.value.hint == "--batch 9"


@pytest.mark.parametrize("options", [{"steps": 0}, {"batch": 0}, {"samples": 0}])
def test_empty_stages(
    new_run: Callable[..., Run], accelerator: Accelerator, options: dict[str, int]
):
    with pytest.raises(UsageError, match="stage 'toy'"):
        fit(Toy(**options), QUICK, new_run(), accelerator, silent)


@pytest.mark.parametrize(
    "field", [{"precision": "fp16"}, {"accumulate": 0}, {"workers": 0}, {"log_every": 0}]
)
def test_settings_name_the_field(field: dict[str, Any]):
    with pytest.raises(UsageError, match=next(iter(field))):
        FitSettings(**field)


def test_parameters_outside_the_modules(new_run: Callable[..., Run], accelerator: Accelerator):
    stage = Toy()
    stage.players[0].parameters.append(nn.Parameter(torch.zeros(1)))
    with pytest.raises(ValueError, match=r"not in stage\.modules"):
        fit(stage, QUICK, new_run(), accelerator, silent)


def test_checkpoints_by_the_clock(new_run: Callable[..., Run], accelerator: Accelerator):
    events: list[Event] = []
    fit(Toy(steps=3), replace(QUICK, checkpoint_seconds=0), new_run(), accelerator, events.append)
    assert [event.step for event in events if isinstance(event, Saved)] == [1, 2, 3]
