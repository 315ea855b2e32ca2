"""A clip or a picture in the page: shown, with what made it and the lines that make it again."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from ...door import read_bytes
from ...errors import UsageError
from ...media.inline import data_uri
from ...media.receipt import Receipt, receipt_of
from ...text.rows import rows_of
from ...text.shown import in_html, in_utf8, on_one_line
from .again import lines_of_clip, lines_that_convert
from .contents import MOST_FILE, Item
from .elements import Row, folded, listed, moment, said, to_copy
from .looks import Look, in_bytes, look

WIDE = 2.5  # heights; what is wider gets a row of its own
SHORT_HASH = 12  # letters
_ARROWS = (
    '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M9.5 2H14v4.5M14 2 9 7M6.5 14H2V9.5M2 14l'
    '5-5"/></svg>'
)
LINKED = "Linked: it lies beside this page, not in it."


@dataclass
class Cards:
    """Makes cards for the page in `folder`, and remembers what could not be read."""

    folder: Path
    held: int = 0
    linked: int = 0
    damaged: dict[str, str] = field(default_factory=dict)  # reasons, by the files' names

    def clip(self, item: Item) -> str:
        """A file with its receipt, if it has one; a sentence where it cannot be read."""
        try:
            seen = look(item.path)
            receipt, lacking = _receipt(item.path)
            title = ((receipt and receipt.prompt) or "").strip() or in_utf8(item.path.name)
            shown = self._shown(item, seen, f"{title}: {', '.join(seen.facts)}")
        except UsageError as error:
            return self._refused(item.path, error)
        model = receipt.model if receipt else ""
        wide = " wide" if seen.size[1] > WIDE * seen.size[0] else ""
        made = f"{model} · seed {receipt.seed}" if receipt else "no receipt"
        rows = [*_about(item, seen), *(_made(receipt) if receipt else [("receipt", lacking)])]
        lines = lines_of_clip(item.path, receipt) if receipt else []
        lines += [] if seen.plays else lines_that_convert(item.path)
        linked = "" if item.held and seen.plays else LINKED
        return (
            f'<article class="clip{wide}" data-model="{in_html(model)}">{shown}'
            f'<h3 dir="auto">{in_html(title)}</h3>{said("told", made)}'
            f"{said('note', seen.note or '')}{said('note', linked)}"
            f"{folded('Receipt' if receipt else 'File', listed(rows), to_copy(lines))}"
            "</article>\n"
        )

    def sheet(self, item: Item, words: str, more: str) -> str:
        """A contact sheet, with what it is of and what was measured then."""
        try:
            shown = self._shown(item, look(item.path), f"contact sheet, {words}")
        except UsageError as error:
            return self._refused(item.path, error)
        caption = f"<h4>{in_html(words)}</h4>{said('told', more)}"
        return f'<figure class="sheet">{shown}<figcaption>{caption}</figcaption></figure>\n'

    def link(self, path: Path) -> str:
        """A file that is only named."""
        return f'<li><a href="{self.address(path)}">{in_html(in_utf8(path))}</a></li>\n'

    def address(self, path: Path) -> str:
        """Where a file lies, from the page on; names may have any bytes."""
        try:
            found = os.path.relpath(path.absolute(), self.folder.absolute())
        except ValueError:  # another drive of Windows
            return path.absolute().as_uri()
        return quote(os.fsencode(Path(found).as_posix()))

    def _shown(self, item: Item, seen: Look, alt: str) -> str:
        """The element that shows it. UsageError where it cannot be read."""
        if held := item.held and seen.plays:
            source = data_uri(seen.mime, read_bytes(item.path, MOST_FILE))
        else:
            source = self.address(item.path)
        self.held, self.linked = self.held + held, self.linked + (not held)
        if not seen.is_video:
            return _picture(seen, source, alt)
        if seen.plays:
            return _video(seen, source, alt)
        poster = data_uri("image/jpeg", seen.poster or b"")
        return f'<a class="stage" href="{source}">{_img(seen, poster, alt)}</a>'

    def _refused(self, path: Path, error: UsageError) -> str:
        self.damaged[in_utf8(path)] = on_one_line(error.message)
        name = in_html(in_utf8(path.name))
        told = said("note", error.message)
        return f'<article class="clip refused"><h3>{name}</h3>{told}</article>\n'


def _receipt(path: Path) -> tuple[Receipt | None, str]:
    """What is believed of it, or why there is none."""
    try:
        return receipt_of(path), ""
    except UsageError as error:
        return None, error.message


def _img(seen: Look, source: str, alt: str) -> str:
    height, width = seen.size
    return (
        f'<img src="{source}" alt="{in_html(alt)}" width="{width}" height="{height}" '
        'loading="lazy" decoding="async">'
    )


def _picture(seen: Look, source: str, alt: str) -> str:
    """One that is enlarged by a click; what moves stands still for who asked their system so."""
    shown = _img(seen, source, alt)
    if seen.poster:
        still = data_uri("image/jpeg", seen.poster)
        asked = f'<source media="(prefers-reduced-motion: reduce)" srcset="{still}">'
        shown = f"<picture>{asked}{shown}</picture>"
    return f'<button type="button" class="stage" aria-haspopup="dialog">{shown}</button>'


def _video(seen: Look, source: str, alt: str) -> str:
    """One that loads nothing before it is played."""
    height, width = seen.size
    poster = data_uri("image/jpeg", seen.poster or b"")
    return (
        f'<div class="stage"><video controls loop muted playsinline preload="none" width="{width}" '
        f'height="{height}" poster="{poster}" aria-label="{in_html(alt)}">'
        f'<source src="{source}" type="{seen.mime}"></video>'
        f'<button type="button" class="enlarge" aria-haspopup="dialog" aria-label="Enlarge: '
        f'{in_html(alt)}">{_ARROWS}</button></div>'
    )


def _about(item: Item, seen: Look) -> list[Row]:
    """The file itself."""
    frames = [f"{seen.frames:,} frames"] if seen.frames and seen.frames > 1 else []
    return [
        ("file", in_utf8(item.path)),
        ("written", moment(item.written)),
        ("size", in_bytes(item.size)),
        ("shows", ", ".join([*frames, *seen.facts])),
    ]


def _made(receipt: Receipt) -> list[Row]:
    """What made it, by its receipt."""
    prompt = [("prompt", receipt.prompt)] if receipt.prompt else []
    inputs = {f"{name} given": _short(sha) for name, sha in receipt.inputs.items()}
    grid = {"clips side by side": receipt.grid} if receipt.grid else {}
    return [
        *prompt,
        ("seed", str(receipt.seed)),
        ("model", receipt.model),
        ("weights", _short(receipt.weights_sha256)),
        ("engine", receipt.engine),
        *rows_of(receipt.settings | inputs | grid),
        ("made with", ", ".join(f"{name} {found}" for name, found in receipt.versions.items())),
    ]


def _short(sha256: str) -> str:
    return f"SHA-256 {sha256[:SHORT_HASH]}…"
