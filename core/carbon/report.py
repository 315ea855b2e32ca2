"""What finished runs used and emitted, as one table of numbers that can be recomputed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from .annual import annual
from .emissions import KG, Emissions
from .energy import equivalents
from .regions import Region, find

if TYPE_CHECKING:
    from .documents import ReportForm

SCHEMA = 1
TOTALS = ("energy_kwh", "emissions_kg", "at_once_emissions_kg", "running_seconds", "paused_seconds")
CLOSE = 1e-9  # relative; the figures are the same sums


def report(runs: Sequence[tuple[str, Emissions]], elsewhere: Sequence[Region]) -> dict[str, Any]:
    """All figures of the named runs: each run's record with what it equals and what the same
    energy emits in a year's mean hour of the regions `elsewhere`; and the totals."""
    tables = [
        {
            "name": name,
            **run.to_json(),
            "region_name": find(run.region).name if run.region else None,
            "equivalents": equivalents(run.kg) if run.kg is not None else None,
            "comparison": comparison(run.kwh, with_own(run, elsewhere)),
        }
        for name, run in runs
    ]
    return {
        "schema": SCHEMA,
        "made_with": f"dln {version('dln')}, codecarbon {version('codecarbon')}",
        "counted": "operation, location-based; not what making the machines emitted",
        "runs": tables,
        "totals": totals(tables),
    }


def with_own(run: Emissions, elsewhere: Sequence[Region]) -> list[Region]:
    """The regions, the run's own among them."""
    own = [find(run.region)] if run.region else []
    return list({region.code: region for region in [*elsewhere, *own]}.values())


def comparison(kwh: float | None, elsewhere: Sequence[Region]) -> list[dict[str, Any]]:
    """The energy in other places, the cleanest first; none where no energy is known."""
    if kwh is None:
        return []
    found = [(annual(region), region) for region in elsewhere]
    return [
        {
            "region": region.code,
            "name": region.name,
            **intensity.g_per_kwh.to_json("intensity_g_per_kwh"),
            **(intensity.g_per_kwh * (kwh * KG)).to_json("emissions_kg"),
            "label": intensity.label.to_json(),
        }
        for intensity, region in sorted(found, key=lambda pair: pair[0].g_per_kwh.expected)
    ]


def totals(runs: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """Sums over the runs; None where one of them does not have the figure."""
    columns = {name: [run[name] for run in runs] for name in TOTALS}
    found: dict[str, float | None] = {
        name: None if None in values else math.fsum(values) for name, values in columns.items()
    }
    kg, before = found["emissions_kg"], found["at_once_emissions_kg"]
    saving = 100 * (1 - kg / before) if kg is not None and before else None
    return found | {"saving_percent": saving}


def verify(form: ReportForm) -> list[str]:
    """Recompute every figure of a report from its intervals and intensities; a line for each that
    is not what it says."""
    wrong: list[str] = []
    for run in form.runs:
        again = Emissions.from_form(run)
        expected: dict[str, Any] = again.totals()
        expected["equivalents"] = equivalents(again.kg) if again.kg is not None else None
        wrong += [f"{run.name}: {line}" for line in differences(vars(run), expected)]
        for row in map(vars, run.comparison):
            for end in ("", "_low", "_high"):
                there = {f"emissions_kg{end}": again.kwh * row[f"intensity_g_per_kwh{end}"] * KG}
                lines = differences(row, there)
                wrong += [f"{run.name} in {row['region']}: {line}" for line in lines]
    sums = totals([vars(run) for run in form.runs])
    return wrong + [f"totals: {line}" for line in differences(vars(form.totals), sums)]


def differences(stated: dict[str, Any], expected: dict[str, Any]) -> Iterator[str]:
    for name, value in expected.items():
        said = stated.get(name)
        if isinstance(value, dict) and isinstance(said, dict):
            yield from differences(said, value)
        elif not same(said, value):
            yield f"{name} is {said}, not {value}"


def same(a: Any, b: Any) -> bool:
    if a is None or b is None or isinstance(a, dict) or isinstance(b, dict):
        return a == b
    return math.isclose(a, b, rel_tol=CLOSE, abs_tol=1e-15)


def power_words(run: dict[str, Any]) -> str:
    """ "cpu estimated (...), ram estimated (...)"; "not measured" for nothing."""
    parts = [f"{part} {how}" for part, how in run["power"].items() if how != "none"]
    return ", ".join(parts) or "not measured"


def label_words(run: dict[str, Any]) -> str:
    label = run["intensity"]["label"]
    return (
        f"{label['signal']}, {label['factors']} factors, {label['year']}, {label['origin']} "
        f"({label['kind']})"
    )


def paragraph(run: dict[str, Any], made_with: str) -> str:
    """What a model card says about the run."""
    used = (
        f"{run['what']} used {run['energy_kwh']:.3g} kWh (PUE {run['pue']:g}; "
        f"{power_words(run)}) in {lasting(run['running_seconds'])}"
    )
    if run["paused_seconds"]:
        used += f", and paused for {lasting(run['paused_seconds'])}"
    if run["emissions_kg"] is None:
        return f"{used}. Recorded with {made_with}."
    return (
        f"{used}, in {run['region_name']} ({run['region']}). At a mean of "
        f"{run['intensity_g_per_kwh'] or 0:.0f} g CO2e/kWh ({label_words(run)}) that is "
        f"{run['emissions_kg']:.3g} kg CO2e (operation, location-based){compared(run)}. "
        f"Recorded with {made_with}."
    )


def compared(run: dict[str, Any]) -> str:
    """To a run without a pause; nothing where it was one."""
    change = run["saving_percent"] or 0.0
    if not run["paused_seconds"] and abs(change) < 0.05:
        return ""
    less = "less" if change >= 0 else "more"
    return (
        f", {abs(change):.1f} % {less} than had it started at once without a pause "
        f"({run['at_once_emissions_kg']:.3g} kg)"
    )


def lasting(seconds: float) -> str:
    """In hours, or minutes or seconds where these are few."""
    for unit, length in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} seconds"


def latex(runs: Sequence[dict[str, Any]]) -> str:
    """A table for a paper."""
    lines = [
        r"\begin{tabular}{lrrrr}",
        r"Run & h & kWh & g CO$_2$e/kWh & kg CO$_2$e \\ \hline",
    ]
    for run in runs:
        figures = [run["running_seconds"] / 3600, run["energy_kwh"],
                   run["intensity_g_per_kwh"], run["emissions_kg"]]  # fmt: skip
        cells = ["--" if value is None else f"{value:.3g}" for value in figures]
        lines.append(" & ".join([escaped(run["name"]), *cells]) + r" \\")
    return "\n".join([*lines, r"\end{tabular}"])


def escaped(text: str) -> str:
    """The characters that LaTeX takes for itself, taken literally."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
               "<": r"\textless{}", ">": r"\textgreater{}"}  # fmt: skip
    line = (c if c.isprintable() else " " for c in text)
    return "".join(special.get(c, f"\\{c}" if c in "&%$#_{}" else c) for c in line)
