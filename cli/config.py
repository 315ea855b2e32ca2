"""`dln config`: a command's options as a file to start from."""

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from dln.core.errors import UsageError

from .called import split
from .completion import commands
from .lazy import nothing
from .options import Force, Json, Quiet, Verbose
from .places import check_places, file_named
from .show import Result

app = typer.Typer(name="config", help="Files of options, for --config.")
app.callback()(nothing)

# Not worth keeping: how this once is told, what is only for this once.
PASSING = ("config", "help", "json", "quiet", "verbose", "force", "dry_run", "resume")


@app.command("show", context_settings={"allow_interspersed_args": False})
def show_config(
    words: Annotated[
        list[str],
        typer.Argument(metavar="COMMAND ...", help="A line without dln.", autocompletion=commands),
    ],
    out: Annotated[
        str | None, typer.Option("--out", "-o", metavar="FILE.toml", help="Write it there.")
    ] = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> Result:
    """Show the options that a line resolves to, as TOML for --config; those that are not set are
    in it as comments. Nothing is run. Options of its own come before the command.

    \b
    Examples:
      dln config show generate "lion drinking" --frames 8
      dln config show --out mine.toml train cogvideo --preset small
      dln config show carbon estimate --region norway --gpu H100 --hours 36
    """
    parent, args = split(words)
    command: Any = parent.command
    if hasattr(command, "commands") or not any(p.name == "config" for p in command.params):
        raise UsageError(f"{parent.command_path} takes no --config.", "dln config show generate")
    values = resolved(command, args, parent)
    text = as_toml(parent.command_path, command, values)
    if out is None:
        told = {"of": parent.command_path, "options": values}
        return Result(told, text.rstrip("\n"), text.splitlines())
    path = written(text, out, force)
    return Result({"of": parent.command_path, "options": values, "path": path}, path, [path])


def written(text: str, out: str, force: bool) -> str:
    """The path of the file that the text has gone into."""
    from dln.core.files import atomic_write, claimed

    path: Path = file_named(out, ".toml")
    with claimed(path):
        check_places([path], force)
        with atomic_write(path, "w") as file:
            file.write(text)
    return str(path)


def kept(command: Any) -> Iterator[tuple[str, Any]]:
    """The parameters worth keeping by the keys of a file. What takes all words that are left is
    what a command works on."""
    for parameter in command.params:
        if parameter.name not in PASSING and parameter.nargs != -1:
            flags = [flag[2:] for flag in parameter.opts if flag.startswith("--")]
            yield (flags[0] if flags else parameter.name).replace("-", "_"), parameter


def resolved(command: Any, args: list[str], parent: typer.Context) -> dict[str, Any]:
    """What each parameter is for a line, by the keys of a file; None where it is left open."""
    context = command.make_context(parent.info_name, args, parent=parent.parent)
    values = {key: context.params.get(parameter.name) for key, parameter in kept(command)}
    return {key: plain(value) for key, value in values.items()}


def plain(value: Any) -> Any:
    """As TOML has it."""
    if isinstance(value, list | tuple):
        return [plain(each) for each in value] or None
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def as_toml(path: str, command: Any, values: dict[str, Any]) -> str:
    """The file: what is set first, then what could be."""
    from dln.core.training.run import to_toml

    told = {key: getattr(parameter, "help", None) or "" for key, parameter in kept(command)}
    lines = [f"# Options of {path}, for its --config FILE.toml; a flag beats the file.", ""]
    lines += to_toml({k: v for k, v in values.items() if v is not None}).splitlines()
    lines += ["", "# Left open:"]
    lines += [f"# {key} =  # {told[key]}" for key, value in values.items() if value is None]
    return "\n".join(lines) + "\n"
