"""How a player is optimised: its rate, its average, its turns, their pieces."""

import math
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dln.core.errors import DlnError, Interrupted, UsageError
from dln.core.training.ema import Average, Ema
from dln.core.training.fit import fit
from dln.core.training.player import Turn
from dln.core.training.rates import Constant, Cosine
from dln.core.training.run import Run
from dln.core.training.sharpness import Sharpness
from dln.core.training.stage import Player, Stage

from .toy_systems import toy_gan, toy_pieces
from .toy_training import QUICK, rows, weights

NewRun = Callable[..., Run]


class Line(nn.Module):
    """The squared distance of a number from what a batch holds; says what it was asked."""

    def __init__(self, number: nn.Parameter, factor: float = 1.0) -> None:
        super().__init__()
        self.number, self.factor = number, factor
        self.asked: list[tuple[float, float]] = []

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """x: (B,) -> loss factor (number - mean x)^2 / 2."""
        goal = batch["x"].mean()
        self.asked.append((self.number.item(), goal.item()))
        return {"loss": self.factor * (self.number - goal).square() / 2}


class Numbers(Stage):
    """Four samples 0, 1, 2, 3, all of them in each batch; players are given their turns."""

    def __init__(self, steps: int = 1, batch: int = 4) -> None:
        self.name, self.steps, self.batch = "numbers", steps, batch
        self.modules = nn.ParameterDict({"a": torch.tensor(1.0), "b": torch.tensor(-1.0)})
        self.a, self.b = self.modules["a"], self.modules["b"]
        self.players: list[Player] = []

    def add(self, name: str, turns: Any, number: nn.Parameter, **ways: Any) -> "Numbers":
        player = Player(name, turns, [number], 0.1, (0.0, 0.0), optimizer="sgd")
        player.rate, player.clip_norm, player.average = Constant(), None, None
        for way, value in ways.items():
            setattr(player, way, value)
        self.players.append(player)
        return self

    def __len__(self) -> int:
        return 4

    def collate(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        return {"x": torch.from_numpy(np.sort(indices)).float()}


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
        for found, step in ((value, 24), (shown[0][name], 5)):
            expected = averages[step] if averaged else history[step - 1]
            assert torch.allclose(found, expected[name], atol=1e-6), name
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


# turns


def test_turns_come_when_they_are_due(new_run: NewRun, accelerator: Accelerator):
    """Seven steps of SGD by hand; the second turn, after the first, at steps 0, 3 and 6."""
    stage = Numbers(7)
    often, seldom = Line(stage.a), Line(stage.a, factor=2.0)
    stage.add("a", [Turn(often), Turn(seldom, every=3, name="seldom")], stage.a)
    run = new_run()
    fit(stage, QUICK, run, accelerator, lambda event: None)
    a = 1.0
    for step in range(7):
        a -= 0.1 * (a - 1.5)
        a -= 0.2 * (a - 1.5) if step % 3 == 0 else 0.0
    assert stage.a.item() == pytest.approx(a)
    assert (len(often.asked), len(seldom.asked)) == (7, 3)
    assert [row["step"] for row in rows(run) if "seldom_loss" in row] == [1, 4, 7]
    assert rows(run)[0]["loss"] == pytest.approx(0.125)
    assert rows(run)[0]["seldom_loss"] == pytest.approx(0.45**2)


def test_a_log_interval_holds_the_mean_of_the_turns_in_it(
    new_run: NewRun, accelerator: Accelerator
):
    stage = Numbers(8)
    seldom = Line(stage.b)
    stage.add("a", Line(stage.a), stage.a)
    stage.add("b", [Turn(Line(stage.b)), Turn(seldom, every=2, name="r1")], stage.b)
    run = new_run()
    fit(stage, replace(QUICK, log_every=4), run, accelerator, lambda event: None)
    losses = [(b - goal) ** 2 / 2 for b, goal in seldom.asked]
    means = [row["b_r1_loss"] for row in rows(run)]
    assert means == pytest.approx([sum(losses[:2]) / 2, sum(losses[2:]) / 2])


def test_the_penalty_s_step_is_the_one_by_hand(new_run: NewRun, accelerator: Accelerator):
    """R1 of a discriminator w2 lrelu(W1 x): its slope is W1^T (w2 lrelu'), in closed form."""
    stage = toy_gan()
    stage.steps = 1
    discriminator = stage.players[1]
    discriminator.optimizer, discriminator.betas = "sgd", (0.0, 0.0)
    captured: list[dict[str, Tensor]] = []
    penalty = discriminator.turns[1].objective
    forward = penalty.forward

    def capture(batch: dict[str, Tensor]) -> dict[str, Tensor]:
        captured.append(batch | {k: v.clone() for k, v in stage.modules.state_dict().items()})
        return forward(batch)

    penalty.forward = capture
    fit(stage, QUICK, new_run(), accelerator, lambda event: None)
    (before,) = captured
    first = before["discriminator.first.weight"].double().requires_grad_()
    last = before["discriminator.last.weight"].double().requires_grad_()
    x = before["real"].flatten(1).double()
    gates = torch.where(x @ first.T + before["discriminator.first.bias"] > 0, 1.0, 0.2)
    slopes = (gates * last) @ first
    loss = 4 / 2 * slopes.square().sum(1).mean()
    by_hand = torch.autograd.grad(loss, (first, last))
    for name, slope in zip(("first", "last"), by_hand, strict=True):
        key = f"discriminator.{name}.weight"
        moved = stage.modules.state_dict()[key] - before[key]
        assert torch.allclose(moved, -2e-3 * slope.float(), atol=1e-7)


def test_a_gan_with_muon_in_bf16_resumes_to_the_same_bits(
    new_run: NewRun, accelerator: Accelerator
):
    def gan(stop: int = 0) -> Stage:
        stage = toy_gan()
        discriminator, after = stage.players[1], stage.after_step
        discriminator.muon = discriminator.parameters[:1]

        def after_step(step: int, reduce: Any) -> None:
            after(step, reduce)
            if step == stop:
                os.kill(os.getpid(), signal.SIGINT)

        stage.after_step = after_step
        return stage

    settings = replace(QUICK, precision="bf16", accumulate=2)
    whole, parts = new_run("whole"), new_run("parts")
    fit(gan(), settings, whole, accelerator, lambda event: None)
    with pytest.raises(Interrupted):
        fit(gan(stop=6), settings, parts, accelerator, lambda event: None)
    fit(gan(), settings, parts, accelerator, lambda event: None)
    a, b = weights(whole, "adversarial"), weights(parts, "adversarial")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert rows(whole) == rows(parts)


def test_the_augmentation_grows_with_the_discriminator(new_run: NewRun, accelerator: Accelerator):
    stage = toy_gan()
    fit(stage, QUICK, new_run(), accelerator, lambda event: None)
    assert 0 < float(stage.augmentation.probability) <= 0.05 * 6
    assert stage.augmentation.signs.tolist() == [0, 0]


def test_turns_that_cannot_be(new_run: NewRun, accelerator: Accelerator):
    number = nn.Parameter(torch.zeros(()))
    with pytest.raises(ValueError, match="different names"):
        Player("a", [Turn(Line(number)), Turn(Line(number))], [number], 0.1)
    with pytest.raises(ValueError, match="not every 0"):
        Turn(Line(number), every=0)
    stage = Numbers()
    stage.add("a", [Turn(Line(stage.a), every=2)], stage.a)
    with pytest.raises(ValueError, match="at every step"):
        fit(stage, QUICK, new_run(), accelerator, lambda event: None)


# pieces


def halves(batch: dict[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """x: (B,) -> its first half, then its second."""
    for part in batch["x"].chunk(2):
        yield {"x": part}


def test_pieces_are_learnt_one_after_the_other(new_run: NewRun, accelerator: Accelerator):
    """A step of SGD for 0, 1 and another, from where that has led, for 2, 3."""
    stage, log = Numbers(2), []

    def lazily(batch: dict[str, Tensor]) -> Iterator[dict[str, Tensor]]:
        for piece in halves(batch):
            log.append(stage.a.item())
            yield piece

    line = Line(stage.a)
    stage.add("a", [Turn(line, pieces=lazily)], stage.a)
    run = new_run()
    fit(stage, QUICK, run, accelerator, lambda event: None)
    a, asked = 1.0, []
    for goal in (0.5, 2.5, 0.5, 2.5):
        asked.append((a, goal))
        a -= 0.1 * (a - goal)
    assert stage.a.item() == pytest.approx(a)
    assert np.array(line.asked) == pytest.approx(np.array(asked))
    assert log == pytest.approx([a for a, _ in asked]), "a piece is asked for when it is needed"
    losses = [(a - goal) ** 2 / 2 for a, goal in asked]
    assert [row["loss"] for row in rows(run)] == pytest.approx(
        [sum(losses[:2]) / 2, sum(losses[2:]) / 2]
    )


def test_what_a_piece_leaves_reaches_the_next_of_its_batch(
    new_run: NewRun, accelerator: Accelerator
):
    """Two steps of two micro-batches in three pieces each: what they read and what they left."""
    stage, passed = toy_pieces(), []
    stage.steps = 2
    objective = stage.players[0].objective
    forward = objective.forward

    def watched(piece: dict[str, Any]) -> dict[str, Tensor]:
        read = piece["memory"].state
        result = forward(piece)
        passed.append((read, piece["memory"].state))
        return result

    objective.forward = watched
    fit(stage, replace(QUICK, accumulate=2), new_run(), accelerator, lambda event: None)
    assert len(passed) == 2 * 2 * 3 + 3, "the last three are the evaluation's"
    for begin in (0, 1, 6, 7):
        first, second, third = passed[begin : begin + 5 : 2]
        assert first[0] is None
        assert second[0] is first[1]
        assert third[0] is second[1]
    assert not any(left.requires_grad for _, left in passed)


def test_micro_batches_go_in_lockstep(new_run: NewRun, accelerator: Accelerator):
    """Four micro-batches of two, each with its own memory, equal one batch of eight."""
    one, four = new_run("one"), new_run("four")
    fit(toy_pieces(), QUICK, one, accelerator, lambda event: None)
    fit(toy_pieces(), replace(QUICK, accumulate=4), four, accelerator, lambda event: None)
    a, b = weights(one, "patches"), weights(four, "patches")
    assert all(torch.allclose(a[name], b[name], atol=1e-5) for name in a)


@pytest.mark.parametrize("count", [0, 1])
def test_other_numbers_of_pieces_are_said(new_run: NewRun, accelerator: Accelerator, count: int):
    """A micro-batch that begins with sample 0 has fewer than its neighbour; or none has any."""
    stage = Numbers(batch=4)

    def uneven(batch: dict[str, Tensor]) -> list[dict[str, Tensor]]:
        return [batch] * count * (1 if 0 in batch["x"] else 2)

    stage.add("a", [Turn(Line(stage.a), pieces=uneven)], stage.a)
    with pytest.raises(DlnError, match=r"stage 'numbers' .* different numbers of pieces"):
        fit(stage, replace(QUICK, accumulate=2), new_run(), accelerator, lambda event: None)


@pytest.mark.parametrize("method", ["sam", "saf", "mesa"])
def test_methods_for_flat_minima_take_no_pieces(
    method: str, new_run: NewRun, accelerator: Accelerator
):
    chosen = replace(QUICK, sharpness=Sharpness(method))
    with pytest.raises(UsageError, match=rf"learns piece by piece.* {method.upper()}"):
        fit(toy_pieces(), chosen, new_run(), accelerator, lambda event: None)


def test_sam_acts_on_the_first_turn_of_the_first_player(new_run: NewRun, accelerator: Accelerator):
    """On a parabola whose slope is f (w - x): SAM's step is lr f (w + rho sign - x)."""
    stage = Numbers()
    turns = [Turn(Line(stage.a)), Turn(Line(stage.a, factor=3.0), name="more")]
    stage.add("a", turns, stage.a).add("b", Line(stage.b), stage.b)
    chosen = replace(QUICK, sharpness=Sharpness("sam", rho=0.2))
    fit(stage, chosen, new_run(), accelerator, lambda event: None)
    a = 1.0 - 0.1 * (1.0 - 0.2 - 1.5)
    a -= 0.3 * (a - 1.5)
    assert (stage.a.item(), stage.b.item()) == pytest.approx((a, -1 + 0.1 * 2.5))
