"""Clips of several seeds as one mosaic, made side by side while its frames are taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UsageError
from ..media.mosaic import MOST, mosaic
from ..media.stream import Stream
from ..models.package import Loaded
from ..models.request import Request
from ..progress import OnProgress, unheard
from .generate import Streaming, stream

if TYPE_CHECKING:
    from ..models.engine import Engine


def stream_grid(
    loaded: Loaded,
    request: Request,
    count: int,
    *,
    engine: Engine | None = None,
    device: str = "auto",
    on_progress: OnProgress | None = None,
) -> Streaming:
    """`count` clips, with the request's seed and those after it, in one. Each is the clip that
    `stream` makes of its seed; the receipt has the first seed, and under grid how many there are.

    Notes and seconds are those of all clips, once the frames have been taken. UsageError for fewer
    than two or too many, and as of `stream`.
    """
    if not 2 <= count <= MOST:
        raise UsageError(f"a grid has from 2 to {MOST} clips, not {count:,}", "--count 9 --grid")
    report = together(count, on_progress or unheard)
    made = [
        stream(loaded, replace(request, seed=request.seed + number), engine=engine, device=device,
               on_progress=report(number))
        for number in range(count)
    ]  # fmt: skip
    whole = mosaic([each.stream for each in made])
    notes, seconds = list(dict.fromkeys(note for each in made for note in each.notes)), {}

    def passing() -> Iterator[np.ndarray]:
        yield from whole
        notes[:] = dict.fromkeys(note for each in made for note in each.notes)
        for part in made[0].seconds:
            seconds[part] = sum(each.seconds[part] for each in made)

    frames = Stream(passing(), whole.fps, whole.size, whole.frames)
    return Streaming(frames, made[0].receipt | {"grid": count}, notes, seconds)


def together(count: int, on_progress: OnProgress):
    """A function that gives the progress callback of one of `count` clips; the user hears of all
    of them together."""
    done: dict[tuple[str, int], int] = {}

    def of(number: int) -> OnProgress:
        def report(now: int, total: int, what: str) -> None:
            done[what, number] = now
            summed = sum(each for (kind, _), each in done.items() if kind == what)
            on_progress(summed, count * total, what)

        return report

    return of
