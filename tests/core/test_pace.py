"""A training that waits for cleaner hours ends with the bits of one that did not."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
import torch
from accelerate import Accelerator

from dln.core.carbon.plan.threshold import Threshold
from dln.core.errors import Interrupted, Paused, UsageError
from dln.core.training.fit import fit
from dln.core.training.pace import Pace, parked
from dln.core.training.run import Run
from dln.core.training.stop import StopSignals

from .toy_training import QUICK, Toy, weights

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)


@dataclass
class Clock:
    """An hour passes at each look, none in the naps between."""

    moment: datetime = NOON
    naps: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        self.moment += timedelta(hours=1)
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)


@dataclass
class Even:
    """Runs in the even hours of the day alone."""

    def running(self, moment: datetime) -> bool:
        return moment.hour % 2 == 0


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_pauses_change_no_bit(new_run: Callable[[str], Run], accelerator: Accelerator):
    plain, paced = new_run("plain"), new_run("paced")
    fit(Toy(noise=0.1), QUICK, plain, accelerator, lambda event: None)
    clock, changes = Clock(), []
    pace = Pace(Even(), on_change=changes.append, now=clock.now, sleep=clock.sleep)
    fit(Toy(noise=0.1), QUICK, paced, accelerator, lambda event: None, pace)
    assert changes.count(False) >= 5
    assert changes == [False, True] * (len(changes) // 2)
    assert same(weights(plain), weights(paced))


def test_leaving_and_coming_back_changes_no_bit(
    new_run: Callable[[str], Run], accelerator: Accelerator
):
    plain, paced = new_run("plain"), new_run("paced")
    fit(Toy(noise=0.1), QUICK, plain, accelerator, lambda event: None)
    clock = Clock()
    pace = Pace(Even(), leave=True, now=clock.now, sleep=clock.sleep)
    left: list[Paused] = []
    for _ in range(60):
        try:
            fit(Toy(noise=0.1), QUICK, paced, accelerator, lambda event: None, pace)
        except Paused as pause:
            left.append(pause)
            continue
        break
    assert len(left) >= 5
    assert all(pause.exit_code == 75 and "--resume" in (pause.hint or "") for pause in left)
    assert clock.naps == []
    assert same(weights(plain), weights(paced))


def test_a_signal_ends_the_wait(
    new_run: Callable[[str], Run], accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch
):
    run = new_run("stopped")
    held: list[StopSignals] = []
    enter = StopSignals.__enter__
    monkeypatch.setattr(StopSignals, "__enter__", lambda stop: (held.append(stop), enter(stop))[1])

    def press(seconds: float) -> None:
        held[0].requested = True

    pace = Pace(Threshold(100, lambda moment: 200.0), sleep=press)
    with pytest.raises(Interrupted, match="step 0 of 20, checkpoint saved"):
        fit(Toy(), QUICK, run, accelerator, lambda event: None, pace)


def test_threshold_and_its_deadline():
    rule = Threshold(200, lambda moment: 100.0 + 20 * moment.hour, NOON + timedelta(hours=6))
    assert [rule.running(NOON.replace(hour=hour)) for hour in (4, 5, 6, 17, 18)] == [
        True, True, False, False, True,
    ]  # fmt: skip
    with pytest.raises(UsageError, match="above 0"):
        Threshold(0, lambda moment: 100.0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_waiting_run_frees_the_accelerator():
    module, table = torch.nn.Linear(64, 64).cuda(), {"average": torch.ones(3, device="cuda")}
    weight, before = module.weight, module.weight.detach().cpu()
    with parked(module, [table]):
        assert weight.device.type == table["average"].device.type == "cpu"
        assert torch.cuda.memory_allocated() == 0
    assert weight.device.type == table["average"].device.type == "cuda"
    assert torch.equal(weight.detach().cpu(), before)
