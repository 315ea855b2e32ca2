"""`dln carbon`: what a run will cost, and where and when to run it."""

from typing import Any

import typer

from ..lazy import nothing
from .region import BareRegion

app = typer.Typer(name="carbon", help="The carbon of a run: where, when, how much.")
app.callback()(nothing)
ENTRIES: dict[str, dict[str, Any]] = {
    "estimate": {"cls": BareRegion},
    "compare": {},
    "schedule": {"cls": BareRegion},
    "audit": {"context_settings": {"allow_interspersed_args": False}},
    "report": {},
    "backtest": {},
    "regions": {},
}
