"""One shard of samples: a tar in which neighbours with one key are one sample, as webdataset
writes and groups them (cat.mp4 beside cat.txt)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, field, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from ..door import json_value
from ..errors import UsageError
from ..files import stamp_of
from ..media.names import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from ..media.part import Part
from ..progress import OnProgress, unheard
from .captions import LONGEST_TEXT, Texts, decoded, texts_of
from .checks import Passing, judged, look, look_all, look_at_picture
from .index import Index
from .places import regular
from .report import Problem, parted
from .tar import members

META = re.compile(r"__[^/]*__($|/)")  # names that webdataset keeps for itself
TEXTS = ("text", "caption")  # of a .json; the first that says something

Split = Callable[[str], tuple[str | None, str | None]]  # a member's name -> key and extension


@dataclass(frozen=True)
class Sample:
    """A video or a picture, shown for `seconds`; its captions and the name of its class, or ""."""

    key: str
    media: Part
    texts: Texts
    label: str
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def still(self) -> bool:
        """Whether it is a picture."""
        return self.media.suffix.lower() in IMAGE_SUFFIXES

    @property
    def shown(self) -> str:
        """The name of its video or picture in the tar's."""
        return f"{self.media.file.name}:{self.media.name}"


@dataclass
class Shard:
    """The sound samples of one tar, and what is wrong with the others."""

    samples: list[Sample] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def open_shard(path: Path, split: Split, on_progress: OnProgress = unheard) -> Shard:
    """What the tar at `path` holds, read or remembered from an earlier start. A tar that cannot be
    read is one problem. split: webdataset's, from a member's name to its key. on_progress: is told
    how many files of how many in it are done."""
    try:
        stamp = stamp_of(regular(path.stat(), "it"))
        index = Index(path)
        shard = _remembered(path, index.get("shard", stamp))
        shard = shard or read_shard(path, split, on_progress)
        if not any(isinstance(problem.reason, Passing) for problem in shard.problems):
            index.put("shard", stamp, _as_json(shard))
            index.save()
        return shard
    except UsageError as error:
        return Shard(problems=[Problem(str(path), "unreadable", error.message)])
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or "it cannot be read").lower()
        return Shard(problems=[Problem(str(path), "missing", reason)])


def read_shard(path: Path, split: Split, on_progress: OnProgress = unheard) -> Shard:
    """As open_shard, from the tar itself. OSError where it cannot be opened."""
    parts, cut = parted(members(path), Problem)
    named = [part for part in parts if split(part.name)[0] and not META.match(part.name)]
    groups = groupby(named, lambda part: split(part.name)[0] or "")
    drafts, bad = parted(_drafts([(key, list(group)) for key, group in groups], split), Problem)
    samples, unreadable = parted(_examined(drafts, on_progress), Problem)
    return Shard(samples, [*cut, *bad, *unreadable])


def _drafts(groups: list[tuple[str, list[Part]]], split: Split) -> Iterator[Sample | Problem]:
    """A sample of each group, whose video or picture is still to be looked at."""
    keys: set[str] = set()
    for key, parts in groups:
        by_extension = {(split(part.name)[1] or "").lower(): part for part in parts}
        if key in keys or len(by_extension) < len(parts):
            yield Problem(f"{parts[0].file.name}:{key}", "malformed", "the tar holds it twice")
        else:
            yield _draft(key, by_extension)
        keys.add(key)


def _draft(key: str, parts: dict[str, Part]) -> Sample | Problem:
    """parts: by extension."""
    shown = f"{next(iter(parts.values())).file.name}:{key}"
    kinds = (suffix[1:] for suffix in (*VIDEO_SUFFIXES, *IMAGE_SUFFIXES))  # a video goes first
    media = next((parts[kind] for kind in kinds if kind in parts), None)
    if not media:
        reason = "no video or picture has this key, which ends at the name's first dot"
        return Problem(shown, "missing", reason)
    try:
        texts, label = _described(parts)
    except ValueError as error:
        return Problem(shown, "malformed", str(error))
    if not texts and not label:
        reason = "no .txt stands beside it, nor a .json with a text, nor a .cls"
        return Problem(shown, "uncaptioned", reason)
    return Sample(key, media, texts, label)


def _described(parts: dict[str, Part]) -> tuple[Texts, str]:
    """The captions and the class, "" where there is none. ValueError where they cannot be read."""
    try:
        values = json_value(_text(parts["json"])) if "json" in parts else {}
    except ValueError as error:
        raise ValueError(f"its .json is no JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError("its .json is no object")
    label = _text(parts["cls"]) if "cls" in parts else values.get("class")
    plain = isinstance(label, str | int) and not isinstance(label, bool)
    label = str(label).strip() if plain else ""
    texts = texts_of(_text(parts["txt"]), "") if "txt" in parts else _told(values, bool(label))
    try:
        "".join([*texts, label]).encode()
    except UnicodeEncodeError as error:
        raise ValueError("its .json holds half a character") from error
    return texts, label


def _told(values: dict[str, Any], labelled: bool) -> Texts:
    """The captions that a .json holds under one of TEXTS. ValueError where what it holds there is
    none; a null beside a class is no caption meant."""
    given = {name: values[name] for name in TEXTS if values.get(name, "") != ""}
    name = next((name for name in given if given[name] is not None), None)
    if name is None and (labelled or not given):
        return ()
    name = name or next(iter(given))
    try:
        return texts_of(given[name], name)
    except ValueError as error:
        raise ValueError(f"its .json: {error}") from error


def _text(part: Part) -> str:
    if part.size > LONGEST_TEXT:
        raise ValueError(f"its {part.suffix} is longer than {LONGEST_TEXT} bytes")
    with part.open() as file:
        try:
            return decoded(file.read())
        except ValueError as error:
            raise ValueError(f"its {part.suffix} {error}") from error


def _examined(drafts: list[Sample], on_progress: OnProgress) -> Iterator[Sample | Problem]:
    """The samples whose video or picture can be read."""
    looks = [
        partial(look_at_picture, each.media) if each.still else partial(look, each.media, None)
        for each in drafts
    ]
    for draft, found in zip(drafts, look_all(looks, on_progress), strict=True):
        seen = judged(draft.shown, found)
        if isinstance(seen, Problem):
            yield seen
        else:
            yield replace(draft, seconds=seen.probe.duration, notes=seen.notes)


def _as_json(shard: Shard) -> dict[str, list]:
    """The shard as an index keeps it."""
    samples = [[s.key, s.media.name, s.media.offset, s.media.size, s.texts, s.label, s.seconds,
                list(s.notes)]
               for s in shard.samples]  # fmt: skip
    return {"samples": samples, "problems": [list(astuple(each)) for each in shard.problems]}


def _remembered(path: Path, value: Any) -> Shard | None:
    """The shard that _as_json gave; None where it did not."""
    try:
        samples, problems = value["samples"], value["problems"]
        fits = all(map(_is_sample, samples)) and all(map(_is_problem, problems))
    except (TypeError, KeyError):
        return None
    if not fits:
        return None
    found = [
        Sample(
            key, Part(path, name, offset, size), tuple(texts), label, float(seconds), tuple(notes)
        )
        for key, name, offset, size, texts, label, seconds, notes in samples
    ]
    return Shard(found, [Problem(*each) for each in problems])


def _is_sample(row: Any) -> bool:
    kinds = (str, str, int, int, list, str, int | float, list)
    fits = len(row) == len(kinds) and all(map(isinstance, row, kinds)) and min(row[2:4]) >= 0
    return fits and all(isinstance(told, str) for told in (*row[4], *row[-1]))


def _is_problem(row: Any) -> bool:
    return len(row) == 3 and all(isinstance(word, str) for word in row)
