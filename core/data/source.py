"""What every data set offers: clips at any time and size, captions, a vocabulary."""

from typing import Protocol

import numpy as np


class Source(Protocol):
    """A data set of captioned clips; sample `index` is always the same clip.

    `name` is what the user called it ("menagerie" or the path of a folder).
    """

    name: str

    def __len__(self) -> int: ...

    def duration(self, index: int) -> float:
        """Length of clip `index` in seconds."""
        ...

    def frames(
        self, index: int, times: np.ndarray, size: int
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """times: (T,) seconds -> RGB uint8 (T, size, size, 3), foreground mask uint8 or None.

        The mask is (T, size, size), 0 to 255. Times past the end give the last frame.
        """
        ...

    def caption(self, index: int, rng: np.random.Generator) -> str:
        """A caption of clip `index`; sources with several wordings draw one from `rng`."""
        ...

    def words(self) -> list[str]:
        """Every word a caption can hold, normalised and sorted."""
        ...

    def fingerprint(self) -> str:
        """A hash that changes when the clips or the captions change."""
        ...

    def labels(self, index: int) -> dict[str, str] | None:
        """The true actor, action, scene and speed where they are known."""
        ...
