"""NUWA-Infinity's trainings: what they see, what they move, and that they go on where they were."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image

from dln.core.errors import UsageError
from dln.core.models.layers.captions import CAPTION_DROPOUT
from dln.core.models.nuwa_infinity import sample as nuwa_sample
from dln.core.models.nuwa_infinity.config import SYMBOLS, WAYS
from dln.core.models.nuwa_infinity.directions import join, straight
from dln.core.models.nuwa_infinity.likeness import Likeness
from dln.core.models.nuwa_infinity.training import ONE_SHOT, SMOOTHING
from dln.core.models.package import load_model
from dln.core.models.recognizer.judge import load_judge
from dln.core.runs.train import train
from dln.core.training.events import silent
from dln.core.training.fit import fit
from dln.core.training.options import TrainOptions
from dln.core.training.player import Turn
from dln.core.training.rates import Linear
from dln.core.training.run import Run
from dln.core.training.stage import learning

from .toy_nuwa import MICRO, Kept, patches, stages
from .toy_training import QUICK, rows, same

NewRun = Callable[..., Run]
RNG = np.random.default_rng(0)


def window(place: tuple[int, ...], shape: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(p, p + m) for p, m in zip(place, shape, strict=True))


def test_a_lesson_is_a_part_of_its_view_in_an_order_of_its_own():
    stage = stages(views=20)["transformer"]
    config, reader, seen = stage.model.config, stage.model.reader, set()
    told = lambda name: len(reader) + SYMBOLS.index(name)  # noqa: E731
    silent_ones = 0
    for epoch in range(12):
        batch = stage.collate(np.arange(len(stage)), epoch)
        for row, patches_ in enumerate(batch["patches"]):
            way, grid = WAYS[int(batch["order"][row])], batch["grid"][row].tolist()
            codes = join(patches_[None].long(), config.patch, [straight(way, *grid)])[0].numpy()
            view = stage.views.codes(stage.table, row)
            places = [
                tuple(place)
                for place in np.ndindex(*np.subtract(view.shape, codes.shape) + 1)
                if (view[window(place, codes.shape)] == codes).all()
            ]
            assert places
            kind = "<clip>" if stage.views.clip(row) else "<picture>"
            assert batch["text"][row, :2].tolist() == [told(kind), told(f"<{way}>")]
            silent_ones += int(batch["seen"][row].sum()) == 2
            seen.add(way)
    assert seen == set(WAYS)
    assert 0 < silent_ones < 5 * CAPTION_DROPOUT * 12 * len(stage)
    again = stage.collate(np.arange(3), 4)
    assert all(torch.equal(again[k], v[:3]) for k, v in stage.collate(np.arange(5), 4).items())


def test_labels_are_smoothed_as_published():
    assert stages(Kept((9, 9)))["transformer"].objective.smoothing == ONE_SHOT
    assert stages(Kept((9, 9), (9, 9)))["transformer"].objective.smoothing == SMOOTHING
    assert stages(smoothing=0.0)["transformer"].objective.smoothing == 0


@pytest.mark.parametrize(
    ("data", "teacher"),
    [("vistas,camera=still", "menagerie"), ("menagerie", "vistas"), ("mine", "menagerie")],
)
def test_features_are_of_a_recognizer_that_does_not_judge(data: str, teacher: str):
    likeness = Likeness(data, 1.0)
    first = load_judge(teacher).model.network.trunk.layers[1].weight  # pyright: ignore
    assert torch.equal(likeness.layers[1].weight, first)  # pyright: ignore[reportArgumentType]
    assert not any(p.requires_grad for p in likeness.parameters())
    real = torch.rand(2, 3, 16, 24)
    assert float(likeness(real, real)) == 0
    near, far = (float(likeness(real + n * torch.randn(real.shape), real)) for n in (0.01, 0.2))
    assert 0 < near < far
    assert float(Likeness(data, 0.0)(real + 0.1, real)) == pytest.approx(0.1)


def test_the_adversary_comes_in_at_its_step(new_run: NewRun, accelerator: Accelerator):
    """Stopped a step later, it is still there; nothing else is learnt of the judge before."""
    stage, run = stages(judged_after=0.5)["vqgan"], new_run()
    before = [p.detach().clone() for p in stage.judge.parameters()]
    stage.steps, stage.batch = 20, 2
    fit(resumable(stage), QUICK, run, accelerator, silent)
    told = [row for row in rows(run) if "loss" in row]
    assert [("vqgan_weight" in row, "judge_loss" in row) for row in told] == (
        10 * [(False, False)] + [(False, True)] + 9 * [(True, True)]
    )
    assert not all(map(torch.equal, before, stage.judge.parameters()))
    other = stages()["vqgan"]
    other.load_state(stage.state())
    assert other.game.on


def resumable(stage: Any) -> Any:
    """As `train` prepares it, once its steps are known."""
    stage.prepare(Path(stage.table.filename).parent, silent)
    return stage


def test_the_decoder_goes_on_alone_and_draws_nearer(new_run: NewRun, accelerator: Accelerator):
    """Encoder, codes and guide are what they were, so what reads the codes need not know of it."""
    found = stages(views=20, tokenizer_rate=0.003, perceptual=0.0, redrawn=0.0)
    stage, vqgan = found["decoder"], found["decoder"].model.vqgan
    assert len(stage) == len(found["vqgan"])
    others = {k: v.clone() for k, v in vqgan.state_dict().items() if not k.startswith("decoder")}
    with torch.no_grad():
        before = stage.evaluate()[0]
    stage.steps, stage.batch = 40, 4
    fit(stage, QUICK, new_run(), accelerator, silent)
    assert all(torch.equal(vqgan.state_dict()[name], tensor) for name, tensor in others.items())
    with torch.no_grad():
        after = stage.evaluate()[0]
    assert after["codes_used"] == before["codes_used"]
    assert after["psnr"] > before["psnr"] + 1


def test_the_guide_learns_alone_and_helps(new_run: NewRun, accelerator: Accelerator):
    found = stages(views=20, tokenizer_rate=0.003, perceptual=0.0)
    stage, vqgan = found["guide"], found["guide"].model.vqgan
    assert len(stage) == len([n for n in range(20) if stage.views.clip(n)]) - 1
    codes = torch.randint(50, (1, 4, 4))
    plain = vqgan.decode(codes)
    others = {k: v.clone() for k, v in vqgan.state_dict().items() if not k.startswith("guide")}
    with learning(stage.players[0], stage):
        moved = [n for n, p in vqgan.named_parameters() if p.requires_grad]
    assert all(name.startswith("guide.") for name in moved)
    stage.steps, stage.batch = 40, 4
    fit(stage, QUICK, new_run(), accelerator, silent)
    assert torch.equal(vqgan.decode(codes), plain)
    assert all(torch.equal(vqgan.state_dict()[name], tensor) for name, tensor in others.items())
    with torch.no_grad():
        metrics, clips = stage.evaluate()
    assert metrics["psnr"] > metrics["psnr_alone"] + 0.3
    assert metrics["psnr_chained"] > metrics["psnr_alone"]
    assert clips


class Killed(Exception):
    pass


def killed_in(stage: Any, forward: int) -> Any:
    """Dies at that forward pass."""
    objective, count = stage.players[0].turns[0].objective, 0
    inner = objective.forward

    def dying(piece: dict[str, Any]) -> dict[str, Any]:
        nonlocal count
        count += 1
        if count == forward:
            raise Killed
        return inner(piece)

    objective.forward = dying
    return stage


def test_killed_inside_a_picture_it_ends_with_the_same_bits(
    new_run: NewRun, accelerator: Accelerator
):
    """Between the optimiser steps of its third batch, of four patches each."""
    settings = replace(QUICK, checkpoint_every=1, evaluate_every=4)
    whole, killed = new_run("whole"), new_run("killed")
    fit(patches(4), settings, whole, accelerator, silent)
    for forward in (2 * 4 + 2, 3):
        with pytest.raises(Killed):
            fit(killed_in(patches(4), forward), settings, killed, accelerator, silent)
    fit(patches(4), settings, killed, accelerator, silent)
    assert same(whole, killed, "transformer")
    assert rows(whole) == rows(killed)


def test_micro_batches_learn_what_the_batch_learns(new_run: NewRun, accelerator: Accelerator):
    one, four = patches(4), patches(4)
    fit(one, QUICK, new_run("one"), accelerator, silent)
    fit(four, replace(QUICK, accumulate=4), new_run("four"), accelerator, silent)
    both = zip(one.modules.parameters(), four.modules.parameters(), strict=True)
    assert float(torch.stack([(a - b).detach().abs().mean() for a, b in both]).mean()) < 1e-5


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"extent_rows": 0, "extent_columns": 0, "extent_frames": 0},
        {"extent_rows": 2, "extent_columns": 2},
        {"optimise": "picture"},
        {"positions": "vector"},
        {"positions": "none"},
        {"text_length": 0},
    ],
)
def test_each_ablation_learns(changed: dict[str, Any], new_run: NewRun, accelerator: Accelerator):
    stage = stages(rate=0.01, views=4, **changed)["transformer"]
    stage.steps, stage.batch = 8, 2
    stage.modules.eval()
    with torch.no_grad():
        before = stage.evaluate()[0]
    fit(stage, QUICK, new_run(), accelerator, silent)
    with torch.no_grad():
        after = stage.evaluate()[0]
    assert before.keys() == after.keys()
    assert all(after[name] < before[name] for name in before)


def test_one_single_picture(tmp_path: Path):
    """From its file to weights, without a word."""
    Image.fromarray(RNG.integers(0, 255, (30, 50, 3), np.uint8)).save(tmp_path / "painting.jpg")
    options = TrainOptions(
        data=str(tmp_path / "painting.jpg"), steps=2, batch=2, out=tmp_path / "run", device="cpu",
        precision="fp32", config=MICRO["nuwa-infinity"],
    )  # fmt: skip
    run = train("nuwa-infinity", options, silent)
    stages = sorted(path.name for path in (run / "state").iterdir())
    assert stages == ["decoder", "transformer", "vqgan"]
    config: Any = load_model(run / "model.safetensors").model.config
    assert (config.training.rows, config.training.columns) == (2, 2)
    with pytest.raises(UsageError, match=r"no painting\.txt stands beside it"):
        train("cogvideo", replace(options, out=tmp_path / "other", config={}), silent)


def test_the_rate_rises_and_falls_along_lines():
    """As published: over a twentieth of the steps, and down to nothing."""
    factors = [Linear().factor(step, 100) for step in range(100)]
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert factors[5] == 1
    assert np.diff(factors[5:]) == pytest.approx(-1 / 95)
    assert [Linear(0, 0.5).factor(step, 2) for step in range(2)] == [1, 0.75]
    with pytest.raises(UsageError, match="warmup is a share"):
        Linear(2.0)


def test_a_turn_may_come_later():
    turn = Turn(torch.nn.Identity(), every=3, after=4)
    assert [step for step in range(12) if turn.due(step)] == [4, 7, 10]


def test_sheets_show_several_seeds(monkeypatch: pytest.MonkeyPatch):
    asked: list[Any] = []
    monkeypatch.setattr(nuwa_sample, "preview", lambda model, *told: asked.append(told))
    stages()["transformer"].shown()
    assert [told[1:] for told in asked] == [
        (0, (8, 8), None), (1, (8, 8), None), (2, (8, 8), None), (3, (8, 8), 2)
    ]  # fmt: skip
    assert all(told[0].startswith("colour") for told in asked)
