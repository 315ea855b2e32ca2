"""What of the energy counts, what its user states of it, and what else is asked for: options that
commands share."""

from typing import TYPE_CHECKING, Annotated

import typer

from dln.core.carbon.values import Scope
from dln.core.errors import UsageError

if TYPE_CHECKING:
    from dln.core.carbon.meter.recorder import Account


ScopeOption = Annotated[
    Scope, typer.Option("--scope", help="process: the run's share of a shared machine.")
]
Stated = Annotated[
    float | None,
    typer.Option("--intensity", metavar="G", help="A contract's or own solar's g/kWh, as well."),
]
Market = Annotated[
    float | None,
    typer.Option(metavar="G", help="g/kWh of a contract or own solar: market-based, beside."),
]
Embodied = Annotated[
    str | None,
    typer.Option(metavar="8xH100|server|KG", help="Add what making the machines emitted."),
]
Per = Annotated[
    str | None,
    typer.Option(metavar="step|N:UNIT", help="Software Carbon Intensity, with --embodied."),
]


def account_of(scope: Scope, intensity: float | None) -> "Account | None":
    """None where nothing was asked for. UsageError for an intensity that is none."""
    from dln.core.carbon.meter.recorder import Account

    if scope == "machine" and intensity is None:
        return None
    return Account(scope, intensity)


def check_making(embodied: str | None, per: str | None) -> None:
    """UsageError where the SCI is asked for without all that it counts."""
    if per and not embodied:
        raise UsageError("the SCI counts what making the machines emitted.",
                         "--embodied 8xH100, server, or their kg")  # fmt: skip
