"""StyleGAN-V's training: what it draws, what its turns do, and that nothing of it is left to
chance."""

import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from dln.core.data.menagerie.source import Menagerie
from dln.core.errors import Interrupted, UsageError
from dln.core.models.layers.adversarial import DISTANCE, SPREAD
from dln.core.models.stylegan_v.config import FRAMES, Config
from dln.core.models.stylegan_v.moments import CHOICES, drawn_moments, fitted
from dln.core.models.stylegan_v.training import centred
from dln.core.training.events import Event, Note, silent
from dln.core.training.fit import check, fit
from dln.core.training.run import Run
from dln.core.training.stage import learning

from .toy_systems import Colours
from .toy_training import QUICK, check_lessons, rows, same
from .toy_videos import Named, Videos

NewRun = Callable[..., Run]


def numbers(count: int) -> np.ndarray:
    return np.random.default_rng(0).random((count, CHOICES))


def test_moments_have_the_published_spans():
    drawn = drawn_moments(np.full(3000, 50), 32, numbers(3000))
    assert np.array_equal(drawn, drawn.round())
    assert drawn.min() == 0
    assert drawn.max() == 49
    spans, counts = np.unique(drawn[:, -1] - drawn[:, 0], return_counts=True)
    assert spans.tolist() == [2, 4, 8, 16, 32]
    assert counts.min() > 500, "each as likely"
    assert (np.diff(drawn) >= 1).all()
    firsts = np.unique(drawn[drawn[:, -1] - drawn[:, 0] == 32, 0])
    assert firsts.tolist() == list(range(18))


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5])
def test_clips_too_short_for_any_span(frames: int):
    for drawn in drawn_moments(np.full(30, frames), 32, numbers(30)):
        assert drawn.shape == (FRAMES,)
        assert drawn[0] >= 0
        assert drawn[-1] <= frames - 1
        assert (np.diff(drawn) >= 0).all()
        if frames < 3:
            assert (drawn[0], drawn[-1]) == (0, frames - 1)


def test_made_videos_have_fractional_moments_up_to_the_clip_s_end():
    drawn = drawn_moments(np.full(2000, 50), 32, numbers(2000), whole=False)
    offsets = drawn[:, 0] % 1
    assert drawn.min() >= 0
    assert drawn.max() < 50
    assert offsets.std() == pytest.approx(12**-0.5, abs=0.02)
    assert np.allclose(np.diff(drawn), np.diff(drawn).round(), atol=1e-5)


class Rated(Colours):
    """Clips of 12 frames a second, one of them three frames long."""

    def rate(self, index: int) -> float:
        return 12.0

    def duration(self, index: int) -> float:
        return 2.0 if index else 0.25


def test_the_data_decide_rate_span_and_classes():
    assert fitted(Config(), Rated()) == {"classes": (), "fps": 12.0, "longest_span": 23}
    assert fitted(Config(fps=30.0), Rated())["fps"] == 30.0, "as the user says"
    assert fitted(Config(), Menagerie(4)) == {"classes": (), "fps": 25.0, "longest_span": 32}
    assert fitted(Config(), Named(3))["classes"] == ("bright", "dark")
    assert fitted(Config(fps=1.0), Colours(3))["longest_span"] == FRAMES - 1


def test_a_lesson_is_a_function_of_its_sample():
    stage = Videos(source=Named())
    check_lessons(stage, "z")


def test_real_frames_are_those_of_the_times_that_are_told():
    """Colours grow brighter by 5 a second."""
    stage = Videos(source=Named(), fps=50.0, longest_span=32)
    batch = stage.batch_of(*range(12))
    for index, (times, frames) in enumerate(zip(batch["times"], batch["real"], strict=True)):
        shown = stage.lessons.source.frames(index, times.numpy() / 50, (32, 32))[0]
        assert torch.equal(frames, torch.from_numpy(shown)), "mirrored, its rows are the same"
    assert batch["label"].tolist() == [0, 1] * 6
    assert centred(batch["real"]).shape == (12, FRAMES, 3, 32, 32)


def test_mirrored_where_the_data_allow():
    class Sided(Named):
        def frames(self, index: int, times: np.ndarray, size: tuple[int, int]) -> Any:
            ramp = np.arange(size[1], dtype=np.uint8)[None, None, :, None]
            return np.broadcast_to(ramp, (len(times), *size, 3)), None

    def mirrored(flips: bool) -> int:
        source = Sided()
        source.flips = flips
        corners = Videos(source=source).batch_of(*range(20))["real"][:, :, 0, 0, 0]
        assert (corners == corners[:, :1]).all(), "all frames of a clip"
        return int((corners[:, 0] == 31).sum())

    assert mirrored(False) == 0
    assert 4 < mirrored(True) < 16


@pytest.mark.parametrize("source", [Colours(), Named()])
def test_two_processes_learn_what_one_does(source: Colours):
    """The mean of their gradients, each of every second sample, is that of all; groups of the
    discriminator's deviations are of the same samples. With classes and augmentation."""
    stage = Videos(batch=16, source=source)
    stage.controller.probability = torch.tensor(0.5)
    order = list(range(16))
    for player in stage.players:
        for turn in player.turns:
            whole, halves = [
                [slopes(stage, player, turn, order[r::world]) for r in range(world)]
                for world in (1, 2)
            ]
            (first, second), (all_,) = halves, whole
            largest = max(float(slope.abs().max()) for slope in all_.values())
            for name, slope in all_.items():
                mean = (first[name] + second[name]) / 2
                assert torch.allclose(mean, slope, atol=2e-5 * largest), name


def slopes(stage: Videos, player: Any, turn: Any, indices: list[int]) -> dict[str, torch.Tensor]:
    stage.modules.zero_grad()
    with learning(player, stage):
        turn.objective(stage.batch_of(*indices))["loss"].backward()
    return {
        name: parameter.grad.clone()
        for name, parameter in stage.modules.named_parameters()
        if parameter.grad is not None
    }


def test_groups_that_would_be_cut_are_refused():
    stage = Videos(batch=16)
    check(stage, QUICK, 4)
    with pytest.raises(UsageError, match="groups of 4") as caught:
        check(stage, replace(QUICK, accumulate=2), 4)
    assert caught.value.hint == "--batch 32"
    check(Videos(batch=2), QUICK, 1)


class Stopping(Videos):
    """Gets a Ctrl-C after a step."""

    stop_at = 0

    def after_step(self, step: int, reduce: Any) -> None:
        super().after_step(step, reduce)
        if step == self.stop_at:
            signal.raise_signal(signal.SIGINT)


def test_a_training_goes_on_to_the_same_bits_and_tells(new_run: NewRun, accelerator: Accelerator):
    whole, stopped = new_run("whole"), new_run("stopped")
    options = replace(QUICK, evaluate_every=5, checkpoint_every=2)
    fit(Videos(), options, whole, accelerator, silent)
    for step in (3, 6):
        stage = Stopping()
        stage.stop_at = step
        with pytest.raises(Interrupted, match=f"step {step} of 10"):
            fit(stage, options, stopped, accelerator, silent)
    stage = Videos()
    fit(stage, options, stopped, accelerator, silent)
    assert same(whole, stopped, "videos")
    assert rows(whole) == rows(stopped)
    steps = [row for row in rows(whole) if "loss" in row]
    assert {"discriminator_real", "discriminator_fake", "discriminator_augmented"} <= set(steps[-1])
    assert [row["step"] for row in steps if "discriminator_r1_penalty" in row] == [1]
    assert steps[-1]["discriminator_augmented"] == pytest.approx(
        float(stage.controller.probability), abs=0.11
    )
    assert float(stage.model.generator.mapping.w_avg.abs().max()) > 0
    sheets = [row for row in rows(whole) if "metrics" in row]
    assert [row["step"] for row in sheets] == [5, 10]
    assert all(SPREAD in row["metrics"] for row in sheets)


def test_a_collapse_is_said_and_the_best_is_kept(new_run: NewRun, accelerator: Accelerator):
    class Falling(Videos):
        judged_by = DISTANCE
        values = iter([5.0, 3.0, 4.0, 6.0, 7.0])

        def evaluate(self) -> Any:
            return {DISTANCE: next(self.values), SPREAD: 0.5}, None

    run, events = new_run(), list[Event]()
    stage = Falling()
    kept: dict[int, Any] = {}

    def on_event(event: Event) -> None:
        events.append(event)

    offer = "dln.core.training.best.BestWeights.offer"
    with pytest.MonkeyPatch.context() as patch:
        from dln.core.training.best import BestWeights

        before = BestWeights.offer

        def watched(self: Any, step: int, metric: str, value: float, weights: Any) -> None:
            kept[step] = {name: tensor.clone() for name, tensor in weights.items()}
            before(self, step, metric, value, weights)

        patch.setattr(offer, watched)
        fit(stage, replace(QUICK, evaluate_every=2), run, accelerator, on_event)
    said = [event.text for event in events if isinstance(event, Note)]
    (text,) = [text for text in said if "collapsed" in text]
    assert "step 10" in text
    assert "3, 4, 6, 7" in text
    assert "of step 4, are kept" in text
    assert [row["concern"] for row in rows(run) if "concern" in row] == [
        "its Frechet distance has risen 3 evaluations long: 3, 4, 6, 7"
    ]
    best, weights = BestWeights(run.state / "videos").load() or (None, {})
    assert best is not None
    assert (best.step, best.value) == (4, 3.0)
    assert all(torch.equal(tensor, kept[4][name]) for name, tensor in weights.items())
    assert any(not torch.equal(kept[4][name], kept[10][name]) for name in weights)


def test_a_damaged_best_is_none(new_run: NewRun):
    from dln.core.training.best import BestWeights

    run = new_run()
    (run.state / "videos").mkdir()
    best = BestWeights(run.state / "videos")
    assert best.load() is None
    best.offer(3, "distance", 2.0, {"a": torch.ones(3), "b": torch.zeros(2).bfloat16().float()})
    best.offer(4, "distance", float("nan"), {"a": torch.zeros(3)})
    best.offer(5, "distance", 2.0, {"a": torch.zeros(3)})
    assert (told := best.told()) is not None
    assert told.step == 3
    data = bytearray(best.path.read_bytes())
    data[-2] ^= 1
    best.path.write_bytes(data)
    assert best.told() is None
    best.path.write_bytes(data[:40])
    assert best.told() is None
    best.offer(6, "distance", 9.0, {"a": torch.ones(3)})
    assert (told := best.told()) is not None
    assert told.value == 9.0


def test_an_exam_holds_clips_of_fixed_seeds_against_real_ones():
    stage = Videos(source=Named())
    del stage.exam
    stage.modules.eval()
    with torch.no_grad():
        first, clips = stage.evaluate()
        again, others = stage.evaluate()
    assert first == again
    assert set(first) == {DISTANCE, SPREAD}
    assert first[DISTANCE] > 1
    assert clips is not None
    assert others is not None
    assert len(clips) == 8
    assert all(np.array_equal(a.frames, b.frames) for a, b in zip(clips, others, strict=True))
    real = [stage.exam._excerpt(number) for number in range(stage.exam.count)]
    stage.exam.made = lambda: real
    found, _ = stage.evaluate()
    assert found[DISTANCE] < 1e-6 * first[DISTANCE]
    assert found[SPREAD] == pytest.approx(1)
