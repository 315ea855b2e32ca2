"""`dln carbon`: what a run will cost, and where and when to run it."""

import typer

from . import backtest, compare, estimate, regions, schedule
from .region import BareRegion

app = typer.Typer(name="carbon", help="The carbon of a run: where, when, how much.")
app.command("estimate", cls=BareRegion)(estimate.estimate)
app.command("compare")(compare.compare)
app.command("schedule", cls=BareRegion)(schedule.schedule)
app.command("backtest")(backtest.backtest)
app.command("regions")(regions.regions)
