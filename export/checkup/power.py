"""What measures power here: NVIDIA's library, the processor's counters, and what codecarbon makes
of them."""

import time
from collections.abc import Callable
from pathlib import Path

from dln.core.carbon.meter.meter import Meter
from dln.core.errors import DlnError, MissingCapability

from ..bench_energy import COMPONENTS, JOULES_PER_KWH
from .outcome import Found, Job

POWERCAP = Path("/sys/class/powercap")
WATCHED_S = 1.0  # that a counter is watched
BUSY_S = 2.0  # that the processor computes for the meter
MOST_W = 20_000.0  # of one part of a machine
READABLE = "sudo chmod a+r /sys/class/powercap/*/energy_uj"


def nvml(job: Job) -> Found:
    """The energy counter of each GPU. MissingCapability without NVIDIA's driver, or where a GPU
    keeps none."""
    try:
        import pynvml as library
    except ImportError as error:
        raise MissingCapability("nvidia-ml-py is not installed",
                                "pip install nvidia-ml-py") from error  # fmt: skip
    try:
        library.nvmlInit()
        count = library.nvmlDeviceGetCount()
        handles = [library.nvmlDeviceGetHandleByIndex(each) for each in range(count)]
        watts = watched(
            lambda: [library.nvmlDeviceGetTotalEnergyConsumption(each) / 1e3 for each in handles]
        )
    except library.NVMLError as error:
        raise MissingCapability(f"NVML says: {error}",
                                "a machine with an NVIDIA GPU of Volta or later, and its driver"
                                ) from error  # fmt: skip
    if not watts:
        raise MissingCapability("NVML finds no GPU", "a machine with an NVIDIA GPU")
    told = ", ".join(f"GPU {number} {each:.0f} W" for number, each in enumerate(watts))
    return Found(f"{told}, nothing computing", {"watts": watts})


def rapl(job: Job, place: Path = POWERCAP) -> Found:
    """The counters of the processor's packages. MissingCapability where Linux shows none, or to
    root alone."""
    counters = sorted(
        file for file in place.glob("intel-rapl:*/energy_uj") if file.parent.name.count(":") == 1
    )
    if not counters:
        raise MissingCapability("Linux shows no energy counter of the processor",
                                "a machine that is no virtual one; until then codecarbon "
                                "estimates")  # fmt: skip
    try:
        watts = watched(lambda: [int(file.read_text()) / 1e6 for file in counters],
                        [int((f.parent / "max_energy_range_uj").read_text()) / 1e6
                         for f in counters])  # fmt: skip
    except PermissionError as error:
        raise MissingCapability("root alone may read the processor's counter",
                                READABLE) from error  # fmt: skip
    told = ", ".join(f"package {number} {each:.0f} W" for number, each in enumerate(watts))
    return Found(told, {"watts": watts})


def watched(read: Callable[[], list[float]], wraps: list[float] | None = None) -> list[float]:
    """Watts from counters of joules, each of which may begin anew once beyond `wraps`. DlnError for
    one that stands still, or goes where no part of a machine does."""
    begun, first = time.perf_counter(), read()
    time.sleep(WATCHED_S)
    took, last = time.perf_counter() - begun, read()
    rounds = wraps or [0.0] * len(first)
    gained = [b - a if b >= a else b - a + w for a, b, w in zip(first, last, rounds, strict=True)]
    watts = [joules / took for joules in gained]
    if odd := [each for each in watts if not 0 < each < MOST_W]:
        raise DlnError(f"an energy counter tells {odd[0]:.3g} W")
    return watts


def meter(job: Job) -> Found:
    """The meter of every training and audit, while the processor computes. DlnError where it tells
    nothing."""
    counting = Meter("machine")
    begun = time.monotonic()
    while time.monotonic() - begun < BUSY_S:
        sum(range(10_000))
    took = counting.age
    energy = counting.close()
    if energy is None or not took:
        raise DlnError(counting.problem)
    watts = energy.total * JOULES_PER_KWH / took
    if not 0 < watts < MOST_W:
        raise DlnError(f"codecarbon tells {watts:.3g} W")
    parts = ", ".join(f"{COMPONENTS[name]} {how}" for name, how in counting.power.items())
    return Found(f"{watts:.0f} W: {parts}", {"watts": watts, "sources": dict(counting.power)})
