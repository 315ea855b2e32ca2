"""Pictures of countries at any hour, and what is true of them: what a recognizer of vistas sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...data.table import build_table
from ...data.vistas import CAMERAS, Vista, frames
from ...data.vistas.country import DAY, rising
from ...data.vistas.source import Vistas
from ...errors import UsageError
from ...training.events import Note, OnEvent
from ..layers.pixels import noter
from .config import Config

TWILIGHT = 2.0  # hours before and after the sun's rising and setting
HORIZON = -0.02  # elevation in the middle between night and day

Hours = Callable[[Vistas, int], np.ndarray]  # of a country of a source: when it is looked at


class Picture(NamedTuple):
    """pixels: uint8 (3, S, S); labels: int64, of all heads but the hour; hour: of the day."""

    pixels: np.ndarray
    labels: np.ndarray
    hour: float


class Pictures:
    """Those of several sources, country after country, `moments` of each."""

    def __init__(
        self,
        sources: Sequence[Vistas],
        hours: Hours,
        config: Config,
        path: Path,
        workers: int,
        on_event: OnEvent,
    ) -> None:
        places = [(source, row) for source in sources for row in range(len(source))]
        on_event(Note(f"{len(places)} countries for the recognizer"))
        self.hours = np.stack([hours(*place) for place in places])
        told = [labels_of(*place, at, config) for place, at in zip(places, self.hours, strict=True)]
        self.labels = np.stack(told)
        size = config.image_size
        self.table = build_table(
            path, len(places), (self.hours.shape[1], 3, size, size), np.uint8,
            partial(painted, sources, self.hours, size), workers=workers, on_note=noter(on_event),
            key=" ".join([f"{size} {self.hours.sum()}", *(s.fingerprint() for s in sources)]),
        )  # fmt: skip

    def __len__(self) -> int:
        return self.hours.size

    def __getitem__(self, number: int) -> Picture:
        row, moment = divmod(number, self.hours.shape[1])
        pixels, hour = self.table[row, moment], float(self.hours[row, moment])
        return Picture(np.asarray(pixels), self.labels[row, moment], hour)


def cameras(named: Vistas, most: int, seed: int, held_out: bool) -> list[Vistas]:
    """Countries for the camera that the data name, at most `most`, and half as many for each other.

    UsageError for a part of the world, from which nothing else could be learnt.
    """
    if named.pinned:
        pinned = ", ".join(f"{slot}={value}" for slot, value in named.pinned.items())
        raise UsageError(f"a recognizer learns all of vistas, and {named.name} has only {pinned}",
                         f"dln train recognizer --data vistas,camera={named.camera}")  # fmt: skip
    count = min(len(named), most)
    others = [camera for camera in CAMERAS if camera != named.camera]
    return [Vistas(named.camera, count, seed, held_out),
            *(Vistas(camera, max(1, count // 2), seed, held_out) for camera in others)]  # fmt: skip


def all_day(moments: int, source: Vistas, row: int) -> np.ndarray:
    """Hours of a day and a night, every second one near the sun's rising or setting: (moments,)."""
    rng = np.random.default_rng(source.story_seed(row))
    dawn = rising(source.vista(row).season, HORIZON) + rng.uniform(-TWILIGHT, TWILIGHT, moments)
    twilight = np.where(rng.random(moments) < 0.5, dawn, DAY - dawn)
    return np.where(np.arange(moments) % 2, twilight, rng.uniform(0, DAY, moments)) % DAY


def as_filmed(source: Vistas, row: int) -> np.ndarray:
    """The hour in the middle of a clip, whose time of day is never in doubt, and at a moment of it
    that may be: (2,)."""
    rng = np.random.default_rng(source.story_seed(row))
    times = np.array([0.5, rng.random()]) * source.duration(row)
    return source.vista(row).hours(times) % DAY


def painted(sources: Sequence[Vistas], hours: np.ndarray, size: int, place: int) -> np.ndarray:
    """A country of all of them at its hours: uint8 (M, 3, size, size)."""
    at = hours[place]
    for source in sources:
        if place < len(source):
            break
        place -= len(source)
    seen = at_hours(source.vista(place), source.camera, at, (size, size))
    return np.moveaxis(seen, -1, 1)


def at_hours(vista: Vista, camera: str, hours: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """hours: (M,) of the day -> RGB uint8 (M, height, width, 3). Where hours pass, one waits."""
    if vista.pace:
        return frames(vista, camera, (hours - vista.hour) / vista.pace, size)
    alone = [frames(replace(vista, hour=float(at)), camera, np.zeros(1), size) for at in hours]
    return np.concatenate(alone)


def labels_of(source: Vistas, row: int, hours: np.ndarray, config: Config) -> np.ndarray:
    """int64 (M, heads but the hour) of a country at some hours (M,)."""
    vista = replace(source.vista(row), pace=0.0)
    told = []
    for hour in hours:
        time = replace(vista, hour=float(hour)).time_of_day()
        shown = {"place": vista.place, "season": vista.season, "weather": vista.weather,
                 "time": time}  # fmt: skip
        told.append([config.classes[head].index(name) for head, name in shown.items()])
    return np.array(told, np.int64)
