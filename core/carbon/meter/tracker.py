"""codecarbon's tracker as ours alone: it reads no settings of the user's and asks nobody."""

import logging
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from ..values import Scope

NEVER_S = 1e9


def started(scope: Scope, handler: Any) -> Any:
    """A running tracker that writes no file, calls nobody and tells `handler` of each reading. Its
    clock is ours: its own reads beside flush() would count some seconds twice."""
    # Before the import, which already complains of a log level that it does not know.
    logging.getLogger("codecarbon").disabled = True
    from codecarbon import OfflineEmissionsTracker

    settle()
    tracker = OfflineEmissionsTracker(
        # Energy alone is wanted. A given intensity keeps the tracker from asking where we are.
        force_carbon_intensity_g_co2e_kwh=0.0,
        pue=1.0,
        output_methods=[],
        output_handlers=[handler],
        emissions_endpoint=None,
        electricitymaps_api_token=None,
        tracking_mode=scope,
        measure_power_secs=NEVER_S,
        api_call_interval=-1,
        allow_multiple_runs=True,
        log_level="critical",
    )
    tracker.start()
    if not tracker._hardware:  # what goes wrong in there is swallowed
        raise RuntimeError("it found nothing to read")
    return tracker


def settle() -> None:
    """Take out of codecarbon, for this process, what would change the figure or keep it waiting:
    settings in files and environment variables (they may also be no settings at all), the share of
    Slurm, a pool whose threads Python waits for at its end, a second of looking for the CPU's
    name. Another version may lack any of these."""
    for module, name, ours in (
        ("emissions_tracker", "get_hierarchical_config", dict),
        ("core.util", "SLURM_JOB_ID", None),
        ("external.ram", "SLURM_JOB_ID", None),
        ("core.resource_tracker", "ThreadPoolExecutor", Here),
        ("core.cpu", "detect_cpu_model", cpu_model),
    ):
        with suppress(ImportError):
            found = import_module(f"codecarbon.{module}")
            if hasattr(found, name):
                setattr(found, name, ours)


class Here(Executor):
    """Does at once what it is given, in the thread that gives it."""

    def __init__(self, max_workers: int | None = None) -> None: ...

    def submit(self, fn: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(fn(*args, **named))
        return done


def cpu_model() -> str | None:
    """The CPU's name, from Linux or else as codecarbon finds it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    from codecarbon.core.util import detect_cpu_model

    return detect_cpu_model()
