"""A player's turns, and the pieces that a turn may come in."""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from dln.core.errors import DlnError, Interrupted, UsageError
from dln.core.training.fit import fit
from dln.core.training.player import Turn
from dln.core.training.run import Run
from dln.core.training.sharpness import Sharpness
from dln.core.training.stage import Player, Stage

from .toy_numbers import Line, Numbers
from .toy_systems import toy_gan, toy_pieces
from .toy_training import QUICK, rows, weights

NewRun = Callable[..., Run]


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
