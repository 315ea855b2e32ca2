"""Runs and files of weights: listed beside what came with dln, shown, and removed when asked."""

import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dln.cli import models
from dln.core.files import LOCK, locked
from dln.core.models.registry import MODELS
from dln.core.runs.shelf import measure
from dln.core.training.run import Run

WEIGHTS = Path(__file__).parents[2] / "core" / "weights"


@pytest.fixture
def run(toy_weights: Callable[[str], Path]) -> Path:
    """runs/mine, finished, with a file of the user's in it."""
    made = Run.create(Path("runs") / "mine", {"model": "toy-gan", "options": {"seed": 3}})
    made.log({"stage": "adversarial", "step": 1, "loss": 2.5})
    (made.state / "adversarial").mkdir()
    shutil.copy(toy_weights("toy-gan"), made.weights)
    return made.path


def unfinished(name: str = "begun") -> Path:
    made = Run.create(Path("runs") / name, {"model": "toy-gan"})
    made.log({"stage": "adversarial", "step": 1, "loss": 3.0})
    made.log({"stage": "adversarial", "step": 2, "metrics": {"frechet_distance": 812.5}})
    return made.path


def listed(dln) -> dict[str, dict]:
    return {each["name"]: each for each in dln("models", "list", "--json").json["weights"]}


def bytes_below(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def test_the_list_has_runs_and_files_beside_what_is_bundled(dln, run, toy_weights):
    unfinished()
    shutil.copy(toy_weights("toy-gan"), "sky.safetensors")
    Path("strange.safetensors").write_bytes(b"nothing of ours")
    (Path("runs") / "other").mkdir()
    (Path("runs") / "other" / "config.toml").write_text("theirs = 1")
    found = listed(dln)
    assert {"cogvideo", "recognizer-vistas", "video-diffusion"} <= found.keys()
    own = {name: each for name, each in found.items() if each["state"] != "bundled"}
    assert {name: (each["model"], each["state"]) for name, each in own.items()} == {
        "runs/begun": ("toy-gan", "not finished"),
        "runs/mine": ("toy-gan", "trained"),
        "sky.safetensors": ("toy-gan", "weights"),
    }
    assert own["runs/mine"]["size_bytes"] == bytes_below(run)
    assert own["runs/begun"]["measure"] == "adversarial frechet distance 812.5"
    assert own["runs/mine"]["measure"] == "adversarial loss 2.5"  # the card has none
    age = datetime.now(UTC) - datetime.fromisoformat(own["runs/mine"]["written"])
    assert age.total_seconds() < 600
    names = dln("models", "list", "--quiet").out.splitlines()
    assert names == [*MODELS, "runs/begun", "runs/mine", "sky.safetensors"]
    assert "not finished" in dln("models", "list").out


def test_a_run_is_shown_with_where_it_stands(dln, run):
    shown = dln("models", "show", "runs/mine", "--json").json
    assert (shown["state"], shown["weights"], shown["name"]) == ("trained", "trained", "toy-gan")
    assert shown["size_bytes"] == bytes_below(run)
    assert shown["options"] == {"seed": 3}
    assert dln("models", "show", str(unfinished()), "--json").json["state"] == "not finished"


def test_what_is_being_trained_says_so_and_stays(dln, run):
    def never() -> None:
        raise AssertionError("it is locked here first")

    with locked(run / LOCK, never):
        assert listed(dln)["runs/mine"]["state"] == "training"
        refused = dln("models", "rm", "runs/mine", "--yes")
    assert refused.code == 2
    assert "being trained by another process" in refused.err
    assert (run / "model.safetensors").is_file()
    assert listed(dln)["runs/mine"]["state"] == "trained"


def test_a_run_is_removed_and_what_it_did_not_write_stays(dln, run):
    (run / "notes.txt").write_text("mine")
    removed = dln("models", "rm", "runs/mine", "--yes", "--json")
    assert (removed.code, removed.json["left"]) == (0, ["notes.txt"])
    assert os.listdir(run) == ["notes.txt"]
    gone = unfinished()
    assert dln("models", "rm", str(gone), "-y").code == 0
    assert not gone.exists()


def test_a_file_is_removed(dln, toy_weights):
    shutil.copy(toy_weights("toy-gan"), "sky.safetensors")
    outcome = dln("models", "rm", "sky.safetensors", "--yes", "--quiet")
    assert (outcome.code, outcome.out) == (0, "sky.safetensors\n")
    assert os.listdir() == []


@pytest.mark.parametrize(("answer", "stays"), [("n\n", True), ("y\n", False)])
def test_it_asks_first(dln, run, monkeypatch, answer, stays):
    class Keyboard:
        def isatty(self) -> bool:
            return True

        def readline(self, *_: int) -> str:
            return answer

    monkeypatch.setattr(models.sys, "stdin", Keyboard())
    monkeypatch.setattr("builtins.input", lambda *_: answer.strip())
    outcome = dln("models", "rm", "runs/mine")
    assert run.exists() == stays
    assert outcome.code == (130 if stays else 0)
    assert "Remove runs/mine (toy-gan, " in outcome.err
    assert (outcome.out.strip() == "") == stays


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_where_nobody_can_answer_nothing_goes(dln, run, flags):
    outcome = dln("models", "rm", "runs/mine", *flags)
    assert outcome.code == 2
    assert "--yes" in outcome.err + outcome.out
    assert (run / "model.safetensors").is_file()


def linked(run: Path) -> str:
    Path("link").symlink_to(run)
    return "link"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (lambda run: "cogvideo", "came with dln"),
        (lambda run: "recognizer-vistas", "came with dln"),
        (lambda run: str(WEIGHTS / "recognizer-tiny.safetensors"), "came with dln"),
        (lambda run: str(run / "model.safetensors"), "belongs to a run"),
        (lambda run: "runs", "runs is not a run"),
        (lambda run: "nothing", "no model, run or file"),
        (lambda run: "words.safetensors", "words.safetensors is damaged"),
        (linked, "a link to a run"),
    ],
)
def test_what_is_not_removed(dln, run, name, words):
    Path("words.safetensors").write_text("words")
    before = sorted(path for path in Path().rglob("*"))
    outcome = dln("models", "rm", name(run), "--yes")
    assert outcome.code in (1, 2)
    assert words in outcome.err
    Path("link").unlink(missing_ok=True)
    assert sorted(path for path in Path().rglob("*")) == before
    assert (WEIGHTS / "recognizer-tiny.safetensors").is_file()


def test_of_several_metrics_the_last_stage_s_first():
    assert measure({}) is None
    assert measure({"a": {"loss": 1.0}, "b": {}}) == "a loss 1"
    assert measure({"a": {"loss": 1.0}, "b": {"loss": 2.0, "psnr": 30.25}}) == "b psnr 30.25"
    assert measure({"a": {"curl": 0.5}}) == "a curl 0.5"
    assert measure(json.loads('{"a": 3, "b": {"psnr": "x"}}')) is None
