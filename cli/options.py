"""The options that several commands share, spelt the same everywhere."""

import json
import os
import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from dln.core.door import read_bytes, toml_value
from dln.core.errors import UsageError, closest

from .show import screen

MOST_CONFIG = 1 << 20  # bytes of a TOML file; tables without end take long to read


class Precision(StrEnum):
    """What exported graphs compute in."""

    fp32 = "fp32"
    fp16 = "fp16"
    bf16 = "bf16"
    int8 = "int8"


def into_screen(name: str) -> Callable[[bool], bool]:
    """An option callback that keeps the flag on the screen, where show and progress look for it."""

    def keep(value: bool) -> bool:
        setattr(screen, name, bool(value) or getattr(screen, name))
        return value

    return keep


def check_device(value: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", value):
        raise typer.BadParameter(f"{value!r} is none of auto, cpu, mps, cuda, cuda:0, cuda:1 ...")
    if value == "mps":  # what it does not know is computed on the CPU; read when torch is loaded
        os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    return value


def apply_config(ctx: typer.Context, path: Path | None) -> Path | None:
    """Make the file's values this command's defaults, so that a flag still beats them."""
    if path is not None:
        ctx.default_map = options_from(path, ctx)
    return path


def options_from(path: Path, ctx: typer.Context) -> dict[str, Any]:
    """The option values of a TOML file, by parameter name. UsageError names unknown keys."""
    known = keys_of(ctx)
    values = read_toml(path)
    if unknown := [key for key in values if key not in known]:
        names = ", ".join(repr(key) for key in unknown)
        near = closest(unknown[0], known)
        raise UsageError(f"{path} sets {names}, which {ctx.command_path} does not know.{near}",
                         f"{ctx.command_path} --help")  # fmt: skip
    if tangled := [key for key, value in values.items() if not fits_one(value, known[key])]:
        raise UsageError(f"{path} sets {tangled[0]!r} to more than one value.")
    return {known[key].name: fitted(value, known[key]) for key, value in values.items()}


def keys_of(ctx: typer.Context) -> dict[str, Any]:
    """The command's parameters by the keys a file may use: a long flag without its dashes, or the
    same with underscores, or an argument's name."""
    known = {}
    for parameter in ctx.command.params:
        flags = [flag[2:] for flag in parameter.opts if flag.startswith("--")]
        for name in flags or [parameter.name]:
            known |= {name: parameter, name.replace("-", "_"): parameter}
    return {key: value for key, value in known.items() if key not in ("config", "help")}


def fits_one(value: Any, parameter: Any) -> bool:
    """Whether an option that is no repeatable one gets a single value."""
    return parameter.multiple or isinstance(value, str | int | float)


def fitted(value: Any, parameter: Any) -> Any:
    """A value for a repeatable option is a list of words; a table becomes its KEY=VALUE words."""
    if not parameter.multiple:
        return value
    if isinstance(value, dict):
        return [f"{key}={spelt(item)}" for key, item in value.items()]
    return [spelt(item) for item in (value if isinstance(value, list) else [value])]


def spelt(value: Any) -> str:
    """The word a user would type: text as it is, anything else as TOML (and JSON) write it."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def read_toml(path: Path) -> dict[str, Any]:
    """The file's contents. UsageError where it is missing, unreadable or no TOML."""
    try:
        return toml_value(read_bytes(path, MOST_CONFIG).decode())
    except ValueError as error:
        raise UsageError(f"{path} is not a TOML file: {error}.") from error


def size_of(text: str) -> tuple[int, int]:
    """ "128x72" (width x height), or "64" for a square -> (height, width) in pixels. UsageError
    for anything else."""
    parts = re.fullmatch(r"(\d{1,5})(?:[x×](\d{1,5}))?", text.strip().lower())
    sides = [int(side) for side in parts.groups(parts[1])] if parts else []
    if not sides or min(sides) < 1:
        raise UsageError(f"a size is WIDTHxHEIGHT in pixels, or one number, not {text!r}",
                         "--size 128x72")  # fmt: skip
    return sides[1], sides[0]


def extension_of(text: str) -> dict[str, int]:
    """ "left=256,up=128" -> pixels by the name of the side. UsageError for anything else."""
    from dln.core.models.request import SIDES

    found: dict[str, int] = {}
    for word in text.split(","):
        parts = re.fullmatch(r"\s*(\w+)\s*=\s*(\d{1,5})\s*", word)
        side = parts[1].lower() if parts else ""
        if parts is None or side not in SIDES or side in found:
            raise UsageError(f"an extension is a side and its pixels, each side once, not {text!r}",
                             "--extend left=256,right=512,up=128,down=64")  # fmt: skip
        found[side] = int(parts[2])
    return found


Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON object.", callback=into_screen("json")),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="Print the essential value only.", callback=into_screen("quiet")
    ),
]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Say more on stderr.", callback=into_screen("verbose")),
]
Device = Annotated[
    str,
    typer.Option(
        "--device", metavar="DEVICE", help="auto, cpu, mps, cuda or cuda:N.", callback=check_device
    ),
]
Seed = Annotated[
    int | None,
    typer.Option("--seed", "-s", min=0, help="Seed; drawn and printed where left out."),
]
FixedSeed = Annotated[int, typer.Option("--seed", "-s", min=0, help="Seed.")]
SamplerSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Any setting of dln models show MODEL (repeatable)."
    ),
]
GraphPrecision = Annotated[Precision, typer.Option(help="Of --engine onnx and trt.")]
Graphs = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="The export to run, also without PyTorch; default: exports/, else a cache.",
    ),
]
Download = Annotated[
    bool,
    typer.Option("--download", help="Fetch a pipeline that is named as on the hub, once."),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done; do nothing.")]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE.toml",
        help="Values for these options; a flag beats the file.",
        is_eager=True,
        callback=apply_config,
    ),
]
