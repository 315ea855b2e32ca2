"""SAM, SAF and MESA against references in double precision, and in the training loop."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dln.core.data import open_source
from dln.core.errors import Interrupted, UsageError
from dln.core.models.registry import MODELS, load
from dln.core.runs.asked import flattened
from dln.core.text.vocabulary import Vocabulary
from dln.core.training import history as history_module
from dln.core.training.batches import Batches
from dln.core.training.events import silent
from dln.core.training.fit import fit
from dln.core.training.history import History
from dln.core.training.options import TrainOptions
from dln.core.training.player import Turn
from dln.core.training.settings import FitSettings
from dln.core.training.sharpness import Mesa, Saf, Sharpness, as_text, ascended, parse, trajectory
from dln.core.training.team import Team

from .toy_classes import SAF, Classes, Objective, settings
from .toy_systems import toy_pieces
from .toy_training import QUICK, Toy, weights

PLAIN = Sharpness()


def divergence(past: np.ndarray, now: np.ndarray, temperature: float) -> np.ndarray:
    """KL(softmax(past / tau) || softmax(now / tau)) over the last axis, as written."""
    p, q = (np.exp(x.astype(np.float64) / temperature) for x in (past, now))
    p, q = p / p.sum(-1, keepdims=True), q / q.sum(-1, keepdims=True)
    return (p * (np.log(p) - np.log(q))).sum(-1)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return 5 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_trajectory_in_double_precision():
    now, past = (numbers(6, 5, seed=1), numbers(6, 3, 9, seed=2)), (numbers(6, 5), numbers(6, 3, 9))
    found = trajectory(now, past, 5.0)
    one = divergence(past[0].numpy(), now[0].numpy(), 5.0)
    two = divergence(past[1].numpy(), now[1].numpy(), 5.0).mean(1)
    assert found.shape == (6,)
    assert found.numpy() == pytest.approx((one + two) / 2, rel=1e-4)


def test_the_gradient_goes_through_the_present_alone():
    now, past = numbers(4, 5).requires_grad_(), numbers(4, 5, seed=3).requires_grad_()
    trajectory([now], [past], 5.0).sum().backward()
    assert now.grad is not None
    assert past.grad is None


def test_equal_outputs_have_not_moved():
    assert trajectory([numbers(4, 5)], [numbers(4, 5)], 2.0).abs().max() < 1e-6


def test_saf_by_hand(tmp_path: Path):
    """Two epochs of three samples, the third of which was never seen before."""
    chosen = Sharpness("saf", start=0, lag=1, weight=0.3)
    saf = Saf(chosen, History(tmp_path, 3, 5, lag=1, half=False))
    before, after = numbers(2, 5), numbers(3, 5, seed=1)
    first = {"index": torch.tensor([2, 0]), "epoch": torch.tensor([0, 0])}
    assert saf(first, [before]) is None
    found = saf({"index": torch.tensor([0, 1, 2]), "epoch": torch.ones(3).long()}, [after])
    moved = divergence(before.numpy(), after[[2, 0]].numpy(), 5.0)
    assert found is not None
    assert float(found) == pytest.approx(0.3 * 25 * moved.sum() / 3, rel=1e-4)


def test_mesa_by_hand():
    chosen = Sharpness("mesa", start=0, weight=0.8, decay=0.9, squared=False)
    objective = Classes().players[0].objective
    mesa = Mesa(chosen, objective)
    with torch.no_grad():
        for parameter in objective.parameters():
            parameter += 1
    mesa.after_step()
    for mine, now in zip(mesa.teacher.parameters(), objective.parameters(), strict=True):
        assert torch.allclose(mine, (now - 1) * 0.9 + now * 0.1, atol=1e-6)
    batch = {"x": numbers(8, 4), "labels": torch.zeros(8, 2).long(), "epoch": torch.ones(8)}
    logits = objective(batch)["logits"]
    found = mesa(batch, logits)
    past = mesa.teacher(batch)["logits"]
    heads = [divergence(a.numpy(), b.detach().numpy(), 5.0)
             for a, b in zip(past, logits, strict=True)]  # fmt: skip
    assert found is not None
    assert float(found.detach()) == pytest.approx(0.8 * np.mean(heads), rel=1e-4)
    assert mesa({**batch, "epoch": torch.zeros(8)}, logits) is None


@pytest.mark.parametrize("adaptive", [False, True])
def test_sam_on_a_quadratic(adaptive: bool):
    """L = w^T A w / 2: the gradient at w + eps is A (w + eps), in closed form."""
    a = torch.diag(torch.tensor([1.0, 4.0, 9.0], dtype=torch.float64))
    w = nn.Parameter(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))
    chosen = Sharpness("sam", rho=0.1, adaptive=adaptive)
    (0.5 * w @ a @ w).backward()
    g, start = a @ w.detach(), w.detach().clone()
    scale = start.abs() if adaptive else torch.ones(3, dtype=torch.float64)
    eps = 0.1 * scale**2 * g / (scale * g).norm()
    with ascended([w], chosen, nn.Identity()):
        assert torch.allclose(w.detach(), start + eps, atol=1e-10)
        w.grad = None
        (0.5 * w @ a @ w).backward()
    assert torch.equal(w.detach(), start)
    assert w.grad is not None
    assert torch.allclose(w.grad, a @ (start + eps), atol=1e-10)


def test_a_step_with_sam_is_the_one_by_hand(new_run, accelerator):
    """One step of SGD from the seed: w - lr A(w + eps), batch norm's statistics moved once."""
    chosen = Sharpness("sam", rho=0.2)
    stage, reference = Classes(1), Classes(1)
    stage.players[0].clip_norm = None
    fit(stage, settings(chosen), new_run("sam"), accelerator, silent)
    with Batches(reference, 0, 0, 1, 1, torch.device("cpu")) as batches:
        (batch,) = batches.get(0)
    player = reference.players[0]
    reference.modules.train()
    player.objective(batch)["loss"].backward()
    statistics = {k: v.clone() for k, v in reference.modules.named_buffers()}
    grads = [p.grad.clone() for p in player.parameters if p.grad is not None]
    length = torch.cat([g.flatten() for g in grads]).norm()
    before = [p.detach().clone() for p in player.parameters]
    with torch.no_grad():
        for p, g in zip(player.parameters, grads, strict=True):
            p += 0.2 * g / length
            p.grad = None
    player.objective(batch)["loss"].backward()
    for p, w, made in zip(player.parameters, before, stage.players[0].parameters, strict=True):
        assert p.grad is not None
        assert torch.allclose(made, w - 0.05 * p.grad, atol=1e-6)
    for name, value in stage.modules.named_buffers():
        if "running" in name:
            assert torch.allclose(value, statistics[name], atol=1e-6)


@pytest.mark.parametrize("method", ["saf", "mesa"])
def test_before_it_counts_training_is_the_baseline(method: str, new_run, accelerator):
    """Epochs 0 to start, of five steps each, have the same bits; the next has not."""
    for epochs, same in ((4, True), (5, False)):
        chosen = replace(SAF, method=method, start=3)
        plain, other = new_run(f"plain{epochs}"), new_run(f"{method}{epochs}")
        fit(Classes(5 * epochs), settings(PLAIN), plain, accelerator, silent)
        fit(Classes(5 * epochs), settings(chosen), other, accelerator, silent)
        a, b = weights(plain, "classes"), weights(other, "classes")
        assert all(torch.equal(a[name], b[name]) for name in a) == same


@pytest.mark.parametrize("method", ["saf", "mesa"])
def test_they_act_on_the_first_turn_alone(method: str, new_run, accelerator):
    stage, run = Classes(15), new_run("x")
    (player,) = stage.players
    player.turns.append(Turn(Objective(stage.modules), every=2, name="again"))
    fit(stage, settings(replace(SAF, method=method)), run, accelerator, silent)
    names = {name for row in run.rows() for name in row}
    assert {"trajectory", "again_loss", "again_norm"} <= names
    assert "again_trajectory" not in names
    assert run.rows()[-1]["trajectory"] > 0


@pytest.mark.parametrize("method", ["sam", "saf", "mesa"])
def test_stopped_and_resumed_it_ends_with_the_same_bits(method: str, new_run, accelerator):
    chosen = settings(replace(SAF, method=method))
    whole, parts = new_run("whole"), new_run("parts")
    fit(Classes(), chosen, whole, accelerator, silent)

    class Stopping(Classes):
        def after_step(self, step, reduce) -> None:
            if step == 17:
                os.kill(os.getpid(), 15)

    with pytest.raises(Interrupted):
        fit(Stopping(), chosen, parts, accelerator, silent)
    fit(Classes(), chosen, parts, accelerator, silent)
    a, b = weights(whole, "classes"), weights(parts, "classes")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not list(parts.cache.rglob("history*"))


def test_one_table_for_all(tmp_path: Path):
    """What one process writes another reads; an epoch's outputs replace those of `lag` before."""
    mine = History(tmp_path, 4, 3, lag=2, half=False)
    theirs = History(tmp_path, 4, 3, lag=2, half=False, main=False)
    rows, values = torch.tensor([3, 1]), numbers(2, 3)
    theirs.write(rows, torch.tensor([0, 0]), values)
    past, known = mine.read(torch.tensor([1, 2, 3]), torch.tensor([2, 2, 2]))
    assert known.tolist() == [True, False, True]
    assert torch.equal(past[[2, 0]], values)
    assert mine.read(rows, torch.tensor([1, 1]))[1].tolist() == [False, False]
    assert mine.read(rows, torch.tensor([4, 4]))[1].tolist() == [False, False]
    mine.write(rows, torch.tensor([2, 2]), values + 1)
    assert not theirs.read(rows, torch.tensor([2, 2]))[1].any()
    assert torch.equal(theirs.read(rows, torch.tensor([4, 4]))[0], values + 1)


def test_half_a_history(tmp_path: Path):
    kept = History(tmp_path, 4, 3, lag=1, half=True)
    values = numbers(1, 3)
    kept.write(torch.tensor([2]), torch.tensor([0]), values)
    assert torch.equal(kept.read(torch.tensor([2]), torch.tensor([1]))[0], values.half().float())
    assert kept.paths[0].stat().st_size == 4 * 3 * 2


def test_a_history_that_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        history_module.shutil, "disk_usage", lambda path: type("U", (), {"free": 0})
    )
    with pytest.raises(UsageError, match="history takes 14,648 MiB"):
        History(tmp_path, 1_280_000, 1000, lag=3, half=False)


def test_a_history_that_is_there_has_its_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    History(tmp_path, 4, 3, lag=1, half=True)
    usage = type("U", (), {"free": 0})
    monkeypatch.setattr(history_module.shutil, "disk_usage", lambda path: usage)
    History(tmp_path, 4, 3, lag=1, half=True)
    with pytest.raises(UsageError, match="are free here"):
        History(tmp_path, 40, 3, lag=1, half=True)


@pytest.mark.parametrize("method", ["saf", "mesa"])
def test_a_loss_without_logits(method: str, new_run, accelerator):
    with pytest.raises(UsageError, match="does not start from logits"):
        fit(Toy(), replace(QUICK, sharpness=Sharpness(method)), new_run("x"), accelerator, silent)


def test_all_that_computes_leaves_the_device_while_a_run_waits(new_run, accelerator):
    """MESA's teacher too, which is as large as the weights."""
    stage = Classes()
    team = Team(stage, settings(replace(SAF, method="mesa")), new_run("x"), accelerator)
    held = {id(p) for p in team.modules().parameters()}
    assert isinstance(team.penalty, Mesa)
    assert held > {id(p) for p in stage.modules.parameters()}
    assert held > {id(p) for p in team.penalty.teacher.parameters()}


def test_the_papers_memory():
    """14,648 MiB of ImageNet's history against a copy of ResNet-50's weights."""
    assert Sharpness("saf").memory_mib(1_280_000, 1000, 0) == pytest.approx(14_648, abs=1)
    assert Sharpness("saf").memory_mib(50_000, 100, 0) == pytest.approx(57.2, abs=0.1)
    assert Sharpness("mesa").memory_mib(0, 0, 25_557_032) == pytest.approx(97.5, abs=0.05)
    assert Sharpness("saf", half=True).memory_mib(2**19, 1, 0) == 3
    assert Sharpness().memory_mib(10, 10, 10) == 0


def test_the_defaults_are_the_papers():
    assert (Sharpness("saf").strength, Sharpness("mesa").strength) == (0.3 * 25, 0.8 * 25)
    assert Sharpness("saf", squared=False).strength == 0.3
    assert Sharpness().active(torch.arange(8)).tolist() == [False] * 6 + [True] * 2
    assert Sharpness(end=7).active(torch.arange(8)).tolist() == [False] * 6 + [True, False]


@pytest.mark.parametrize("text", ["none", "saf,lag=2,half=true", "sam,rho=0.1,adaptive=true"])
def test_a_method_as_text(text: str):
    assert as_text(parse(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("smesa", "Did you mean 'mesa'"),
        ("saf,lags=2", "Did you mean 'lag'"),
        ("saf,lag=two", "'two' is no value of lag"),
        ("saf,half=1", "no value of half"),
        ("sam,rho=0", "above 0"),
        ("mesa,decay=1", "below 1"),
        ("saf,lag=0", "at least 1"),
    ],
)
def test_what_is_no_method(text: str, message: str):
    with pytest.raises(UsageError, match=message):
        parse(text)


def test_cogvideo_s_tokens_have_a_trajectory(tmp_path: Path):
    """What the transformers' stages say of their outputs is what their objectives give."""
    module = load(MODELS["cogvideo"])
    source = open_source("menagerie", count=2)
    model = module.Model(module.PRESETS["tiny"], Vocabulary(source.words()))
    stages = module.stages(model, source, TrainOptions(data="menagerie", seed=0, precision="fp32"))
    tokens = [stage for stage in stages if stage.outputs is not None]
    assert [stage.name for stage in tokens] == [*MODELS["cogvideo"].stages[2:]]
    for stage in tokens:
        stage.prepare(tmp_path, silent)
        batch = stage.collate(np.array([0]), 0)
        objective = stage.players[0].objective
        mesa = Mesa(Sharpness("mesa", start=0), objective)
        logits = objective(batch)["logits"]
        assert sum(part[0].numel() for part in logits) == stage.outputs
        found = mesa({**batch, "epoch": torch.ones(1)}, logits)
        assert found is not None
        assert float(found.detach()) == pytest.approx(0, abs=1e-3)
    assert model.outputs == max(stage.outputs or 0 for stage in tokens)


def test_stages_without_logits_train_without():
    chosen = FitSettings(sharpness=Sharpness("mesa"))
    plain, tokens = Toy(), Classes()
    assert flattened(tokens, [plain, tokens], chosen) == chosen
    assert flattened(plain, [plain, tokens], chosen).sharpness == PLAIN
    assert flattened(plain, [plain], chosen) == chosen
    sam, pieces = FitSettings(sharpness=Sharpness("sam")), toy_pieces()
    assert flattened(plain, [pieces, plain], sam) == sam
    assert flattened(pieces, [pieces, plain], sam).sharpness == PLAIN
    assert flattened(pieces, [pieces], sam) == sam
