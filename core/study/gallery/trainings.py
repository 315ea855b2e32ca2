"""A run in the page: how it went, what it emitted, its samples in order, its card and settings."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any

from ...carbon.costs.amounts import lasting
from ...carbon.meter.emissions import NAME, Emissions
from ...carbon.report.report import Subject, report
from ...carbon.report.told import emitted, facts, label_words, power_words, used
from ...door import read_bytes
from ...errors import DlnError, UsageError
from ...models.locate import read_header
from ...models.registry import MODELS
from ...runs.curves import MOST, Curves, curves
from ...runs.shelf import held_run
from ...text.rows import number, rows_of
from ...text.shown import in_html
from ...training.contents import CONFIG, read_record
from ...training.run import Run
from .again import copyable, named
from .cards import Cards
from .chart import chart
from .contents import SHEET, Section
from .elements import folded, listed, moment, said, to_copy
from .looks import in_bytes

MOST_CONFIG = 1 << 20  # bytes
MOST_MEASURES = 3  # in a sheet's caption


def training(section: Section, folder: Path, cards: Cards) -> Iterator[str]:
    """The parts of a run's section in `folder`, in order."""
    run = Run(folder, _record(folder))
    rows = run.rows()
    yield said("told", _state(folder))
    yield from _carbon(folder)
    yield from _curves(curves(rows))
    if section.sheets:
        yield '<h3>Samples, in the order of steps</h3><div class="sheets">'
        for item in section.sheets:
            yield cards.sheet(item, *_caption(item.path, rows))
        yield "</div>"
    yield folded("Card of the weights", listed(_card(run.weights)))
    yield folded("Settings", listed(_asked(run.config)))
    yield folded(CONFIG, f"<pre>{in_html(_text(folder / CONFIG))}</pre>")
    yield to_copy(_lines(run))


def _record(folder: Path) -> dict[str, Any]:
    """Nothing where its configuration is damaged, whose text is shown."""
    with suppress(UsageError):
        return read_record(folder)
    return {}


def _state(folder: Path) -> str:
    """What it is, in a line; why that is not known."""
    try:
        held = held_run(folder)
    except (DlnError, OSError) as error:
        return str(error)
    told = [held.about.title, held.state, in_bytes(held.size), f"written {moment(held.written)}"]
    return " · ".join(filter(None, [*told, held.measure]))


def _carbon(folder: Path) -> Iterator[str]:
    """What it used and emitted, with what these figures are."""
    if not os.path.lexists(folder / NAME):
        return
    yield "<h3>Energy and carbon</h3>"
    try:
        record = Emissions.load(folder)
        run = report([Subject(str(folder), record)], [])["runs"][0]
    except DlnError as error:
        yield said("note", error.message)
        return
    tiles = [
        ("energy used", used(run["energy_kwh"])),
        ("emitted", emitted(run["emissions_kg"])),
        ("ran for", lasting(run["running_seconds"])),
    ]
    where = f"{run['region_name']}, {label_words(run)}" if run["intensity"] else "no region told"
    yield f'<div class="tiles">{listed(tiles)}</div>'
    yield said("told", f"{where}. Power: {power_words(run)}.")
    yield folded("All figures", listed(facts(run)))


def _curves(found: Curves) -> Iterator[str]:
    """A drawing for each number, stage by stage."""
    if not found:
        return
    yield "<h3>Curves</h3>"
    for stage, panels in groupby(list(found.items())[:MOST], key=lambda item: item[0][0]):
        yield f'<h4>{in_html(stage)}</h4><div class="charts">'
        for (_, name, measured), points in panels:
            words = f"{name.replace('_', ' ')}{', measured' if measured else ''}"
            yield chart(words, points, measured)
        yield "</div>"


def _caption(sheet: Path, rows: list[dict[str, Any]]) -> tuple[str, str]:
    """Of which stage and step it is, and what was measured then."""
    match = SHEET.fullmatch(sheet.name)
    if match is None:
        return sheet.stem, ""
    stage, step = match["stage"], int(match["step"])
    told = [row["metrics"] for row in rows
            if (row.get("stage"), row.get("step")) == (stage, step)
            and isinstance(row.get("metrics"), Mapping)]  # fmt: skip
    measures = [f"{name.replace('_', ' ')} {number(value)}" for name, value in
                (told[-1].items() if told else ())][:MOST_MEASURES]  # fmt: skip
    return f"{stage}, step {step:,}", ", ".join(measures)


def _card(weights: Path) -> Iterator[tuple[str, str]]:
    """What the weights say of themselves, of a run that has some."""
    if os.path.isfile(weights):
        try:
            yield from rows_of(read_header(weights).card)
        except DlnError as error:
            yield "card", error.message


def _asked(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What the training was started with."""
    for part in ("model", "data", "options", "overrides", "start"):
        told = record.get(part)
        if isinstance(told, Mapping):
            yield from rows_of(
                {name: value for name, value in told.items() if value not in ("", [])}
            )
        elif told:
            yield part, str(told)


def _text(path: Path) -> str:
    try:
        return read_bytes(path, MOST_CONFIG).decode("utf-8", "backslashreplace")
    except UsageError as error:
        return error.message


def _lines(run: Run) -> list[tuple[str, str]]:
    """What one does next with a run."""
    place, about = named(run.path), MODELS.get(str(run.config.get("model")))
    told = [("draw its curves", ["dln", "plot", place])]
    if os.path.isfile(run.weights):
        told.insert(0, ("look at its card", ["dln", "models", "show", place]))
        if about and about.generates:
            prompt = ["lion drinking"] if about.text and not about.wordless else []
            told.insert(0, ("generate", ["dln", "generate", *prompt, "--model", place]))
    elif about:
        words = ["dln", "train", about.name, "--resume", "--out", place]
        told.insert(0, ("go on with it", words))
    if os.path.isfile(run.path / NAME):
        told.append(("report its carbon", ["dln", "carbon", "report", place]))
    return copyable(told)
