"""LongVideoGAN's trainings: what they draw, what their turns do, and that nothing of it is left to
chance."""

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor, nn

from dln.core.data import table
from dln.core.data.menagerie.source import Menagerie
from dln.core.data.vistas.source import Vistas
from dln.core.errors import Interrupted, UsageError
from dln.core.models.layers.adversarial import DISTANCE, SPREAD, Controller
from dln.core.models.layers.resample import every_second, kernel
from dln.core.models.layers.video_augmentation import changed_alike
from dln.core.models.long_video_gan.config import CONTEXT, PAIRS, Config
from dln.core.models.long_video_gan.lessons import (
    SHORT,
    LowLessons,
    SuperLessons,
    made_frames,
    shrunk,
)
from dln.core.models.long_video_gan.low_discriminator import squared
from dln.core.models.long_video_gan.making import (
    FOOLING,
    MOVE,
    SLOPE,
    TELLING,
    TRUE,
    centred,
    disturbed,
    moved,
)
from dln.core.models.long_video_gan.moments import begins, fitted
from dln.core.models.long_video_gan.system import SYSTEM
from dln.core.models.long_video_gan.training import LowStage, SuperStage
from dln.core.runs.start import extended
from dln.core.runs.work import flop_per_sample
from dln.core.training.ema import Average, Ema
from dln.core.training.events import Event, Note, silent
from dln.core.training.fit import fit
from dln.core.training.options import TrainOptions
from dln.core.training.player import Player
from dln.core.training.run import Run
from dln.core.training.stage import Stage, averaged_buffers, learning

from .toy_long_video_gan import SMALL, Hues, Low, Super, model_of
from .toy_training import QUICK, check_lessons, rows, same

NewRun = Callable[..., Run]
STAGES = [Low, Super]


# Lessons.


@pytest.mark.parametrize("make", STAGES)
def test_a_lesson_is_a_function_of_its_sample(make: Any):
    stage = make()
    check_lessons(stage, "noise")


def test_excerpts_are_of_successive_frames_of_both_sizes():
    class Counting(Hues):
        """The red of a frame is its number at eight a second."""

        flips = False

        def frames(self, index: int, times: np.ndarray, size: tuple[int, int]) -> Any:
            frames, _ = super().frames(index, times, size)
            frames[..., 0] = np.round(times * 8)[:, None, None]
            return frames, None

    low, large = Low(source=Counting()), Super(source=Counting())
    red = low.batch_of(*range(20))["real"][..., 0]
    assert (red == red[:, :1, :1, :1] + torch.arange(16)[:, None, None]).all()
    assert 8 < len(red[:, 0, 0, 0].unique()) <= 17, "begins anywhere where it fits"
    assert red.max() <= 31
    batch = large.batch_of(*range(20))
    first = batch["small"][:, 0, 0, 0, 0]
    assert (batch["small"][..., 0] == first.view(-1, 1, 1, 1) + _line(SHORT)).all()
    assert (batch["large"][..., 0] == first.view(-1, 1, 1, 1) + CONTEXT + _line(PAIRS)).all()


def _line(count: int) -> Tensor:
    return torch.arange(count)[:, None, None]


def test_small_frames_are_the_means_of_squares():
    frames = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3)).astype(np.uint8)
    found = shrunk(frames, 2)
    assert found.shape == (5, 2, 3, 3)
    for row, column in [(0, 0), (1, 2)]:
        square = frames[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].mean((1, 2))
        assert np.array_equal(found[:, row, column], np.floor(square + 0.5))


def test_mirrored_where_the_data_allow():
    def mirrored(flips: bool) -> int:
        source = Hues()
        source.flips = flips
        batch = Super(source=source).batch_of(*range(20))
        turned = [
            batch[name][:, :, 0, 0, 0] > batch[name][:, :, 0, -1, 0] for name in ("small", "large")
        ]
        assert (turned[0][:, :1] == turned[0]).all()
        assert (turned[0][:, :1] == turned[1]).all(), "both sizes alike"
        return int(turned[0][:, 0].sum())

    assert mirrored(False) == 0
    assert 4 < mirrored(True) < 16


@pytest.mark.parametrize("kind", [LowLessons, SuperLessons])
def test_frames_that_were_drawn_once_are_those_of_the_clips(
    kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """And without room on the disk they are drawn whenever they are asked for."""
    config, source = Config(**SMALL), Vistas("ride", count=3)
    fresh, kept = (kind(config, source, 3, "stage") for _ in range(2))
    monkeypatch.setattr(table, "LARGEST_SHARE", 0.0)
    told: list[Event] = []
    fresh.prepare(tmp_path, 0, told.append)
    assert fresh.table is None
    assert any(isinstance(event, Note) and "GB that are free" in event.text for event in told)
    monkeypatch.undo()
    kept.prepare(tmp_path, 0, silent)
    assert kept.table.shape[0] == len(kept) == 3
    order = np.array([2, 0, 1])
    expected, found = fresh.batch(order, 1), kept.batch(order, 1)
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def test_clips_that_are_too_short_are_left_out():
    class Mixed(Hues):
        def duration(self, index: int) -> float:
            return 4.0 if index % 2 else 1.0

    told: list[Event] = []
    lessons = LowLessons(Config(**SMALL), Mixed(), 0, "low")
    lessons.prepare(Path(), 0, told.append)
    assert lessons.rows.tolist() == list(range(1, 20, 2))
    (note,) = told
    assert isinstance(note, Note)
    assert note.text == "10 of 20 clips have fewer than 16 frames at 8 a second: they are left out"
    assert begins(np.array([10, 16, 20]), 16, np.array([0.99] * 3)).tolist() == [0, 0, 4]


def test_the_data_decide_rate_and_frames():
    class Rated(Hues):
        def rate(self, index: int) -> float:
            return 12.0

    assert fitted(Config(), Rated()) == {"fps": 12.0, "frames": 48}
    assert fitted(Config(fps=30.0), Rated()) == {"fps": 30.0, "frames": 120}, "as the user says"
    assert fitted(Config(fps=2.0), Hues())["frames"] == 16, "no fewer"
    assert fitted(Config(), Vistas("ride", count=2)) == {"fps": 15.0, "frames": 128}
    assert fitted(Config(), Menagerie(2))["frames"] == 128, "stories that go on"
    assert made_frames(Config(frames=40)) == 96


def test_what_hangs_on_no_size_may_be_learnt_otherwise_than_it_was():
    start = model_of()
    later = extended(SYSTEM, start, {"low_gamma": 0.5, "super_gamma": 2.0, "clips": 9}, Hues())
    assert (later.config.low_gamma, later.config.super_gamma, later.config.clips) == (0.5, 2.0, 9)
    for name, tensor in start.state_dict().items():
        assert torch.equal(later.state_dict()[name], tensor), name
    with pytest.raises(UsageError, match="another latent"):
        extended(SYSTEM, start, {"latent": 5}, Hues())


# Turns.


def turns_of(stage: Stage) -> dict[str, Any]:
    return {
        f"{player.name} {turn.name}".strip(): (player, turn)
        for player in stage.players
        for turn in player.turns
    }


def told(stage: Stage, name: str, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    player, turn = turns_of(stage)[name]
    with learning(player, stage):
        return {name: value.detach() for name, value in turn.objective(batch).items()}


def test_small_videos_losses_are_those_of_the_formulas():
    stage = Low(low_gamma=3.0)
    batch, model = stage.batch_of(0, 1, 2), stage.model
    generator, judge = model.low_generator, model.low_discriminator

    def logits(videos: Tensor, turn: int) -> Tensor:
        return judge(changed_alike(videos, batch["uniform"][:, turn]))

    def made(turn: int) -> Tensor:
        """A video of more than is asked for, cut where it is told."""
        videos = generator(batch["noise"][:, turn])
        assert videos.shape[1] == 16 + 32 + 16
        shifts = batch["shift"][:, turn].tolist()
        return torch.stack(
            [video[first : first + 16] for video, first in zip(videos, shifts, strict=True)]
        )

    real = batch["real"].permute(0, 1, 4, 2, 3) / 127.5 - 1
    loss = told(stage, "generator", batch)["loss"]
    assert loss == pytest.approx(
        float(-F.logsigmoid(logits(made(FOOLING), FOOLING)).mean().detach())
    )
    found = told(stage, "discriminator", batch)
    a, b = logits(real, TRUE), logits(made(TELLING), TELLING)
    expected = -(F.logsigmoid(a) + F.logsigmoid(-b)).mean().detach()
    assert found["loss"] == pytest.approx(float(expected))
    assert found["real"] == pytest.approx(float(a.detach().mean()), abs=1e-6)
    real.requires_grad_()
    (slope,) = torch.autograd.grad(logits(real, SLOPE).sum(), real)
    penalty = float(slope.square().sum() / 3)
    found = told(stage, "discriminator r1", batch)
    assert found["penalty"] == pytest.approx(penalty, rel=1e-4)
    assert found["loss"] == pytest.approx(16 * 3.0 / 2 * penalty, rel=1e-4)


def test_large_frames_losses_are_those_of_the_formulas():
    stage = Super(super_gamma=3.0)
    batch, model = stage.batch_of(0, 1, 2), stage.model
    batch["moves"][:, :, 0] = 1  # undisturbed
    batch["seen"][:] = torch.tensor([0.05, 0.5, 0.99])[:, None]
    generator, judge = model.super_generator, model.super_discriminator
    small = batch["small"].permute(0, 1, 4, 2, 3) / 127.5 - 1
    real = batch["large"].permute(0, 1, 4, 2, 3) / 127.5 - 1
    beside = small[:, 4:-4] * torch.tensor([1.0, 0, 0]).view(-1, 1, 1, 1, 1)
    loss = told(stage, "generator", batch)["loss"]
    fake = generator(small, batch["z"][:, FOOLING])
    assert loss == pytest.approx(float(F.softplus(-judge(beside, fake)).mean().detach()), rel=1e-5)
    found = told(stage, "discriminator", batch)
    fake = generator(small, batch["z"][:, TELLING])
    losses = F.softplus(-judge(beside, real)) + F.softplus(judge(beside, fake))
    assert found["loss"] == pytest.approx(float(losses.mean().detach()), rel=1e-5)
    real.requires_grad_()
    (slope,) = torch.autograd.grad(judge(beside, real).sum(), real)
    found = told(stage, "discriminator r1", batch)
    penalty = float(slope.square().sum() / 3)
    assert found["loss"] == pytest.approx(16 * 3.0 / 2 * penalty, rel=1e-4)


def test_small_and_large_frames_are_augmented_alike_and_the_small_ones_are_dropped_after_it():
    stage = Super()
    stage.controller.probability = torch.tensor(1.0)
    batch, shown = stage.batch_of(0, 1), []
    judge = stage.model.super_discriminator

    def doubled(low: Tensor) -> Tensor:
        """Without interpolation, as the large frames here."""
        return low.repeat_interleave(2, -1).repeat_interleave(2, -2)

    judge.judged = lambda frames: shown.append(frames) or frames.mean((1, 2, 3, 4))
    batch["seen"][:] = torch.tensor([0.09, 0.11])[:, None]
    small = centred(batch["small"][:, CONTEXT:-CONTEXT])
    judge.shown = lambda low, high: squared(torch.cat([doubled(low), high], 1), 32)
    stage.making.judged(doubled(small), batch, TRUE)
    first, second = shown[0]
    assert torch.allclose(first[:4], first[4:], atol=1e-5)
    assert float(first.std()) > 0.1
    assert (second[:4] == 0).all()
    assert float(second[4:].std()) > 0.1


def test_small_frames_are_disturbed_a_little_or_not_at_all():
    x = torch.rand(2, 3, 3, 8, 16)
    moves, noise = torch.randn(2, 6), torch.randn_like(x)
    moves[:, 0] = torch.tensor([0.3, -0.3])
    found = disturbed(x, moves, noise)
    assert torch.equal(found[0], x[0])
    assert torch.allclose(found[1], moved(x[1:], moves[1:, 1:])[0] + 0.08 * noise[1], atol=1e-6)
    assert torch.allclose(moved(x, torch.zeros(2, 5)), x, atol=1e-5)
    pixel = 1 / (MOVE * 16)
    right, down = torch.zeros(2, 2, 5).unbind()
    right[:, 3], down[:, 4] = pixel, pixel
    assert torch.allclose(moved(x, right)[..., :-1], x[..., 1:], atol=1e-4)
    assert torch.allclose(moved(x, down)[..., :-1, :], x[..., 1:, :], atol=1e-4)
    turn = torch.zeros(2, 5)
    turn[:, 2] = 1 / MOVE  # a half one
    assert torch.allclose(moved(x, turn), x.flip(-1, -2), atol=1e-4)


@pytest.mark.parametrize("make", STAGES)
def test_magnitudes_follow_the_discriminator_s_turn_alone(make: Any):
    stage = make()
    generator, batch = stage.making.generator, stage.batch_of(0, 1, 2, 3)

    def magnitudes() -> dict[str, Tensor]:
        named = generator.named_buffers()
        return {name: b.clone() for name, b in named if name.endswith("magnitude_ema")}

    before = magnitudes()
    for name in ("generator", "discriminator r1"):
        told(stage, name, batch)
    stage.magnitudes.after_step(lambda own: own)
    assert magnitudes() == before
    told(stage, "discriminator", batch)
    assert magnitudes() == before, "not within the step"
    stage.magnitudes.after_step(lambda own: own)
    assert all(not torch.equal(value, before[name]) for name, value in magnitudes().items())


def test_the_mean_style_follows_the_generator_s_turn():
    stage = Super()
    batch, mapping = stage.batch_of(0, 1), stage.model.super_generator.SG3.mapping
    stage.styles.shown.clear()
    told(stage, "discriminator", batch)
    assert not stage.styles.shown
    told(stage, "generator", batch)
    stage.styles.after_step(lambda own: own)
    expected = 0.002 * mapping(batch["z"][:, FOOLING]).mean(0)
    assert torch.allclose(mapping.w_avg, expected, atol=1e-6)


@pytest.mark.parametrize("make", STAGES)
def test_two_processes_learn_what_one_does(make: Any):
    """The mean of their gradients, each of every second sample, is that of all."""
    stage = make(batch=4)
    if make is Super:
        stage.controller.probability = torch.tensor(0.5)
    for name, (player, turn) in turns_of(stage).items():
        whole, first, second = (
            slopes(stage, player, turn, indices) for indices in ([0, 1, 2, 3], [0, 2], [1, 3])
        )
        largest = max(float(slope.abs().max()) for slope in whole.values())
        for parameter, slope in whole.items():
            mean = (first[parameter] + second[parameter]) / 2
            assert torch.allclose(mean, slope, atol=3e-5 * largest), (name, parameter)


def slopes(stage: Any, player: Any, turn: Any, indices: list[int]) -> dict[str, Tensor]:
    stage.modules.zero_grad()
    with learning(player, stage):
        turn.objective(stage.batch_of(*indices))["loss"].backward()
    return {
        name: parameter.grad.clone()
        for name, parameter in stage.modules.named_parameters()
        if parameter.grad is not None
    }


# Whole trainings.


def stopping(stage: Any, at: int) -> Any:
    """It gets a Ctrl-C after a step."""
    after = stage.after_step

    def after_step(step: int, reduce: Any) -> None:
        after(step, reduce)
        if step == at:
            signal.raise_signal(signal.SIGINT)

    stage.after_step = after_step
    return stage


@pytest.mark.parametrize("make", STAGES)
def test_a_training_goes_on_to_the_same_bits(make: Any, new_run: NewRun, accelerator: Accelerator):
    whole, stopped = new_run("whole"), new_run("stopped")
    options = replace(QUICK, evaluate_every=2, checkpoint_every=2)
    stage = make()
    fit(stage, options, whole, accelerator, silent)
    with pytest.raises(Interrupted, match="step 3 of 4"):
        fit(stopping(make(), 3), options, stopped, accelerator, silent)
    fit(make(), options, stopped, accelerator, silent)
    assert same(whole, stopped, stage.name)
    assert rows(whole) == rows(stopped)
    steps = [row for row in rows(whole) if "loss" in row]
    assert set(stage.told) - {"discriminator_r1_penalty"} <= set(steps[-1])
    assert [row["step"] for row in steps if "discriminator_r1_penalty" in row] == [1]
    sheets = [row for row in rows(whole) if "metrics" in row]
    assert [row["step"] for row in sheets] == [2, 4]
    assert all(SPREAD in row["metrics"] for row in sheets)


@pytest.mark.parametrize("make", STAGES)
def test_an_exam_holds_clips_of_fixed_seeds_against_real_ones(make: Any):
    stage = make()
    del stage.exam
    stage.modules.eval()
    with torch.no_grad():
        first, clips = stage.evaluate()
        again, others = stage.evaluate()
    assert first == again
    assert set(first) == {DISTANCE, SPREAD}
    sides = (8, 16, 3) if make is Low else (16, 32, 3)
    assert len(clips) == len(others) == 8
    assert all(clip.frames.shape == (stage.exam.looks, *sides) for clip in clips)
    assert all(np.array_equal(a.frames, b.frames) for a, b in zip(clips, others, strict=True))
    real = [stage.exam._excerpt(number) for number in range(stage.exam.count)]
    stage.exam.made = lambda: real
    found, _ = stage.evaluate()
    assert found[DISTANCE] < 1e-6 * first[DISTANCE]
    assert found[SPREAD] == pytest.approx(1)


@pytest.mark.parametrize("make", [LowStage, SuperStage])
def test_work_is_counted_without_weights(make: Any):
    """Of twice the channels it is up to four times as much."""

    def counted(**sizes: Any) -> float:
        with torch.device("meta"):
            model = model_of(**sizes)
        options = TrainOptions(seed=0, batch=2)
        return flop_per_sample(make(model, Hues(), options))

    wide = counted(low_channels=32, low_judge_channels=2, channel_base=512, channel_max=16,
                   judge_base=512, judge_max=16)  # fmt: skip
    assert 2 < wide / counted() < 4


# What other trainings could share.


def test_buffers_that_lie_in_files_are_averaged_with_the_weights():
    network = nn.BatchNorm1d(2)
    network.num_batches_tracked = None  # pyright: ignore
    network.register_buffer("filter", torch.ones(3), persistent=False)
    stage = Stage()
    stage.modules = nn.ModuleDict({"generator": network, "other": nn.BatchNorm1d(2)})
    player = Player("generator", nn.Identity(), list(network.parameters()), 1.0, buffers=network)
    named = averaged_buffers(player, stage)
    assert set(named) == {"generator.running_mean", "generator.running_var"}
    average = Ema(named, Average(0.75))
    network.running_mean.add_(4.0)  # pyright: ignore
    average.update(1000)
    with average.swapped():
        assert stage.modules.state_dict()["generator.running_mean"].tolist() == [1.0, 1.0]
    assert network.running_mean.tolist() == [4.0, 4.0]  # pyright: ignore


def test_the_controller_may_have_a_ceiling_and_rise_where_it_is_even():
    controller = Controller(0.3, target=0.5, every=1, most=0.5, even=1)
    for expected in (0.3, 0.5, 0.5):
        controller.heed(torch.tensor([1.0, 1.0, 1.0, -1.0]))
        controller.after_step(1, lambda own: own)
        assert float(controller.probability) == pytest.approx(expected)


def test_halving_in_bfloat16_has_the_slopes_of_the_convolution():
    x = torch.randn(2, 3, 8, 6).bfloat16().requires_grad_()
    same_ = x.detach().clone().requires_grad_()
    weight = kernel(3, x.float())
    found = torch.autograd.grad(every_second(x).square().sum(), x, create_graph=True)[0]
    half = F.conv2d(same_.float(), weight, stride=2, padding=1, groups=3)
    expected = torch.autograd.grad(half.square().sum(), same_, create_graph=True)[0]
    assert torch.allclose(found, expected, atol=0.05)
    pairs = (found, x), (expected, same_)
    twice = [torch.autograd.grad(slope.float().square().sum(), y)[0] for slope, y in pairs]
    assert torch.allclose(twice[0], twice[1], atol=0.05)
