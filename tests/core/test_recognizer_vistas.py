"""The recognizer of vistas: what it is taught, hours around the clock, its weights; and that the
menagerie's computes what it did before it had a sister."""

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dln.core.data import open_source
from dln.core.data.vistas import CAMERAS, frames, truth
from dln.core.data.vistas.source import Vistas
from dln.core.errors import Interrupted, MissingCapability, UsageError
from dln.core.media.clip import Clip
from dln.core.models import locate
from dln.core.models.fields import unsaid
from dln.core.models.package import load_model, rebuild
from dln.core.models.recognizer import training, vistas
from dln.core.models.recognizer.config import Config, names_of
from dln.core.models.recognizer.judge import load_judge
from dln.core.models.recognizer.model import Model, hours_of, moments
from dln.core.models.recognizer.pictures import Picture, all_day
from dln.core.models.recognizer.system import SYSTEM
from dln.core.models.recognizer.training import RecognizerObjective, around, hours_off
from dln.core.models.recognizer.vistas import VistasStage
from dln.core.runs.train import train
from dln.core.training.events import Saved, silent
from dln.core.training.options import TrainOptions

TOY = replace(Config(image_size=32, width=24, trunk=(8, 8, 8)), **names_of("vistas"))
MICRO = {"image_size": 32, "frames": 3, "width": 16, "trunk": (8, 8, 16)}
HEADS = ("place", "season", "weather", "time", "hour")


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> VistasStage:
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vistas, "COUNTRIES", 6)
        patch.setattr(vistas, "FRESH", 4)
        made = VistasStage(Model(TOY), Vistas("still"), TrainOptions(seed=3))
    made.prepare(tmp_path_factory.mktemp("tables"), silent)
    return made


def named(picture: Picture) -> dict[str, str]:
    labels = zip(HEADS[:-1], picture.labels, strict=True)
    return {head: TOY.classes[head][label] for head, label in labels}


def test_the_data_decide_what_is_learnt():
    told = SYSTEM.fitted(Config(), open_source("vistas,camera=ride"))
    config = replace(Config(), **told)
    assert config.heads == HEADS
    assert not config.moving
    again = replace(config, **SYSTEM.fitted(config, open_source("menagerie")))
    assert again == Config()
    for silenced in (replace, lambda kept, **fields: rebuild(Config, fields)):
        with pytest.raises(UsageError, match="must have names"):
            silenced(Config(), **dict.fromkeys(told, ()))


def test_data_that_teach_too_little_are_refused():
    with pytest.raises(UsageError, match="my-videos does not say what its clips show") as failure:
        SYSTEM.fitted(TOY, SimpleNamespace(name="my-videos"))  # pyright: ignore
    assert failure.value.hint == "dln train recognizer --data vistas"
    winters = open_source("vistas,camera=ride,season=winter")
    with pytest.raises(UsageError, match="has only season=winter") as failure:
        SYSTEM.stages(Model(TOY), winters, TrainOptions())
    assert failure.value.hint == "dln train recognizer --data vistas,camera=ride"


def test_every_camera_teaches_the_named_one_most(stage):
    assert [(s.camera, len(s)) for s in stage.lands] == [("still", 6), ("ride", 3), ("panorama", 3)]
    assert len(stage) == 12 * vistas.MOMENTS
    other = VistasStage(Model(TOY), Vistas("ride"), TrainOptions())
    assert {s.camera for s in other.lands} == set(CAMERAS)
    assert len(other.lands[0]) == 2 * len(other.lands[1]) == vistas.COUNTRIES
    seeds = [{s.story_seed(row) for s in many for row in range(len(s))}
             for many in (stage.lands, stage.fresh)]  # fmt: skip
    assert not seeds[0] & seeds[1]


def test_pictures_are_what_the_camera_sees_and_labels_what_is_true(stage):
    """Those of two cameras against the world's own truth."""
    for row, source, country in ((2, stage.lands[0], 2), (7, stage.lands[1], 1)):
        vista = source.vista(country)
        times = (all_day(vistas.MOMENTS, source, country) - vista.hour) / vista.pace
        true = truth(vista, source.camera, times, (32, 32))
        seen = frames(vista, source.camera, times, (32, 32))
        for moment in (0, 1, 7):
            picture = stage.pictures[row * vistas.MOMENTS + moment]
            told = {"place": true.place, "season": true.season, "weather": true.weather}
            assert named(picture) == told | {"time": true.times_of_day[moment]}
            assert picture.hour == pytest.approx(true.hours[moment] % 24)
            assert (picture.pixels == np.moveaxis(seen[moment], -1, 0)).all()


def test_a_clip_is_examined_in_its_middle_and_at_any_moment(stage):
    source = stage.fresh[0]
    for row in range(len(source)):
        middle, moment = stage.exams[2 * row], stage.exams[2 * row + 1]
        assert named(middle) == source.labels(row)
        image = np.moveaxis(source.image(row, (32, 32)), -1, 0).astype(int)
        assert np.abs(image - middle.pixels).max() <= 1
        vista = source.vista(row)
        assert 0 <= (moment.hour - vista.hour) % 24 <= vista.pace * source.duration(row)


def test_half_of_the_moments_lie_about_sunrise_and_sunset():
    source = Vistas("still", 200)
    hours = np.stack([all_day(8, source, row) for row in range(200)])
    assert ((hours >= 0) & (hours < 24)).all()
    counts = np.histogram(hours[:, ::2], 6, (0, 24))[0]
    assert counts.min() > 0.7 * counts.mean()
    near = np.minimum(np.abs(hours[:, 1::2] - 6), np.abs(hours[:, 1::2] - 18))
    assert near.max() < 4
    assert (hours == np.stack([all_day(8, source, row) for row in range(200)])).all()


def test_lessons_depend_on_epoch_and_index_alone(stage):
    first, alone = stage.collate(np.array([3, 70]), 1), stage.collate(np.array([70]), 1)
    assert first["frames"].shape == (2, 1, 3, 32, 32)
    for name in ("frames", "labels", "hours"):
        assert torch.equal(first[name][1:], alone[name])
    assert not torch.equal(alone["frames"], stage.collate(np.array([70]), 2)["frames"])
    clean = torch.from_numpy(np.array(stage.pictures[70].pixels)).float()
    assert 0 < (alone["frames"][0, 0].float() - clean).abs().mean() < 20
    example = stage.example(2)
    assert {n: (t.shape[1:], t.dtype) for n, t in example.items()} == {
        n: (t.shape[1:], t.dtype) for n, t in first.items()
    }


def test_an_hour_between_two_parts_of_the_day_is_told_as_one():
    hours = torch.tensor([0.0, 3.25, 11.5, 23.75, 24.0])
    for parts in (24, 8):
        shares = around(hours, parts)
        assert shares.sum(1).tolist() == pytest.approx([1] * 5)
        assert (shares > 0).sum(1).max() == 2
    shares = around(hours, 24)
    assert shares[3, [23, 0]].tolist() == [0.25, 0.75]
    told = hours_of(shares.log())
    assert ((told - hours + 12) % 24 - 12).abs().max() < 0.02
    late, early = around(torch.tensor([23.0]), 24).log(), torch.tensor([1.0])
    assert float(hours_off(late, early)) == pytest.approx(2, abs=1e-4)


def test_it_learns_from_pictures_with_finite_slopes(stage):
    objective = RecognizerObjective(stage.model.network)
    batch = stage.collate(np.arange(16), 0)
    optimizer = torch.optim.AdamW(objective.parameters(), 5e-3)
    losses = []
    for _ in range(30):
        result = objective(batch)
        optimizer.zero_grad()
        result["loss"].backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in objective.parameters())
        optimizer.step()
        losses.append(result["loss"].item())
    assert losses[-1] < 0.6 * losses[0]
    assert set(result) == {"loss", "logits", *HEADS[:-1], "hours_off"}
    with torch.no_grad():
        found, clips = stage.evaluate()
    assert clips is None
    own = [found[f"{head}_accuracy"] for head in HEADS[:-1]]
    assert found["accuracy"] == pytest.approx(np.mean(own))
    assert {"worn_time_accuracy", "any_moment_time_accuracy", "ride_place_accuracy",
            "panorama_hours_off"} <= set(found)  # fmt: skip


def test_a_picture_is_a_clip_of_one_frame(stage):
    model = stage.model.eval()
    noise = np.random.default_rng(0).integers(0, 256, (3, 48, 80, 3), np.uint8)
    found = model.each_frame(noise)
    for number, frame in enumerate(noise):
        clip = Clip(frame[None], 1)
        alone = model.log_probabilities(model.features([clip]))
        assert moments(clip, TOY).shape == (9, 3, 32, 32)
        for head in HEADS:
            torch.testing.assert_close(found[head][number], alone[head][0])
    features = model.features([Clip(noise, 1)])
    assert features.shape == (1, model.network.numbers) == (1, 48)
    with pytest.raises(UsageError, match="no single frames"):
        Model(Config()).each_frame(noise)


def before(tensors: dict[str, torch.Tensor], clips: torch.Tensor) -> dict[str, torch.Tensor]:
    """The menagerie's recognizer, layer by layer, out of its file: (B, 9, 3, 64, 64) -> logits."""
    layer = {name.removeprefix("network."): tensor.float() for name, tensor in tensors.items()}

    def at(name: str) -> tuple[torch.Tensor, torch.Tensor]:
        return layer[f"{name}.weight"], layer[f"{name}.bias"]

    x = F.pixel_unshuffle((clips.flatten(0, 1) - 0.5) * 4, 2)
    x = x.contiguous(memory_format=torch.channels_last)
    for number, stride in ((1, 2), (3, 2), (5, 1), (7, 2)):
        x = F.relu(F.conv2d(x, *at(f"trunk.layers.{number}"), stride=stride, padding=1))
    x = F.layer_norm(F.linear(x.flatten(1), *at("trunk.layers.10")), (160,),
                     *at("trunk.layers.11"))  # fmt: skip
    seen = x.unflatten(0, (len(clips), 9))
    met = seen.transpose(1, 2)
    for name in ("before", "after"):
        met = met + F.relu(F.conv1d(met, *at(name), padding=1))
    still, moving = seen.mean(1), torch.cat([met.mean(2), met.amax(2)], 1)
    read = {"actor": still, "action": moving, "scene": still, "speed": moving}
    return {head: F.linear(x, *at(f"heads.{head}")) for head, x in read.items()}


def test_the_menagerie_s_recognizer_says_what_it_said():
    from safetensors.torch import load_file

    loaded = load_judge()
    clips = torch.rand(3, 9, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found, expected = loaded.model(clips), before(load_file(loaded.path), clips)
    assert list(found) == list(expected)
    for head in expected:
        torch.testing.assert_close(found[head], expected[head], rtol=0, atol=0)


def test_files_of_old_name_no_landscapes():
    header = locate.read_header(locate.locate("recognizer"))
    assert "places" not in header.config
    assert rebuild(Config, header.config) == Config()
    later = {"places", "seasons", "weathers", "times", "hours", "things", "shares"}
    assert set(unsaid(Config)) == later


def test_an_older_run_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    """Its record does not name the fields that landscapes brought."""
    monkeypatch.setattr(training, "CLIPS", 8)
    monkeypatch.setattr(training, "FRESH_CLIPS", 3)
    asked: dict[str, Any] = {"data": "menagerie", "batch": 2, "steps": 3, "precision": "fp32",
                             "checkpoint_every": 1, "device": "cpu", "workers": 0,
                             "config": MICRO}  # fmt: skip
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train("recognizer", TrainOptions(**asked, out=whole), silent)

    def stop(event: Any) -> None:
        if isinstance(event, Saved):
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        train("recognizer", TrainOptions(**asked, out=stopped), stop)
    record = (stopped / "config.toml").read_text()
    older = re.sub(r"(?m)^(places|seasons|weathers|times|hours) = .*\n", "", record)
    assert record.count("\n") - older.count("\n") == 5
    (stopped / "config.toml").write_text(older)
    train("recognizer", TrainOptions(out=stopped, resume=True, device="cpu", workers=0), silent)
    first, second = (load_model(run).model for run in (whole, stopped))
    assert first.config == second.config
    state = second.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in first.state_dict().items())


def test_a_judge_is_asked_for_by_its_world(monkeypatch):
    assert load_judge("menagerie") is load_judge()
    with pytest.raises(MissingCapability, match="no recognizer that comes along knows"):
        load_judge("my-videos")
    assert load_judge("vistas,camera=ride,season=winter") is load_judge("vistas")
    monkeypatch.setattr(locate, "files", lambda package: locate.Path("nowhere"))
    with pytest.raises(MissingCapability, match="recognizer-vistas comes without") as failure:
        load_model("recognizer-vistas")
    assert failure.value.hint == "dln train recognizer --data vistas"
    with pytest.raises(UsageError, match="recognizer-vistas"):
        locate.locate("recognizer-vista")


def judged(camera: str, count: int) -> tuple[dict[str, float], list[float]]:
    """Each head's share of right answers on countries that never taught, in the middle of clips,
    and how far the hours are off."""
    source = Vistas(camera, count, 4321, held_out=True)
    model: Any = load_judge("vistas").model
    pictures = np.stack([source.image(row, (64, 64)) for row in range(count)])
    found = model.each_frame(pictures)
    names = model.config.classes
    right = {}
    for head in HEADS[:-1]:
        seen = [names[head][i] for i in found[head].argmax(-1).tolist()]
        true = [source.labels(row)[head] for row in range(count)]
        right[head] = float(np.mean([a == b for a, b in zip(seen, true, strict=True)]))
    hours = [float(source.vista(row).hours(np.array([2.0]))[0]) for row in range(count)]
    off = (hours_of(found["hour"]).numpy() - hours + 12) % 24 - 12
    return right, np.abs(off).tolist()


def test_bundled_weights_know_fresh_landscapes():
    right, off = judged("still", 200)
    assert min(right.values()) >= 0.97, right
    assert np.median(off) < 0.3


@pytest.mark.parametrize("camera", ["ride", "panorama"])
def test_bundled_weights_know_them_from_other_cameras(camera):
    right, _ = judged(camera, 30)
    assert min(right.values()) >= 0.9, right


def test_the_hour_moves_on_in_clips_of_clear_skies():
    source = Vistas("still", 60, 987, held_out=True)
    model: Any = load_judge("vistas").model
    rows = [row for row in range(60) if source.vista(row).weather == "clear"][:12]
    moved, true = [], []
    for row in rows:
        seen, _ = source.frames(row, np.linspace(0, 4, 9), (64, 64))
        hours = hours_of(model.each_frame(seen)["hour"]).numpy()
        moved.append(float(((np.diff(hours) + 12) % 24 - 12).sum()))
        true.append(4 * source.vista(row).pace)
    assert np.mean(np.array(moved) > 0) >= 0.9
    assert np.median(np.abs(np.array(moved) - true)) < 0.3
