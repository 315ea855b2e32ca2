"""Whether a report.json still says what was written: its checksum, and every figure made again.

What is made again is all that follows from the intervals and intensities, and the intensities
themselves where they come from the tables of this package. For those of a file or a service, and
for what went in (energies, times, names), the checksum alone speaks. It finds what was changed by
accident or carelessly; who computes it anew is found by whoever kept the old one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...door import json_value, typed
from ...errors import UsageError, short
from ..costs.embodied import Work, machines
from ..grid.sources import open_source
from ..meter.emissions import Emissions
from ..places.regions import find
from .report import COUNTED, SCHEMA, Subject, totals
from .seal import SEAL, checksum

if TYPE_CHECKING:
    from ..documents import ReportForm, RunForm

CLOSE = 1e-9  # relative; the figures are the same sums
BUNDLED = ("annual", "typical")  # sources that come with this package
_VERSION = re.compile(r"^codecarbon [^:]*:")  # of the statistic that an origin names


@dataclass(frozen=True)
class Verdict:
    """wrong: a line for each entry that is not what it should be. notes: what could not be made
    again."""

    checksum: str
    wrong: list[str]
    notes: list[str]


def verify(text: str | bytes, what: str = "the report") -> Verdict:
    """Make a report again from its records and compare. UsageError for what is no report."""
    from ..documents import AnyReportForm, ReportForm

    version = typed(AnyReportForm, text, what).schema
    stated = json_value(text)
    found = checksum(stated)
    if version != SCHEMA:
        again = f"its schema is {short(str(version))}, not {SCHEMA}: write it again"
        return Verdict(found, [again], [])
    form = typed(ReportForm, text, what)
    notes: list[str] = []
    wrong = list(_figures(stated, form)) + list(_intensities(form, notes))
    if stated.get(SEAL) != found:
        said = short(str(stated.get(SEAL)))
        wrong.append(f"the checksum of what it says is {found}, not {said}: it was changed")
    return Verdict(found, wrong, notes)


def _figures(stated: dict[str, Any], form: ReportForm) -> Iterator[str]:
    try:
        runs = [_again(run) for run in form.runs]
    except UsageError as error:
        yield error.message
        return
    for run, said, again in zip(form.runs, stated["runs"], runs, strict=True):
        yield from differences(said, again, short(run.name))
    yield from differences(stated.get("totals"), totals(runs), "totals")
    yield from differences(stated.get("counted"), COUNTED, "counted")


def _again(form: RunForm) -> dict[str, Any]:
    """UsageError where it names a region or a machine that there is not."""
    subject = Subject(
        form.name,
        Emissions.from_form(form),
        machines(form.embodied.machines) if form.embodied else None,
        Work(form.sci.units, form.sci.unit) if form.sci else None,
    )
    return subject.to_json([find(row.region) for row in form.comparison])


def _intensities(form: ReportForm, notes: list[str]) -> Iterator[str]:
    """Those of the bundled tables, looked up again; a note for each run's others."""
    for run in form.runs:
        name = short(run.name)
        if run.intensity is None:
            continue
        if run.source not in BUNDLED:
            notes.append(f"{name}: intensities of {short(str(run.source))}, as recorded")
            continue
        try:
            yield from _looked_up(Emissions.from_form(run), name, notes)
        except UsageError as error:
            yield f"{name}: {error.message}"


def _looked_up(run: Emissions, name: str, notes: list[str]) -> Iterator[str]:
    assert run.intensity
    place = find(run.region or "")
    again = run.placed(place, open_source(run.source or "", place)).intensity
    assert again
    was, is_ = run.intensity.label.origin, again.label.origin
    if was != is_ and _VERSION.sub("", was) == _VERSION.sub("", is_):
        notes.append(f"{name}: intensities of {was}, as recorded; here is {is_}")
        return
    yield from differences(run.intensity.to_json(), again.to_json(), f"{name}: {run.source}")


def differences(stated: Any, expected: Any, place: str) -> Iterator[str]:
    """A line for each entry of `stated` that is not the one expected, there or not."""
    if isinstance(stated, dict) and isinstance(expected, dict):
        for key in [*expected, *(key for key in stated if key not in expected)]:
            yield from differences(stated.get(key), expected.get(key), f"{place}: {short(key)}")
    elif isinstance(stated, list) and isinstance(expected, list):
        if len(stated) != len(expected):
            yield f"{place} has {len(stated)} entries, not {len(expected)}"
            return
        for number, (said, again) in enumerate(zip(stated, expected, strict=True), 1):
            yield from differences(said, again, f"{place} {number}")
    elif not same(stated, expected):
        yield f"{place} is {short(str(stated))}, not {short(str(expected))}"


def same(a: Any, b: Any) -> bool:
    """Whether two entries are equal, numbers as near as CLOSE."""
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (a, b))
    try:
        return math.isclose(a, b, rel_tol=CLOSE, abs_tol=1e-15) if numbers else a == b
    except OverflowError:  # an integer beyond what figures reach
        return False
