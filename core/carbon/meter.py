"""This machine's energy by codecarbon, offline, and what each part of the number rests on."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Lock, Thread
from typing import Any, Literal

PATIENCE_S = 20.0  # some sensors answer never: then there is no number
TICK_S = 5.0  # a load is sampled, and a counter read before it wraps
NEVER_S = 1e9
MODES = {
    "intel_rapl": "measured (RAPL)",
    "windows_emi": "measured (Windows energy meter)",
    "intel_power_gadget": "measured (Power Gadget)",
    "cpu_load": "estimated (rated power and load)",
    "constant": "estimated (rated power)",
}
NONE = "none"
Scope = Literal["machine", "process"]


@dataclass(frozen=True)
class Energy:
    """kWh of the components, before PUE."""

    cpu: float = 0.0
    gpu: float = 0.0
    ram: float = 0.0

    def __sub__(self, other: "Energy") -> "Energy":
        return Energy(self.cpu - other.cpu, self.gpu - other.gpu, self.ram - other.ram)


class Meter:
    """Counts from when it is made until close(). Never raises and never takes long: where
    nothing can be metered `power` is empty and read() says zero.

    scope: the whole machine, or this process with its children. power: by component, "measured
    (...)", "estimated (...)" or "none".
    """

    def __init__(self, scope: Scope = "machine") -> None:
        self._total = Energy()
        self._lock, self._closed = Lock(), Event()
        self._tracker = within(PATIENCE_S, lambda: self._start(scope))
        self.power = power_of(self._tracker._hardware) if self._tracker else {}
        if self._tracker:
            Thread(target=self._tick, daemon=True).start()

    def _start(self, scope: Scope) -> Any:
        """A running tracker that writes no file and calls nobody; its clock is ours, since its
        own reads beside flush() would count some seconds twice."""
        from codecarbon import OfflineEmissionsTracker

        logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
        tracker = OfflineEmissionsTracker(
            # Energy alone is wanted. A given intensity keeps the tracker from asking where we are.
            force_carbon_intensity_g_co2e_kwh=0.0,
            pue=1.0,
            output_methods=[],
            output_handlers=[self],
            emissions_endpoint=None,
            electricitymaps_api_token=None,
            tracking_mode=scope,
            measure_power_secs=NEVER_S,
            api_call_interval=-1,
            allow_multiple_runs=True,
            log_level="critical",
        )
        tracker.start()
        return tracker

    def _tick(self) -> None:
        while not self._closed.wait(TICK_S):
            self.read()

    def read(self) -> Energy:
        """kWh since the start; stays where it is after close()."""
        if self._tracker and not self._closed.is_set():
            within(PATIENCE_S, self._flush)
        return self._total

    def _flush(self) -> None:
        with self._lock:
            self._tracker.flush()

    def close(self) -> Energy:
        """The last reading; the tracker ends."""
        total = self.read()
        if self._tracker and not self._closed.is_set():
            self._closed.set()
            within(PATIENCE_S, self._tracker.stop)
        return total

    # codecarbon calls these four of its output handlers.
    def out(self, total: Any, delta: Any) -> None:
        if not self._closed.is_set():
            self._total = Energy(total.cpu_energy, total.gpu_energy, total.ram_energy)

    def live_out(self, total: Any, delta: Any) -> None: ...

    def task_out(self, data: Any, experiment_name: str) -> None: ...

    def exit(self) -> None: ...


def power_of(hardware: list[Any]) -> dict[str, str]:
    """How the energy of each component came to be."""
    found = {"cpu": NONE, "gpu": NONE, "ram": NONE}
    for part in hardware:
        kind = type(part).__name__
        if kind == "CPU":
            found["cpu"] = MODES.get(getattr(part, "_mode", ""), "estimated")
        elif kind == "GPU":
            found["gpu"] = "measured (its own counter)"
        elif kind == "RAM":
            found["ram"] = "estimated (its size)"
        elif kind in ("AppleSiliconChip", "Raspberry"):
            found[str(part.chip_part).lower()] = "measured (the board's sensors)"
    return found


def within(seconds: float, call: Callable[[], Any]) -> Any:
    """What the call returns; None where it fails or takes longer."""
    found: list[Any] = []

    def attempt() -> None:
        # Energy is an extra: whatever goes wrong with it must not cost the run.
        try:
            found.append(call())
        except Exception:
            logging.getLogger(__name__).debug("no energy", exc_info=True)

    thread = Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(seconds)
    return found[0] if found else None
