"""A report's figures in words: rows, a headline, a paragraph for a model card, a table in LaTeX."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from ..costs.amounts import energy, lasting, mass, masses, percent, plain
from ..costs.embodied import stated_kg
from ..costs.equivalents import equal_to
from ..values import Label, Spread, is_metered

PARTS = {"cpu": "CPU", "gpu": "GPU", "ram": "memory"}
NOT_MEASURED = "not measured"
STATED = "as stated by the user: a contract, certificates or own generation"
SLIGHT = 0.05  # percent; a change that small is none

Row = tuple[str, str]


def used(kwh: float | None) -> str:
    """Energy in words; None: no meter read enough of it."""
    return NOT_MEASURED if kwh is None else energy(kwh)


def emitted(kg: float | None) -> str:
    """A mass of CO2e in words; None where it is not known."""
    return "not known" if kg is None else f"{mass(kg)} CO2e"


def headline(table: dict[str, Any]) -> list[str]:
    """What the runs emitted, what waiting saved, and what it equals: a sentence each."""
    sums, runs = table["totals"], table["runs"]
    kg, market = sums["emissions_kg"], sums["market_kg"]
    shown = market if kg is None else kg
    after = f"{used(sums['energy_kwh'])} in {lasting(sums['running_seconds'])}"
    if sums["energy_kwh"] is None:
        of = _lacking(runs, "energy_kwh")
        return [f"Energy{of} was not measured, so that it is not known what was emitted."]
    if shown is None:
        of = _lacking(runs, "emissions_kg").removeprefix(" of") or " that"
        return [f"Used {after}. What{of} emitted is not known without a region."]
    equals = f"What was emitted equals {equal_to(shown)}."
    bought = "By the electricity that was bought or made (market-based)"
    if kg is None:
        return [f"{bought}: {emitted(shown)}, using {after}.", equals]
    paused = sum(run["paused_seconds"] for run in runs) > 0
    said = [f"Emitted {emitted(kg)}, using {after}.", waiting(sums, paused), equals]
    return said if market is None else [*said, f"{bought}: {emitted(market)}."]


def _lacking(runs: Sequence[dict[str, Any]], name: str) -> str:
    """ " of 1 of the 3 runs", which lack a figure of that name; nothing where all of them do."""
    count = sum(run[name] is None for run in runs)
    return f" of {count} of the {len(runs)} runs" if count < len(runs) else ""


def waiting(figures: dict[str, Any], paused: bool) -> str:
    """What it saved, of a run or of all; what it cost where it did."""
    before, change = figures["at_once_emissions_kg"], figures["saving_percent"] or 0.0
    if abs(change) < SLIGHT:
        return "Waiting saved nothing." if paused else "It did not wait for cleaner hours."
    word = "saved" if change > 0 else "cost"
    more = "" if change > 0 else " more"
    difference = mass(abs(before - figures["emissions_kg"]))
    return f"Waiting {word} {difference}{more} ({percent(abs(change))})."


def facts(run: dict[str, Any]) -> list[Row]:
    """The run's figures, a row each, what it emitted first."""
    moment = datetime.fromisoformat(run["submitted"])
    rows = [
        *_carbon(run),
        ("energy used", _energy(run)),
        ("ran for", lasting(run["running_seconds"])),
    ]
    if run["paused_seconds"]:
        rows.append(("paused for", lasting(run["paused_seconds"])))
    if unread := run["not_measured_seconds"]:
        mean = "" if run["energy_kwh"] is None else ", counted at the mean power of the rest"
        rows.append(("no meter for", f"{lasting(unread)}{mean}"))
    return [
        *rows,
        ("submitted", f"{moment:%Y-%m-%d %H:%M} UTC"),
        ("what ran", run["what"]),
        ("power", power_words(run)),
        *_place(run),
        *making(run),
    ]


def _energy(run: dict[str, Any]) -> str:
    kwh, pue = run["energy_kwh"], run["pue"]
    of = "the run's own processes" if run["scope"] == "process" else "the machine"
    if kwh is None:
        return NOT_MEASURED
    if pue == 1:
        return f"{energy(kwh)} of {of}"
    return f"{energy(kwh)}: {energy(kwh / pue)} of {of} times a PUE of {pue:g}"


def _carbon(run: dict[str, Any]) -> Iterator[Row]:
    if run["emissions_kg"] is not None:
        yield "emitted", f"{emitted(run['emissions_kg'])} (location-based)"
        yield "which equals", equal_to(run["emissions_kg"])
        yield "waiting", waiting(run, run["paused_seconds"] > 0)
        yield "had it started at once", emitted(run["at_once_emissions_kg"])
    else:
        why = NOT_MEASURED if run["energy_kwh"] is None else "not known without a region"
        yield "emitted", why
    if run["market_g_per_kwh"] is not None:
        by = f"{rate(run['market_g_per_kwh'])}, {STATED}"
        yield "emitted, market-based", f"{emitted(run['market_kg'])} ({by})"


def _place(run: dict[str, Any]) -> Iterator[Row]:
    if run["region"]:
        yield "where", f"{run['region_name']} ({run['region']})"
    if run["intensity"]:
        yield "intensity of the grid", rate(run["intensity_g_per_kwh"])
        yield "what that is", label_words(run)


def rate(grams: float | None) -> str:
    """None: there is no mean over the energy where none was used or known."""
    return "not known" if grams is None else f"{plain(grams, 3)} g CO2e/kWh"


def making(run: dict[str, Any]) -> Iterator[Row]:
    """What making the machines emitted, apart from the rest; and the SCI."""
    if row := run.get("embodied"):
        life, kg = plain(row["life_years"], 2), masses(Spread.from_json(row, "embodied_kg"))
        yield (
            "making the machines",
            f"{kg} CO2e (low / expected / high): the share of "
            f"{machines_of(row)} for {lasting(row['reserved_hours'] * 3600)} of a life of {life} "
            f"years ({plain(row['life_years_high'], 2)} to {plain(row['life_years_low'], 2)})",
        )
        yield "figures of making", row["origin"]
    if row := run.get("sci"):
        name = "Software Carbon Intensity"
        each = masses(Spread.from_json(row, "sci_kg_per_unit"))
        yield name, f"{each} CO2e a {row['unit']}: (E I + M) / {plain(row['units'], 3)}"


def machines_of(row: dict[str, Any]) -> str:
    """As given; a mass in the place of machines with its unit."""
    kg = stated_kg(row["machines"])
    return row["machines"] if kg is None else f"{mass(kg)} CO2e"


def total_rows(table: dict[str, Any]) -> list[Row]:
    """The sums over all runs, a row each."""
    sums = table["totals"]
    rows = [
        ("emitted (location-based)", emitted(sums["emissions_kg"])),
        ("had all started at once", emitted(sums["at_once_emissions_kg"])),
        ("energy used", used(sums["energy_kwh"])),
        ("ran for", lasting(sums["running_seconds"])),
        ("paused for", lasting(sums["paused_seconds"])),
    ]
    if sums["market_kg"] is not None:
        rows.insert(1, ("emitted (market-based)", emitted(sums["market_kg"])))
    if sums["embodied_kg"] is not None:
        rows.append(
            ("making the machines", f"{masses(Spread.from_json(sums, 'embodied_kg'))} CO2e")
        )
    return rows


PLACES = ("the same energy in", "would emit", "low / expected / high", "data of")


def places(run: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """A row for each place that the run is compared with, under PLACES."""
    for row in run["comparison"]:
        yield (
            f"{row['name']} ({row['region']})",
            f"{mass(row['emissions_kg'])} CO2e",
            masses(Spread.from_json(row, "emissions_kg")),
            row["label"]["year"],
        )


def power_words(run: dict[str, Any]) -> str:
    """ "CPU estimated (...), memory estimated (...)"; "not measured" for nothing."""
    parts = [f"{PARTS.get(part, part)} {how}" for part, how in run["power"].items()
             if is_metered(how)]  # fmt: skip
    return ", ".join(parts) or NOT_MEASURED


def label_words(run: dict[str, Any]) -> str:
    """What the grid's intensity means."""
    return str(Label(**run["intensity"]["label"]))


def paragraph(run: dict[str, Any], made_with: str) -> str:
    """What a model card says about the run."""
    lasted = lasting(run["running_seconds"])
    if run["energy_kwh"] is None:
        said = f"{run['what']} ran for {lasted}; its energy was not measured"
    else:
        said = (
            f"{run['what']} used {energy(run['energy_kwh'])} (PUE {run['pue']:g}; "
            f"{power_words(run)}) in {lasted}"
        )
    if run["paused_seconds"]:
        said += f", and paused for {lasting(run['paused_seconds'])}"
    if run["emissions_kg"] is not None:
        where = f", in {run['region_name']} ({run['region']})" if run["region"] else ""
        said += (
            f"{where}. At a mean of "
            f"{rate(run['intensity_g_per_kwh'])} ({label_words(run)}) that is "
            f"{emitted(run['emissions_kg'])} (operation, location-based){compared(run)}"
        )
    if run["market_kg"] is not None:
        said += (
            f". By the intensity of {rate(run['market_g_per_kwh'])}, {STATED}, it is "
            f"{emitted(run['market_kg'])} (market-based)"
        )
    if row := run["embodied"]:
        said += (
            f". Making the machines ({machines_of(row)}) adds, apart from that, "
            f"{masses(Spread.from_json(row, 'embodied_kg'))} CO2e (low / expected / high)"
        )
    return f"{said}. Recorded with {made_with}."


def compared(run: dict[str, Any]) -> str:
    """To a run without a pause; nothing where it was one."""
    change = run["saving_percent"] or 0.0
    if not run["paused_seconds"] and abs(change) < SLIGHT:
        return ""
    less = "less" if change >= 0 else "more"
    return (
        f", {percent(abs(change))} {less} than had it started at once without a pause "
        f"({mass(run['at_once_emissions_kg'])})"
    )


def latex(runs: Sequence[dict[str, Any]]) -> str:
    """A table for a paper."""
    lines = [
        r"\begin{tabular}{lrrrr}",
        r"Run & time & energy & g CO$_2$e/kWh & CO$_2$e \\ \hline",
    ]
    for run in runs:
        grams, kg, kwh = run["intensity_g_per_kwh"], run["emissions_kg"], run["energy_kwh"]
        if kg is None and run["market_kg"] is not None:
            grams, kg = run["market_g_per_kwh"], run["market_kg"]
        cells = [
            lasting(run["running_seconds"]),
            used(kwh),
            "--" if grams is None else plain(grams, 3),
            "--" if kg is None else mass(kg),
        ]
        lines.append(" & ".join(map(escaped, [run["name"], *cells])) + r" \\")
    return "\n".join([*lines, r"\end{tabular}"])


def escaped(text: str) -> str:
    """The characters that LaTeX takes for itself, taken literally."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
               "<": r"\textless{}", ">": r"\textgreater{}"}  # fmt: skip
    line = (c if c.isprintable() else " " for c in text)
    return "".join(special.get(c, f"\\{c}" if c in "&%$#_{}" else c) for c in line)
