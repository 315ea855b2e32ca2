"""How a player is optimised: its rate and its average."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dln.core.training.ema import Average, Ema
from dln.core.training.fit import fit
from dln.core.training.rates import Constant, Cosine
from dln.core.training.run import Run

from .toy_numbers import Line, Numbers
from .toy_systems import toy_gan
from .toy_training import QUICK, rows, weights

NewRun = Callable[..., Run]


# the rate


def test_the_cosine_by_hand():
    """100 steps, 10 of warm-up: 1/10 .. 1, then a cosine over 89 intervals down to 0.05."""
    factors = [Cosine(10).factor(step, 100) for step in range(100)]
    assert factors[:3] == pytest.approx([0.1, 0.2, 0.3])
    assert factors[9] == factors[10] == 1
    assert factors[99] == pytest.approx(0.05)
    assert Cosine(0).factor(50, 91) == pytest.approx(0.05 + 0.475 * (1 + math.cos(math.pi * 5 / 9)))
    assert Cosine(0, floor=0.5).factor(5, 11) == pytest.approx(0.75)


def test_warm_up_takes_at_most_a_tenth():
    assert Cosine(100).factor(0, 10) == 1
    assert Cosine(100).factor(1, 20) == Cosine(100).factor(2, 20) == 1
    assert [Constant(4).factor(step, 40) for step in (0, 2, 3, 39)] == [0.25, 0.75, 1, 1]
    assert Constant().factor(0, 40) == 1


@given(st.integers(1, 500), st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_the_cosine_stays_in_range(steps: int, warmup: int):
    factors = [Cosine(warmup).factor(step, steps) for step in range(steps)]
    rise = min(warmup, steps // 10)
    assert all(0 < factor <= 1 for factor in factors)
    assert factors[rise:] == sorted(factors[rise:], reverse=True)


def test_each_player_has_its_own_rate_and_clipping(new_run: NewRun, accelerator: Accelerator):
    """Ten steps of SGD by hand: a halves its way to 1.5, b walks by at most 0.1 x 0.5."""
    stage = Numbers(10)
    stage.add("a", Line(stage.a), stage.a, rate=Cosine(0, floor=0.0))
    stage.add("b", Line(stage.b, factor=4.0), stage.b, clip_norm=0.5)
    run = new_run()
    fit(stage, QUICK, run, accelerator, lambda event: None)
    a, b = 1.0, -1.0
    for step in range(10):
        a -= 0.1 * 0.5 * (1 + math.cos(math.pi * step / 9)) * (a - 1.5)
        b += 0.1 * 0.5
    assert (stage.a.item(), stage.b.item()) == pytest.approx((a, b), rel=1e-5)
    assert [row["lr"] for row in rows(run)][::9] == pytest.approx([0.1, 0.0])


# the average


def test_an_average_by_hand():
    """d = 0.1, 2/11, then 0.2 = the decay; weights 1, 2, 3 over an average of 0."""
    weight = nn.Parameter(torch.zeros(1))
    ema = Ema({"w": weight}, Average(0.2))
    expected = 0.0
    for step, decay in enumerate([0.1, 2 / 11, 0.2]):
        weight.data.fill_(step + 1.0)
        ema.update(step)
        expected = decay * expected + (1 - decay) * (step + 1)
    assert ema.averages["w"].item() == pytest.approx(expected)
    with ema.swapped():
        assert weight.item() == pytest.approx(expected)
    assert weight.item() == 3


def test_the_generator_alone_is_averaged(new_run: NewRun, accelerator: Accelerator):
    """By StyleGAN's half-life: the result has the generator's average, the discriminator's own
    weights and the magnitude as it is; an evaluation in the middle sees the same and leaves no
    trace."""
    stage, history, shown = toy_gan(), [], []
    after, evaluate = stage.after_step, stage.evaluate

    def state() -> dict[str, Tensor]:
        return {name: value.clone() for name, value in stage.modules.state_dict().items()}

    def after_step(step: int, reduce: Any) -> None:
        history.append(state())
        after(step, reduce)
        history[-1]["generator.magnitude"] = stage.model.generator.magnitude.clone()

    def evaluated() -> tuple[dict[str, float], None]:
        shown.append(state())
        return evaluate()

    averages = [state()]
    stage.after_step, stage.evaluate = after_step, evaluated
    run = new_run()
    fit(stage, replace(QUICK, evaluate_every=5), run, accelerator, lambda event: None)
    for step, now in enumerate(history):
        kept = 0.5 ** (8 / min(500, 0.05 * 8 * step)) if step else 0.0
        averages.append({k: kept * averages[-1][k] + (1 - kept) * v for k, v in now.items()})
    result = weights(run, "adversarial")
    for name, value in result.items():
        averaged = name.startswith("generator") and "magnitude" not in name
        for tensor, step in ((value, 24), (shown[0][name], 5)):
            expected = averages[step] if averaged else history[step - 1]
            assert torch.allclose(tensor, expected[name], atol=1e-6), name
        assert averaged != torch.equal(value, history[-1][name])


def test_what_is_averaged_is_what_a_checkpoint_holds(new_run: NewRun, accelerator: Accelerator):
    from dln.core.training.session import Session

    stage = toy_gan()
    session = Session(stage, QUICK, new_run(), accelerator, lambda event: None)
    session.save()
    checkpoint = session.keeper.checkpoints.load(print)
    assert checkpoint is not None
    own = {f"generator.{name}" for name, _ in stage.model.generator.named_parameters()}
    assert set(checkpoint.groups["average"]) == own
    assert set(checkpoint.groups["stage"]) == {"probability", "signs"}
