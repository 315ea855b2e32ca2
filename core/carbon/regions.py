"""Where a run takes place: countries, grid zones, states, provinces and cloud regions."""

import csv
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from ..errors import UsageError, closest, short

Kind = Literal["country", "zone", "state", "cloud"]


@dataclass(frozen=True)
class Region:
    """A place with an intensity.

    code: "DE", "US-CAL-CISO", "US-CA", "aws:eu-north-1". country: ISO 3166 alpha-3. zone: the grid
    zone whose hours are known, if they are. subdivision: a state's or province's letters.
    """

    code: str
    name: str
    kind: Kind
    country: str
    zone: str | None
    subdivision: str | None
    russian: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that it is called, folded."""
        bare = self.code.rpartition(":")[2]
        parts = self.code.split("-") if self.kind == "zone" else []
        last = parts[-1:] if len(parts) > 1 and parts[-1][-1].isdigit() else []
        alpha3 = [self.country] if self.kind == "country" else []
        called = [self.code, bare, self.name, self.russian, *alpha3, *last, *_ALIASES.get(bare, ())]
        return tuple(fold(word) for word in called if word)


_ALIASES = {
    "GB": ("uk", "great britain", "britain", "england"),
    "US": ("usa", "united states of america", "america"),
    "KR": ("korea",),
    "CZ": ("czech republic",),
    "NL": ("holland",),
    "AE": ("uae",),
    "HK": ("hong kong",),
    "US-TEX-ERCO": ("ercot",),
    "US-CAL-CISO": ("caiso",),
    "US-MIDA-PJM": ("pjm",),
    "US-MIDW-MISO": ("miso",),
}
_ORDER: tuple[Kind, ...] = ("country", "zone", "state", "cloud")


def fold(text: str) -> str:
    """Lower case without accents, as names are compared."""
    plain = unicodedata.normalize("NFKD", text.strip().casefold())
    return "".join(c for c in plain if not unicodedata.combining(c)).replace("_", "-")


@cache
def regions() -> tuple[Region, ...]:
    """All of them."""
    text = files("dln.core.carbon").joinpath("regions.csv").read_text(encoding="utf-8")
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


def find(text: str) -> Region:
    """The region of that name or code, in any case. UsageError with the nearest where there is
    none; there is no region by default."""
    called = _called().get(fold(text), ())
    exact = [region for region in called if fold(region.code) == fold(text)]
    for kind in _ORDER:
        alike = [region for region in exact or called if region.kind == kind]
        if len(alike) == 1:
            return alike[0]
        if alike:
            codes = " or ".join(region.code for region in alike)
            raise UsageError(f"{short(text)!r} is more than one region: {codes}.")
    raise UsageError(
        f"no region {short(text)!r}.{closest(short(fold(text)), _called())}",
        "dln carbon regions TEXT searches",
    )


def search(text: str = "") -> list[Region]:
    """The regions whose names or codes hold `text`, and the zones of a country of that name."""
    wanted = fold(text)
    countries = {r.country for r in _called().get(wanted, ()) if r.kind == "country"}
    return [
        region
        for region in regions()
        if region.country in countries or any(wanted in name for name in region.names)
    ]
