"""What clips are held against: the data of the card or others, with prompts and without."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dln.core.data.menagerie import HELD_OUT, describe
from dln.core.errors import UsageError
from dln.core.generation.generate import Generated
from dln.core.media.clip import Clip
from dln.core.metrics import clips, reconstruction
from dln.core.metrics.alignment import draw_prompts
from dln.core.metrics.world import Real, World, trained_on, world_of
from dln.core.models.locate import bundled, read_header
from dln.core.models.package import Loaded, load_model
from dln.core.models.registry import MODELS
from dln.core.models.system import SystemModel

SILENT = [n for n, a in MODELS.items() if a.generates and not (a.bundled or a.text)]
COUNT = 6
FRAMES, FPS, SIZE = 8, 10.0, 16


def loaded(data: object, text: bool = False) -> Loaded:
    about = replace(MODELS["video-diffusion"], name="toy", takes=("text",) if text else ())
    card = {"data": {"name": data}}
    return Loaded(SystemModel(), about, card, "", Path("toy.safetensors"), False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_video) -> Path:
    """Six clips of two seconds, each a square of one colour that crosses grey noise."""
    place, rng = tmp_path_factory.mktemp("data") / "squares", np.random.default_rng(0)
    place.mkdir()
    lines = ["file_name,text"]
    for number in range(COUNT):
        frames = rng.integers(60, 90, (20, SIZE, SIZE, 3)).astype(np.uint8)
        for moment in range(20):
            frames[moment, 4:12, moment % 8 : moment % 8 + 8, number % 3] = 250
        make_video(place / f"{number}.mkv", frames, "ffv1", FPS, "bgr0")
        lines.append(f"{number}.mkv,square {number}")
    (place / "metadata.csv").write_text("\n".join(lines))
    return place


class Clock:
    """A source whose frames show the clip's number and the moment in tenths of a second."""

    name = "clock"

    def __len__(self) -> int:
        return 3

    def duration(self, index: int) -> float:
        return (2.0, 5.0, 0.4)[index]

    def frames(self, index: int, times: np.ndarray, size: Any) -> tuple[np.ndarray, None]:
        shown = np.empty((len(times), SIZE, SIZE, 3), np.uint8)
        shown[..., 0] = index
        shown[..., 1:] = np.round(times * 10)[:, None, None, None]
        return shown, None

    def labels(self, index: int) -> None:
        return None


def test_an_excerpt_begins_where_it_still_fits():
    """Half of the time that is left over is skipped; a clip that is too short begins at once."""
    real = Real(Clock(), np.array([1, 0, 2]), np.array([0.5, 1.0, 0.5]))  # pyright: ignore
    times, starts = np.arange(10) / 10, []
    for number, row in enumerate((1, 0, 2)):
        frames, _ = real.frames(number, times, 1.0, (SIZE, SIZE))
        assert (frames[..., 0] == row).all()
        assert np.diff(frames[:, 0, 0, 1].astype(int)).tolist() == [1] * 9
        starts.append(int(frames[0, 0, 0, 1]))
    assert starts == [20, 10, 0]


def test_samples_follow_from_the_seed(folder):
    world = World(str(folder), text=False)
    first, again, other = world.real(4, 0, False), world.real(4, 0, False), world.real(4, 1, False)
    assert first.rows.tolist() == again.rows.tolist() != other.rows.tolist()
    assert first.begin.tolist() == again.begin.tolist() != other.begin.tolist()
    assert len(set(first.rows.tolist())) == len(first) == 4
    assert ((first.begin >= 0) & (first.begin < 1)).all()
    assert sorted(world.real(100, 0, False).rows) == list(range(COUNT))
    rest = world.real(4, 0, False, others=True)
    assert sorted([*first.rows, *rest.rows]) == list(range(COUNT))
    stories = World("menagerie", text=False)
    one, other = (stories.real(3, 0, False, others) for others in (False, True))
    first, second = (r.frames(0, np.zeros(1), 4.0, (SIZE, SIZE))[0] for r in (one, other))
    assert (first != second).any()


def test_the_menagerie_gives_new_stories():
    world = World("menagerie", text=True)
    real = world.real(5, 3, True)
    pairs = {(real.labels(n)["actor"], real.labels(n)["action"]) for n in range(5)}
    assert pairs <= HELD_OUT
    assert list(world.prompts(real, 5, 3, True)) == list(draw_prompts(5, 3, True))
    assert {describe(prompt)["actor"] for prompt in world.prompts(real, 5, 3, True)} <= {
        actor for actor, _ in HELD_OUT
    }


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list:
    """A generator that has learned by heart: clip i is the i-th of the sampled real ones."""
    asked = []
    world, times = World(str(folder), False), np.arange(FRAMES) / FPS
    whole, excerpts = world.real(COUNT, 0, False), world.excerpts(COUNT, 0, FRAMES, FPS)

    def generate(loaded, request, **options):
        asked.append(request)
        real = whole if loaded.about.text else excerpts
        frames, _ = real.frames(request.seed, times, FRAMES / FPS, (SIZE, SIZE))
        return Generated(Clip(frames, FPS), {}, [], {"sample": 2.0, "decode": 1.0})

    monkeypatch.setattr(clips, "generate", generate)
    return asked


def test_a_model_without_prompts_is_held_against_its_data(copied, folder):
    told = []
    found = clips.evaluate(loaded(str(folder)), COUNT, on_progress=lambda *e: told.append(e))
    assert found["frechet_distance_8"] == pytest.approx(0, abs=1e-6)
    assert found["real_clips_8"] == COUNT
    assert (found["count"], found["seconds_per_clip"]) == (COUNT, 3.0)
    assert not [key for key in found if "accuracy" in key or key in ("confusions", "psnr_db")]
    assert [(request.prompt, request.seed) for request in copied] == [("", n) for n in range(COUNT)]
    assert told[COUNT - 1 :] == [(COUNT, COUNT, "clips")] + [
        (n + 1, COUNT, "real clips") for n in range(COUNT)
    ]


def test_other_data_are_further_away(copied, folder):
    own = clips.evaluate(loaded("gone"), COUNT, data=str(folder))
    other = clips.evaluate(loaded(str(folder)), COUNT, data="menagerie")
    assert other["frechet_distance_8_low"] > own["frechet_distance_8"]
    assert other["kernel_distance_8_low"] > own["kernel_distance_8"]
    assert "actor_accuracy" not in other
    assert other["frechet_distance_8_low"] > other["frechet_distance_8_real"] > 0
    assert "frechet_distance_8_real" not in own


def test_a_model_with_prompts_is_asked_for_the_captions(copied, folder):
    found = clips.evaluate(loaded(str(folder), text=True), COUNT)
    rows = World(str(folder), True).real(COUNT, 0, False).rows
    assert [request.prompt for request in copied] == [f"square {row}" for row in rows]
    assert found["frechet_distance"] == pytest.approx(0, abs=1e-6)
    assert "actor_accuracy" not in found


def test_fewer_real_clips_than_made_ones(monkeypatch, folder):
    def generate(loaded, request, **options):
        frames = np.random.default_rng(request.seed).integers(0, 255, (FRAMES, SIZE, SIZE, 3))
        return Generated(Clip(frames.astype(np.uint8), FPS), {})

    monkeypatch.setattr(clips, "generate", generate)
    found = clips.evaluate(loaded(str(folder), text=True), 9)
    assert "only 6 clips to hold 9 against" in found["warning"]
    assert found["frechet_distance_low"] > 0


def test_what_is_not_measured_is_said():
    assert World("menagerie", text=True).notes == []
    assert World("menagerie", text=False).notes == World("squares", text=False).notes == []
    (note,) = World("squares", text=True).notes
    assert "squares" in note
    assert "cannot be judged" in note


def test_only_the_menagerie_has_held_out_pairs():
    pairs = World("menagerie", text=True)
    assert [pairs.splits(choice) for choice in (None, False, True)] == [
        (False, True), (False,), (True,)
    ]  # fmt: skip
    for world in (World("menagerie", text=False), World("squares", text=True)):
        assert world.splits(None) == (False,)
        for choice in (False, True):
            with pytest.raises(UsageError, match="no held-out pairs"):
                world.splits(choice)


def test_only_prompts_of_the_menagerie_can_rank(folder):
    for model in (loaded("menagerie"), loaded(str(folder), text=True)):
        with pytest.raises(UsageError, match="ranks"):
            clips.evaluate(model, 2, best_of=2)


@pytest.mark.parametrize(
    ("card", "data"),
    [
        ({"recipe": {"data": "digits,noise=0.2"}, "data": {"name": "digits"}}, "digits,noise=0.2"),
        ({"data": {"name": "my-videos", "fingerprint": "0"}, "recipe": ["dln train"]}, "my-videos"),
        ({"data": "menagerie, 12000 clips, seed 0"}, "menagerie"),
        ({"model": "cogvideo"}, None),
        ({"data": {"fingerprint": "0"}, "recipe": {"data": None}}, None),
    ],
)
def test_what_a_card_names(card, data):
    assert trained_on(card) == data


@pytest.mark.parametrize("name", [about.name for about in MODELS.values() if about.bundled])
def test_bundled_weights_name_their_data(name):
    data = trained_on(read_header(bundled(MODELS[name])).card)
    assert data is not None
    assert World(data, True).known


def test_data_that_nobody_names_or_that_moved(folder):
    silent = replace(loaded("x"), card={})
    with pytest.raises(UsageError, match=r"toy\.safetensors does not say") as failure:
        world_of(silent)
    assert "--data" in str(failure.value.hint)
    assert world_of(silent, str(folder)).data == str(folder)
    with pytest.raises(UsageError, match="no data set or folder named 'my-videos'") as failure:
        clips.evaluate(loaded("my-videos"), 2)
    assert "trained on my-videos" in str(failure.value.hint)
    with pytest.raises(UsageError, match="menagery") as failure:
        clips.evaluate(loaded("my-videos"), 2, data="menagery")
    assert "trained on" not in str(failure.value.hint)


def test_reconstructions_of_any_data(folder, monkeypatch: pytest.MonkeyPatch):
    """Without masks and labels the noise ratio alone: 20 log10(255 / 10) for an error of ten."""
    real, told = World(str(folder), False).real(3, 0, False), []

    def reconstruct(model: SystemModel, frames: np.ndarray) -> np.ndarray:
        return np.where(frames > 128, frames - 10, frames + 10).astype(np.uint8)

    tokenizer = SimpleNamespace(reconstruct=reconstruct)
    monkeypatch.setattr(reconstruction, "load", lambda about: tokenizer)
    found = reconstruction.reconstruction(
        loaded(str(folder)), real, (SIZE, SIZE), None, lambda *event: told.append(event)
    )
    assert found == {"psnr_db": pytest.approx(20 * np.log10(255 / 10))}
    assert told[-1] == (3, 3, "reconstructions")


@pytest.mark.parametrize("name", SILENT)
def test_any_generator_is_measured(name, folder, toy_weights):
    """Also one that makes pictures, wide clips, or what a class says; the same clips each time."""
    model = load_model(toy_weights(name))
    few = {"frames": FRAMES} if model.about.gives == "clip" else {}
    first, again = (clips.evaluate(model, 4, data=str(folder), settings=few) for _ in range(2))
    distance = next(name for name in first if name.startswith("frechet_distance"))
    assert first[f"{distance}_low"] < first[distance] < np.inf
    assert first[distance] > 0
    assert {**again, "seconds_per_clip": 0} == {**first, "seconds_per_clip": 0}
    assert "psnr_db" not in first
