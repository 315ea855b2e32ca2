"""The door at which a stranger's words become values: of known types and ranges, or a sentence.

Receipts, manifests, headers, plans and metadata are read here before any of them names a path, a
model, a size or the length of a loop.
"""

import json
import mmap
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from .errors import UsageError

T = TypeVar("T")

MOST_BYTES = 64 << 20  # of one document; ours have a few thousand
MOST_DEPTH = 64  # of lists and tables within each other


def read_bytes(path: Path | str, most: int = MOST_BYTES) -> bytes:
    """A file's bytes. UsageError where it is none, no regular one (a device never ends), has more
    than `most` bytes or cannot be read."""
    with _readable(path) as size:
        if not size:  # nothing, or what a system tells without end
            return b""
        with open(path, "rb") as file:
            found = file.read(most + 1)
    _check_size(path, len(found), most)
    return found


def mapped(path: Path | str, most: int) -> memoryview:
    """A large file's bytes, of which only those that are looked at are read, as long as anything
    refers to them. UsageError as of `read_bytes`."""
    with _readable(path) as size:
        _check_size(path, size, most)
        if not size:
            return memoryview(b"")
        with open(path, "rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


@contextmanager
def _readable(path: Path | str) -> Iterator[int]:
    """A regular file's size. UsageError for what is none, and for what fails inside."""
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise UsageError(f"{path} is a folder, not a file.")
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{path} is a device or a pipe, not a file.")
        yield status.st_size
    except FileNotFoundError:
        raise UsageError(f"There is no file {path}.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path} cannot be read: {reason}.") from error


def _check_size(path: Path | str, size: int, most: int) -> None:
    if size > most:
        raise UsageError(f"{path} has more than {most:,} bytes: it is no file of this kind.")


def is_plain(path: Path | str) -> bool:
    """Whether it is a file with bytes in it, and no device, pipe or page of the system's that may
    never end. Nothing is opened."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size > 0


def json_value(text: str | bytes, *, strict: bool = True) -> Any:
    """What a JSON document holds. ValueError with the reason for one that is none, is nested
    deeper than MOST_DEPTH, or holds NaN, an infinity or an integer of thousands of digits; strict:
    also for a control character that a string holds as it is."""
    try:
        value = json.loads(text, parse_constant=_no_number, parse_float=_finite, strict=strict)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    _check_depth(value)
    return value


def toml_value(text: str) -> dict[str, Any]:
    """What a TOML document holds. ValueError as of `json_value`."""
    import tomllib

    try:
        value = tomllib.loads(text, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    _check_depth(value)
    return value


def typed(kind: type[T], text: str | bytes, what: str) -> T:
    """A JSON document as `kind`: a dataclass, TypedDict or model whose fields carry their ranges
    (`Annotated[int, Field(ge=0)]`). No value is converted; what is unknown is ignored.

    what: names the document in the UsageError for one that does not fit: "the receipt of a.mp4".
    """
    with _damaged(what):
        json_value(text)
        return _adapter(kind).validate_json(text, strict=True)


def fits(kind: Any, value: Any, what: str) -> None:
    """Whether a value of JSON's or TOML's kinds is a `kind` as of `typed`. UsageError."""
    from typing_extensions import is_typeddict

    with _damaged(what):
        if is_typeddict(kind):
            _adapter(kind).validate_python(value, strict=True)
        else:
            _adapter(kind).validate_json(json.dumps(value, default=_alien), strict=True)


@contextmanager
def _damaged(what: str) -> Iterator[None]:
    from pydantic import ValidationError

    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        reason = first["msg"][:1].lower() + first["msg"][1:]
        raise UsageError(f"{what} is damaged: {f'{place}: ' if place else ''}{reason}.") from error
    except ValueError as error:
        raise UsageError(f"{what} is damaged: {error}.") from error


def _alien(value: Any) -> NoReturn:
    raise ValueError(f"{value} is a {type(value).__name__}")


def finite(value: Any) -> Any:
    """A value for JSON, which has no infinity and no NaN: they become null."""
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


@cache
def _adapter(kind: type[T]) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{text[:20]} is not a finite number")
    return value


def _check_depth(value: Any) -> None:
    """Without recursion. ValueError for more than MOST_DEPTH levels."""
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [item for each in level if isinstance(each, dict | list)
                 for item in (each.values() if isinstance(each, dict) else each)]  # fmt: skip
        if not level:
            return
    raise ValueError("it is nested too deeply")
