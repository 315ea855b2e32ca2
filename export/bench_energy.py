"""The energy of a stretch of work by codecarbon, offline, and what the number rests on."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Any

PATIENCE_S = 20.0  # some sensors answer never: then there is no number
JOULES_PER_KWH = 3.6e6
PROCESSOR = {
    "intel_rapl": "measured (RAPL)",
    "windows_emi": "measured (Windows energy meter)",
    "intel_power_gadget": "measured (Power Gadget)",
    "cpu_load": "estimated from TDP and this process's use of it",
    "constant": "estimated from TDP",
}
HARDWARE = {
    "AppleSiliconChip": "chip measured (powermetrics)",
    "Raspberry": "board measured (its own sensors)",
    "GPU": "GPU measured (its own counter)",
    "RAM": "memory estimated from its size",
}


@dataclass
class Energy:
    """joules: None where nothing could be metered. source: measured or estimated, part by part."""

    joules: float | None = None
    source: str = "not measured"


@contextmanager
def metered() -> Iterator[Energy]:
    """Meter the body; the numbers are there when it has ended. Never raises, never takes long."""
    energy = Energy()
    tracker = within(PATIENCE_S, start)
    yield energy
    data = within(PATIENCE_S, lambda: finish(tracker)) if tracker else None
    # Nothing used and nothing measured look alike.
    if data is not None and data.energy_consumed > 0:
        energy.joules = data.energy_consumed * JOULES_PER_KWH
        energy.source = ", ".join(dict.fromkeys(map(origin, tracker._hardware)))


def start() -> Any:
    """A running tracker that writes no file and calls nobody."""
    from codecarbon import OfflineEmissionsTracker

    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
    tracker = OfflineEmissionsTracker(
        # Energy alone is wanted. A given intensity keeps the tracker from asking where we are.
        force_carbon_intensity_g_co2e_kwh=0.0,
        output_methods=[],
        output_handlers=[],
        emissions_endpoint=None,
        electricitymaps_api_token=None,
        tracking_mode="process",
        measure_power_secs=2,
        allow_multiple_runs=True,
        log_level="critical",
    )
    tracker.start()
    return tracker


def finish(tracker: Any) -> Any:
    """The tracker's final figures; None where it could not find any."""
    tracker.stop()
    return getattr(tracker, "final_emissions_data", None)


def origin(hardware: Any) -> str:
    """What the figures of one piece of hardware rest on."""
    kind = type(hardware).__name__
    if kind == "CPU":
        return f"processor {PROCESSOR.get(getattr(hardware, '_mode', ''), 'estimated')}"
    return HARDWARE.get(kind, f"{kind} estimated")


def within(seconds: float, call: Callable[[], Any]) -> Any:
    """What the call returns; None where it fails or takes longer."""
    found: list[Any] = []

    def attempt() -> None:
        # Energy is an extra: whatever goes wrong with it must not cost the benchmark.
        try:
            found.append(call())
        except Exception:
            logging.getLogger(__name__).debug("no energy", exc_info=True)

    thread = Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(seconds)
    return found[0] if found else None
