"""The `dln` command: the tree of commands, and the one place where an error becomes a sentence."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from io import TextIOWrapper
from typing import Annotated, Any

import typer

from dln.core.errors import DlnError, MissingCapability

from .lazy import Commands
from .libraries import hush, keep_in_cache
from .show import Result, Screen, screen, show, show_error

CREATE, INSPECT, CARBON, HELP = "Create", "Inspect", "Carbon", "Help"
ENTRIES = {
    name: {"rich_help_panel": panel}
    for panel, names in (
        (CREATE, ("generate", "film", "train", "export")),
        (
            INSPECT,
            (
                "models",
                "data",
                "caption",
                "evaluate",
                "plot",
                "gallery",
                "bench",
                "verify",
                "doctor",
            ),
        ),
        (CARBON, ("carbon",)),
        (HELP, ("guide", "config", "help")),
    )
    for name in names
}
INTERRUPTED = 130
TIDYING_S = 2.0
SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="dln",
    context_settings=SETTINGS,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
)


def print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"dln {version('dln')}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=print_version),
    ] = False,
) -> None:
    """Text to video in your terminal: train it, generate with it, check what it made.

    \b
    Examples:
      dln generate "lion drinking"
      dln models list
      dln train cogvideo --preset tiny --out runs/mine
    """
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


@cache
def tree() -> Any:
    """The commands as Typer builds them, each when it is asked for, with every plain flag off by
    default."""
    built: Any = typer.main.get_command(app)
    settle(built)
    built.commands = Commands(__package__ or "", ENTRIES, settle)
    return built


def settle(command: Any) -> None:
    """Turn None into False for flags without a --no form, and convert no value in vain, here and
    below; later for what is made later."""
    for parameter in command.get_params(typer.Context(command, **SETTINGS)):
        plain_flag = getattr(parameter, "is_flag", False) and not parameter.secondary_opts
        if plain_flag and parameter.default is None:
            parameter.default = False
        if hasattr(parameter, "get_runtime_param"):
            parameter.get_runtime_param = partial(Lazily, parameter.get_runtime_param)
    children = getattr(command, "commands", {})
    for child in () if isinstance(children, Commands) else children.values():
        settle(child)


@dataclass(frozen=True)
class Lazily:
    """Converts a parameter's value where it is not yet what it should be.

    Typer converts with pydantic, whose import takes a third of the time of a light command.
    """

    convert: Callable[[], Any]

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        if fits(plain := numeral(value, param), param):
            return plain
        return self.convert().coerce(value, param=param, ctx=ctx)


def numeral(value: Any, param: Any) -> Any:
    """Text that is to be a number, as one; what is none is left for Typer to refuse."""
    wanted = param.type_descriptor.annotation
    if wanted in (int, float) and isinstance(value, str):
        with suppress(ValueError):
            return wanted(value)
    return value


def fits(value: Any, param: Any) -> bool:
    """Whether it is of the parameter's type and in its range, as defaults are."""
    wanted = param.type_descriptor.annotation
    if not (isinstance(wanted, type) and isinstance(value, wanted)):
        return False
    least, most = getattr(param, "min", None), getattr(param, "max", None)
    return (least is None or value >= least) and (most is None or value <= most)


def run(args: Sequence[str] | None = None) -> int:
    """The console script: run one command and return its exit code. A bug stays a traceback."""
    argv = list(sys.argv[1:] if args is None else args)
    set_up(argv)
    try:
        with tidied():
            outcome = tree().main(argv, prog_name="dln", standalone_mode=False)
        if isinstance(outcome, Result):
            return show(outcome, command_of(argv))
        return interrupted(argv) if outcome == INTERRUPTED else int(outcome or 0)
    except DlnError as error:
        return show_error(command_of(argv), error.message, error.hint, error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return interrupted(argv)
    except BrokenPipeError:
        return hang_up()
    except ModuleNotFoundError as error:
        return lacking(argv, error)
    except Exception as error:
        if is_memory(error):
            return show_error(command_of(argv), "there is not enough memory for this.", None, 1)
        if not hasattr(error, "format_message"):
            raise
        return misused(argv, error)


def lacking(argv: list[str], error: ModuleNotFoundError) -> int:
    """A package is not there. Without PyTorch, where only exported graphs are run, that is no bug
    but a sentence."""
    from dln.core.installed import has_torch, install_line

    package = (error.name or "dln").partition(".")[0]
    if package == "dln" or has_torch():
        raise error
    told = "PyTorch" if package == "torch" else package
    words = f"this takes {told}, which is not installed"
    return show_error(command_of(argv), words, install_line(), MissingCapability.exit_code)


@contextmanager
def tidied() -> Iterator[None]:
    """Inside, SIGTERM and SIGHUP end a command as Ctrl-C does: what is half written goes, however
    often they are sent. Commands that have more to do then listen themselves; what is ignored
    (nohup) stays so."""
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    before = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) == signal.SIG_DFL}
    end = ender()
    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ender() -> Callable[[int, Any], None]:
    """A handler that interrupts, and is then deaf for as long as tidying up may take."""
    deaf_until = 0.0

    def end(number: int, frame: Any) -> None:
        nonlocal deaf_until
        if time.monotonic() >= deaf_until:
            deaf_until = time.monotonic() + TIDYING_S
            raise KeyboardInterrupt

    return end


def is_memory(error: Exception) -> bool:
    """Whether Python, numpy or PyTorch was refused memory."""
    return isinstance(error, MemoryError) or any(
        words in str(error) for words in ("DefaultCPUAllocator", "CUDA out of memory")
    )


def set_up(argv: list[str]) -> None:
    """A fresh screen; --json is looked for here, as a wrong option stops the parser first."""
    keep_in_cache()
    hush()
    vars(screen).update(vars(Screen(json="--json" in before_dashes(argv))))
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def before_dashes(argv: list[str]) -> list[str]:
    return argv[: argv.index("--")] if "--" in argv else argv


def command_of(argv: list[str]) -> str:
    """The words that name the command: "models show" of `dln models show --json cogvideo`."""
    words: list[str] = []
    level = tree()
    for word in before_dashes(argv):
        children = getattr(level, "commands", {})
        if word in children:
            level = children[word]
            words.append(word)
    return " ".join(words)


def misused(argv: list[str], error: Any) -> int:
    """A mistake that the parser found (unknown option, bad value, missing argument)."""
    words = " ".join(error.format_message().split()).replace("Value error, ", "")
    command = " ".join(["dln", command_of(argv)]).strip()
    return show_error(command_of(argv), words, f"{command} --help", error.exit_code)


def interrupted(argv: list[str]) -> int:
    return show_error(command_of(argv), "interrupted.", None, INTERRUPTED)


def hang_up() -> int:
    """The reader of stdout has gone: that is its right. Nothing more may be written there."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
