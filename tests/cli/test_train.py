"""`dln train`: what reaches core, what is said while it runs, where the weights are."""

import os
import sys
from pathlib import Path

import pytest
from PIL import Image

from dln.cli import train
from dln.cli.train import parse_overrides, parse_rates, parse_steps
from dln.core.models.registry import find


def test_the_weights_alone_on_stdout(dln, training):
    outcome = dln("train", "cogvideo", "--out", "runs/mine")
    assert outcome.code == 0
    assert outcome.out == "runs/mine/model.safetensors\n"
    assert 'next: dln generate "lion drinking" --model runs/mine' in outcome.err
    assert "tokenizer finished: 2 steps in 0:02" in outcome.err
    assert "psnr 21" in outcome.err


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a red ball bounces", "'a red ball bounces'"), ("it's a dog", "'it'\"'\"'s a dog'"),
     ("word " * 40, f"'{' '.join(['word'] * 8)}'"), ("-x", "PROMPT"), (None, "PROMPT")],
)  # fmt: skip
def test_what_comes_next_is_in_the_words_of_the_users_captions(monkeypatch, text, shown):
    monkeypatch.setattr(train, "recorded", lambda run: {"options": {"data": "my-pictures"}})
    if text is not None:
        Path("my-pictures").mkdir()
        Image.new("RGB", (8, 8)).save("my-pictures/a.png")
        Path("my-pictures/a.txt").write_text(text)
    line = train.generation_line(find("cogvideo"), Path("runs/mine"))
    assert line == f"dln generate {shown} --model runs/mine"


def test_quiet(dln, training):
    outcome = dln("train", "cogvideo", "--quiet")
    assert (outcome.out, outcome.err) == ("runs/cogvideo/model.safetensors\n", "")


def test_json(dln, training):
    outcome = dln("train", "cogvideo", "--json")
    assert outcome.err == ""
    assert outcome.json == {
        "command": "train",
        "model": "cogvideo",
        "run": "runs/cogvideo",
        "finished": True,
        "path": "runs/cogvideo/model.safetensors",
        "stages": {"tokenizer": {"steps": 2, "seconds": 1.5, "metrics": {"psnr": 21.0}}},
    }


def test_options_reach_core(dln, training):
    dln(
        *("train", "cogvideo", "--preset", "paper", "--stage", "keyframes", "--batch", "4"),
        *("--steps", "tokenizer=5", "--steps", "keyframes=6", "--lr", "1e-4", "--seed", "3"),
        *("--precision", "fp32", "--no-compile", "--accumulate", "2", "--workers", "0"),
        *("--checkpoint-every", "10", "--evaluate-every", "20", "--device", "cpu"),
        *("--set", "width=96", "--set", "tokenizer.code_dim=8", "--data", "menagerie", "--force"),
    )
    options = training.trainings[0]
    assert options.steps == {"tokenizer": 5, "keyframes": 6}
    assert options.config == {"width": 96, "tokenizer": {"code_dim": 8}}
    assert (options.batch, options.lr, options.seed) == (4, 1e-4, 3)
    assert (options.precision, options.compile, options.accumulate) == ("fp32", False, 2)
    assert (options.checkpoint_every, options.evaluate_every) == (10, 20)
    assert (options.force, options.resume, options.stage) == (True, False, "keyframes")


def test_config_file(dln, training):
    Path("mine.toml").write_text(
        'model = "cogvideo"\nbatch = 8\ncompile = true\nout = "runs/other"\n'
        '[steps]\ntokenizer = 7\n[lr]\ndecoder = 1e-3\n[set]\nwidth = 96\nname = "x"\n'
    )
    dln("train", "--config", "mine.toml", "--batch", "2")
    options = training.trainings[0]
    assert (options.batch, options.compile, options.steps) == (2, True, {"tokenizer": 7})
    assert options.lr == {"decoder": 1e-3}
    assert options.config == {"width": 96, "name": "x"}
    assert options.out == Path("runs/other")


def test_resume_finds_the_latest_run_of_the_model(dln, training):
    runs = [("b", "cogvideo"), ("a", "cogvideo"), ("c", "other")]
    for age, (name, model) in enumerate(runs):
        Path("runs", name).mkdir(parents=True)
        Path("runs", name, "config.toml").write_text(f'schema = "dln-run-1"\nmodel = "{model}"')
        os.utime(Path("runs", name, "config.toml"), (1000 + age, 1000 + age))
    for name, text in (("d", 'model = "cogvideo"'), ("e", "schema = "), ("f", 40_000 * "[")):
        Path("runs", name).mkdir()
        Path("runs", name, "config.toml").write_text(text)  # later ones, and no runs
    dln("train", "cogvideo", "--resume")
    dln("train", "cogvideo", "--resume", "--out", "runs/b")
    assert [options.out for options in training.trainings] == [Path("runs/a"), Path("runs/b")]
    assert all(options.resume for options in training.trainings)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nothing"], "nothing"),
        (["cogvideo", "--steps", "many"], "--steps takes N or STAGE=N"),
        (["cogvideo", "--steps", "-3"], "--steps takes N or STAGE=N"),
        (["cogvideo", "--steps", "0"], "--steps must be above 0"),
        (["cogvideo", "--steps", "3", "--steps", "tokenizer=4"], "give it once"),
        (["cogvideo", "--batch", "0"], "--batch"),
        (["cogvideo", "--lr", "0"], "--lr must be above 0"),
        (["cogvideo", "--lr", "decoder=-1"], "--lr must be above 0"),
        (["cogvideo", "--lr", "decoder=fast"], "--lr takes N or PLAYER=N"),
        (["cogvideo", "--lr", "1", "--lr", "decoder=2"], "--lr N goes for every player"),
        (["cogvideo", "--set", "width"], "--set takes KEY=VALUE"),
        (["cogvideo", "--set", "=3"], "--set takes KEY=VALUE"),
        (["cogvideo", "--set", "a=1", "--set", "a.b=2"], "both a value and a group"),
        (["cogvideo", "--precision", "fp8"], "'fp8' is not one of"),
        (["cogvideo", "--resume"], "no run of cogvideo"),
    ],
)
def test_mistakes(dln, training, args, words):
    outcome = dln("train", *args)
    assert (outcome.code, outcome.out) == (2, "")
    assert words in outcome.err
    as_json = dln("train", *args, "--json")
    assert as_json.code == as_json.json["error"]["code"] == 2
    assert words in as_json.json["error"]["message"]
    assert training.trainings == []


@pytest.mark.parametrize(
    ("words", "steps"),
    [([], None), (["10"], 10), (["a=1", "b=2"], {"a": 1, "b": 2})],
)
def test_steps(words, steps):
    assert parse_steps(words) == steps


@pytest.mark.parametrize(
    ("words", "rates"),
    [([], None), (["1e-3"], 1e-3), (["g=2e-3", "d=1"], {"g": 2e-3, "d": 1.0})],
)
def test_rates(words, rates):
    assert parse_rates(words) == rates


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("x=1", 1),
        ("x=1e-3", 1e-3),
        ("x=true", True),
        ("x=[1, 2]", [1, 2]),
        ("x=words of text", "words of text"),
        ("x=a=b", "a=b"),
        ("x=", ""),
        ('x="1"', "1"),
        ("x=1\ny=2", "1\ny=2"),
    ],
)
def test_overrides(word, value):
    assert parse_overrides([word]) == {"x": value}


def test_dry_run_resolves_without_training(dln, monkeypatch):
    pytest.importorskip("torch")
    outcome = dln("train", "cogvideo", "--dry-run", "--json", "--set", "width=128", "--seed", "2")
    assert outcome.json["configuration"]["width"] == 128
    assert outcome.json["options"]["seed"] == 2
    assert not Path("runs").exists()


HANGS_UP = """
import os, sys, time
from dln.cli import main
from dln.core.errors import Interrupted
from dln.core.runs import train as runs
from dln.core.training.events import Note
from dln.core.training.stop import StopSignals

def training(name, options, tell, *rest):
    with StopSignals() as stop:
        os.write(int(os.environ["READY"]), b"!")
        until = time.monotonic() + 20
        while not stop.requested and time.monotonic() < until:
            time.sleep(0.02)
        tell(Note("nobody sees this"))
        raise Interrupted("stopped, checkpoint saved")

runs.train = training
raise SystemExit(main.run(sys.argv[1:]))
"""


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_terminal_that_is_closed_stops_a_training_as_ctrl_c_does(options):
    pty = pytest.importorskip("pty")
    hear, tell = os.pipe()
    os.set_inheritable(tell, True)
    child, terminal = pty.fork()
    if not child:
        words = ["-c", HANGS_UP, "train", "resnet", "--data", "digits", *options]
        os.execve(sys.executable, [sys.executable, *words], os.environ | {"READY": str(tell)})
    os.close(tell)
    assert os.read(hear, 1) == b"!"
    os.close(hear)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 130


def test_a_tracker_that_is_not_installed_is_told_at_once(dln, training, monkeypatch):
    monkeypatch.setattr("dln.core.runs.tracking.find_spec", lambda name: None)
    for dry in ([], ["--dry-run"]):
        outcome = dln("train", "cogvideo", "--track", "wandb", *dry)
        assert (outcome.code, outcome.out) == (3, "")
        assert "wandb is not installed" in outcome.err
        assert "[wandb]" in outcome.err
    assert training.trainings == []


def test_trackers_reach_core(dln, training, monkeypatch):
    monkeypatch.setattr("dln.core.runs.tracking.find_spec", lambda name: name)
    dln("train", "cogvideo", "--track", "tensorboard", "--track", "trackio")
    assert training.trainings[0].track == ("tensorboard", "trackio")
    dln("train", "cogvideo", "--force")
    assert training.trainings[1].track == ()
    assert dln("train", "cogvideo", "--track", "mlflow").code == 2
