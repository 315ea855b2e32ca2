"""What is shown where lines are narrow, wide, or can hold ASCII alone; and how commands end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dln.cli.main import tidied
from dln.cli.show import drawable
from dln.core.files import atomic_write
from dln.core.models.locate import bundled, read_header
from dln.core.models.package import load_model, save_model
from dln.core.models.registry import MODELS, find
from dln.core.text.rows import number, rows_of
from dln.core.training.run import Run

HOSTILE = "lion drinking\nerror: made up\x1b[2J\u202e"


@pytest.mark.parametrize("args", [["--dry-run"], ["--image", "a\nerror: b\x9b.png"]])
def test_a_prompt_or_a_name_makes_no_lines_of_its_own(dln, args):
    told = dln("generate", HOSTILE, "-s", "1", *args)
    errors = [line for line in told.err.splitlines() if line.startswith("error: ")]
    assert all("cannot be read" in line for line in errors)
    assert "\nerror" not in told.out
    assert set(told.out + told.err) & set("\x1b\x9b\u202e") == set()
    assert r"\n" in told.out + told.err


def test_names_of_files_make_no_lines_of_their_own(dln):
    for args in (["verify", HOSTILE], ["models", "show", HOSTILE], ["train", HOSTILE]):
        told = dln(*args)
        assert told.code == 2
        assert [line for line in told.err.splitlines() if line.startswith("error: made up")] == []
        assert r"\n" in told.err


@pytest.mark.parametrize(
    ("value", "shown"),
    [(14648.4375, "14,648"), (9999.4, "9999"), (9999.6, "10,000"), (-123456.7, "-123,457"),
     (97.49, "97.49"), (1.5e15, "1.5e+15"), (float("inf"), "inf"), (float("nan"), "nan"),
     (12345, "12,345"), (True, "yes"), (None, "-")],
)  # fmt: skip
def test_numbers(value, shown):
    assert number(value) == shown
    assert dict(rows_of({"a_b": {"c": value}})) == {"a b c": shown}


def test_the_memory_of_a_dry_run_in_whole_numbers(dln):
    told = dln("train", "resnet", "--preset", "resnet50", "--data", "imagenet", "--sharpness",
               "saf", "--dry-run").out  # fmt: skip
    assert "14,648" in told
    assert "e+0" not in told


def test_what_a_stream_cannot_encode_is_shown_by_its_likeness():
    assert drawable("▁▂▃▄▅▆▇█ ━─│ é", "utf-8") == "▁▂▃▄▅▆▇█ ━─│ é"
    plain = drawable("▁▂▃▄▅▆▇█ ━─│ Fréchet CO₂ …", "ascii")
    assert plain.isascii()
    assert plain.endswith("Frechet CO2 ...")
    assert drawable("лев", "ascii") == "лев"  # which the stream itself spells
    assert drawable("лев", "koi8-r") == "лев"
    assert drawable("█", None) == drawable("█", "unknown") == "#"


def test_bars_without_unicode():
    plain = {name: value for name, value in os.environ.items() if not name.startswith("LC_")}
    plain |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    plain.pop("PYTHONIOENCODING", None)
    for line in (["carbon", "compare", "--kwh", "3"], ["carbon", "schedule", "--region", "gb"]):
        code = f"from dln.cli.main import run; run({line})"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=plain,
                              check=True)  # fmt: skip
        assert done.stdout.isascii()
        assert b"\\u2" not in done.stdout
        assert b"##" in done.stdout


def test_a_card_in_a_pipe_is_as_it_stands(dln, monkeypatch):
    monkeypatch.delenv("COLUMNS")
    card = read_header(bundled(find("cogvideo"))).card
    longest = max((value for value in card.values() if isinstance(value, str)), key=len)
    assert len(longest) > 160
    assert longest in dln("models", "show", "cogvideo").out
    monkeypatch.setenv("COLUMNS", "80")
    wrapped = dln("models", "show", "cogvideo").out
    assert max(map(len, wrapped.splitlines())) <= 80


def test_a_run_is_shown_by_its_folder(dln, toy_weights):
    loaded = load_model(toy_weights("toy-gan"))
    run = Run.create("runs/mine", {"model": "toy-gan", "options": {"seed": 77, "out": "runs/mine"}})
    unfinished = dln("models", "show", "runs/mine", "--json").json
    assert (unfinished["name"], unfinished["weights"]) == ("toy-gan", "not yet")
    assert (unfinished["options"]["seed"], unfinished["card"]) == (77, None)
    save_model(run.weights, loaded.model, {"model": "toy-gan", "recipe": "a b c"})
    finished = dln("models", "show", "runs/mine", "--json").json
    assert finished["card"] == {"model": "toy-gan", "recipe": "a b c"}
    assert finished["weights_path"] == str(Path("runs/mine/model.safetensors"))
    shown = dln("models", "show", "runs/mine").out
    assert "a b c" in shown
    assert "77" in shown
    assert dln("models", "show", str(run.weights), "-q").out == f"{run.weights}\n"
    Path("runs/mine/config.toml").write_text("model = [")
    assert dln("models", "show", "runs/mine").code == 2


def test_a_model_that_no_weights_are_shipped_of_is_not_missing(dln):
    found = dln("doctor", "--json").json
    states = {check["name"]: check["status"] for check in found["checks"]}
    for name, about in MODELS.items():
        assert states[f"weights {name}"] == ("ok" if about.bundled else "untrained")
        assert f"weights {name}" not in found["missing"]


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_however_often_a_command_is_ended_nothing_is_left(tmp_path, monkeypatch, name):
    number, unlink = getattr(signal, name), os.unlink

    def interrupted(path: str) -> None:
        os.kill(os.getpid(), number)
        unlink(path)

    monkeypatch.setattr(os, "unlink", interrupted)
    folder = tmp_path / "out"
    folder.mkdir()

    def write() -> None:
        with tidied(), atomic_write(folder / "a.mp4") as file:
            file.write(b"half")
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        write()
    assert list(folder.iterdir()) == []
    assert signal.getsignal(number) == signal.SIG_DFL
