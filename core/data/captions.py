"""What a file of captions says of one clip: its wordings, where they stand, which is drawn."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

RATES = (1e-3, 1e3)  # frames a second
LONGEST_TEXT = 1 << 20  # bytes of a caption's own file: what is longer is none
Texts = tuple[str, ...]  # the captions of one clip, each as good as the others

BOMS = ((codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16"))


class Malformed(NamedTuple):
    """Why something in `file` is no entry, and the name of the clip that it is meant for, or ""."""

    file: str
    reason: str
    meant: str = ""


@dataclass(frozen=True)
class Entry:
    """A file relative to the folder, its captions, and the columns besides. line: 0 where the
    captions are a file of their own."""

    line: int
    file_name: str
    texts: Texts
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def fps(self) -> float | None:
        """The column `fps`, the rate of a folder of images; None where it is no number of RATES."""
        try:
            rate = float(self.extra.get("fps", ""))
        except ValueError:
            return None
        return rate if RATES[0] <= rate <= RATES[1] else None

    @property
    def place(self) -> str:
        """Where its captions stand."""
        return f"on line {self.line}" if self.line else "in the .txt beside it"


def texts_of(value: Any, name: str) -> Texts:
    """The captions that JSON gives under `name`: a string, or a list of them. ValueError for
    anything else, and for a list without a word in one of its places."""
    if isinstance(value, str):
        return (value.strip(),) if value.strip() else ()
    if not isinstance(value, list):
        raise ValueError(f"{name} is {kind_of(value)}, not a string or a list of strings")
    if not value:
        raise ValueError(f"{name} is an empty list")
    for place, each in enumerate(value, 1):
        if not isinstance(each, str) or not each.strip():
            what = "is empty" if isinstance(each, str) else f"is {kind_of(each)}, not a string"
            raise ValueError(f"{name} is a list, and number {place} of it {what}")
    return tuple(each.strip() for each in value)


def kind_of(value: Any) -> str:
    """What JSON calls it: "a number", "null"."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return {dict: "an object", list: "a list", str: "a string"}.get(type(value), "a number")


def drawn(texts: Texts, rng: np.random.Generator | None) -> str:
    """One of the captions, the first without `rng`; where there is one, nothing is drawn. "" of
    none."""
    place = int(rng.integers(len(texts))) if rng is not None and len(texts) > 1 else 0
    return texts[place] if texts else ""


def identity(texts: Texts) -> str | Texts:
    """What a fingerprint has of the captions: of one, what it had before there could be more."""
    return texts if len(texts) > 1 else "".join(texts)


def decoded(raw: bytes) -> str:
    """A text in UTF-8, or in UTF-16 where its first bytes say so. ValueError for another one."""
    encoding = next((name for bom, name in BOMS if raw.startswith(bom)), "UTF-8")
    try:
        return raw.decode("utf-8-sig" if encoding == "UTF-8" else encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"is not {encoding}: byte {error.start} is wrong") from error


def lines_of(text: str, quoted: str | None = None) -> list[str]:
    r"""Lines end at \n, \r\n or \r and nowhere else: Unicode's other line ends belong to a text,
    and so does a \r that stands in what `quoted` matches."""
    text = text.replace("\r\n", "\n")
    if "\r" in text:
        whole = f"{quoted}|\r" if quoted else "\r"
        text = re.sub(whole, lambda found: "\n" if found[0] == "\r" else found[0], text)
    return text.split("\n")
