"""What was found out about files, kept in the user's cache from one start to the next.

Opening ten thousand videos takes minutes; reading that they are as they were, a moment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..cache import cache_folder
from ..door import json_value
from ..errors import DlnError
from ..files import atomic_write, make_folder

RULES = 4  # goes up when files are judged otherwise

Stamp = Sequence[float | None]  # what changes when a file does


class Index:
    """What is known of the files of `place`, a folder or an archive, each under its name.

    An index that is damaged, of another place or of other rules is as good as none, and so is a
    cache that cannot be written: both cost time alone.
    """

    def __init__(self, place: Path) -> None:
        self._head = {"place": str(place.resolve()), "rules": RULES, "av": version("av")}
        self._file = _file_for(self._head["place"])
        self._known = _read(self._file, self._head)
        self._kept: dict[str, Any] = {}

    def get(self, name: str, stamp: Stamp) -> Any:
        """The value put under the name with this stamp, as JSON returns it, or None."""
        entry = self._known.get(name)
        if not isinstance(entry, list) or len(entry) != 2 or entry[0] != list(stamp):
            return None
        self._kept[name] = entry
        return entry[1]

    def put(self, name: str, stamp: Stamp, value: Any) -> None:
        """Remember a value that JSON can hold."""
        self._kept[name] = [list(stamp), value]

    def save(self) -> None:
        """Write what was got and put since the index was read; what is gone is forgotten."""
        if self._file is None or self._kept == self._known:
            return
        with suppress(DlnError):
            make_folder(self._file.parent)
            with atomic_write(self._file, "w") as file:
                file.write(json.dumps({**self._head, "files": self._kept}))


def _file_for(place: str) -> Path | None:
    with suppress(RuntimeError):  # a user without a home has no cache
        return cache_folder() / "data" / f"{sha256(os.fsencode(place)).hexdigest()[:24]}.json"
    return None


def _read(path: Path | None, head: dict[str, Any]) -> dict[str, Any]:
    try:
        found = json_value(path.read_bytes()) if path else {}
        files = found.pop("files")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return files if found == head and isinstance(files, dict) else {}
