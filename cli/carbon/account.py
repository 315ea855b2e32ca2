"""What of the energy counts and what its user states of it: options of dln train and audit."""

from typing import TYPE_CHECKING, Annotated

import typer

from dln.core.carbon.values import Scope

if TYPE_CHECKING:
    from dln.core.carbon.meter.recorder import Account


ScopeOption = Annotated[
    Scope, typer.Option("--scope", help="process: the run's share of a shared machine.")
]
Intensity = Annotated[
    float | None,
    typer.Option("--intensity", metavar="G", help="A contract's or own solar's g/kWh, as well."),
]


def account_of(scope: Scope, intensity: float | None) -> "Account | None":
    """None where nothing was asked for. UsageError for an intensity that is none."""
    from dln.core.carbon.meter.recorder import Account

    if scope == "machine" and intensity is None:
        return None
    return Account(scope, intensity)
