"""How fast each engine makes a clip: a process an engine, and what they come to, side by side."""

import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from dln.core.errors import MissingCapability
from dln.core.progress import OnProgress

from .bench_process import run_worker
from .bench_request import BASE, BenchRequest
from .bench_times import EngineTimes, summarise


@dataclass(frozen=True)
class Missing:
    """An engine that was asked for and is not here."""

    engine: str
    reason: str
    hint: str | None


@dataclass(frozen=True)
class Bench:
    """One run: what was asked and is shown, on which machine, and what each engine did there."""

    request: BenchRequest
    machine: dict[str, Any]
    engines: tuple[EngineTimes, ...]
    missing: tuple[Missing, ...]
    warnings: tuple[str, ...]

    def data(self) -> dict[str, Any]:
        """The same as one mapping, for JSON."""
        found = asdict(self)
        return {**found.pop("request"), **found}


def bench(
    request: BenchRequest,
    on_progress: OnProgress = lambda done, total, what: None,
    on_note: Callable[[str], None] = lambda text: None,
) -> Bench:
    """Measure every engine that was asked for, one after the other, and eager torch with them.

    Raises MissingCapability where none of them is here, UsageError for a model, prompt or device
    that cannot be, DlnError where an engine's process dies or takes longer than limit_s.
    """
    order = tuple(dict.fromkeys((*request.engines, BASE)))
    about, found, missing, warnings = machine(), {}, [], []
    for number, name in enumerate(order):
        on_progress(number, len(order), "engines")
        load = load_average()
        for warning in crowded(name, load, about["cores"]):
            warnings.append(warning)
            on_note(warning)
        try:
            found[name] = {**run_worker(name, request), "load_1min": load}
        except MissingCapability as error:
            missing.append(Missing(name, error.message, error.hint))
            if {gone.engine for gone in missing} >= set(request.engines):
                raise
    on_progress(len(order), len(order), "engines")
    base = median(found[BASE]["clips_s"]) if BASE in found else None
    engines = [summarise(name, raw, base, name in request.engines) for name, raw in found.items()]
    request = replace(request, prompt=next(iter(found.values()))["prompt"])
    about["threads"] = max(engine.threads for engine in engines)
    return Bench(request, about, tuple(engines), tuple(missing), tuple(warnings))


def machine() -> dict[str, Any]:
    """What the numbers hold for. load_1min: processes that wanted a core when the run began."""
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count() or 1,
        "threads": None,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "load_1min": load_average(),
    }


def cpu_name() -> str:
    """The processor as its maker calls it, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def load_average() -> float | None:
    """Processes that wanted a core in the last minute; None where the system does not count."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def crowded(engine: str, load: float | None, cores: int) -> list[str]:
    """The warning where more processes want a core than there are cores; else nothing."""
    if load is None or load <= cores:
        return []
    word = "core" if cores == 1 else "cores"
    place = f"the load was {load:.2f} on {cores} {word} before {engine} began"
    return [f"{place}: its times hold for a busy machine"]
