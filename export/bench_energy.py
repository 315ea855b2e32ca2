"""The energy of a stretch of work, and what the number rests on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dln.core.carbon.meter.meter import Meter
from dln.core.carbon.values import is_metered

JOULES_PER_KWH = 3.6e6
COMPONENTS = {"cpu": "processor", "gpu": "GPU", "ram": "memory"}


@dataclass
class Joules:
    """joules: None where nothing could be metered. source: measured or estimated, part by part."""

    joules: float | None = None
    source: str = "not measured"


@contextmanager
def metered() -> Iterator[Joules]:
    """Meter the body; the numbers are there when it has ended. Never raises, never takes long."""
    meter, found = Meter("process"), Joules()
    yield found
    energy = meter.close()
    used = energy.total if energy else 0.0
    # Nothing used and nothing measured look alike.
    if used > 0:
        parts = {name: how for name, how in meter.power.items() if is_metered(how)}
        found.joules = used * JOULES_PER_KWH
        found.source = ", ".join(f"{COMPONENTS[name]} {how}" for name, how in parts.items())
