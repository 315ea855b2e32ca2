"""`dln doctor`: what is installed here, what is missing, and the line that gets it."""

import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from dln.core.errors import UsageError
from dln.core.installed import install_line
from dln.core.threads import cores

from . import completion
from .options import Json, Quiet, Verbose
from .show import Result, table

OK, MISSING, UNTRAINED = "ok", "missing", "untrained"
COLUMNS = ("what", "state", "found", "to get it")


@dataclass(frozen=True)
class Check:
    """One row: `value` says what was found, `hint` how to get what was not."""

    name: str
    status: str
    value: str | None = None
    hint: str | None = None


def doctor(
    deep: Annotated[
        bool, typer.Option("--deep", help="Try everything that this machine could do.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Of --deep, this check alone; 'speed-*' is several (repeatable).",
            autocompletion=completion.checks,
        ),
    ] = None,
    limit: Annotated[
        float | None,
        typer.Option(min=1.0, help="Of --deep, seconds for all of it; 230 if left out."),
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the table as Markdown, to paste it.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> Result:
    """Say what this machine has for dln, and what it lacks; with --deep, try it.

    \b
    Examples:
      dln doctor
      dln doctor --deep --markdown
      dln doctor --deep --only 'codec-*' --only resume-cpu --json
    """
    if deep:
        from .tried import tried

        return tried(only or [], limit, markdown)
    if only or limit:
        raise UsageError("--only and --limit are of --deep.", "dln doctor --deep --only codec-mp4")
    checks = list(examine())
    lacking = [check.name for check in checks if check.status == MISSING]
    data = {"checks": [asdict(check) for check in checks], "missing": lacking}
    return Result(data, drawn(checks, markdown), lacking)


def drawn(checks: Sequence[Check], markdown: bool) -> Any:
    if markdown:
        from dln.export.checkup.report import markdown as lines

        rows = [(check.name, check.status, check.value, check.hint) for check in checks]
        return "\n".join(lines(COLUMNS, rows))
    return table(COLUMNS, [(c.name, mark(c), c.value, c.hint or "") for c in checks])


def mark(check: Check):
    from rich.text import Text

    return Text(check.status, style="green" if check.status == OK else "yellow")


def examine() -> Iterator[Check]:
    """Every check, the machine first."""
    yield package("dln", install_line())
    yield Check("python", OK, f"{platform.python_version()} ({sys.executable})")
    yield Check("platform", OK, platform.platform())
    yield Check("cores", OK, str(cores()))
    yield memory()
    yield package("torch", "pip install torch")
    yield cuda()
    if sys.platform == "darwin":
        yield mps()
    yield package("accelerate", "pip install accelerate")
    yield video()
    yield onnxruntime()
    yield tensorrt()
    yield from bundled()


def package(name: str, hint: str, label: str | None = None) -> Check:
    """Whether a distribution is installed; it is not imported."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return Check(label or name, OK, version(name))
    except PackageNotFoundError:
        return Check(label or name, MISSING, hint=hint)


def memory() -> Check:
    try:
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return Check("memory", OK, "unknown")
    return Check("memory", OK, f"{pages / 2**30:.1f} GiB")


def cuda() -> Check:
    from dln.core.errors import MissingCapability
    from dln.export.checkup.gpu import names

    try:
        found = names()
    except MissingCapability as error:
        return Check("cuda", MISSING, error.message, error.hint)
    import torch

    return Check("cuda", OK, f"{torch.version.cuda}: {', '.join(found)}")


def mps() -> Check:
    """The GPU of a Mac."""
    try:
        import torch
    except ImportError as error:
        return Check("mps", MISSING, str(error), "pip install torch")
    if torch.backends.mps.is_available():
        return Check("mps", OK, "--device mps takes it")
    return Check(
        "mps",
        MISSING,
        "torch finds no Metal GPU",
        "macOS on Apple silicon, and a torch built with MPS",
    )


def video() -> Check:
    found = package("av", "pip install av", "video (av, ffmpeg)")
    if found.status == MISSING:
        return found
    try:
        from av import library_versions
    except ImportError as error:
        return Check(found.name, MISSING, str(error), "pip install --force-reinstall av")
    codec = ".".join(map(str, library_versions.get("libavcodec", ())))
    return Check(found.name, OK, f"{found.value}, libavcodec {codec}")


def onnxruntime() -> Check:
    from dln.core.errors import MissingCapability
    from dln.export.runtime import require_onnxruntime

    try:
        runtime = require_onnxruntime()
    except MissingCapability as error:
        return Check("onnxruntime", MISSING, error.message, error.hint)
    names = (n.removesuffix("ExecutionProvider") for n in runtime.get_available_providers())
    # The GPU build lists providers whose libraries may be missing: an engine finds out.
    return Check("onnxruntime", OK, f"{runtime.__version__}, built with {', '.join(names)}")


def tensorrt() -> Check:
    for name in ("tensorrt-rtx", "tensorrt"):
        found = package(name, "pip install tensorrt-rtx", "tensorrt")
        if found.status == OK:
            return Check("tensorrt", OK, f"{found.value} ({name})")
    return found


def bundled() -> Iterator[Check]:
    """The weights that ship with dln, a row each."""
    from dln.core.models import locate
    from dln.core.models.registry import MODELS

    for spec in MODELS.values():
        absent = MISSING if spec.bundled else UNTRAINED  # which none are shipped of
        yield weights(spec.name, partial(locate.bundled, spec), absent)
        for name in spec.further:
            yield weights(name, partial(locate.locate, name), MISSING)


def weights(label: str, path: Callable[[], Path], absent: str) -> Check:
    """One row: how large a file of weights is, or that it is not there."""
    from dln.core.errors import MissingCapability

    try:
        return Check(f"weights {label}", OK, f"{path().stat().st_size / 1e6:.1f} MB")
    except MissingCapability as error:
        return Check(f"weights {label}", absent, hint=error.hint)
