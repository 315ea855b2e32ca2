"""Video Diffusion's trainings: windows of stories, the super-resolution, distillation."""

from dataclasses import replace
from typing import cast

import numpy as np
import pytest
import torch

from dln.core.data import open_source
from dln.core.data.menagerie import draw_story, render
from dln.core.data.menagerie.source import Menagerie
from dln.core.errors import UsageError
from dln.core.models.engine import TorchEngine
from dln.core.models.video_diffusion.captions import encode_captions
from dln.core.models.video_diffusion.config import Config, UNetConfig, Upsampler
from dln.core.models.video_diffusion.denoiser import Denoiser
from dln.core.models.video_diffusion.distillation import DistillationObjective, DistillationStage
from dln.core.models.video_diffusion.model import Model
from dln.core.models.video_diffusion.network import followed
from dln.core.models.video_diffusion.schedule import (
    alpha_sigma,
    cosine_log_snr,
    ddim_step,
    noised,
    spread,
    v_from,
    x_from_v,
)
from dln.core.models.video_diffusion.system import SYSTEM
from dln.core.models.video_diffusion.training import DiffusionObjective, DiffusionStage
from dln.core.models.video_diffusion.windows import shrunk
from dln.core.text.vocabulary import Vocabulary
from dln.core.training.options import TrainOptions

from .toy_diffusion import TOY, WORDS


def make_stage(kind: int, tmp_path, config: Config = TOY):
    source = open_source("menagerie", count=6)
    model = Model(config, Vocabulary(source.words()))
    stage = cast(DiffusionStage, SYSTEM.stages(model, source, TrainOptions(seed=0))[kind])
    stage.prepare(tmp_path, lambda event: None)
    return stage, model


def test_a_batch_is_a_window_of_one_story_and_images_of_any(tmp_path):
    stage, model = make_stage(0, tmp_path)
    batch = stage.collate(np.arange(5), 0)
    assert batch["frames"].shape == (5, 6, 8, 8, 3)
    assert batch["words"].shape == (5, 3, 6)
    later = len(model.reader.words)
    for row in range(5):
        frames = batch["frames"][row].numpy()
        strip = stage.table[row]
        starts = [s for s in range(5) if np.array_equal(strip[s : s + 4], frames[:4])]
        assert starts
        if batch["seen"][row, 0].any():
            assert (int(batch["words"][row, 0, 0]) == later) == (0 not in starts)
        for image in frames[4:]:
            assert (stage.table == image).all(axis=(-3, -2, -1)).any()
    again = stage.collate(np.arange(5), 0)
    assert all(torch.equal(again[name], batch[name]) for name in batch)


def test_the_super_resolution_learns_all_frames_from_those_of_the_base(tmp_path):
    stage, _ = make_stage(1, tmp_path)
    batch = stage.collate(np.arange(5), 0)
    assert batch["frames"].shape == (5, 8, 16, 16, 3)
    for row, frames in enumerate(batch["frames"].numpy()):
        windows = [stage.table[row, s : s + 8] for s in range(0, 9, 2)]
        assert any(np.array_equal(window, frames) for window in windows)
    torch.manual_seed(0)
    x = torch.rand(2, 8, 3, 16, 16) * 2 - 1
    small, log_snr = stage.objective.given(x)  # pyright: ignore
    assert small.shape == (2, 4, 3, 8, 8)
    alpha, sigma = alpha_sigma(spread(log_snr, small))
    means = x[:, ::2].unflatten(-1, (8, 2)).mean(-1).unflatten(-2, (8, 2)).mean(-2)
    noise = (small - alpha * means) / sigma
    assert noise.std() == pytest.approx(1, abs=0.1)


def test_the_super_resolution_may_learn_from_crops_that_keep_pixels_together(tmp_path):
    config = replace(TOY, upsample=replace(TOY.upsample, crop=8))
    stage, _ = make_stage(1, tmp_path, config)
    assert stage.example(2)["frames"].shape == (2, 8, 8, 8, 3)
    batches = [stage.collate(np.arange(5), epoch)["frames"].numpy() for epoch in range(4)]
    places = set()
    for row, crop in [(row, crop) for batch in batches for row, crop in enumerate(batch)]:
        found = {
            (top, left)
            for top in range(9)
            for left in range(9)
            for start in range(0, 9, 2)
            if np.array_equal(stage.table[row, start : start + 8, top : top + 8, left : left + 8],
                              crop)
        }  # fmt: skip
        assert any(top % 2 == left % 2 == 0 for top, left in found)
        places |= found
    assert len(places) > 4


@torch.no_grad()
def test_a_super_resolution_of_x_begins_as_the_given_frames_enlarged():
    unet = Model(TOY, WORDS).upsample.unet
    given, level = torch.rand(2, 4, 3, 8, 8) * 2 - 1, torch.tensor([2.0, -1.0])
    z, text = torch.randn(2, 8, 3, 16, 16), torch.randn(2, 1, 8)
    found = unet(z, torch.zeros(2), text, given, level)
    alpha, _ = alpha_sigma(level.view(2, 1, 1, 1, 1))
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        pixels = found[:, ::2, :, row::2, column::2]
        torch.testing.assert_close(pixels, given / alpha)
    between = (given[:, :-1] + given[:, 1:]) / 2
    torch.testing.assert_close(found[:, 1:-1:2, :, ::2, ::2], between / alpha)


@pytest.mark.parametrize("patch", [1, 2, 4])
def test_given_frames_lie_on_the_places_of_the_first_level(patch: int):
    """Places of 16, 8 and 4 a side read frames of 8 x 8 pixels, at a pixel's place that pixel."""
    upsample = replace(TOY.upsample, rate=1, patch=patch, widths=(8,), temporal=(), target="eps")
    unet, read = Model(replace(TOY, upsample=upsample), WORDS).upsample.unet, []
    unet.stem.register_forward_hook(lambda stem, inputs, out: read.append(inputs[0]))
    given = torch.rand(1, 4, 3, 8, 8)
    z, text = torch.randn(1, 4, 3, 16, 16), torch.randn(1, 1, 8)
    unet(z, torch.zeros(1), text, given, torch.zeros(1))
    side, own = 16 // patch, 3 * patch**2
    assert read[0].shape[2:] == (side, side)
    for row, column in ((0, 0), (3, 5), (7, 2)):
        found = read[0][:, own:, row * side // 8, column * side // 8]
        assert torch.isclose(found[:, :, None], given[0, :, None, :, row, column]).any(1).all()


@pytest.mark.parametrize("preset", SYSTEM.PRESETS)
def test_every_super_resolution_reads_the_small_frames(preset: str):
    config = SYSTEM.PRESETS[preset]
    small, sides = config.base.image_size, config.upsample.image_size
    with torch.device("meta"):
        unet = Denoiser(config, config.upsample, 4, small).unet
        z, given = (
            torch.empty(1, config.clip_frames, 3, sides, sides),
            torch.empty(1, config.frames, 3, small, small),
        )
        level = torch.empty(1)
        assert unet(z, level, torch.empty(1, 1, config.text_width), given, level).shape == z.shape
    assert unet.stem.in_channels > 3 * config.upsample.patch**2


def test_small_frames_that_do_not_lie_evenly_are_refused():
    with pytest.raises(
        UsageError, match=r"24 places a side, on which frames of base\.image_size 16"
    ):
        Config(base=UNetConfig(image_size=16), upsample=Upsampler(image_size=48, widths=(32,)))


def test_frames_in_between_see_the_given_ones_on_both_sides():
    given = torch.tensor([0.0, 3.0, 9.0]).view(1, 3, 1, 1, 1)
    assert followed(given, 1) is given
    seen = followed(given, 3)[0, :, :, 0, 0]
    assert seen[:, 0].tolist() == [0, 0, 0, 3, 3, 3, 9, 9, 9]
    assert seen[:, 1].tolist() == [0, 1, 2, 3, 5, 7, 9, 9, 9]


def test_shrinking_takes_means_of_blocks():
    frames = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    small = shrunk(frames, 2)
    assert small[1, 0, 1].tolist() == [round(float(frames[1, :2, 2:, c].mean())) for c in range(3)]
    assert shrunk(frames, 4) is frames


def test_a_distilled_step_lands_where_two_of_the_teacher_do(tmp_path):
    stage, _ = make_stage(2, tmp_path)
    assert isinstance(stage, DistillationStage)
    objective = stage.objective
    torch.manual_seed(0)
    z, text = torch.randn(2, 4, 3, 8, 8), torch.randn(2, 1, 8)
    t = torch.tensor([0.75, 0.5])
    goal = objective.goal(z, t, 4, text)
    half = objective.step(z, t, t - 0.125, text)
    reached = objective.step(half, t - 0.125, t - 0.25, text)
    (a, s), (a_end, s_end) = (alpha_sigma(spread(objective.ratio(x), z)) for x in (t, t - 0.25))
    torch.testing.assert_close(
        a_end * goal + s_end / s * (z - a * goal), reached, atol=1e-4, rtol=0
    )


def loss_of(target: str, predicted: torch.Tensor, x: torch.Tensor, eps: torch.Tensor, t: float):
    """The loss of a network that predicts this, on clips of this noise."""
    config = replace(TOY, base=replace(TOY.base, target=target))
    objective = DiffusionObjective(Model(config, WORDS).base)
    objective.denoiser.unet.forward = lambda *_: predicted  # pyright: ignore
    texts = encode_captions(TOY, WORDS, ["lion dancing"], [False])
    words, seen = (torch.from_numpy(texts[name][None]) for name in ("words", "seen"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randn_like", lambda _: eps)
        return float(objective.errors(x, words, seen, torch.tensor([t])))


def test_an_error_of_x_weighs_as_one_of_v_until_noise_is_small():
    x, eps = torch.rand(1, 4, 3, 8, 8) * 2 - 1, torch.randn(1, 4, 3, 8, 8)
    for t, same in ((0.9, True), (0.5, True), (0.02, False)):
        ratio = spread(cosine_log_snr(torch.tensor([t]), TOY.base.shift), x)
        v = v_from(x, eps, ratio) + 0.1 * torch.randn_like(x)
        z = noised(x, eps, ratio)
        as_v, as_x = loss_of("v", v, x, eps, t), loss_of("x", x_from_v(z, v, ratio), x, eps, t)
        assert as_v == pytest.approx(0.01, rel=0.2)
        assert (as_x == pytest.approx(as_v, rel=1e-3)) == same
        assert as_x < 1.001 * as_v
        assert loss_of("x", x, x, eps, t) == 0


@torch.no_grad()
@pytest.mark.parametrize("target", ["v", "eps", "x"])
def test_teachers_of_every_target_step_from_the_x_that_generation_sees(target):
    model = Model(replace(TOY, base=replace(TOY.base, target=target)), WORDS)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    objective = DistillationObjective(cast(Denoiser, model.fast), model.base, 4, guidance=2.0)
    z, text = torch.randn(2, 4, 3, 8, 8), torch.randn(2, 8)
    now, then = torch.tensor([0.75, 0.5]), torch.tensor([0.5, 0.25])
    ratio = objective.ratio(now)
    seen = TorchEngine(model.graphs()).run(
        "base", z=z, log_snr=ratio, text=text, guidance=torch.full((2,), 2.0)
    )["x"]
    here, there = (alpha_sigma(spread(objective.ratio(t), z)) for t in (now, then))
    expected = ddim_step(z, seen.clamp(-1, 1), here, there)
    torch.testing.assert_close(
        objective.step(z, now, then, text[:, None]), expected, atol=1e-4, rtol=1e-4
    )


def test_each_round_s_student_becomes_the_next_teacher(tmp_path):
    stage, model = make_stage(2, tmp_path)
    assert isinstance(stage, DistillationStage)
    stage.steps = 6
    for parameter in model.fast.parameters():  # pyright: ignore
        torch.nn.init.normal_(parameter)
    stage.after_step(2, lambda x: x)
    assert stage.objective.round == 0
    stage.after_step(3, lambda x: x)
    assert stage.objective.round == 1
    for one, two in zip(stage.teacher.parameters(), model.fast.parameters(), strict=True):  # pyright: ignore
        assert torch.equal(one, two)
    stage.after_step(6, lambda x: x)
    assert stage.objective.round == 1
    stage.load_state({"round": torch.tensor(0)})
    assert stage.objective.round == 0


def test_stories_told_longer_repeat_and_walkers_turn_round():
    longer = Menagerie(20).told_for(8.0)
    times = np.arange(0, 8, 0.5)
    for clip in (0, 1, 2):
        frames, mask = longer.frames(clip, times, (16, 16))
        plain, plain_mask = render(longer.story(clip), times, 16)
        assert np.array_equal(frames, plain)
        assert np.array_equal(mask, plain_mask)
    walk = draw_story(0, action="walking")
    ahead, back = (walk.progress(t) for t in (3.5, 4.5))
    assert ahead == pytest.approx(back)
    assert walk.progress(4.0) == 1
    assert not walk.returning(4.0)
    assert walk.returning(4.5)
    assert not walk.returning(8.5)
