"""What each stage is of a whole run, and how it goes between two log intervals."""

from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import pytest
import torch

from dln.core.data import open_source
from dln.core.models.registry import find
from dln.core.runs.shares import planned
from dln.core.runs.train import train
from dln.core.runs.work import weightless, work
from dln.core.training import journal
from dln.core.training.events import Event, Going, Planned, Started, Stepped
from dln.core.training.fit import fit
from dln.core.training.options import TrainOptions, with_defaults
from dln.core.training.run import Run
from dln.core.training.settings import FitSettings

from .toy_systems import Colours
from .toy_training import Toy


def shares(steps: int, run: Run) -> dict[str, tuple[int, int, float]]:
    about, source = find("cogvideo"), open_source("menagerie", count=6)
    options = with_defaults(TrainOptions(steps=steps), "tiny", "menagerie", "fp32")
    stages = weightless(about, options, source)
    before = torch.random.get_rng_state()
    found = planned(about, options, source, stages, run)
    assert torch.equal(torch.random.get_rng_state(), before)
    return {share.stage: (share.steps, share.done, share.cost) for share in found.stages}


def test_a_long_run_is_shared_out_by_operations(tmp_path):
    counted = work("cogvideo", TrainOptions(steps=400))
    for folder in ("image/step-000100", "image/step-000250", "keyframes/step-000001"):
        (tmp_path / "state" / folder).mkdir(parents=True)
    found = shares(400, Run(tmp_path, {}))
    assert list(found) == [each.stage for each in counted]
    for each in counted:
        steps, done, cost = found[each.stage]
        assert (steps, cost) == (400, each.batch * each.flop_per_sample)
        assert done == {"image": 250, "keyframes": 1}.get(each.stage, 0)


def test_a_short_one_by_samples(tmp_path):
    found = shares(3, Run(tmp_path, {}))
    assert found["tokenizer"] == (3, 0, 32.0)
    assert found["keyframes"] == (3, 0, 8.0)


def test_the_plan_comes_before_the_first_stage(tmp_path, monkeypatch):
    monkeypatch.setattr("dln.core.data.open_source", lambda *asked, **more: Colours())
    heard: list[Event] = []
    options = TrainOptions(steps=4, batch=4, out=tmp_path / "run", device="cpu")
    train("toy-gan", options, heard.append)
    kinds = [type(event) for event in heard]
    assert kinds.index(Planned) < kinds.index(Started) < kinds.index(Going)
    heard.clear()
    train("toy-gan", replace(options, resume=True), heard.append)
    [plan] = [event for event in heard if isinstance(event, Planned)]
    assert [(share.steps, share.done) for share in plan.stages] == [(4, 4)]


@pytest.mark.parametrize("every", [5, 20])
def test_the_mean_so_far_between_two_lines(every, tmp_path, accelerator, monkeypatch):
    """Against the losses of single steps; what is written stays the same."""
    monkeypatch.setattr(journal, "GOING_S", 0.0)
    told: dict[int, list[Event]] = {}
    for often in (1, every):
        told[often] = []
        run = Run.create(tmp_path / str(often), {"model": "toy"})
        fit(Toy(steps=12), FitSettings(log_every=often), run, accelerator, told[often].append)
    losses = [event.loss for event in told[1] if isinstance(event, Stepped)]
    going = [event for event in told[every] if isinstance(event, Going)]
    assert [event.step for event in going] == [n for n in range(1, 12) if n % every]
    for event in going:
        first = event.step // every * every
        assert event.loss == pytest.approx(sum(losses[first : event.step]) / (event.step - first))
        assert event.eta * event.rate == pytest.approx((12 - event.step) * 8)


def test_now_and_then_is_by_the_clock(tmp_path, accelerator, monkeypatch):
    now = count()
    clock = SimpleNamespace(perf_counter=lambda: next(now) / 4)
    monkeypatch.setattr(journal, "time", clock)
    heard: list[Event] = []
    run = Run.create(tmp_path / "run", {"model": "toy"})
    fit(Toy(steps=30), FitSettings(log_every=100), run, accelerator, heard.append)
    steps = [event.step for event in heard if isinstance(event, Going)]
    assert steps == list(range(1, 30, 4))
