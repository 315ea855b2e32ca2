"""`dln config show` and `dln help`: a line's options as a file, and any command's help."""

import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

from dln.cli.called import split

from .test_main import COMMANDS, examples


def takes_config(command: Any) -> bool:
    return any(parameter.name == "config" for parameter in command.params)


LINES = [
    line.removeprefix("dln ").removesuffix(" --json")
    for command in COMMANDS.values()
    if takes_config(command)
    for line in examples(command)
]
# What is said once alone, or is what the command works on.
ASIDE = ("config", "json", "quiet", "verbose", "force", "dry_run", "resume")


def params(words: list[str]) -> dict[str, Any]:
    context, args = split(words)
    found = context.command.make_context(context.info_name, args, parent=context.parent).params
    return {name: value for name, value in found.items() if name not in ASIDE}


def rest(words: list[str]) -> tuple[list[str], list[str]]:
    """The command, and what takes all words that are left, which no file can give."""
    context, args = split(words)
    command: Any = context.command
    path = words[: len(words) - len(args)]
    many = {p.name for p in command.params if p.nargs == -1}
    given = command.make_context(context.info_name, args, parent=context.parent).params
    return path, [w for name in many for w in given[name] or ()]


@pytest.mark.parametrize("line", LINES)
def test_a_file_says_what_the_line_said(dln, line: str) -> None:
    """Every example of every command that takes --config: the file alone gives the same options."""
    words = shlex.split(line)
    command, left = rest(words)
    shown = dln("config", "show", "--out", "mine.toml", *words)
    assert (shown.code, shown.out) == (0, "mine.toml\n"), shown.err
    tail = ["--", *left] if left else []
    assert params([*command, "--config", "mine.toml", *tail]) == params(words)


def test_most_commands_take_config() -> None:
    without = {name for name, command in COMMANDS.items() if not takes_config(command)}
    assert {name.split()[0] for name in without} <= {
        "models", "data", "doctor", "help", "config", "carbon", "guide"}  # fmt: skip
    assert {name for name in without if name.startswith(("carbon", "data"))} == {
        "carbon regions", "data list", "data show", "data check"}  # fmt: skip


def test_what_is_left_open_is_a_comment(dln) -> None:
    shown = dln("config", "show", "generate", "лев\n", "--frames", "8", "--set", "clusters=3")
    table = tomllib.loads(shown.out)
    assert table["prompt"] == "лев\n"
    assert (table["frames"], table["set"]) == (8, ["clusters=3"])
    assert "seed" not in table
    assert "# seed = " in shown.out
    assert dln("config", "show", "-q", "generate", "x").out == dln("config", "show", "generate",
                                                                   "x").out  # fmt: skip
    told = dln("config", "show", "--json", "generate", "x").json
    assert (told["of"], told["options"]["seed"]) == ("dln generate", None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["models", "list"], "takes no --config"),
        (["models"], "takes no --config"),
        (["nonsense"], "dln takes no --config"),
        (["train"], "Missing argument"),
        (["generate", "x", "--frames", "0"], "--frames"),
    ],
)
def test_lines_without_a_file(dln, words: list[str], said: str) -> None:
    outcome = dln("config", "show", *words)
    assert outcome.code == 2
    assert said in outcome.err


def test_no_file_is_overwritten(dln) -> None:
    Path("mine.toml").write_text("mine")
    assert dln("config", "show", "-o", "mine.toml", "generate", "x").code == 2
    assert Path("mine.toml").read_text() == "mine"


@pytest.mark.parametrize("name", ["", "models", "models show", "carbon estimate"])
def test_help_says_what_the_flag_says(dln, name: str) -> None:
    words = name.split()
    helped = dln("help", *words)
    assert helped.code == 0
    assert helped.out.split() == dln(*words, "--help").out.split()
    assert dln("help", "--json", *words).json["help"].split() == helped.out.split()
    assert dln("help", "-q", *words).out.startswith(f"Usage: dln {name}".strip())


def test_help_of_what_there_is_not(dln) -> None:
    outcome = dln("help", "genrate")
    assert outcome.code == 2
    assert "Did you mean 'generate'" in outcome.err
    assert "Did you mean 'show'" in dln("help", "models", "shwo").err
