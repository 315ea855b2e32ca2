"""The vistas as a data set: country `index` of a seed, filmed when it is asked for."""

from __future__ import annotations

from functools import cached_property
from hashlib import sha256

import numpy as np

from ...errors import UsageError, closest, short
from ..source import Source
from .captions import caption, vocabulary
from .country import CLIP_SECONDS, DAY, TIMES, Vista, draw_vista, places_of
from .films import frames

DEFAULT_COUNT = 12000
MEASURING = 1000  # held-out ones, unless told
PROBES = 32
OPTIONS = ("camera", "place", "season", "weather", "hour")


class Vistas(Source):
    """`count` countries drawn from `seed`, seen by one camera; nothing is stored.

    pinned: place, season, weather or hour, as `draw_vista` takes them. held_out: True draws other
    countries than False and None. seconds: how long each is filmed. Raises UsageError for a count
    below 1, and for what there is not.
    """

    def __init__(
        self,
        camera: str = "still",
        count: int = DEFAULT_COUNT,
        seed: int = 0,
        held_out: bool | None = False,
        seconds: float = CLIP_SECONDS,
        **pinned: str,
    ) -> None:
        if count < 1:
            raise UsageError(f"count must be at least 1, got {count}.")
        self.camera = camera
        self.count = count
        self.seed = seed
        self.held_out = held_out
        self.seconds = seconds
        self.pinned = pinned
        self.name = ",".join(
            ["vistas", f"camera={camera}", *(f"{k}={v}" for k, v in pinned.items())]
        )
        self.pictures = camera == "panorama"
        hour = pinned.get("hour")
        self._hour = hour if hour is None or hour in TIMES else _number(hour)
        try:
            self.classes = places_of(camera)
            self._draw(0)
        except ValueError as error:
            raise UsageError(str(error), "dln data show vistas") from error
        self._vistas: dict[int, Vista] = {}

    def __len__(self) -> int:
        return self.count

    def story_seed(self, index: int) -> int:
        """The seed of country `index`, 63 bits, unrelated to its neighbours'."""
        apart = "/held out" if self.held_out else ""
        digest = sha256(f"vistas/{self.seed}/{index}{apart}".encode()).digest()
        return int.from_bytes(digest[:8], "big") >> 1

    def vista(self, index: int) -> Vista:
        """What country clip `index` shows, and when."""
        if index not in self._vistas:
            if not 0 <= index < self.count:
                raise IndexError(f"clip {index} of {self.count}")
            self._vistas[index] = self._draw(self.story_seed(index))
        return self._vistas[index]

    def _draw(self, seed: int) -> Vista:
        fixed = {slot: value for slot, value in self.pinned.items() if slot != "hour"}
        return draw_vista(seed, self.camera, self._hour, **fixed)

    def duration(self, index: int) -> float:
        """Length of every clip in seconds."""
        return self.seconds

    def told_for(self, seconds: float) -> Vistas:
        """The same countries for longer or shorter: hours pass and roads lead on for ever."""
        return Vistas(self.camera, self.count, self.seed, self.held_out, seconds, **self.pinned)

    def frames(
        self, index: int, times: np.ndarray, size: tuple[int, int]
    ) -> tuple[np.ndarray, None]:
        """times: (T,) seconds, size: (height, width) -> RGB uint8 (T, height, width, 3), no mask:
        a picture of any shape shows all of the height, and as much of the width as it takes."""
        times = np.clip(np.asarray(times, np.float64), 0, self.seconds)
        return frames(self.vista(index), self.camera, times, size), None

    def caption(self, index: int, rng: np.random.Generator) -> str:
        """One of the many captions of clip `index`, drawn from `rng`."""
        return caption(self.vista(index), rng, camera=self.camera, time=self.seconds / 2)

    def words(self) -> list[str]:
        """Every word a caption can hold, sorted."""
        return vocabulary()

    def label(self, index: int) -> int:
        """The place of clip `index`, among `classes`."""
        return self.classes.index(self.vista(index).place)

    def labels(self, index: int) -> dict[str, str]:
        """The place, season, weather and time of day of clip `index`, the last in its middle."""
        vista = self.vista(index)
        return {"place": vista.place, "season": vista.season, "weather": vista.weather,
                "time": vista.time_of_day(self.seconds / 2)}  # fmt: skip

    def facts(self, index: int) -> dict[str, str | int]:
        """Its labels, the hour at which it begins, and its seed."""
        hour = f"{self.vista(index).hour % DAY:.2f}"
        return {**self.labels(index), "hour": hour, "seed": self.story_seed(index)}

    def fingerprint(self) -> str:
        """A hash of the settings, the vocabulary and some frames."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        settings = (self.name, self.count, self.seed, self.held_out, self.seconds, self.words())
        digest = sha256(repr(settings).encode())
        for index in range(min(PROBES, self.count)):
            film, _ = self.frames(index, np.array([self.seconds * index / PROBES]), (32, 32))
            text = self.caption(index, np.random.default_rng(index))
            digest.update(film.tobytes() + text.encode())
        return digest.hexdigest()


def opened(parts: list[str], count: int | None, seed: int, held_out: bool | None) -> Vistas:
    """What follows "vistas," in the name of a data set: ["camera=ride", "season=winter"].

    UsageError where an option is unknown or says what there is not.
    """
    options: dict[str, str] = {}
    for part in parts:
        name, sign, value = part.partition("=")
        if name not in OPTIONS or not sign:
            raise UsageError(
                f"vistas has no {short(part)!r}.{closest(short(name), OPTIONS)}",
                f"--data vistas,camera=ride,season=winter ({', '.join(OPTIONS)})",
            )
        options[name] = value
    camera = options.pop("camera", "still")
    if count is None:
        count = MEASURING if held_out else DEFAULT_COUNT
    return Vistas(camera, count, seed, held_out, CLIP_SECONDS, **options)


def _number(text: str) -> float:
    try:
        hour = float(text)
    except ValueError:
        hour = -1.0
    if not 0 <= hour <= DAY:
        raise UsageError(
            f"hour is {', '.join(TIMES)}, or 0 to 24, not {short(text)!r}", "hour=18.5"
        )
    return hour
