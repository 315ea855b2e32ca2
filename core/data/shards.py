"""Tars of samples as webdataset writes them (shards-000.tar ...) as a data set, read in place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MissingCapability, UsageError, short
from ..installed import install_line
from ..media.decode import read_frames
from ..media.picture import fitted, read_picture, recent_picture
from ..progress import OnProgress, unheard
from .captions import Texts, drawn, identity
from .images import noisy, split_rows
from .report import Note, Problem, Report
from .shard import Sample, open_shard
from .source import Source, still_frames

MOST_SHARDS = 100_000
LONGEST_NUMBER = 18  # digits of a class that is a number


class Shards(Source):
    """The sound samples of tars, in their order; the rest is in `report`.

    spec: a path, paths with braces ("shards-{000..099}.tar"), or several of them joined by "::".
    A sample is a video (key.mp4 ...) or a picture (key.jpg ...), which stands still, with its
    caption (key.txt, or "text" or "caption" of key.json, where a list gives several) or its class
    (key.cls, or "class" of key.json). Where samples have classes, one in five is held out, as of
    images.

    count: only the first so many. noise: the share of classes that are wrong. on_progress: is told
    how many tars of how many are done, of a single one how many files. UsageError where no sample
    can be used; MissingCapability where webdataset is not installed.
    """

    flips = True
    report: Report

    def __init__(
        self,
        spec: str,
        count: int | None = None,
        held_out: bool | None = False,
        noise: float = 0.0,
        on_progress: OnProgress = unheard,
    ) -> None:
        self.name = spec
        self.report, found = _inspect(spec, on_progress)
        samples = self.report.chosen(found, count)
        self.classes = _classes(samples)
        if self.classes:
            samples = [samples[row] for row in split_rows(np.arange(len(samples)), held_out)]
            truth = np.array([self.classes.index(sample.label) for sample in samples])
            self._labels = noisy(truth, len(self.classes), 0.0 if held_out else noise)
        elif noise:
            raise UsageError(f"{spec} has no labels that noise could change")
        self._samples: Sequence[Sample] = samples

    def __len__(self) -> int:
        return len(self._samples)

    def duration(self, index: int) -> float:
        return self._samples[index].seconds

    def frames(
        self, index: int, times: np.ndarray, size: tuple[int, int]
    ) -> tuple[np.ndarray, None]:
        """The frames at `times` as Source tells; no mask is known."""
        sample = self._samples[index]
        if not sample.still:
            return read_frames(sample.media, times, size), None
        return still_frames(fitted(read_picture(sample.media), size), len(times)), None

    def still(self, index: int) -> bool:
        return self._samples[index].still

    def shape(self, index: int) -> tuple[int, int] | None:
        """Of a picture; what a video is was not looked at."""
        if not self.still(index):
            return None
        height, width = recent_picture(self._samples[index].media).shape[:2]
        return height, width

    def whole(self, index: int, times: np.ndarray) -> np.ndarray:
        if not self.still(index):
            return super().whole(index, times)
        return still_frames(recent_picture(self._samples[index].media), len(times))

    def caption(self, index: int, rng: np.random.Generator) -> str:
        """A text of sample `index`, the name of its class where it has none."""
        return drawn(_captions(self._samples[index]), rng)

    def words(self) -> list[str]:
        from ..text.vocabulary import normalise

        texts = {text for each in self._samples for text in _captions(each)}
        return sorted({word for text in texts for word in normalise(text)})

    def label(self, index: int) -> int:
        return int(self._labels[index]) if self.classes else super().label(index)

    def labels(self, index: int) -> dict[str, str] | None:
        return {"class": self.classes[self.label(index)]} if self.classes else None

    def fingerprint(self) -> str:
        """A hash of the keys, sizes, captions and classes of the samples served."""
        digest = sha256(repr(self.classes).encode())
        for number, each in enumerate(self._samples):
            label = self.label(number) if self.classes else None
            told = each.key, each.media.size, identity(each.texts), label
            digest.update(repr(told).encode())
        return digest.hexdigest()


def check(spec: str, on_progress: OnProgress = unheard) -> Report:
    """Look at every sample of the tars; errors as Shards, save that none need be sound."""
    return _inspect(spec, on_progress)[0]


def shard_paths(spec: str) -> list[Path]:
    """The files that `spec` names, by webdataset's rules. UsageError where it is malformed, or
    names what is not on the disk."""
    shardlists = _webdataset().shardlists
    try:
        if _too_many(spec, shardlists.braceexpand.braceexpand):
            raise ValueError(f"its braces stand for more than {MOST_SHARDS:,} files")
        names = shardlists.expand_urls(spec)
    except (ValueError, LookupError, AssertionError) as error:
        told = f"{short(spec)} names no shards: {error}"
        raise UsageError(told, "shards-{000..099}.tar") from error
    if far := [name for name in names if "://" in name or name.startswith("pipe:")]:
        raise UsageError(f"shards are read from the disk, and {far[0]} is not on it", "fetch it")
    return [Path(name) for name in names]


def _too_many(spec: str, expand: Callable[[str], Iterator[str]]) -> bool:
    """Whether braces stand for more files than MOST_SHARDS."""
    ends = re.findall(r"\{(-?\d+)\.\.(-?\d+)", spec)
    if any(abs(int(last) - int(first)) > MOST_SHARDS for first, last in ends):
        return True
    names = chain.from_iterable(map(expand, spec.split("::")))
    return next(islice(names, MOST_SHARDS, None), None) is not None


def _webdataset() -> Any:
    try:
        import webdataset.shardlists
        import webdataset.tariterators
    except ImportError as error:
        raise MissingCapability(
            "shards are read by webdataset's rules, which is not installed",
            install_line("data"),
        ) from error
    return webdataset


def _inspect(spec: str, on_progress: OnProgress = unheard) -> tuple[Report, list[Sample]]:
    report, samples = Report(spec), []
    split = _webdataset().tariterators.base_plus_ext
    paths = shard_paths(spec)
    several = len(paths) > 1
    for done, path in enumerate(paths, 1):
        shard = open_shard(path, split, unheard if several else on_progress)
        if several:
            on_progress(done, len(paths), "tars")
        samples += shard.samples
        report.problems += shard.problems
    if any(sample.label for sample in samples):
        without = [sample for sample in samples if not sample.label]
        report.problems += [_unlabelled(sample) for sample in without]
        samples = [sample for sample in samples if sample.label]
    report.sound = len(samples)
    report.captions = len({text for sample in samples for text in _captions(sample)})
    report.notes = [Note(each.shown, note) for each in samples for note in each.notes]
    report.seconds = sum(sample.seconds for sample in samples)
    return report, samples


def _unlabelled(sample: Sample) -> Problem:
    return Problem(sample.shown, "uncaptioned", "it has no class, and other samples have one")


def _classes(samples: Sequence[Sample]) -> tuple[str, ...]:
    """The classes by name; where all of them are numbers, by number."""
    names = {sample.label for sample in samples} - {""}
    numbers = all(name.isdecimal() and len(name) <= LONGEST_NUMBER for name in names)
    return tuple(sorted(names, key=(lambda name: (int(name), name)) if numbers else None))


def _captions(sample: Sample) -> Texts:
    return sample.texts or (sample.label,)
