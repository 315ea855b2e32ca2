"""The carbon footprint in a model card's metadata, as the Hugging Face Hub reads it.

`co2_eq_emissions` in the YAML at the head of README.md: grams, source, place, hardware.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ..costs.amounts import plain
from ..costs.embodied import stated_kg
from ..values import NONE, is_metered
from .told import NOT_MEASURED, PARTS, STATED

TYPES = ("pre-training", "fine-tuning")
FIGURES = 4


def block(table: dict[str, Any], training_type: str | None = None) -> str | None:
    """YAML of a report's totals; None where no emissions are known. Location-based, or market-based
    where that alone is known, which its source says."""
    kg, market = table["totals"]["emissions_kg"], table["totals"]["market_kg"]
    found = market if kg is None else kg
    if found is None:
        return None
    basis = "location-based" if kg is not None else f"market-based, {STATED}"
    values = {
        "emissions": found * 1000,
        "source": f"{table['made_with']}; operation, {basis}",
        "training_type": training_type,
        "geographical_location": _listed(_where(run) for run in table["runs"]),
        "hardware_used": _listed(_hardware(run) for run in table["runs"]),
    }
    lines = [f"  {key}: {_scalar(value)}" for key, value in values.items() if value is not None]
    if training_type is None:
        lines.append(f"  # training_type: {' or '.join(TYPES)}")
    return "\n".join(["co2_eq_emissions:  # emissions in grams of CO2e", *lines, ""])


def _scalar(value: Any) -> str:
    """A number without an exponent, which YAML 1.1 reads as text, or a quoted text."""
    if not isinstance(value, float):
        return _quoted(value)
    return plain(value, FIGURES).replace(",", "")


def _quoted(text: str) -> str:
    """JSON's strings are YAML's; non-ASCII escaped, so that no character is one that YAML bars."""
    return json.dumps(text)


def _listed(names: Iterable[str | None]) -> str | None:
    found: list[str] = []
    for name in names:
        if name and name not in found:
            found.append(name)
    return "; ".join(found) or None


def _where(run: dict[str, Any]) -> str | None:
    return run["region"] and f"{run['region_name']} ({run['region']})"


def _hardware(run: dict[str, Any]) -> str | None:
    if run["embodied"] and stated_kg(run["embodied"]["machines"]) is None:
        return run["embodied"]["machines"]
    parts = [name for part, name in PARTS.items() if is_metered(run["power"].get(part, NONE))]
    return ", ".join(parts) or NOT_MEASURED
