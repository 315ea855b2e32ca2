"""This machine's energy by codecarbon, offline, and what each part of the number rests on."""

import logging
import time
from contextlib import suppress
from dataclasses import astuple, dataclass
from math import isfinite
from threading import Event, Lock, Thread
from typing import Any

from ..values import NONE, Scope
from .tracker import started

PATIENCE_S = 20.0  # some sensors answer never: then there is no number
HEAD_START_S = 2.0  # a meter that is ready by then sees the whole run; no run waits longer
READ_S = 5.0  # for one reading, which a run waits for
END_S = 2.0  # for a meter that is still starting when all is over
TICK_S = 5.0  # a load is sampled, and a counter read before it wraps
APART_S = 0.06  # between two readings; codecarbon takes none sooner
MODES = {
    "intel_rapl": "measured (RAPL{all})",
    "windows_emi": "measured (Windows energy meter{all})",
    "intel_power_gadget": "measured (Power Gadget{all})",
    "cpu_load": "estimated (rated power and load{own})",
    "constant": "estimated (rated power{all})",
}
# codecarbon makes a share of a load and of memory alone: counters know no processes.
WHOSE: dict[Scope, dict[str, str]] = {
    "machine": {"all": "", "own": ""},
    "process": {"all": ", of the whole machine", "own": " of its processes"},
}
SILENT = "codecarbon's meter gave no reading"
LATE = "codecarbon's meter does not answer"


@dataclass(frozen=True)
class Energy:
    """kWh of the components, before PUE."""

    cpu: float = 0.0
    gpu: float = 0.0
    ram: float = 0.0

    def __sub__(self, other: "Energy") -> "Energy":
        return Energy(self.cpu - other.cpu, self.gpu - other.gpu, self.ram - other.ram)

    def __mul__(self, by: float) -> "Energy":
        return Energy(self.cpu * by, self.gpu * by, self.ram * by)

    @property
    def total(self) -> float:
        return sum(astuple(self))

    @property
    def told(self) -> bool:
        """Whether it is what a meter can have read: parts that are not below 0, and not all 0."""
        parts = astuple(self)
        return all(isfinite(part) and part >= 0 for part in parts) and any(parts)


class Meter:
    """Counts from when it is ready until close(). Never raises; starts in a thread of its own,
    which the constructor waits for as long as `patience` (default PATIENCE_S).

    scope: the whole machine, or this process with its children. power: by component, "measured
    (...)", "estimated (...)" or "none"; empty until it is ready. problem: why there is no energy.
    """

    def __init__(self, scope: Scope = "machine", patience: float | None = None) -> None:
        self.power: dict[str, str] = {}
        self.problem = "codecarbon's meter was not ready in time"
        self._tracker: Any = None
        self._total: Energy | None = None
        self._ready, self._fresh, self._at, self._since = False, False, 0.0, 0.0
        self._lock, self._settled, self._closed = Lock(), Event(), Event()
        Thread(target=self._run, args=(scope,), daemon=True).start()
        self.wait(PATIENCE_S if patience is None else patience)

    def _run(self, scope: Scope) -> None:
        try:
            self._tracker = started(scope, self)
            self._since = self._at = time.monotonic()
            self._lock.acquire()
            self._flush()  # what never tells is never ready
            self.power, self.problem = power_of(self._tracker._hardware, scope), SILENT
            if self._closed.is_set():
                self._stop()
            self._ready = True
        # Energy is an extra: whatever goes wrong with it must not cost the run.
        except Exception as error:
            logging.getLogger(__name__).debug("no energy", exc_info=True)
            self.problem = f"codecarbon's meter failed: {type(error).__name__}: {error}"
        self._settled.set()
        while self._ready and not self._closed.wait(TICK_S):
            self.read()

    def wait(self, seconds: float) -> None:
        """Until it is ready, or will not be; no longer than that."""
        self._settled.wait(seconds)

    @property
    def age(self) -> float | None:
        """Seconds since it began to count; None where it does not."""
        return time.monotonic() - self._since if self._ready else None

    @property
    def lag(self) -> float:
        """Seconds since the last reading was taken; to tell it takes codecarbon a while."""
        return time.monotonic() - self._at

    def read(self) -> Energy | None:
        """kWh since the start, or None where no reading comes in time; after close() the last
        one that came."""
        if not self._ready or self._closed.is_set():
            return self._total
        if not self._lock.acquire(timeout=0 if self.problem == LATE else READ_S):
            return None  # a reading that was asked for long ago has not come yet
        came: list[Energy | None] = []
        reading = Thread(target=lambda: came.append(self._flush()), daemon=True)
        reading.start()
        reading.join(READ_S)
        self.problem = SILENT if came else LATE
        return came[0] if came else None

    def _flush(self) -> Energy | None:
        """A new reading; the lock is held, and let go when it is there."""
        try:
            time.sleep(max(0.0, self._at + APART_S - time.monotonic()))
            self._fresh, self._at = False, time.monotonic()
            self._tracker.flush()
            return self._total if self._fresh else None
        except Exception:
            logging.getLogger(__name__).debug("no energy", exc_info=True)
            return None
        finally:
            self._lock.release()

    def close(self) -> Energy | None:
        """The last reading that there was; the tracker ends."""
        self.wait(END_S)
        self.read()
        if not self._closed.is_set():
            self._closed.set()
            if self._ready and self.problem != LATE:
                stopping = Thread(target=self._stop, daemon=True)
                stopping.start()
                stopping.join(READ_S)
        return self._total

    def _stop(self) -> None:
        with suppress(Exception):
            self._tracker.stop()

    # codecarbon calls these four of its output handlers.
    def out(self, total: Any, delta: Any) -> None:
        found = Energy(total.cpu_energy, total.gpu_energy, total.ram_energy)
        if found.told and not self._closed.is_set():
            self._total, self._fresh = found, True

    def live_out(self, total: Any, delta: Any) -> None: ...

    def task_out(self, data: Any, experiment_name: str) -> None: ...

    def exit(self) -> None: ...


def power_of(hardware: list[Any], scope: Scope = "machine") -> dict[str, str]:
    """How the energy of each component came to be."""
    found, whose = {"cpu": NONE, "gpu": NONE, "ram": NONE}, WHOSE[scope]
    for part in hardware:
        kind = type(part).__name__
        if kind == "CPU":
            found["cpu"] = MODES.get(getattr(part, "_mode", ""), "estimated").format(**whose)
        elif kind == "GPU":
            found["gpu"] = counted(part, whose["all"])
        elif kind == "RAM":
            found["ram"] = "estimated (its size)" if scope == "machine" else "estimated (its use)"
        elif kind in ("AppleSiliconChip", "Raspberry"):
            found[str(part.chip_part).lower()] = f"measured (the board's sensors{whose['all']})"
    return found


def counted(gpus: Any, whose: str) -> str:
    """Which GPUs were read: codecarbon leaves out those that CUDA_VISIBLE_DEVICES hides."""
    seen, there = getattr(gpus, "gpu_ids", None), getattr(gpus, "num_gpus", 0)
    if seen is None or len(seen) >= there:
        return f"measured (its own counter{whose})"
    if not seen:
        return f"{NONE} (of {there} none is visible)"
    return f"measured (its own counter, GPU {', '.join(map(str, seen))} of {there}{whose})"
