"""`dln carbon regions`: the places that --region takes."""

from typing import Annotated, Any

import typer

from ..options import Json, Quiet, Verbose
from ..show import Result, table


def regions(
    text: Annotated[str, typer.Argument(help="A part of a name or code; all where left out.")] = "",
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> Result:
    """List the regions, cleanest first: countries, grid zones, states and cloud regions.

    \b
    Examples:
      dln carbon regions norway
      dln carbon regions aws:
      dln carbon regions --json
    """
    from dln.core.carbon.places.regions import search
    from dln.core.errors import UsageError, short

    rows = sorted((entry(region) for region in search(text)), key=lambda row: row["g_per_kwh"])
    if not rows:
        raise UsageError(f"no region has {short(text)!r} in its name.", "dln carbon regions")
    columns = ("code", "name", "kind", "g/kWh", "hours", "year", "factors")
    lines = [
        (r["code"], r["name"], r["kind"], f"{r['g_per_kwh']:.0f}", r["zone"], r["label"]["year"],
         r["label"]["factors"])
        for r in rows
    ]  # fmt: skip
    return Result({"regions": rows}, table(columns, lines), [row["code"] for row in rows])


def entry(region: Any) -> dict[str, Any]:
    from dln.core.carbon.places.annual import annual

    found = annual(region)
    return {
        "code": region.code,
        "name": region.name,
        "kind": region.kind,
        "country": region.country,
        "zone": region.zone,
        "g_per_kwh": found.g_per_kwh.expected,
        "label": found.label.to_json(),
    }
