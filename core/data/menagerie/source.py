"""The menagerie as a data set: story `index` of a seed, rendered when it is asked for."""

from functools import cached_property
from hashlib import sha256

import numpy as np

from ...errors import UsageError
from ...media.picture import middle
from ..source import Source
from . import CLIP_SECONDS, Story, caption, draw_story, render, vocabulary

DEFAULT_COUNT = 12000
PROBES = 128


class Menagerie(Source):
    """`count` stories drawn from `seed`; nothing is stored.

    held_out: False leaves out the pairs of actor and action kept for evaluation, True draws
    only those, None draws from all. seconds: how long each story is told. Raises UsageError for
    a count below 1.
    """

    name = "menagerie"

    def __init__(
        self,
        count: int = DEFAULT_COUNT,
        seed: int = 0,
        held_out: bool | None = False,
        seconds: float = CLIP_SECONDS,
    ) -> None:
        if count < 1:
            raise UsageError(f"count must be at least 1, got {count}.")
        self.count = count
        self.seed = seed
        self.held_out = held_out
        self.seconds = seconds
        self._stories: dict[int, Story] = {}

    def __len__(self) -> int:
        return self.count

    def story_seed(self, index: int) -> int:
        """The seed of story `index`, 63 bits, unrelated to its neighbours'."""
        digest = sha256(f"{self.seed}/{index}".encode()).digest()
        return int.from_bytes(digest[:8], "big") >> 1

    def story(self, index: int) -> Story:
        """Who does what where in clip `index`."""
        if index not in self._stories:
            if not 0 <= index < self.count:
                raise IndexError(f"clip {index} of {self.count}")
            self._stories[index] = draw_story(self.story_seed(index), held_out=self.held_out)
        return self._stories[index]

    def duration(self, index: int) -> float:
        """Length of every clip in seconds."""
        return self.seconds

    def told_for(self, seconds: float) -> "Menagerie":
        """The same stories, told longer or shorter: an action repeats, a walker turns round."""
        return Menagerie(self.count, self.seed, self.held_out, seconds)

    def frames(
        self, index: int, times: np.ndarray, size: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """times: (T,) seconds, size: (height, width) -> RGB uint8 (T, height, width, 3),
        foreground mask (T, height, width): the middle of the square world."""
        story, times = self.story(index), np.clip(times, 0, self.seconds)
        places = np.round(times % story.repeats, 6)  # each moment of a cycle is drawn once
        _, first, again = np.unique(places, return_index=True, return_inverse=True)
        side = max(size)
        frames, mask = render(story, times[first].tolist(), side)
        rows, columns = middle((side, side), size)
        return frames[:, rows, columns][again], mask[:, rows, columns][again]

    def caption(self, index: int, rng: np.random.Generator) -> str:
        """One of the many captions of clip `index`, drawn from `rng`."""
        return caption(self.story(index), rng)

    def words(self) -> list[str]:
        """Every word a caption can hold, sorted."""
        return sorted(vocabulary())

    def labels(self, index: int) -> dict[str, str]:
        """The actor, action, scene and speed of clip `index`."""
        story = self.story(index)
        return {key: str(getattr(story, key)) for key in ("actor", "action", "scene", "speed")}

    def facts(self, index: int) -> dict[str, str | int]:
        """Its labels and its seed."""
        return {**self.labels(index), "seed": self.story_seed(index)}

    def fingerprint(self) -> str:
        """A hash of the settings, the vocabulary and some rendered stories."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        settings = (self.count, self.seed, self.held_out, self.seconds, self.words())
        digest = sha256(repr(settings).encode())
        for index in range(min(PROBES, self.count)):
            frames, mask = self.frames(index, np.array([index / PROBES * CLIP_SECONDS]), (32, 32))
            text = self.caption(index, np.random.default_rng(index))
            digest.update(frames.tobytes() + mask.tobytes() + text.encode())
        return digest.hexdigest()
