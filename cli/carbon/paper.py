"""`dln carbon estimate --paper`: the tables of Dodge et al. 2022, from its published energies."""

from dln.core.carbon.costs.amounts import MASSES, amount, plain
from dln.core.carbon.costs.equivalents import EPA_TONNES, equivalents
from dln.core.carbon.costs.paper import PAPER, PAPER_G_PER_KWH, later_start_percent

from ..show import Result, table

FIGURES = 3  # that the paper's energies have
# As the paper tells them: EPA's, in miles and gallons.
NAMES = {
    "phone_charges": "phone charges",
    "car_miles": "miles by car",
    "gallons_of_petrol": "gallons of petrol",
    "barrels_of_oil": "barrels of oil",
    "home_years": "years of a home",
    "rail_cars_of_coal": "rail cars of coal",
}


def published() -> Result:
    """The paper's energies at its best and worst region, and its eight percent."""
    from rich.console import Group

    rows = [
        {
            "experiment": name,
            "gpus": gpus,
            "hours": hours,
            "energy_kwh": kwh,
            "kwh_per_gpu_hour": kwh / gpus / hours,
            "emissions_kg_low": kwh * PAPER_G_PER_KWH[0] / 1000,
            "emissions_kg_high": kwh * PAPER_G_PER_KWH[1] / 1000,
            "home_years_high": counted(kwh * PAPER_G_PER_KWH[1] / 1000)["home_years"],
        }
        for name, (gpus, hours, kwh) in PAPER.items()
    ]
    columns = ("experiment", "GPUs", "hours", "kWh", "kWh per GPU-hour", "at 200 g/kWh",
               "at 755 g/kWh", "which is as much as")  # fmt: skip
    shown = [
        [row["experiment"], row["gpus"], row["hours"], f"{row['energy_kwh']:,}",
         f"{row['kwh_per_gpu_hour']:.2f}", amount(row["emissions_kg_low"], MASSES, FIGURES),
         amount(row["emissions_kg_high"], MASSES, FIGURES),
         largest(counted(row["emissions_kg_high"]))]
        for row in rows
    ]  # fmt: skip
    title = "Dodge et al. 2022, table 2: GPU energy, marginal intensity of 2020 (published)"
    later = later_start_percent()
    drawn = Group(
        table(columns, shown, title),
        f"BERT finetune in the central US: {later:.1f} % more at midnight than at six (table 3)",
    )
    data = {"experiments": rows, "later_start_percent": later}
    return Result(data, drawn, [f"{row['emissions_kg_high']:.6g}" for row in rows])


def counted(kg: float) -> dict[str, float]:
    """How many of the paper's things emit so much."""
    return equivalents(kg, EPA_TONNES)


def largest(counts: dict[str, float]) -> str:
    """The largest thing that is emitted at least once, else phone charges."""
    name = next((name for name in reversed(NAMES) if counts[name] >= 1), "phone_charges")
    return f"{plain(counts[name], FIGURES)} {NAMES[name]}"
