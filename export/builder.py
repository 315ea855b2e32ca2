"""The build worker seen from outside: asks it, and puts how it ended into a sentence."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dln.core.errors import DlnError, MissingCapability, UsageError
from dln.core.installed import install_line

from .process import ending, run_apart

Backend = Literal["tensorrt", "tensorrt_rtx"]

TITLES = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT-RTX"}
WORKER = (sys.executable, "-P", "-m", "dln.export.build_worker")


def install_hint(backend: str) -> str:
    """The line that gets it."""
    if backend == "tensorrt":
        return install_line("tensorrt")
    return "pip install tensorrt-rtx"


@dataclass(frozen=True)
class Fault:
    """Why the worker stopped: at which stage, and for the parser's at which node."""

    stage: str
    message: str
    graph: str = ""
    node: str = ""
    operator: str = ""
    errno: int = 0

    def __str__(self) -> str:
        if not self.operator:
            return self.message
        return f"node {self.node!r} ({self.operator}): {self.message}"


class BuildError(DlnError):
    """The builder refused the graph, crashed or took too long. `faults`: what it said."""

    def __init__(self, message: str, hint: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(message, hint)
        self.faults = tuple(faults)


def ask(command: Sequence[str], question: Mapping[str, Any], log: Path) -> str:
    """Have the worker do it. Returns the backend's version; raises BuildError and its like."""
    if not Path(question["onnx"]).is_file():
        raise UsageError(f"there is no file {question['onnx']}", hint="dln export --onnx")
    name, title = Path(question["onnx"]).stem, TITLES[question["backend"]]
    hint = f"the log is {log}"
    text = json.dumps({**question, "parent": os.getpid()})
    code, said = run_apart(command, text, log, question["timeout_s"])
    if code is None:
        limit = f"{question['timeout_s']:g} s"
        raise BuildError(f"{title} took longer than {limit} over {name} and was stopped", hint)
    if code:
        raise BuildError(f"{title} {ending(code)} while working on {name}", hint)
    if not said:
        raise BuildError(f"{title} ended without an answer while working on {name}", hint)
    answer = json.loads(said)
    faults = [Fault(**fault) for fault in answer["faults"]]
    if faults:
        raise _refusal(name, question["backend"], faults, hint)
    return answer["version"]


def _refusal(name: str, backend: str, faults: Sequence[Fault], hint: str) -> DlnError:
    first, title = faults[0], TITLES[backend]
    if first.stage == "import":
        return MissingCapability(
            f"cannot import {title}: {first.message}", hint=install_hint(backend)
        )
    if first.stage == "write" and first.errno:
        # disk_errors around the build knows the sentence for a full disk.
        raise OSError(first.errno, os.strerror(first.errno))
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    verb = "read" if first.stage == "parse" else "build"
    return BuildError(f"{title} cannot {verb} {name}: {first}{more}", hint, faults)
