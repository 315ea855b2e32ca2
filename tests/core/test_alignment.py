"""Alignment: the interval, the judge, and evaluations of generators that obey or do not."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from dln.core.data.menagerie import ACTORS, HELD_OUT, describe, draw_story, render
from dln.core.data.menagerie.source import Menagerie
from dln.core.errors import UsageError
from dln.core.generation.generate import Generated
from dln.core.media.clip import Clip
from dln.core.metrics import alignment, clips, reconstruction
from dln.core.metrics.world import World
from dln.core.models.package import Loaded
from dln.core.models.registry import MODELS
from dln.core.models.system import SystemModel

COUNT = 12


def loaded(name: str = "video-diffusion") -> Loaded:
    card = {"data": {"name": "menagerie"}}
    return Loaded(SystemModel(), MODELS[name], card, "0" * 64, Path("toy.safetensors"), False)


def film(prompt: str, seed: int, **other: str) -> Clip:
    """What a perfect generator makes of the prompt, with `other` in place of what it names."""
    named = {head: name for head, name in describe(prompt).items() if name} | other
    pixels, _ = render(draw_story(seed, held_out=None, **named), np.arange(33) / 8, 64)
    return Clip(pixels, 8.0)


@pytest.fixture
def obedient(monkeypatch: pytest.MonkeyPatch) -> list:
    asked = []

    def generate(loaded, request, **options):
        asked.append(request)
        return Generated(film(request.prompt, request.seed), {})

    monkeypatch.setattr(clips, "generate", generate)
    return asked


def test_wilson_by_hand():
    low, high = alignment.wilson(8, 10)
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    low, high = alignment.wilson(0, 10)
    assert (low, high) == (0.0, pytest.approx(0.2775, abs=1e-4))
    low, high = alignment.wilson(200, 200)
    assert (low, high) == (pytest.approx(0.98116, abs=1e-4), pytest.approx(1.0))
    with pytest.raises(ValueError, match="3 successes in 2 trials"):
        alignment.wilson(3, 2)


def test_an_obedient_generator_is_always_right(obedient):
    told = []
    found = clips.evaluate(
        loaded(), count=COUNT, on_progress=lambda *event: told.append(event), settings={"fps": 8}
    )
    assert [found[f"{head}_accuracy"] for head in alignment.JUDGED] == [1.0, 1.0, 1.0]
    assert found["actor_low"] == pytest.approx(alignment.wilson(COUNT, COUNT)[0])
    assert found["confusions"] == []
    assert found["count"] == COUNT
    assert len(found["recognizer_sha256"]) == 64
    assert (COUNT, COUNT, "clips") in told
    assert told[-1] == (COUNT, COUNT, "real clips")
    assert [request.seed for request in obedient] == list(range(COUNT))
    assert obedient[0].fps == 8
    assert "psnr_db" not in found


def test_a_wrong_actor_is_seen(monkeypatch: pytest.MonkeyPatch):
    def generate(loaded, request, **options):
        asked = describe(request.prompt)["actor"]
        other = ACTORS[(ACTORS.index(str(asked)) + 1) % len(ACTORS)]
        return Generated(film(request.prompt, request.seed, actor=other), {})

    monkeypatch.setattr(clips, "generate", generate)
    found = clips.evaluate(loaded(), count=4)
    assert found["actor_accuracy"] == 0
    assert found["action_accuracy"] == 1
    assert len(found["confusions"]) == 4
    first = found["confusions"][0]
    assert describe(first["prompt"])["actor"] == first["expected"] != first["seen"]


def test_the_best_of_several_is_judged(monkeypatch: pytest.MonkeyPatch):
    """A generator whose first try is always another animal is right with a second one."""
    asked = []

    def generate(loaded, request, **options):
        asked.append(request.seed)
        wanted = describe(request.prompt)["actor"]
        other = {"actor": "bear" if wanted != "bear" else "lion"} if request.seed < 3 else {}
        return Generated(film(request.prompt, request.seed, **other), {})

    monkeypatch.setattr(clips, "generate", generate)
    monkeypatch.setattr("dln.core.generation.best.generate", generate)
    monkeypatch.setattr(World, "prompts", lambda *which: ["lion drinking", "cat dancing"])
    alone = clips.evaluate(loaded(), count=2)
    assert (alone["actor_accuracy"], alone["best_of"], asked) == (0.0, 1, [0, 1])
    found = clips.evaluate(loaded(), count=2, best_of=2)
    assert (found["actor_accuracy"], found["best_of"], len(asked)) == (1.0, 2, 6)


def test_held_out_pairs_are_named_so(obedient):
    found = clips.evaluate(loaded(), count=5, seed=2, held_out=True)
    assert all(name.startswith("held_out_") for name in found)
    assert found["held_out_action_accuracy"] == 1
    pairs = [describe(request.prompt) for request in obedient]
    assert {(pair["actor"], pair["action"]) for pair in pairs} <= HELD_OUT


def test_prompts_follow_from_the_seed_in_two_languages():
    prompts = list(alignment.draw_prompts(20, 0, False))
    assert prompts == list(alignment.draw_prompts(20, 0, False))
    assert prompts != list(alignment.draw_prompts(20, 1, False))
    assert 0 < sum(prompt.isascii() for prompt in prompts) < 20


def test_what_no_prompt_names_has_no_accuracy():
    seen = {"actor": "lion", "action": "eating", "scene": "snow", "speed": "slow"}
    found = alignment.score([("lion eating", seen)])
    assert (found["scene_accuracy"], found["scene_low"]) == (None, None)
    assert found["actor_accuracy"] == 1


def test_what_makes_no_clips_is_refused():
    about = replace(MODELS["cogvideo"], name="other", gives=None)
    with pytest.raises(UsageError, match="other makes no clips"):
        clips.evaluate(replace(loaded(), about=about), count=1)


def test_real_clips_of_every_pair_are_recognised():
    for held_out in (None, True):
        source = Menagerie(40, 30_000, held_out)
        clips = [Clip(source.frames(i, np.arange(9) / 2, (64, 64))[0], 2.0) for i in range(40)]
        seen, truth = alignment.judge(clips), [source.labels(i) for i in range(40)]
        for head in ("actor", "action", "scene"):
            right = [name == labels[head] for name, labels in zip(seen[head], truth, strict=True)]
            assert np.mean(right) >= 0.97


def test_a_picture_does_nothing(monkeypatch: pytest.MonkeyPatch):
    def generate(loaded, request, **options):
        frames = film(request.prompt, request.seed).frames
        return Generated(Clip(frames[[4] * 33], 8.0), {})

    monkeypatch.setattr(clips, "generate", generate)
    found = clips.evaluate(loaded(), count=6)
    assert (found["actor_accuracy"], found["action_accuracy"]) == (1, 0)
    assert all("still" in confusion["seen"] for confusion in found["confusions"])


def mean(frames: np.ndarray) -> np.ndarray:
    return np.broadcast_to(frames.mean((1, 2), keepdims=True), frames.shape)


def test_a_perfect_and_a_blind_tokenizer(obedient, monkeypatch: pytest.MonkeyPatch):
    tokenizer = SimpleNamespace(reconstruct=lambda model, frames: frames)
    monkeypatch.setattr(reconstruction, "load", lambda about: tokenizer)
    found = clips.evaluate(loaded(), count=4)
    assert found["psnr_db"] == found["psnr_foreground_db"] == pytest.approx(100)
    assert found["reconstruction_actor_accuracy"] == found["reconstruction_action_accuracy"] == 1
    tokenizer.reconstruct = lambda model, frames: mean(frames).astype(np.uint8)
    blind = clips.evaluate(loaded(), count=4)
    assert blind["psnr_foreground_db"] < blind["psnr_db"] < 25
    assert blind["reconstruction_action_accuracy"] < 1


def test_of_a_model_of_pictures_one_frame_a_clip_is_looked_at(monkeypatch: pytest.MonkeyPatch):
    looked_at: list[int] = []

    def reconstruct(model, frames):
        looked_at.append(len(frames))
        return frames

    tokenizer = SimpleNamespace(reconstruct=reconstruct)
    monkeypatch.setattr(reconstruction, "load", lambda about: tokenizer)
    real = World("menagerie", True).real(2, 0, None)
    for name in ("cogview2", "cogvideo"):
        reconstruction.reconstruction(loaded(name), real, (16, 16), None, lambda *told: None)
    assert looked_at[:2] == [1, 1]
    assert min(looked_at[2:]) > 1


def test_decibels():
    assert reconstruction.decibels(0.01) == pytest.approx(20)
    assert reconstruction.decibels(0) == pytest.approx(100)
