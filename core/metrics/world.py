"""What a model's clips are asked for and held against: the data that it learned from, or others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from os.path import isdir
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import Source, open_source
from ..errors import UsageError
from ..models.recognizer.judge import load_judge
from ..models.registry import load
from .alignment import KNOWN, PROMPT_SEED, draw_prompts

if TYPE_CHECKING:
    from ..models.package import Loaded

FRAME_SEED = 10_000  # of the stories that generated clips are held against
OTHER_SEED = 30_000  # of those that these are held against


@dataclass(frozen=True)
class Real:
    """Clips of a data set: which ones, and where in each to begin.

    rows: (N,) their places in the source; begin: (N,), 0 for a clip's first moment, 1 for the last
    one from which an excerpt still fits.
    """

    source: Source
    rows: np.ndarray
    begin: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def frames(
        self, number: int, times: np.ndarray, seconds: float, size: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """times: (T,) seconds into an excerpt that lasts `seconds`; size: (height, width), as
        `Source.frames` gives them: uint8 (T, H, W, 3), and the mask (T, H, W) or None."""
        row = int(self.rows[number])
        spare = max(0.0, self.source.duration(row) - seconds)
        return self.source.frames(row, times + self.begin[number] * spare, size)

    def duration(self, number: int) -> float:
        """Length in seconds of the whole clip."""
        return self.source.duration(int(self.rows[number]))

    def labels(self, number: int) -> dict[str, str]:
        """What is known to be in the clip."""
        return self.source.labels(int(self.rows[number])) or {}


def as_it_is(source: Source) -> Source:
    """What a model sees that takes clips as the data have them."""
    return source


@dataclass(frozen=True)
class World:
    """data: a data set as `open_source` reads it; text: whether the model reads prompts.

    hint: what to try where the data are not here, None for what `open_source` says. learnt: the
    clips as the model's training saw them (`System.learnt`).
    """

    data: str
    text: bool
    hint: str | None = None
    learnt: Callable[[Source], Source] = as_it_is

    @property
    def known(self) -> str | None:
        """The built-in world of the data, whose recognizer can name what is in clips; None for
        data that no recognizer was taught."""
        name = self.data.partition(",")[0]
        return name if name in KNOWN and not isdir(self.data) else None

    @property
    def aligned(self) -> bool:
        """Whether clips can be held against their prompts."""
        return self.text and self.known is not None

    @property
    def ranked(self) -> bool:
        """Whether clips of one prompt can be ranked."""
        return self.text and self.known == "menagerie"

    def judge(self) -> Loaded:
        """The recognizer of the world; of other data that of the menagerie, since any features tell
        how far clips are apart. MissingCapability where its weights are not installed."""
        return load_judge(self.known or "menagerie")

    @property
    def notes(self) -> list[str]:
        """A sentence on what cannot be measured, where there are prompts."""
        if self.aligned or not self.text:
            return []
        known = " and ".join(KNOWN)
        return [f"the recognizers know only {known}: whether clips show what captions of "
                f"{self.data} say cannot be judged, only how like real ones they are"]  # fmt: skip

    def splits(self, held_out: bool | None) -> tuple[bool, ...]:
        """Which pairs of actor and action to measure on, one after the other: False for those that
        training saw. UsageError where a choice is made and there are no such pairs."""
        if self.ranked:
            return (False, True) if held_out is None else (held_out,)
        if held_out is not None:
            whose = f"captions of {self.data}" if self.text else "a model without prompts"
            raise UsageError(f"{whose} have no held-out pairs", "leave --held-out and --seen out")
        return (False,)

    def real(self, count: int, seed: int, held_out: bool | None, others: bool = False) -> Real:
        """`count` clips, the same for the same seed: of a built-in world new ones from their
        beginning; of other data an excerpt of each of so many clips, or of all where there are
        fewer.

        others: none of the clips that one gets without it. UsageError for data that are not here.
        """
        source = self._opened(count, seed, held_out, others)
        if self.known:
            return Real(source, np.arange(count), np.zeros(count))
        rng = np.random.default_rng([FRAME_SEED, seed])
        rows, begin = rng.permutation(len(source)), rng.random(len(source))
        taken = slice(count, 2 * count) if others else slice(count)
        return Real(source, rows[taken], begin[taken])

    def excerpts(
        self,
        count: int,
        seed: int,
        frames: int,
        fps: float,
        held_out: bool = False,
        others: bool = False,
    ) -> Real:
        """`count` excerpts of so many frames from anywhere in what the model learnt, the same for
        the same seed: of a built-in world new clips; of other data each clip that is long enough
        is as likely, one after the other, again and again where there are fewer (none where all
        are too short).

        others: of none of the clips that one gets without it, so that there may be none. UsageError
        for data that are not here.
        """
        source = self.learnt(self._opened(count, seed, held_out, others))
        if source.duration(0) < frames / fps:
            source = source.told_for(frames / fps)
        least = (frames - 0.5) / fps  # of a clip with so many frames, however it was rounded
        rows = np.array([n for n in range(len(source)) if source.duration(n) >= least], int)
        rng = np.random.default_rng([FRAME_SEED, seed, frames])
        rows = rng.permutation(rows)
        if others and not self.known:
            rows = rows[count : 2 * count]
        elif len(rows):
            rows = np.resize(rows, count)
        return Real(source, rows, rng.random(len(rows)))

    def _opened(self, count: int, seed: int, held_out: bool | None, others: bool) -> Source:
        """The data; of a built-in world `count` clips that no training has seen."""
        fresh = (OTHER_SEED if others else FRAME_SEED) + seed
        try:
            if self.known:
                return open_source(self.data, count=count, seed=fresh, held_out=held_out)
            return open_source(self.data, wordless=True)
        except UsageError as error:
            raise UsageError(error.message, self.hint or error.hint) from error

    def prompts(self, real: Real, count: int, seed: int, held_out: bool | None) -> Iterator[str]:
        """`count` captions, the same for the same seed: of a built-in world those of
        `draw_prompts`, of other data those of the real clips; "" for a model that reads none."""
        if not self.text:
            yield from [""] * count
        elif self.known:
            yield from draw_prompts(count, seed, held_out, self.data)
        else:
            for number, row in enumerate(islice(cycle(real.rows), count)):
                rng = np.random.default_rng([PROMPT_SEED + seed, number])
                yield real.source.caption(int(row), rng)


def world_of(loaded: Loaded, data: str | None = None) -> World:
    """What the model is measured on: `data`, or where left out what its card names.

    UsageError for a model that makes no clips, and where neither names data.
    """
    about = loaded.about

    def learnt(source: Source) -> Source:
        return load(about).learnt(loaded.model, source)

    if not about.generates:
        raise UsageError(f"{about.name} makes no clips to judge", hint="dln evaluate cogvideo")
    if data is not None:
        return World(data, reads(loaded), None, learnt)
    named = trained_on(loaded.card)
    if named is None:
        raise UsageError(
            f"{loaded.path} does not say what it was trained on",
            hint="name data to hold its clips against: --data menagerie, or --data DIR",
        )
    moved = f"{loaded.path} was trained on {named}; where it lies elsewhere now: --data DIR"
    return World(named, reads(loaded), moved, learnt)


def reads(loaded: Loaded) -> bool:
    """Whether the model reads prompts; one that can do without may have been taught no words."""
    reader = loaded.model.reader
    silent = reader is None or bool(reader.unknown("word") and not reader.words)
    return loaded.about.text and not (loaded.about.wordless and silent)


def trained_on(card: dict[str, Any]) -> str | None:
    """The data set that a card names, as `open_source` reads it; None where it names none."""
    recipe, data = card.get("recipe"), card.get("data")
    if isinstance(recipe, dict) and recipe.get("data"):
        return recipe["data"]
    if isinstance(data, dict):
        return data.get("name")
    # bundled weights, trained by several commands, say it in words: "menagerie, 12000 clips, ..."
    return data.split(", ")[0] if isinstance(data, str) else None
