"""Where this dln came from, and the lines that add to it.

The name alone would be looked up in an index, where it may be somebody else's: no line asks for it.
"""

import json
import os
from contextlib import suppress
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from .errors import MissingCapability

AS_BEFORE = "install a newer dln in the way this one was installed"


def has_torch() -> bool:
    """Whether PyTorch is installed; it is not loaded for the answer. An environment that only runs
    exported graphs has none."""
    return find_spec("torch") is not None


def need_torch(what: str) -> None:
    """MissingCapability, as of `without_torch`, where there is none."""
    if not has_torch():
        raise without_torch(what)


def without_torch(what: str) -> MissingCapability:
    """The error for what this environment cannot do. what: "a training"."""
    return MissingCapability(f"{what} takes PyTorch, which is not installed", hint=install_line())


def install_line(extra: str = "") -> str:
    """The line that installs dln with an extra: from the checkout that it runs or was installed
    from, else the packages of the extra by their own names, without dln."""
    place = checkout()
    if place is None:
        packages = " ".join(f'"{each}"' for each in required(extra))
        return f"pip install {packages}" if packages else AS_BEFORE
    here = Path() if os.path.exists(".") and os.path.samefile(place, ".") else place
    pins = here / "constraints.txt"
    pinned = f"-c {quote(str(pins))} " if os.path.isfile(pins) else ""
    return f"pip install {pinned}" + (f'"{here}[{extra}]"' if extra else quote(str(here)))


def checkout() -> Path | None:
    """The folder with the pyproject.toml of this dln, or None where it is not on this disk."""
    own = Path(__file__).resolve().parents[1]
    for place in (own, _installed_from()):
        if place is not None and os.path.isfile(place / "pyproject.toml"):
            return place
    return None


def _installed_from() -> Path | None:
    """The folder that pip says it was given (PEP 610)."""
    found = _distribution()
    with suppress(ValueError, TypeError, KeyError):
        url = urlsplit(json.loads((found and found.read_text("direct_url.json")) or "")["url"])
        if url.scheme == "file":
            return Path(url2pathname(unquote(url.path)))
    return None


def required(extra: str) -> list[str]:
    """What the extra asks for, "scikit-learn>=1.5", as the installed dln says."""
    found = _distribution()
    split = (text.partition(";")[::2] for text in (found and found.requires) or [])
    return [name.strip() for name, when in split if f"extra == '{extra}'" in when.replace('"', "'")]


def _distribution() -> Distribution | None:
    try:
        return distribution("dln")
    except PackageNotFoundError:
        return None
