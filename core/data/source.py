"""What every data set offers: clips at any time and size, captions, a vocabulary."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from .report import Report


def still_frames(picture: np.ndarray, count: int) -> np.ndarray:
    """(H, W, 3) -> (count, H, W, 3): a picture as a clip that stands still."""
    return np.repeat(picture[None], count, axis=0)


class Source(ABC):
    """A data set of captioned clips; sample `index` is always the same clip.

    A subclass answers what is abstract here, and overrides of the rest what it knows better.
    Sources can be pickled: other processes read them too.

    name: what the user called it ("menagerie" or the path of a folder). classes: the names of what
    the samples show, () where they are not labelled. flips: whether a mirrored image is as good.
    pictures: whether nothing moves in them, so that one frame shows all. report: what a folder or
    shards hold and leave out; None where nothing can be left out.
    """

    name: str
    classes: tuple[str, ...] = ()
    flips: bool = False
    pictures: bool = False
    report: Report | None = None

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def duration(self, index: int) -> float:
        """Length of clip `index` in seconds."""

    def rate(self, index: int) -> float | None:
        """Frames a second that clip `index` was taken with; None where any rate is as good."""
        return None

    @abstractmethod
    def frames(
        self, index: int, times: np.ndarray, size: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """times: (T,) seconds, size: (height, width) -> RGB uint8 (T, height, width, 3), and the
        foreground mask uint8 (T, height, width), 0 to 255, or None.

        The middle of the picture is shown, as large as it fits. Times past the end give the last
        frame.
        """

    @abstractmethod
    def caption(self, index: int, rng: np.random.Generator) -> str:
        """A caption of clip `index`; sources with several wordings draw one from `rng`."""

    @abstractmethod
    def words(self) -> list[str]:
        """Every word a caption can hold, normalised and sorted."""

    @abstractmethod
    def fingerprint(self) -> str:
        """A hash that changes when the clips or the captions change."""

    def still(self, index: int) -> bool:
        """Whether nothing moves in sample `index`."""
        return self.pictures

    def shape(self, index: int) -> tuple[int, int] | None:
        """Height and width in pixels that sample `index` is kept with; None where it is drawn, or
        shown, at the size that is asked for alone."""
        return None

    def whole(self, index: int, times: np.ndarray) -> np.ndarray:
        """The frames of sample `index` at `times` (T,) as they are kept, nothing cut off: RGB uint8
        (T, H, W, 3). LookupError for one without `shape`."""
        raise LookupError(f"{self.name} has no size of its own")

    def image(self, index: int, size: tuple[int, int]) -> np.ndarray:
        """One picture of sample `index`, the one in the middle of its clip: RGB uint8
        (height, width, 3)."""
        return self.frames(index, np.array([self.duration(index) / 2]), size)[0][0]

    def label(self, index: int) -> int:
        """The class of sample `index`, a place in `classes`. LookupError where there are none."""
        raise LookupError(f"{self.name} has no classes")

    def labels(self, index: int) -> dict[str, str] | None:
        """What is known to be shown, by kind (actor, action, scene, speed; place, season, weather,
        time; class), or None."""
        return None

    def facts(self, index: int) -> dict[str, str | int]:
        """What a table says of sample `index` beside its file and its caption; the same columns
        for each."""
        return dict(self.labels(index) or {})

    def told_for(self, seconds: float) -> Source:
        """The same clips, each lasting `seconds`, where it can tell them longer or shorter."""
        return self
