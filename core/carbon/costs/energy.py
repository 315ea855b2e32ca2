"""Energy of a run before it is run."""

import csv
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ...errors import UsageError, closest, short
from ..values import Spread, within

# Share of the rated power: the paper's 8 V100s drew 43 % of theirs, its 256 A100s 70 %
# (Dodge et al. 2022, table 2: 0.13 and 0.28 kWh per GPU-hour of 0.3 and 0.4 kW).
UTILISATION = Spread(0.4, 0.7, 1.0)
# Share of the rated FLOP/s that trainings of large models reached: GPT-3 21 %, MT-NLG 30 %,
# Gopher 33 %, PaLM 46 % (Chowdhery et al. 2022, table 3).
REACHED = Spread(0.21, 0.33, 0.46)
UNNAMED = ("H100", "A100", "V100")  # where nobody said on what: least, expected, most kWh a FLOP
GPU_SHARE = 0.74  # of a machine's power (Dodge et al. 2022, table 1)

MOST_DEVICES, MOST_HOURS = 1e9, 1e7  # a thousand years
MOST_STEPS = 1e12

# Words of a printed name that tell no two devices apart, and how much memory one has.
_IDLE = {
    *("nvidia", "amd", "intel", "apple", "google", "aws", "amazon"),
    *("tesla", "geforce", "instinct", "radeon", "gpu", "graphics", "accelerator", "generation"),
    *("oam", "mcm", "ac", "mba", "tm", "r"),
}
_MEMORY = re.compile(r"\d+gb?|hbm\d?e?")


@dataclass(frozen=True)
class Device:
    """watts: rated power; tflops: 1e12 FLOP/s of dense matrix products that its maker states, of
    16-bit numbers where it has units for them; None where none is stated. source: who says how
    much it draws, "assumed" where its maker does not. note: what the watts are of."""

    name: str
    watts: float
    tflops: float | None
    source: str
    note: str

    def __str__(self) -> str:
        told = f"{self.name}, {self.watts:g} W {'assumed' if self.source == 'assumed' else 'rated'}"
        return f"{told}, {self.note}" if self.note else told


@cache
def hardware() -> dict[str, Device]:
    """By every name, as written."""
    text = files("dln.core.carbon.costs").joinpath("hardware.csv").read_text(encoding="utf-8")
    found: dict[str, Device] = {}
    for row in csv.DictReader(text.splitlines()):
        rate = float(row["tflops"]) if row["tflops"] else None
        device = Device(row["name"], float(row["watts"]), rate, row["source"], row["note"])
        for name in (row["name"], *filter(None, row["aliases"].split("|"))):
            found[name] = device
    return found


@cache
def _by_words() -> dict[str, Device]:
    return {"".join(_words(name)): device for name, device in hardware().items()}


def _words(name: str) -> list[str]:
    return [w for w in re.findall(r"[a-z0-9]+", name.lower()) if w not in _IDLE]


def device(name: str) -> Device:
    """The device of that name, as people, nvidia-smi, rocm-smi and macOS write it; of a family
    ("A100") its usual one. UsageError with the nearest names."""
    words = _words(name)
    sizeless = [word for word in words if not _MEMORY.fullmatch(word)]
    found = _by_words().get("".join(words)) or _by_words().get("".join(sizeless))
    if "laptop" in words:
        raise UsageError(
            f"what {short(name)!r} may draw is for the laptop's maker to set",
            "give --kwh; nvidia-smi -q -d POWER shows the limit",
        )
    if found is None:
        names = dict.fromkeys(known.name.lower() for known in hardware().values())
        raise UsageError(
            f"no device {short(name)!r}.{closest(short('-'.join(words)), names)}",
            "give --kwh where it is known",
        )
    return found


def siblings(name: str) -> list[Device]:
    """Of a family's name ("P100"), which device() takes for one of it: the others."""
    asked, found = "".join(_words(name)), device(name)
    if asked == "".join(_words(found.name)):
        return []
    alike = {d.name: d for key, d in _by_words().items() if key.startswith(asked) and d != found}
    return list(alike.values())


def of_devices(
    name: str,
    count: int,
    hours: float,
    whole_machine: bool = False,
    utilisation: Spread = UTILISATION,
) -> Spread:
    """kWh of `count` devices in `hours`: low, expected and high by how hard they work.

    whole_machine: with what goes to CPUs and memory beside them. utilisation: the power drawn as
    a share of the rated one.
    """
    within(count, "--gpus", MOST_DEVICES, least=1)
    within(hours, "--hours", MOST_HOURS)
    if not 0 < utilisation.low <= utilisation.high <= 1:
        raise UsageError("--utilisation is above 0 and at most 1")
    share = GPU_SHARE if whole_machine else 1.0
    return utilisation * (device(name).watts * count * hours / 1000 / share)


def hours_of(flop: float, name: str) -> Spread:
    """Device-hours that `flop` floating-point operations take, by the share of its rate that a
    training reaches. UsageError where the device's rate is not known."""
    found = device(name)
    if found.tflops is None:
        raise UsageError(f"how fast {found.name} computes is not known", "--gpu NAME --hours H")
    rated = flop / (found.tflops * 1e12) / 3600
    return Spread(rated / REACHED.high, rated / REACHED.expected, rated / REACHED.low)


def of_work(
    flop: float,
    name: str | None,
    whole_machine: bool = False,
    utilisation: Spread = UTILISATION,
) -> Spread:
    """kWh that `flop` take on a device; name None: those of UNNAMED."""
    share = GPU_SHARE if whole_machine else 1.0
    names = UNNAMED if name is None else (name, name, name)
    spent = [hours_of(flop, n) * (device(n).watts / 1000 / share) for n in names]
    return utilisation * Spread(spent[0].low, spent[1].expected, spent[2].high)
