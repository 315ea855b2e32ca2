"""From options to a run, with a small model of two stages in the registry's place."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from dln.core.carbon.grid.sources import open_source
from dln.core.carbon.meter.emissions import Emissions
from dln.core.carbon.meter.recorder import Place
from dln.core.carbon.places.regions import find
from dln.core.errors import Interrupted, MissingCapability, UsageError
from dln.core.models.fields import limited
from dln.core.runs.build import override
from dln.core.runs.start import extended
from dln.core.text.vocabulary import Vocabulary
from dln.core.training.accelerator import create_accelerator
from dln.core.training.events import Event, Finished, Note, Started
from dln.core.training.run import Run

from .toy_run import Config, Inner, Model, Part, Whole, World, kept, same

DAY = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC))


def test_all_stages_in_order(world: World, go: Callable[..., Path]):
    events: list[Event] = []
    path = go(events.append, config={"width": 20, "inner": {"sizes": [5]}}, lr=0.02)
    assert world.events == ["prepare first", "finish first", "prepare second", "finish second"]
    assert [e.stage for e in events if isinstance(e, Started)] == ["first", "second"]
    assert [e.stage for e in events if isinstance(e, Finished)] == ["first", "second"]
    assert events[0] == Note("device cpu, precision fp32, seed 0")
    card = world.cards[0]
    assert card["model"] == "toy"
    assert card["steps"] == {"first": 6, "second": 6}
    assert card["metrics"]["first"]["mse"] > 0
    assert card["recipe"]["lr"] == 0.02
    assert card["recipe"]["config"] == {"width": 20, "inner": {"sizes": [5]}}
    assert card["data"] == {"name": "menagerie", "fingerprint": "abc"}
    assert "out" not in card["recipe"]
    config = Run.open(path).config
    assert config["config"] == {"width": 20, "inner": {"sizes": [5]}}
    assert config["options"]["preset"] == "tiny"


def test_stages_one_by_one_end_like_all(world: World, go: Callable[..., Path], tmp_path: Path):
    whole = go()
    parts = tmp_path / "parts"
    notes: list[Event] = []
    go(notes.append, out=parts, stage="first")
    assert not (parts / "model.safetensors").exists()
    assert Note(f"next: dln train toy --resume --out {parts} --stage second") in notes
    go(out=parts, stage="second", resume=True)
    assert same(whole, parts)


def test_a_finished_stage_asked_for_again_leaves_the_others(go: Callable[..., Path]):
    path = go()
    before = kept(path)
    for stage in ("first", "second"):
        (path / "model.safetensors").unlink()
        go(stage=stage, resume=True)
        after = kept(path)
        assert all(torch.equal(after[name], value) for name, value in before.items())


def test_interrupted_and_resumed_ends_like_all(
    world: World, go: Callable[..., Path], tmp_path: Path
):
    whole, path = go(seed=3, steps={"first": 5}), tmp_path / "stopped"
    for name in ("first", "second"):
        world.events.append(f"stop {name} 2")
        options = {"resume": True} if path.exists() else {"seed": 3, "steps": {"first": 5}}
        with pytest.raises(Interrupted):
            go(out=path, **options)
        world.events.remove(f"stop {name} 2")
    events: list[Event] = []
    go(events.append, out=path, resume=True)
    assert Note("stage 'first' is finished (5 steps)") in events
    assert Started("second", 2, 6, 40, 102) in events
    assert same(whole, path)
    assert world.cards[0]["steps"] == world.cards[1]["steps"] == {"first": 5, "second": 6}
    assert world.cards[1]["seed"] == 3


def half_done(world: World, go: Callable[..., Path], folder: Path) -> Path:
    """A run that was stopped in its first stage."""
    path = folder / "older"
    world.events.append("stop first 2")
    with pytest.raises(Interrupted):
        go(out=path)
    world.events.remove("stop first 2")
    return path


def test_a_run_older_than_a_field_goes_on_as_it_began(
    world: World, go: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole, path = go(), half_done(world, go, tmp_path)

    @dataclass(frozen=True)
    class Newer(Config):
        rule: str = limited("new", unsaid="old")

    monkeypatch.setattr(Whole, "Config", Newer)
    monkeypatch.setattr(Whole, "PRESETS", {"tiny": Newer()})
    for _ in range(2):
        go(out=path, resume=True)
        assert Run.open(path).config["config"]["rule"] == "old"
    assert same(whole, path)
    assert Run.open(go(out=tmp_path / "newer")).config["config"]["rule"] == "new"


def test_a_run_goes_on_in_its_own_sizes_where_the_preset_is_another(
    world: World, go: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """With a part that was left out, which the preset has by now; recorded as before."""
    whole, path = go(), half_done(world, go, tmp_path)

    @dataclass(frozen=True)
    class Newer(Config):
        part: Inner | None = field(default=None, metadata={"unsaid": None})

    monkeypatch.setattr(Whole, "Config", Newer)
    monkeypatch.setattr(Whole, "PRESETS", {"tiny": Newer(width=32, part=Inner())})
    before = Run.open(path).config
    for _ in range(2):
        go(out=path, resume=True)
        after = Run.open(path).config
        assert (after["config"], after["overrides"]) == (before["config"], before["overrides"])
    assert same(whole, path)
    assert world.cards[-1]["recipe"]["config"] == before["overrides"]


def test_a_damaged_configuration_is_told(world: World, go: Callable[..., Path], tmp_path: Path):
    path = go(out=tmp_path / "damaged")
    text = (path / "config.toml").read_text()
    damaged = re.sub(r"(?m)^width = \d+$", 'width = "many"', text)
    assert damaged != text
    (path / "config.toml").write_text(damaged)
    with pytest.raises(UsageError, match=r"the \[config\] of .*config.toml cannot be used"):
        go(out=path, resume=True)


def test_every_session_is_metered(world: World, go: Callable[..., Path], tmp_path: Path):
    path = tmp_path / "metered"
    world.events.append("stop first 2")
    with pytest.raises(Interrupted):
        go(out=path)
    world.events.remove("stop first 2")
    first = Emissions.load(path)
    assert (first.what, first.region, first.kg) == ("dln train toy", None, None)
    assert first.running_seconds > 0
    place = Place(find("norway"), open_source("annual", find("norway")), 1.3)
    go(out=path, resume=True, place=place)
    whole = Emissions.load(path)
    assert whole.intervals[: len(first.intervals)] == first.intervals
    assert whole.submitted == first.submitted
    assert whole.kg == pytest.approx(whole.kwh * place.source.series(*DAY).g_per_kwh[0] / 1000)
    before = (path / "emissions.json").read_bytes()
    with pytest.raises(UsageError, match="exists"):
        go(out=path)
    assert (path / "emissions.json").read_bytes() == before


def test_a_record_that_cannot_be_read_is_put_aside(
    world: World, go: Callable[..., Path], tmp_path: Path
):
    path = tmp_path / "metered"
    world.events.append("stop first 2")
    with pytest.raises(Interrupted):
        go(out=path)
    world.events.remove("stop first 2")
    (path / "emissions.json").write_text('{"what": 5')
    go(out=path, resume=True)
    assert (path / "damaged-emissions.json").read_text() == '{"what": 5'
    assert Emissions.load(path).running_seconds > 0


def test_a_stage_needs_the_earlier_ones(go: Callable[..., Path]):
    with pytest.raises(UsageError, match="stage 'second' needs 'first'") as caught:
        go(stage="second")
    assert "--stage first" in (caught.value.hint or "")


def test_a_stage_that_needs_no_other_may_go_first(
    go: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Part, "needs", ())
    state = go(stage="second") / "state"
    assert (state / "second" / "final.safetensors").exists()
    assert not (state / "first").exists()


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Weights to start from: all ones, of a width that no preset has."""
    model = Model(Config(width=20), SimpleNamespace(words=["lion", "eats"]))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
    found = SimpleNamespace(model=model, sha256="1" * 64)
    monkeypatch.setattr("dln.core.runs.train.open_start", lambda name, model: found)
    return found


def test_training_begins_from_weights_there_are(
    world: World, go: Callable[..., Path], start: SimpleNamespace
):
    path = go(start_from="old", stage="second", lr=1e-9)
    assert (path / "model.safetensors").exists(), "the other stages are what they were"
    assert world.cards[0]["start"] == {"sha256": "1" * 64}
    assert world.cards[0]["recipe"]["start_from"] == "old"
    assert Run.open(path).config["config"]["width"] == 20
    assert "preset" not in Run.open(path).config["options"]
    start.sha256 = "2" * 64
    with pytest.raises(UsageError, match=r"what it starts from .* changed"):
        go(resume=True)


def test_weights_bring_their_own_size(go: Callable[..., Path], start: SimpleNamespace):
    with pytest.raises(UsageError, match="leave out --preset"):
        go(start_from="old", preset="tiny")
    with pytest.raises(UsageError, match="have another width"):
        go(start_from="old", config={"width": 8})


def test_words_that_the_weights_know_keep_their_rows():
    from dln.core.models.cogvideo.system import SYSTEM

    small = override(SYSTEM.PRESETS["tiny"], {"width": 8, "layers": 1, "large": False})
    old: Any = SYSTEM.Model(small, Vocabulary(["lion", "eats"]))
    torch.manual_seed(0)
    fresh: Any = SYSTEM.Model(small, Vocabulary(["lion", "eats", "cat"]))
    torch.manual_seed(0)
    source: Any = SimpleNamespace(words=lambda: ["cat", "lion"])
    new: Any = extended(SYSTEM, old, {}, source)
    assert new.reader.words == ["lion", "eats", "cat"]
    assert torch.equal(new.image.tokens.weight[:-1], old.image.tokens.weight)
    assert torch.equal(new.image.tokens.weight[-1], fresh.image.tokens.weight[-1])
    assert torch.equal(new.tokenizer.codebook.codes, old.tokenizer.codebook.codes)


def test_a_missing_gpu():
    if torch.cuda.is_available():
        pytest.skip("has a GPU")
    with pytest.raises(MissingCapability, match="no CUDA device") as caught:
        create_accelerator("cuda:1")
    assert caught.value.exit_code == 3


def test_ctrl_c_while_preparing(go: Callable[..., Path], monkeypatch: pytest.MonkeyPatch):
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Part, "prepare", stop)
    with pytest.raises(Interrupted) as caught:
        go()
    assert "--resume" in (caught.value.hint or "")


def test_global_generators_do_not_matter(go: Callable[..., Path], tmp_path: Path):
    torch.manual_seed(5)
    first = go()
    torch.manual_seed(6)
    np.random.seed(1)
    assert same(first, go(out=tmp_path / "again"))
