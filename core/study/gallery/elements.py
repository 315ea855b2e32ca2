"""Pieces of the page that clips and runs have alike. Every word in them is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from ...text.shown import in_html
from .again import Line

Row = tuple[str, str]


def said(kind: str, words: str) -> str:
    """A paragraph of that class; nothing for no words."""
    return f'<p class="{kind}">{in_html(words)}</p>' if words else ""


def listed(rows: Iterable[Row]) -> str:
    """Names and what they have, one below the other."""
    inside = "".join(
        f"<div><dt>{in_html(name)}</dt><dd>{in_html(value)}</dd></div>" for name, value in rows
    )
    return f"<dl>{inside}</dl>" if inside else ""


def folded(title: str, *inside: str) -> str:
    """What is seen when it is asked for; nothing where there is nothing."""
    found = "".join(inside)
    return f"<details><summary>{in_html(title)}</summary>{found}</details>" if found else ""


def moment(seconds: float) -> str:
    """Since 1970, as a date; a disk may say what no calendar has."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError, OSError):
        return "not known"


def to_copy(lines: Sequence[Line]) -> str:
    """Command lines, each with a button that copies it."""
    inside = "".join(
        f'<div class="line"><span>{in_html(what)}</span><code>{in_html(line)}</code>'
        f'<button type="button" class="copy" aria-label="Copy the line: {in_html(what)}">Copy'
        "</button></div>"
        for what, line in lines
    )
    return f'<div class="lines">{inside}</div>' if inside else ""
