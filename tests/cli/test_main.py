"""The contract of the console: what goes where, which exit code, which words."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dln.cli.main import run, tree
from dln.core.errors import Interrupted, MissingCapability, UsageError

ROOT = Path(__file__).parents[2]


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """("models show", command) for every command that does something."""
    children = getattr(command, "commands", {})
    for name, child in children.items():
        yield from leaves(child, (*path, name))
    if not children:
        yield " ".join(path), command


COMMANDS = dict(leaves(tree()))


def examples(command: Any) -> list[str]:
    _, _, text = command.help.partition("Examples:\n")
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_version(dln):
    assert dln("--version").out.startswith("dln ")


def test_bare_dln_prints_its_help(dln):
    outcome = dln()
    assert outcome.code == 0
    assert "generate" in outcome.out


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help(dln, name, flag):
    outcome = dln(*name.split(), flag)
    assert outcome.code == 0
    assert f"dln {name}" in outcome.out
    assert "Examples:" in outcome.out


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_parse(name):
    command = COMMANDS[name]
    lines = examples(command)
    assert lines
    for line in lines:
        assert line.startswith(f"dln {name}")
        words = shlex.split(line)[1 + len(name.split()) :]
        command.make_context(name, words)


@pytest.mark.parametrize("name", COMMANDS)
def test_shared_options_are_spelt_alike(name):
    spelling = {flag for param in COMMANDS[name].params for flag in param.opts}
    assert {"--json", "--quiet", "-q", "--verbose", "-v"} <= spelling
    for long, short in (("--seed", "-s"), ("--out", "-o")):
        assert (long in spelling) == (short in spelling)


@pytest.mark.parametrize("name", COMMANDS)
def test_readme_mentions_every_command(name):
    *groups, last = name.split()
    pattern = " ".join(["dln", *groups, rf"(\w+\|)*{last}\b"])
    assert re.search(pattern, (ROOT / "README.md").read_text(encoding="utf-8"))


MISTAKES = [
    (["models", "list", "--bogus"], "models list", "--bogus"),
    (["train"], "train", "Missing argument"),
    (["generate", "x", "--frames", "0"], "generate", "--frames"),
    (["generate", "x", "--frames", "many"], "generate", "--frames"),
    (["generate", "x", "--seed", "-1"], "generate", "--seed"),
    (["generate", "x", "--seed"], "generate", "--seed"),
    (["generate", "x", "--engine", "gpu"], "generate", "'gpu' is not one of"),
    (["generate", "x", "--device", "tpu"], "generate", "tpu"),
    (["generate", "x", "y"], "generate", "unexpected"),
    (["generate", "x", "--config", "absent.toml"], "generate", "absent.toml"),
]


@pytest.mark.parametrize(("args", "command", "words"), MISTAKES)
def test_a_mistake_is_one_sentence(dln, args, command, words):
    outcome = dln(*args)
    assert outcome.code == 2
    assert outcome.out == ""
    first, *rest = outcome.err.splitlines()
    assert first.startswith("error: ")
    assert words in first
    assert len(rest) <= 1
    assert all(line.startswith("try: dln") for line in rest)
    assert "Value error" not in outcome.err


@pytest.mark.parametrize(("args", "command", "words"), MISTAKES)
def test_a_mistake_is_one_object_under_json(dln, args, command, words):
    depth = len(command.split())
    outcome = dln(*args[:depth], "--json", *args[depth:])
    assert outcome.code == 2
    assert outcome.err == ""
    assert set(outcome.json) == {"command", "error"}
    assert set(outcome.json["error"]) == {"message", "hint", "code"}
    assert outcome.json["command"] == command
    assert outcome.json["error"]["code"] == 2
    assert words in outcome.json["error"]["message"]


@pytest.mark.parametrize(
    ("args", "words"),
    [(["nonsense"], "No such command"), (["genrate"], "generate"), (["models", "shew"], "show")],
)
def test_a_misspelt_command(dln, args, words):
    assert words in dln(*args).err
    outcome = dln(*args, "--json")
    assert outcome.code == outcome.json["error"]["code"] == 2
    assert words in outcome.json["error"]["message"]


def test_a_group_alone_says_what_is_missing(dln):
    outcome = dln("models")
    assert outcome.code == 2
    assert "try: dln models --help" in outcome.err


@pytest.mark.parametrize(
    "error", [UsageError("no.", "yes"), MissingCapability("no."), Interrupted("saved.", "go on")]
)
def test_errors_of_core(dln, core, error):
    core.raises = error
    outcome = dln("generate", "lion", "--seed", "1")
    assert outcome.code == error.exit_code
    assert f"error: {error.message}" in outcome.err
    assert (f"try: {error.hint}" in outcome.err) == (error.hint is not None)
    as_json = dln("generate", "lion", "--seed", "1", "--json")
    wanted = {"message": error.message, "hint": error.hint, "code": error.exit_code}
    assert as_json.json == {"command": "generate", "error": wanted}
    assert as_json.code == error.exit_code


def test_ctrl_c(dln, core):
    core.raises = KeyboardInterrupt()
    assert dln("generate", "lion").code == 130
    outcome = dln("generate", "lion", "--json")
    assert outcome.code == outcome.json["error"]["code"] == 130


def test_a_bug_is_a_traceback(core):
    core.raises = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError):
        run(["generate", "lion"])


def test_json_after_two_dashes_is_a_prompt(dln, core):
    outcome = dln("generate", "--seed", "3", "--dry-run", "-q", "--", "--json")
    assert (outcome.code, outcome.out) == (2, "")
    assert "knows nothing in '--json'" in outcome.err


def test_markup_in_a_message_stays_text(dln, core):
    core.raises = UsageError("no [red]colour[/red] :smile:")
    assert "no [red]colour[/red] :smile:" in dln("generate", "lion").err


def test_other_processes_are_silent(dln, training, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    outcome = dln("train", "cogvideo", "--json")
    assert (outcome.code, outcome.out) == (0, "")
    training.raises = UsageError("all say it.")
    assert dln("train", "cogvideo", "--json").out == ""


def python(code: str, *args: str) -> "subprocess.CompletedProcess[str]":
    """A fresh interpreter, where `run` is imported."""
    code = f"import sys; from dln.cli.main import run\n{code}"
    return subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True)


LIGHT = [["--help"], ["--version"], ["models", "list"], ["data", "list"], ["generate", "-h"],
         ["models", "show", "cogvideo"], ["nonsense"], ["generate"],
         ["carbon", "estimate", "--region", "norway"], ["carbon", "compare", "--kwh", "1"],
         ["carbon", "schedule", "--region", "de"]]  # fmt: skip


def test_light_commands_load_no_torch():
    done = python(f"for args in {LIGHT}: run(args)\nassert 'torch' not in sys.modules")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_an_estimate_needs_neither_numpy_nor_pydantic():
    heavy = {"numpy", "pydantic", "codecarbon"}
    asked = [*LIGHT[8], "--kwh", "37.3", "--gpus", "2"]
    done = python(f"assert run({asked}) == 0\nassert not {heavy} & {{*sys.modules}}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--kwh", "much"], "unable to parse string as a number"),
        (["--gpus", "1.5"], "unable to parse string as an integer"),
        (["--gpus", "0"], "greater than or equal to 1"),
        (["--hour", "24"], "less than or equal to 23"),
    ],
)
def test_numbers_are_refused_by_name(dln, words, sentence):
    outcome = dln("carbon", "estimate", "--region", "norway", *words)
    assert outcome.code == 2
    assert words[0] in outcome.err
    assert sentence in outcome.err


def test_a_closed_pipe_is_quiet():
    reader, writer = os.pipe()
    os.close(reader)
    code = "import sys; from dln.cli.main import run; sys.exit(run(['data', 'list']))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_terminal_of_few_letters_still_gets_json():
    done = subprocess.run(
        [sys.executable, "-m", "dln.cli", "generate", "--json", "--frames", "лев"],
        capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert done.returncode == 2
    assert b'"command": "generate"' in done.stdout


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_command_that_is_ended_sweeps_what_it_was_writing(name, tmp_path):
    """The signal comes while a file is half written: it goes, and the exit code is Ctrl-C's."""
    code = (
        "import os, signal, sys, typer; from dln.cli import main; "
        "from dln.core.files import atomic_write\n"
        "def write(*_, **__):\n"
        "    with atomic_write('half.txt', 'w') as file:\n"
        f"        os.kill(os.getpid(), signal.{name}); file.write('never')\n"
        "main.tree = lambda: type('Tree', (), {'main': write, 'commands': {}})\n"
        "sys.exit(main.run(['doctor']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (130, "error: interrupted.\n")
    assert list(tmp_path.iterdir()) == []
