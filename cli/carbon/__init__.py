"""`dln carbon`: what a run will cost, and where and when to run it."""

import typer

from . import audit, backtest, compare, estimate, regions, report, schedule
from .region import BareRegion

app = typer.Typer(name="carbon", help="The carbon of a run: where, when, how much.")
app.command("estimate", cls=BareRegion)(estimate.estimate)
app.command("compare")(compare.compare)
app.command("schedule", cls=BareRegion)(schedule.schedule)
app.command("audit", context_settings={"allow_interspersed_args": False})(audit.audit)
app.command("report")(report.report)
app.command("backtest")(backtest.backtest)
app.command("regions")(regions.regions)
