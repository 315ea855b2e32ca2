"""An engine's own process: started, waited for, and its death told as one sentence."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dln.core.errors import DlnError, MissingCapability, UsageError
from dln.core.models.locate import look

from .bench_request import BenchRequest
from .process import ending, run_apart

COMMAND = (sys.executable, "-P", "-m", "dln.export.bench_worker")
KINDS = {2: UsageError, 3: MissingCapability}
LAST_LINES = 3


def run_worker(engine: str, request: BenchRequest) -> dict[str, Any]:
    """What the worker measured for this engine (see bench_worker.measure).

    Raises the error that the worker met, or a DlnError that names the engine and how it ended.
    """
    look(request.model)  # which takes a moment, where a process takes seconds to find none
    with TemporaryDirectory(prefix="dln-bench-") as folder:
        # A file, not stdout: libraries print their banners there.
        result, log = Path(folder, "result.json"), Path(folder, "log.txt")
        asked = {**asdict(request), "engine": engine, "result": str(result)}
        code, _ = run_apart(COMMAND, json.dumps(asked), log, request.limit_s)
        if code is None:
            raise late(engine, request, log)
        if not result.exists():
            raise dead(engine, code, log)
        answer = json.loads(result.read_text(encoding="utf-8"))
    if "error" in answer:
        error = answer["error"]
        raise KINDS.get(error["code"], DlnError)(error["message"], error["hint"])
    return answer


def late(engine: str, request: BenchRequest, log: Path) -> DlnError:
    return DlnError(
        f"the process of {engine} took longer than {request.limit_s:g} s{last_words(log)}",
        hint="fewer --runs, or a larger --limit",
    )


def dead(engine: str, code: int, log: Path) -> DlnError:
    return DlnError(
        f"the process of {engine} {ending(code)}{last_words(log)}",
        hint="the other engines: dln bench --engine NAME",
    )


def last_words(log: Path) -> str:
    """What the process said last, as the end of a sentence; "" where it said nothing."""
    text = log.read_text(encoding="utf-8", errors="replace")
    said = [line.strip() for line in text.splitlines() if line.strip()]
    return f"; it said last: {' / '.join(said[-LAST_LINES:])}" if said else ""
