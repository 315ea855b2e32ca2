"""Where a run takes place: countries, grid zones, states, provinces and cloud regions."""

import csv
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from ...errors import UsageError, closest, short

Kind = Literal["country", "zone", "state", "cloud"]


@dataclass(frozen=True)
class Region:
    """A place with an intensity.

    code: "DE", "US-CAL-CISO", "US-CA", "aws:eu-north-1". country: ISO 3166 alpha-3. zone: the grid
    zone whose hours are known, if they are. subdivision: the letters of the state or province that
    it is, or lies in. also: its other names, "|" between them.
    """

    code: str
    name: str
    kind: Kind
    country: str
    zone: str | None
    subdivision: str | None
    russian: str = ""
    also: str = ""

    @property
    def called(self) -> tuple[str, ...]:
        """Everything that it is called, as written."""
        bare = self.code.rpartition(":")[2]
        parts = self.code.split("-") if self.kind == "zone" else []
        last = parts[-1] if len(parts) > 1 and parts[-1][-1].isdigit() else ""
        alpha3 = self.country if self.kind == "country" else ""
        words = (self.code, bare, self.name, self.russian, alpha3, last, *self.also.split("|"))
        return tuple(word for word in words if word)

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that it is called, folded."""
        return tuple(fold(word) for word in self.called)


_ORDER: tuple[Kind, ...] = ("country", "zone", "state", "cloud")
_SPACES = dict.fromkeys("_-\u2010\u2011\u2013\u2014", " ")  # hyphens and dashes
_NOTHING = dict.fromkeys((*".,'\u2019\u2018`\u02bc\u00b4()[]", *map(chr, range(0x300, 0x370))), "")
_SAME = str.maketrans({**_SPACES, **_NOTHING, "&": " and "})


def fold(text: str) -> str:
    """As names are compared: lower case, without accents, punctuation and articles."""
    plain = unicodedata.normalize("NFKD", text.casefold()).translate(_SAME)
    return " ".join(word for word in plain.split() if word != "the")


@cache
def regions() -> tuple[Region, ...]:
    """All of them."""
    text = files("dln.core.carbon.places").joinpath("regions.csv").read_text(encoding="utf-8")
    return tuple(
        Region(**{**row, "zone": row["zone"] or None, "subdivision": row["subdivision"] or None})
        for row in csv.DictReader(text.splitlines())
    )


@cache
def _called() -> dict[str, tuple[Region, ...]]:
    """Regions by every folded name."""
    found: dict[str, tuple[Region, ...]] = {}
    for region in regions():
        for name in dict.fromkeys(region.names):
            found[name] = (*found.get(name, ()), region)
    return found


def called(text: str) -> tuple[Region, ...]:
    """All regions of that name or code, which may be several."""
    return _called().get(fold(text), ())


def find(text: str) -> Region:
    """The region of that name or code, in any case; of a country and a state of one name, the
    country. UsageError with the nearest where there is none, with the choices where several of a
    kind are called so; there is no region by default."""
    found = called(text)
    exact = [region for region in found if fold(region.code) == fold(text)]
    for kind in _ORDER:
        alike = [region for region in exact or found if region.kind == kind]
        if len(alike) == 1:
            return alike[0]
        if alike:
            raise UsageError(
                f"{short(text)!r} is more than one region: "
                f"{' or '.join(_told_apart(region, text) for region in alike)}."
            )
    names = (name.lower() for region in regions() for name in region.called)
    raise UsageError(
        f"no region {short(text)!r}.{closest(short(text.strip()), dict.fromkeys(names))}",
        "dln carbon regions TEXT searches",
    )


def _told_apart(region: Region, text: str) -> str:
    """Its code, with its name where that is not what was asked for."""
    same = fold(region.name) == fold(text)
    return region.code if same else f"{region.code} ({region.name})"


def search(text: str = "") -> list[Region]:
    """The regions whose names or codes hold `text`, and the zones of a country of that name."""
    wanted = fold(text)
    countries = {r.country for r in called(text) if r.kind == "country"}
    return [
        region
        for region in regions()
        if region.country in countries or any(wanted in name for name in region.names)
    ]
