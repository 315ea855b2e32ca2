"""Generators without text: excerpts of 16 and of 128 frames, StyleGAN-V's protocol, and the
recognizer of the world that was learnt."""

import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dln.core.data import open_source
from dln.core.data.vistas import describe
from dln.core.generation.generate import Generated
from dln.core.media.clip import Clip
from dln.core.metrics import clips
from dln.core.metrics.alignment import draw_prompts
from dln.core.metrics.excerpts import PROTOCOL, Excerpts
from dln.core.metrics.i3d import I3D
from dln.core.metrics.likeness import as_published
from dln.core.metrics.world import Real, World, trained_on, world_of
from dln.core.models.package import Loaded
from dln.core.models.recognizer.judge import load_judge
from dln.core.models.registry import MODELS
from dln.core.models.system import SystemModel
from dln.core.progress import unheard

from .test_frechet import Detector, scripted
from .toy_stylegan import frames_of, toy

DATA = "vistas,camera=still"
PLACES = tuple(open_source(DATA, count=1).classes)
COUNT, FPS = 4, 4.0


def generator(data: str = DATA, **sizes: Any) -> Loaded:
    """A StyleGAN-V of a few weights that has learnt vistas at four frames a second."""
    model = toy(classes=PLACES, fps=FPS, **sizes)
    card = {"recipe": {"data": data}}
    return Loaded(model, MODELS["stylegan-v"], card, "0" * 64, Path("toy.safetensors"), False)


def seen(frames: np.ndarray, many: int) -> list[float]:
    """What `Detector` makes of the first `many` frames."""
    return [*frames[0].mean((0, 1)), *frames[many - 1].mean((0, 1))]


def distance(made: np.ndarray, real: np.ndarray) -> float:
    """The Fréchet distance as it is published: covariances divided by N, the root of their product
    by its eigenvalues."""
    a, b = (np.cov(rows, rowvar=False, bias=True) for rows in (made, real))
    roots = np.sqrt(np.maximum(np.linalg.eigvals(a @ b).real, 0)).sum()
    return float(np.square(made.mean(0) - real.mean(0)).sum() + np.trace(a + b) - 2 * roots)


def test_the_protocol_on_a_small_model(tmp_path):
    """Each number against frames that are made and drawn here, and a formula of their own."""
    model = generator()
    found = clips.evaluate(model, COUNT, i3d=scripted(tmp_path, Detector()), trust=True)
    world = world_of(model)
    places = clips.classes(model, world.real(COUNT, 0, False))
    network: Any = model.model
    film = [
        frames_of(network, seed=n, frames=128, fps=FPS, label=next(places)) for n in range(COUNT)
    ]
    for frames in (16, 128):
        real = world.excerpts(COUNT, 0, frames, FPS)
        times = np.arange(frames) / FPS
        shown = [real.frames(n, times, frames / FPS, (32, 32))[0] for n in range(COUNT)]
        made, held = (np.array([seen(each, frames) for each in all_]) for all_ in (film, shown))
        assert found[f"fvd_{frames}"] == pytest.approx(distance(made, held), rel=1e-4)
        assert found[f"frechet_distance_{frames}_low"] < found[f"frechet_distance_{frames}"]
        assert found[f"frechet_distance_{frames}_real_high"] > 0
        assert found[f"real_clips_{frames}"] == COUNT
    assert (found["size"], found["fps"], found["count"]) == ("32x32", FPS, COUNT)
    assert found["protocol"].startswith(f"not that of {PROTOCOL}: 4 clips and not 2,048")
    assert found["protocol"].endswith("another detector")
    assert found["recognizer_sha256"] == load_judge("vistas").sha256


def test_all_of_the_frames_that_are_asked_for_are_looked_at(tmp_path):
    """Clips are like real ones to the 16th frame and like nothing from there on."""
    model = generator()
    real = world_of(model).excerpts(COUNT, 0, 32, FPS)
    judged = Excerpts(
        (16, 32), load_judge("vistas"), I3D(scripted(tmp_path, Detector()), "cpu", True)
    )
    for number in range(COUNT):
        frames = real.frames(number, np.arange(32) / FPS, 8.0, (32, 32))[0].copy()
        frames[16:] = 0
        judged.add(Clip(frames, FPS))
    found = judged.against(world_of(model), 0, unheard)
    assert found["fvd_32"] > 3 * found["fvd_16"]


def test_only_the_whole_protocol_has_its_name(tmp_path):
    detector = I3D(scripted(tmp_path, Detector()), trust=True)
    assert not detector.published
    detector.published = True
    judged = Excerpts((16, 128), load_judge("vistas"), detector)
    judged.add(Clip(np.zeros((128, 8, 8, 3), np.uint8), FPS))
    assert judged.protocol(2048, {"frames": 128}) == {"protocol": PROTOCOL}
    for words in ("2,048 clips", "16 and of 128 frames", "StyleGAN-V"):
        assert words in PROTOCOL
    other = judged.protocol(100, {"frames": 128, "truncation": 0.7})["protocol"]
    assert other.endswith(": 100 clips and not 2,048; truncation=0.7")
    fewer = Excerpts((32,), load_judge("vistas"), detector)
    fewer.add(Clip(np.zeros((32, 8, 8, 3), np.uint8), FPS))
    assert fewer.protocol(2048, {})["protocol"].endswith(": of 32 frames")
    assert Excerpts((16, 128), load_judge("vistas")).protocol(100, {}) == {}


def test_published_covariances_are_divided_by_the_number_of_clips():
    rows = np.random.default_rng(0).normal(size=(7, 3))
    told = as_published(rows)
    np.testing.assert_allclose(told.mean(0), rows.mean(0))
    np.testing.assert_allclose(np.cov(told.T), np.cov(rows.T, bias=True))


class Told(Exception):
    """Ends an evaluation at its first clip."""


@pytest.mark.parametrize(
    ("text", "asked", "i3d", "expected"),
    [(False, {}, True, 2048), (False, {}, False, 200), (True, {}, True, 200)],
)
def test_how_many_clips_unless_told(tmp_path, monkeypatch, text, asked, i3d, expected):
    def tell(done: int, total: int, what: str) -> None:
        assert total == expected
        raise Told

    still = Clip(np.zeros((128, 8, 8, 3), np.uint8), FPS)
    monkeypatch.setattr(clips, "generate", lambda *a, **o: Generated(still, {}))
    about = replace(MODELS["video-diffusion"], takes=("text",) if text else ())
    model = Loaded(SystemModel(), about, {"data": {"name": DATA}}, "", Path("toy"), False)
    file = scripted(tmp_path, Detector()) if i3d else None
    with pytest.raises(Told):
        clips.evaluate(model, i3d=file, trust=True, settings=asked, on_progress=tell)


def test_neither_made_nor_real_clips_are_kept(monkeypatch):
    alive: list[weakref.ref] = []
    frames_of_real = Real.frames

    def watched(frames: np.ndarray) -> np.ndarray:
        assert sum(ref() is not None for ref in alive) <= 2  # the last made one, and one before
        alive.append(weakref.ref(frames))
        return frames

    def generate(loaded, request, **options):
        noise = np.random.default_rng(request.seed).integers(0, 255, (128, 8, 8, 3))
        return Generated(Clip(watched(noise.astype(np.uint8)), FPS), {})

    def real(self, *asked):
        frames, mask = frames_of_real(self, *asked)
        return watched(frames), mask

    monkeypatch.setattr(clips, "generate", generate)
    monkeypatch.setattr(Real, "frames", real)
    clips.evaluate(generator(), 6)
    assert len(alive) == 6 * 5 + 1  # made; real and other ones of two lengths; one to take apart


def test_classes_are_drawn_as_the_data_have_them():
    model = generator("vistas,place=lake,camera=still")
    real = world_of(model).real(30, 0, False)
    drawn = [place for place, _ in zip(clips.classes(model, real), range(30), strict=False)]
    assert set(drawn) == {"lake"}
    anywhere = world_of(generator()).real(70, 0, False)
    drawn = [place for place, _ in zip(clips.classes(model, anywhere), range(70), strict=False)]
    assert drawn == [anywhere.labels(n)["place"] for n in range(70)]
    assert len(set(drawn)) == len(PLACES)
    unlike = world_of(model, "menagerie").real(3, 0, False)
    assert next(clips.classes(model, unlike)) is None
    none = replace(model, model=toy())
    assert next(clips.classes(none, anywhere)) is None


class Films:
    """A data set of clips of 1, 2 ... seconds."""

    classes = ()

    def __len__(self) -> int:
        return 6

    def duration(self, index: int) -> float:
        return index + 1.0

    def told_for(self, seconds: float) -> "Films":
        return self


def test_short_clips_are_discarded_and_few_are_looked_at_again(monkeypatch):
    monkeypatch.setattr("dln.core.metrics.world.open_source", lambda spec, **asked: Films())
    world = World("films", False)
    real = world.excerpts(7, 0, 16, FPS)  # four seconds
    assert sorted(set(real.rows.tolist())) == [3, 4, 5]
    assert (len(real), len(set(real.begin.tolist()))) == (7, 7)
    assert np.bincount(real.rows).max() == 3
    assert len(world.excerpts(7, 0, 128, FPS)) == 0
    first, other = (world.excerpts(2, 0, 8, FPS, others=others) for others in (False, True))
    assert not {*first.rows.tolist()} & {*other.rows.tolist()}
    assert len(world.excerpts(4, 0, 8, FPS, others=True)) == 1
    assert world.excerpts(7, 0, 16, FPS).begin.tolist() == real.begin.tolist()
    assert world.excerpts(7, 1, 16, FPS).begin.tolist() != real.begin.tolist()


def test_countries_are_told_as_training_saw_them_or_longer():
    world = world_of(generator())  # 64 frames at four a second are learnt from
    short, long = (world.excerpts(5, 0, frames, FPS) for frames in (16, 128))
    assert (short.duration(0), long.duration(0)) == (16, 32)
    trained = open_source(DATA)
    fresh = {short.source.story_seed(n) for n in range(5)}  # pyright: ignore
    assert not fresh & {trained.story_seed(n) for n in range(2000)}  # pyright: ignore
    others = world.excerpts(5, 0, 16, FPS, others=True)
    assert not fresh & {others.source.story_seed(n) for n in range(5)}  # pyright: ignore
    spare = short.begin[0] * 12
    frames, _ = short.frames(0, np.zeros(1), 4.0, (16, 16))
    expected, _ = short.source.frames(int(short.rows[0]), np.array([spare]), (16, 16))
    assert (frames == expected).all()


def test_clips_with_captions_of_vistas_are_judged_by_what_they_say(monkeypatch):
    """A generator that films the country of its caption is right, one that films deserts is not."""
    about = replace(MODELS["video-diffusion"], takes=("text",))
    model = Loaded(SystemModel(), about, {"data": {"name": DATA}}, "", Path("toy"), False)
    prompts = list(draw_prompts(12, 0, False, DATA))
    assert all(describe(prompt)["place"] for prompt in prompts)
    told = open_source(DATA, count=12, seed=20_000)
    deserts = open_source(f"{DATA},place=desert", count=12, seed=1)

    def filmed(source: Any) -> dict[str, Any]:
        def generate(loaded, request, **options):
            assert request.prompt == prompts[request.seed]
            frames, _ = source.frames(request.seed, np.arange(17) / 4, (64, 64))
            return Generated(Clip(frames, 4.0), {})

        monkeypatch.setattr(clips, "generate", generate)
        return clips.evaluate(model, 12)

    right, wrong = filmed(told), filmed(deserts)
    assert right["place_accuracy"] == right["season_accuracy"] == 1
    assert wrong["place_accuracy"] < 0.5
    assert right["recognizer_sha256"] == load_judge("vistas").sha256
    assert wrong["confusions"][0]["seen"].startswith("desert")
    assert "actor_accuracy" not in right


def test_bundled_cards_may_name_a_camera():
    assert trained_on({"data": "vistas,camera=ride, 12000 clips"}) == "vistas,camera=ride"
    assert World("vistas,camera=ride", False).known == "vistas"
    assert World("digits", False).judge().sha256 == load_judge().sha256
    assert World("vistas", True).splits(None) == (False,)
