"""The page itself, written part by part: its memory does not grow with the clips in it.

It asks nobody for anything, and is told so: its policy (Content Security Policy, level 2) forbids
whatever does not lie in it, but for the files that it refers to where they lie beside it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from ...files import atomic_write
from ...progress import OnProgress, counted, unheard
from ...text.shown import in_html, in_utf8
from .cards import Cards
from .contents import MOST_FILE, MOST_HELD, MOST_SHOWN, Section
from .elements import said
from .looks import in_bytes
from .trainings import training


@dataclass(frozen=True)
class Told:
    """What a page holds. held, linked: clips, pictures and sheets in it, and beside it; rest: those
    that are only named; damaged: why some could not be shown, by their names; size: its bytes."""

    runs: int
    held: int
    linked: int
    rest: int
    damaged: dict[str, str]
    size: int


def write(path: Path, sections: Sequence[Section], on_progress: OnProgress | None = None) -> Told:
    """Write the page, at once or not at all. Errors as of `atomic_write`."""
    cards = Cards(path.parent)
    with atomic_write(path, "w") as file:
        for part in parts(sections, cards, on_progress or unheard):
            file.write(part)
    return Told(
        runs=sum(section.run is not None for section in sections),
        held=cards.held,
        linked=cards.linked,
        rest=sum(len(section.rest) for section in sections),
        damaged=cards.damaged,
        size=path.stat().st_size,
    )


def parts(sections: Sequence[Section], cards: Cards, on_progress: OnProgress) -> Iterator[str]:
    """The page from its beginning to its end."""
    yield _head(_title(sections))
    yield _top(sections)
    yield '<main id="main">'
    tell = counted(on_progress, sum(len(section.clips) for section in sections), "clips")
    for place, section in enumerate(sections):
        yield f'<section id="s{place}" aria-labelledby="h{place}">'
        alone = ' class="unseen"' if len(sections) == 1 else ""  # the page's own title says it
        yield f'<h2 id="h{place}"{alone}>{in_html(in_utf8(section.name))}</h2>'
        if section.run is not None:
            yield from training(section, section.run, cards)
        yield from _clips(section, cards, tell)
        yield "</section>"
    yield f"</main>{_STAGE}<footer><p>Made with dln {version('dln')}.</p></footer>"
    yield f"<script>{_read('page.js')}</script></body></html>\n"


CLIPS = ("clip or picture", "clips and pictures")
_STAGE = (
    '<dialog id="stage" aria-label="Enlarged"><div class="shown"></div><p class="caption"></p>'
    '<div class="moves"><button type="button" data-move="-1">Previous</button>'
    '<button type="button" data-move="0">Close</button>'
    '<button type="button" data-move="1">Next</button></div></dialog>'
)


def _clips(section: Section, cards: Cards, tell: Callable[[], None]) -> Iterator[str]:
    """The grid, and below it the names of those that are too many."""
    if section.clips:
        number = _many(len(section.clips) + len(section.rest), *CLIPS)
        yield said("told count", number) if section.run is None else f"<h3>{number}</h3>"
        yield '<div class="clips">'
        for item in section.clips:
            yield cards.clip(item)
            tell()
        yield "</div>"
    if section.rest:
        yield f"<details><summary>{len(section.rest):,} more files</summary><ul>"
        yield from map(cards.link, section.rest)
        yield "</ul></details>"


def _title(sections: Sequence[Section]) -> str:
    """The folder's or the run's name where there is one."""
    if len(sections) > 1:
        return "Gallery"
    return in_utf8(Path(sections[0].name).name) or "Gallery"


def _head(title: str) -> str:
    style, script = _read("page.css"), _read("page.js")
    beside = "data: 'self' file:"  # 'self' is no folder, where a page is opened from a disk
    policy = (
        f"default-src 'none'; img-src {beside}; media-src {beside}; style-src {_hash(style)}; "
        f"script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<title>{in_html(title)}</title><link rel="icon" href="data:,">'
        f"<style>{style}</style></head>\n"
    )


def _top(sections: Sequence[Section]) -> str:
    """What the page is, where its parts are, and how to find a clip."""
    title = in_html(_title(sections))
    told = "".join(f"<p>{in_html(sentence)}</p>" for sentence in summary(sections))
    links = "".join(
        f'<li><a href="#s{place}">{in_html(in_utf8(section.name))}</a></li>'
        for place, section in enumerate(sections)
    )
    nav = f'<nav aria-label="Folders and runs"><ul>{links}</ul></nav>' if len(sections) > 1 else ""
    return (
        '<body><a class="skip" href="#main">Skip to the clips</a>'
        f'<header><h1>{title}</h1><div class="summary">{told}</div>{nav}{_FIND}</header>'
    )


_FIND = (
    '<form id="find" role="search" hidden><label>Find<input type="search" name="words" '
    'placeholder="a prompt, a name"></label><label>Model<select name="model">'
    '<option value="">all</option></select></label><output role="status"></output></form>'
)


def summary(sections: Sequence[Section]) -> Iterator[str]:
    """What is in the page, and what is not and why: a sentence each."""
    items = [item for section in sections for item in section.items]
    clips = sum(len(section.clips) + len(section.rest) for section in sections)
    runs = sum(section.run is not None for section in sections)
    named = [(clips, *CLIPS), (runs, "run", "runs")]
    yield f"{' · '.join(_many(*each) for each in named if each[0])}."
    linked = [item for item in items if not item.held]
    if rest := sum(len(section.rest) for section in sections):
        yield f"The first {MOST_SHOWN:,} are shown, the other {rest:,} are named."
    if linked and len(linked) == len(items):
        yield ("What is shown is linked, not in this page: move it only together with the folders "
               "beside it.")  # fmt: skip
    elif linked:
        yield (
            f"{_many(len(linked), 'file is', 'files are')} linked, not in this page, which holds "
            f"files of up to {in_bytes(MOST_FILE)}, {in_bytes(MOST_HELD)} in all: move it only "
            "together with the folders beside it."
        )
    elif items:
        yield "All that is shown lies in this page."


def _many(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"


def _read(name: str) -> str:
    """A file of the page's own."""
    return (files("dln.core") / "study" / "gallery" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """What allows this very text and no other."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
