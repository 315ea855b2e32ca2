"""A report to read: one HTML file without outside links, one of Markdown with its pictures, the
numbers as JSON, and the block for a model card's metadata."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...files import atomic_write, make_folder, write_json
from ...media.inline import data_uri
from ...text.shown import in_html, in_markdown
from ..meter.emissions import Emissions
from .card import block
from .pictures import picture
from .seal import SEAL
from .told import PLACES, facts, headline, latex, paragraph, places, total_rows

HTML, MARKDOWN, NUMBERS = "report.html", "report.md", "report.json"
CARD = "co2_eq_emissions.yaml"
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 } img { max-width: 100% }
td, th { padding: .2rem .8rem; border-bottom: 1px solid #ddd; text-align: left }
td, th { vertical-align: top }
td:first-child { white-space: nowrap } pre { background: #f5f5f5; padding: 1rem; overflow-x: auto }
.headline { font-size: 1.3rem; border-left: .3rem solid #0072B2; padding-left: 1rem }
.headline p { margin: .2rem 0 } small { color: #555; overflow-wrap: anywhere }
"""


def write(
    folder: Path, table: dict[str, Any], runs: Sequence[Emissions], training_type: str | None = None
) -> list[Path]:
    """All of `names`, but for the card where no emissions are known. runs: those that the table
    is about. training_type: one of the card's, where it is known."""
    make_folder(folder)
    pictures = [picture(*pair) for pair in zip(runs, table["runs"], strict=True)]
    for number, data in enumerate(pictures, 1):
        with atomic_write(folder / name_of(number)) as file:
            file.write(data)
    card = block(table, training_type)
    texts = {HTML: html(table, pictures, card), MARKDOWN: markdown(table)}
    if card:
        texts[CARD] = card
    else:
        (folder / CARD).unlink(missing_ok=True)  # an earlier report's
    for name, text in texts.items():
        with atomic_write(folder / name, "w") as file:
            file.write(text)
    write_json(folder / NUMBERS, table)
    return [folder / name for name in (*texts, NUMBERS)]


def names(runs: int) -> list[str]:
    """All that `write` makes for so many runs."""
    return [HTML, MARKDOWN, CARD, NUMBERS, *map(name_of, range(1, runs + 1))]


def name_of(number: int) -> str:
    """The picture's, of a run by its number from 1 on."""
    return f"run-{number}.png"


def sums(table: dict[str, Any]) -> list[tuple[str, str]]:
    """The totals, where there is more than one run to sum."""
    return total_rows(table) if len(table["runs"]) > 1 else []


def about(table: dict[str, Any]) -> str:
    """What the figures count, and what made them."""
    return f"Counted: {table['counted']}. Made with {table['made_with']}."


def check(table: dict[str, Any]) -> str:
    """The checksum that a reader can compare."""
    return f"SHA-256 of the figures in {NUMBERS}: {table[SEAL]}"


def markdown(table: dict[str, Any]) -> str:
    """report.md, whose pictures stand beside it."""
    parts = ["# Carbon report", ""]
    parts += [f"**{in_markdown(sentence)}**  " for sentence in headline(table)]
    parts += ["", in_markdown(about(table)), ""]
    if rows := sums(table):
        parts += [*grid(("all runs", ""), rows), ""]
    for number, run in enumerate(table["runs"], 1):
        name, told = in_markdown(run["name"]), in_markdown(paragraph(run, table["made_with"]))
        parts += [f"## {name}", "", *grid(("", ""), facts(run)), ""]
        parts += [f"![power, intensity and CO2e of {name}]({name_of(number)})", ""]
        parts += [*grid(PLACES, list(places(run))), ""]
        parts += ["For a model card:", "", f"> {told}", ""]
    parts += ["For a paper:", "", "```latex", latex(table["runs"]), "```", ""]
    return "\n".join([*parts, in_markdown(check(table)), ""])


def grid(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Nothing for no rows."""
    if not rows:
        return []
    cells = [[in_markdown(cell) for cell in row] for row in rows]
    table = [list(columns), [":--"] * len(columns), *cells]
    return [f"| {' | '.join(row)} |" for row in table]


def html(table: dict[str, Any], pictures: Sequence[bytes], card: str | None) -> str:
    """report.html, with the pictures in it. card: of the model card's metadata, None for none."""
    told = "".join(f"<p>{in_html(sentence)}</p>" for sentence in headline(table))
    parts = [f'<h1>Carbon report</h1><div class="headline">{told}</div>']
    parts.append(f"<p>{in_html(about(table))}</p>")
    if rows := sums(table):
        parts.append(html_grid(("all runs", ""), rows))
    for run, data in zip(table["runs"], pictures, strict=True):
        image, told = data_uri("image/png", data), paragraph(run, table["made_with"])
        parts += [
            f"<h2>{in_html(run['name'])}</h2>",
            html_grid((), facts(run)),
            f'<img alt="power, intensity and CO2e" src="{image}">',
            html_grid(PLACES, list(places(run))),
            f"<h3>For a model card</h3><p>{in_html(told)}</p>",
        ]
    if card:
        parts.append(f"<h3>For its metadata on the Hub</h3><pre>{in_html(card)}</pre>")
    parts.append(f"<h3>For a paper</h3><pre>{in_html(latex(table['runs']))}</pre>")
    parts.append(f"<p><small>{in_html(check(table))}</small></p>")
    head = f'<meta charset="utf-8"><title>Carbon report</title><style>{_STYLE}</style>'
    page = f'<html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>'
    return f"<!doctype html>\n{page}\n"


def html_grid(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Nothing for no rows."""
    if not rows:
        return ""
    head = "".join(f"<th>{in_html(name)}</th>" for name in columns)
    body = "".join(
        f"<tr>{''.join(f'<td>{in_html(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table>{f'<tr>{head}</tr>' if head else ''}{body}</table>"
