"""Which videos can be trained on, and what is wrong with the others."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from threading import Event, Lock
from typing import Any

from PIL import Image

from ..errors import UsageError
from ..media.decode import Examined, Stopped, examine, never
from ..media.measure import Probe
from ..media.part import Readable
from ..media.picture import MOST_PIXELS, read_picture
from ..progress import OnProgress, unheard
from .report import Problem

MIN_FRAMES = 5
MIN_SECONDS = 0.5
STILL_SECONDS = 1.0  # how long a picture is shown
HUGE = 16_000_000  # pixels; such pictures are read one after the other: each may take a gigabyte
_huge = Lock()

Finding = Examined | str  # what a video is, or why it cannot be read


def kept(finding: Finding) -> list | str:
    """A finding as an index keeps it."""
    return finding if isinstance(finding, str) else [*finding.probe, list(finding.notes)]


def finding_of(value: Any) -> Finding | None:
    """A finding out of an index, or None where it is none."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and len(value) == len(Probe._fields) + 1:
        with suppress(TypeError, ValueError):
            duration, width, height, fps, notes = value
            probe = Probe(float(duration), int(width), int(height), float(fps))
            return Examined(probe, tuple(map(str, notes)))
    return None


class Passing(str):
    """A reason that lies in the machine (no permission, no memory) and may be gone by the next
    start: no index keeps it."""


def look(path: Readable, fps: float | None = None, stopped: Stopped = never) -> Finding:
    """Decode one video to its end; fps: the frame rate of a folder of images."""
    return _found(path, lambda: examine(path, fps, stopped))


def look_at_picture(path: Readable, stopped: Stopped = never) -> Finding:
    """A picture as a clip that stands still, read to its end: it may be cut off."""

    def found() -> Examined:
        pixels = _pixels(path)
        if pixels > MOST_PIXELS:
            raise UsageError(f"it has {pixels / 1e6:.0f} million pixels, {MOST_PIXELS / 1e6:.0f} "
                             "at most are read")  # fmt: skip
        with _huge if pixels > HUGE else nullcontext():
            height, width = read_picture(path).shape[:2]
        return Examined(Probe(STILL_SECONDS, width, height, MIN_FRAMES / STILL_SECONDS))

    return _found(path, found)


def _pixels(path: Readable) -> int:
    """By the header of a picture; 0 where it has none, which is for read_picture to refuse."""
    with suppress(Exception), path.open("rb") as file, Image.open(file) as found:
        return found.width * found.height
    return 0


def _found(path: Readable, examined: Callable[[], Examined]) -> Finding:
    """What it finds. One file does not end the look at the others: a damaged one makes decoders
    raise anything."""
    try:
        return examined()
    except UsageError as error:
        return _reason(path, error)
    except Exception as error:
        logging.getLogger(__name__).debug("%s", path, exc_info=True)
        return f"it is damaged, or of an unknown kind ({type(error).__name__})"


def _reason(path: Readable, error: UsageError) -> str:
    reason, cause = error.message.rstrip("."), error.__cause__
    reason = reason.removeprefix(f"{path} ").removeprefix(f"{path}{os.sep}")
    return Passing(reason) if isinstance(cause, OSError) and cause.errno else reason


def look_all(
    looks: Sequence[Callable[[Stopped], Finding]], on_progress: OnProgress = unheard
) -> Iterator[Finding]:
    """What each of them finds, in several threads: decoders leave the interpreter to the others.

    on_progress: is told how many "files" of how many are done. Where the taker is interrupted, none
    is read to its end: a film has hours.
    """
    if not looks:
        return
    stop = Event()
    with ThreadPoolExecutor(min(16, 2 * (os.cpu_count() or 1), len(looks))) as threads:
        try:
            found = threads.map(lambda each: each(stop.is_set), looks)
            for done, finding in enumerate(found, 1):
                on_progress(done, len(looks), "files")
                yield finding
        finally:
            stop.set()


def judged(name: str, found: Finding) -> Examined | Problem:
    """The video that was examined, or what keeps it out of training."""
    if isinstance(found, str):
        return Problem(name, "unreadable", found)
    duration, _, _, fps = found.probe
    if duration * fps < MIN_FRAMES - 0.5:
        count = "1 frame" if round(duration * fps) == 1 else f"{round(duration * fps)} frames"
        return Problem(name, "too short", f"it has {count}, {MIN_FRAMES} are needed")
    if duration < MIN_SECONDS - 1e-3:
        reason = f"it lasts {duration:.2f} s, {MIN_SECONDS} s are needed"
        return Problem(name, "too short", reason)
    return found
