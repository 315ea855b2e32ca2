"""Reading intensity in time from a user's CSV.

What is wrong with a file is said in one sentence: a plan made on tonnes or on another zone's hours
would look as sound as any other.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from statistics import median

from ...errors import UsageError, closest, short
from ..values import HOUR, Label
from .dialects import Columns, Reading, columns, folded, likeness
from .hours import Entry, FileSeries, laid_out
from .sheet import Row, Sheet, cell_of, read_sheet
from .timeline import Timeline, timeline
from .units import UNITS, decimal_comma, number, unit_named

LONGEST_STEP = timedelta(hours=6)  # in which a plan still has something to choose from
_LEAST, _MOST = 1.5, 5000.0  # g/kWh that a grid's median can be; else the unit is another
_SMALL = 5.0  # pounds for each kWh are at most two or three
_SUMS = re.compile(r"(total|sum|mean|average|avg|min|max|median|count|source|note|summe|gesamt|"
                   r"totalt|итого|всего|среднее)\b.*", re.IGNORECASE)  # fmt: skip


def read_csv(path: Path | str, reading: Reading | None = None) -> FileSeries:
    """The hours in a CSV, as its header and `reading` say. UsageError for what makes all of it
    useless or doubtful; what single rows lack, `FileSeries.sound` tells."""
    path, reading = Path(path), reading or Reading()
    sheet = read_sheet(path, lambda row: likeness(row, reading.column))
    found = columns(sheet, reading)
    sheet, zone = _of_zone(sheet, found, reading.zone)
    sheet, left_out = _without_sums(sheet, found)
    if len(sheet.rows) < 2:
        raise UsageError(f"{path} has fewer than two rows{f' for {zone}' if zone else ''}.")
    amounts = _amounts(sheet, found, reading)
    times = timeline(sheet, found, reading.timezone)
    amounts.check(sheet, found, times.step)
    entries = _entries(sheet, times, amounts)
    years = sorted({entry.time.year for entry in entries})
    year = f"{years[0]}-{years[-1]}" if len(years) > 1 else str(years[0])
    origin = f"csv: {path.name}" + (f", {zone}" if zone else "")
    label = Label(found.signal, found.factors, year, origin, found.kind)
    hours = laid_out(entries, times.step, label, path, sheet.word).filled(reading.fill)
    naive = f"the times of {path} name no zone: UTC is assumed (--timezone)"
    small = f"the numbers of {path} name no unit and are small: {found.small} is assumed (--unit)"
    remarks = (*left_out, *([naive] if times.assumed else []),
               *([small] if amounts.small else []), *hours.remarks)  # fmt: skip
    return replace(hours, remarks=remarks).remarked()


def _of_zone(sheet: Sheet, found: Columns, zone: str | None) -> tuple[Sheet, str | None]:
    """The rows of that zone, and its name as the file has it; of all, where there is one alone."""
    place, path = found.zone, sheet.path
    if place is None and zone is not None:
        place = _holding(zone, sheet)
    if place is None:
        if zone is not None:
            raise UsageError(f"{path} has no column of zones.", "leave --zone out")
        return sheet, None
    zones = {cell_of(row, place) for _, row in sheet.rows if len(row) == len(sheet.header)}
    some = [short(name) for name in sorted(zones)[:200]]
    if zone is None and len(zones) > 1:
        raise UsageError(f"{path} holds several zones.", f"--zone {', '.join(some[:8])}")
    if zone is None:
        return sheet, None
    same = zone if zone in zones else next((z for z in zones if folded(z) == folded(zone)), None)
    if same is None:
        near = closest(zone, some)
        raise UsageError(f"{path} has fewer than two rows for {short(zone)}.{near}")
    return replace(sheet, rows=[row for row in sheet.rows if cell_of(row[1], place) == same]), same


def _holding(zone: str, sheet: Sheet) -> int | None:
    """The column, whatever its name, in which that zone stands."""
    return next((at for _, row in sheet.rows for at, cell in enumerate(row)
                 if folded(cell) == folded(zone)), None)  # fmt: skip


def _without_sums(sheet: Sheet, found: Columns) -> tuple[Sheet, list[str]]:
    """Without the rows at the end that are sums or remarks, and what was left out."""
    rows: list[Row] = list(sheet.rows)
    while rows and _SUMS.fullmatch(cell_of(rows[-1][1], found.time)):
        rows.pop()
    if len(rows) == len(sheet.rows):
        return sheet, []
    first, row = sheet.rows[len(rows)]
    told = f"{sheet.place(first)} is left out: {short(cell_of(row, found.time))!r} is no time"
    return replace(sheet, rows=rows), [told]


@dataclass(frozen=True)
class _Amounts:
    """The numbers of a column as they stand; None with the reason where a cell holds none.

    factor: what makes g/kWh of them. sure: the user says so. zeros: whether a 0 is a value. small:
    whether the unit was told from their size.
    """

    values: Sequence[tuple[float | None, str]]
    factor: float
    sure: bool
    zeros: bool
    small: bool

    def check(self, sheet: Sheet, found: Columns, step: timedelta) -> None:
        """UsageError where the whole column is no intensity in g/kWh, or too coarse."""
        name = short(sheet.header[found.value])
        self._check_numbers(sheet, name)
        coarse = f"its values are {step / HOUR:g} h apart"
        problems = [coarse] if step > LONGEST_STEP else []
        hint = "values for every hour, or shorter"
        known = [abs(value) for value, _ in self.values if value]
        middle = median(known) * self.factor if known else _LEAST
        if middle > _MOST or (middle < _LEAST and not self.sure):
            guess = "kg or t?" if middle < _LEAST else "mg, or for each MWh?"
            problems.append(f"{name} is about {middle:.3g}, which is not g/kWh ({guess})")
            hint = hint if len(problems) > 1 else f"--unit {', '.join(UNITS)}"
        if problems:
            told = " and ".join(problems)
            raise UsageError(f"{sheet.path} is no table of hours to plan with: {told}.", hint)

    def _check_numbers(self, sheet: Sheet, name: str) -> None:
        """UsageError where more cells hold something else than hold a number."""
        words = [at for at, (value, why) in enumerate(self.values) if value is None and why]
        if len(words) > len(self.values) / 2:
            told = f"{sheet.place(sheet.rows[words[0]][0])} {self.values[words[0]][1]}"
            raise UsageError(f"{name} is mostly no number: {told}.", "--column NAME")

    def grams(self, at: int) -> tuple[float | None, str]:
        """g/kWh, or None and why that is no intensity."""
        value, why = self.values[at]
        if value is None:
            return None, why
        if value < 0:
            return None, f"has {value:g}, and no intensity is negative"
        if value == 0 and not self.zeros:
            return None, "has 0, which counts as a gap (--zeros where it is real)"
        if value * self.factor > _MOST:
            return None, f"has {value:g}, more than any grid emits"
        return value * self.factor, ""


def _amounts(sheet: Sheet, found: Columns, reading: Reading) -> _Amounts:
    cells = [cell_of(row, found.value) for _, row in sheet.rows]
    comma = decimal_comma(cells, sheet.delimiter)
    zeros = reading.zeros or found.signal == "marginal"
    values = [_number(cell, comma) for cell in cells]
    unit = unit_named(reading.unit) if reading.unit else found.unit or "g/kWh"
    known = [value for value, _ in values if value]
    unsaid = found.small is not None and not (reading.unit or found.unit)
    small = unsaid and bool(known) and median(known) < _SMALL
    factor = UNITS[found.small if small and found.small else unit]
    return _Amounts(values, factor, reading.unit is not None, zeros, small)


def _number(cell: str, comma: bool) -> tuple[float | None, str]:
    try:
        value = number(cell, comma)
    except ValueError:
        return None, f"has {short(cell)!r}, which is not a number"
    return value, "" if value is not None else f"has {cell!r}" if cell else "is empty"


def _entries(sheet: Sheet, times: Timeline, amounts: _Amounts) -> list[Entry]:
    """Each row with its g/kWh, or with why it has none. A row that its clocks skip is left out
    where it is empty, as services fill that hour, and refused where it is not."""
    entries: list[Entry] = []
    for at, ((line, row), start) in enumerate(zip(sheet.rows, times.starts, strict=True)):
        if len(row) > len(sheet.header) and any(map(str.strip, row[len(sheet.header) :])):
            raise UsageError(
                f"{sheet.place(line)} has {len(row)} cells, the header {len(sheet.header)}.",
                "put numbers with a decimal comma in quotes, or divide the columns by ;",
            )
        grams, why = amounts.grams(at)
        if start is not None:
            entries.append(Entry(start, grams, why, line))
        elif grams is not None:
            raise UsageError(f"{sheet.place(line)}: the clocks skip that time.",
                             "another --timezone, or UTC")  # fmt: skip
    return entries
