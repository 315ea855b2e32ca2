"""A film from a script: every line a clip for its time, cut or blended, with sound.

Clips are made one after the other into a folder beside the film, so that a start after a kill goes
on; when all are there, the film is written from them in one pass, in memory that does not grow.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DlnError, Interrupted, UsageError
from ..files import sha256_file
from ..media.picture import fitted
from ..media.receipt import MOST_LETTERS, make_receipt
from ..media.stream import Stream
from ..media.video import write_stream
from ..models.engine import Differentiable, torch_engine
from ..models.package import Loaded
from ..models.registry import load
from ..progress import OnProgress, unheard
from ..threads import Load
from .generate import stream
from .parts import Parts
from .shots import (
    Script,
    Shot,
    Take,
    check_words,
    default_fps,
    picture_step,
    shots_of,
    shown_at,
)

if TYPE_CHECKING:
    from ..models.about import About
    from ..models.engine import Engine
    from ..models.system import Usual

OPEN = 4  # clips that are held open: a line's, the one before, and the next of each
Read = Callable[[str], np.ndarray]  # the frames of a take by its key: uint8 (T, H, W, 3)
Show = Callable[[int], np.ndarray]  # a frame of a shot, also after its end: uint8 (H, W, 3)


@dataclass(frozen=True)
class Film:
    """A script as a model can make it: its rate is told, and every shot is known."""

    script: Script
    about: About
    usual: Usual | None
    shots: list[Shot]

    @property
    def seconds(self) -> float:
        return float(self.script.frames / self.script.rate)

    @cached_property
    def takes(self) -> list[Take]:
        """All clips and pictures, in order."""
        return [take for shot in self.shots for take in shot.takes]


def planned(about: About, config: Any, script: Script, engine: str, gradients: bool) -> Film:
    """A script as weights of this configuration can make it; nothing is made. UsageError and
    MissingCapability for what they, or the engine, have no way with."""
    system = load(about)
    usual = system.usual(config)
    if not about.text or (usual is None and about.gives != "picture"):
        raise UsageError(
            f"{about.name} makes no films: its task is {about.task}.", "dln models list"
        )
    script = replace(script, fps=script.fps or default_fps(usual))
    film = Film(script, about, usual, shots_of(script, about, usual))
    kinds = {(take.request.frames, not take.request.prompt): take.request for take in film.takes}
    for request in kinds.values():
        about.check(request.asked())
        system.check(config, request, engine, gradients)
    return film


class Studio:
    """What makes a film's clips, and where they lie meanwhile."""

    def __init__(
        self,
        loaded: Loaded,
        script: Script,
        folder: Path,
        engine: Engine | None = None,
        device: str = "auto",
        on_progress: OnProgress | None = None,
    ) -> None:
        """Errors as of `planned`, and MissingCapability for a device that is not here."""
        self.loaded, self.parts = loaded, Parts(folder)
        self.engine = engine or torch_engine(loaded.model.graphs(), device, Load())
        self.report = on_progress or unheard
        able = isinstance(self.engine, Differentiable)
        self.film = planned(loaded.about, loaded.model.config, script, self.engine.name, able)
        check_words(script.lines, loaded.model.reader, loaded.about)

    @cached_property
    def keys(self) -> list[str]:
        """A name for each take that follows from all that decides its frames."""
        receipt = make_receipt(prompt=None, seed=0, model="", engine=self.engine.name, settings={},
                               weights_sha256=self.loaded.sha256)  # fmt: skip
        receipt["device"], keys = str(getattr(self.engine, "device", "")), []
        for take in self.film.takes:
            request = take.request
            told = {"prompt": request.prompt, "seed": request.seed, "drift": request.drift,
                    "settings": request.asked(), "frames": take.frames}  # fmt: skip
            told |= {"after": keys[-1]} if take.follows else {}
            text = json.dumps(receipt | told, sort_keys=True)
            keys.append(hashlib.sha256(text.encode()).hexdigest()[:32])
        return keys

    def missing(self) -> int:
        """How many takes are still to be made."""
        takes = zip(self.keys, self.film.takes, strict=True)
        return sum(not self.parts.has(key, take.frames) for key, take in takes)

    def shoot(self) -> None:
        """Make what is not there yet."""
        total, before = len(self.film.takes), ""
        for number, (key, take) in enumerate(zip(self.keys, self.film.takes, strict=True)):
            self.report(number, total, "clips")
            if not self.parts.has(key, take.frames):
                self._make(take, key, before)
            before = key
        self.report(total, total, "clips")

    def _make(self, take: Take, key: str, before: str) -> None:
        request = take.request
        if take.follows:
            request = replace(request, image=self.parts.last_frame(before))
        made = stream(self.loaded, request, engine=self.engine, on_progress=self.report).stream
        if made.frames != take.frames:
            raise DlnError(f"{self.loaded.about.name} made {made.frames} frames, not {take.frames}")
        self.parts.keep(key, made)

    def projected(self) -> Stream:
        """The whole film, frame after frame, once all takes are there."""
        script, size = self.film.script, self.size
        return Stream((frame[None] for frame in self._frames()), float(script.rate), size,
                      script.frames)  # fmt: skip

    @cached_property
    def size(self) -> tuple[int, int]:
        """(height, width) of the film in pixels."""
        height, width = self.parts.read(self.keys[0]).shape[1:3]
        return self.film.script.size or (height, width)

    def _frames(self) -> Iterator[np.ndarray]:
        black = np.zeros((*self.size, 3), np.uint8)
        before, over, place = (lambda frame: black), 0, 0
        yield from (black for _ in range(self.film.shots[0].first))
        for shot in self.film.shots:
            keys = self.keys[place : place + len(shot.takes)]
            show, place = self._show(shot, keys), place + len(shot.takes)
            for frame in range(shot.frames):
                pixels = show(frame)
                if frame < shot.fade:
                    share = Fraction(frame + 1, shot.fade + 1)
                    pixels = blended(before(over + frame), pixels, share)
                yield pixels
            before, over = show, shot.frames

    def _show(self, shot: Shot, keys: list[str]) -> Show:
        """What is seen of a shot: after its takes, the last frame of them stays."""
        read, script, usual = lru_cache(OPEN)(self.parts.read), self.film.script, self.film.usual
        look = _clips(script, usual, shot, keys, read) if usual else _pictures(script, keys, read)
        return lambda frame: fitted(look(frame), self.size)


def _clips(script: Script, usual: Usual, shot: Shot, keys: list[str], read: Read) -> Show:
    """One clip after the other, at their own pace."""
    begin, follows = shot.takes[0].frames, shot.takes[-1].follows
    each = shot.takes[-1].frames - follows
    last = begin + each * (len(keys) - 1) - 1

    def show(frame: int) -> np.ndarray:
        number = min(shown_at(usual, script, frame), last)
        if number < begin:
            return read(keys[0])[number]
        take, number = divmod(number - begin, each)
        return read(keys[1 + take])[number + follows]

    return show


def _pictures(script: Script, keys: list[str], read: Read) -> Show:
    """One picture turning into the next."""
    step = picture_step(script) * script.rate

    def show(frame: int) -> np.ndarray:
        place = min(frame / step, Fraction(len(keys) - 1))
        first = math.floor(place)
        pixels = read(keys[first])[0]
        return blended(pixels, read(keys[first + 1])[0], place - first) if place > first else pixels

    return show


def blended(one: np.ndarray, other: np.ndarray, share: Fraction) -> np.ndarray:
    """uint8 (H, W, 3) both -> the mean, `share` of it of the other one."""
    part = float(share)
    return np.round((1 - part) * one + part * other).astype(np.uint8)


@dataclass(frozen=True)
class Made:
    """What came of a film. made: clips that were not there before."""

    path: Path
    frames: int
    fps: float
    size: tuple[int, int]
    clips: int
    made: int


def make_film(
    studio: Studio, path: Path, seed: int, sound: Path | None = None, overwrite: bool = False
) -> Made:
    """Make the clips that are missing, then write the film with its receipt, and remove the clips.

    seed: what the lines' seeds follow from, for the receipt. Interrupted as of `shoot`; UsageError
    for a script that no receipt can hold.
    """
    receipt, missing = receipt_of_film(studio, seed, sound), studio.missing()
    if len(json.dumps(receipt)) > MOST_LETTERS:
        raise UsageError("the lines have more letters than a film's receipt can hold", "two films")
    try:
        studio.shoot()
        film = _written(studio, path, receipt, sound, overwrite)
    except KeyboardInterrupt as error:
        total = len(studio.keys)
        kept = f"{total - studio.missing()} of {total} clips are kept in {studio.parts.folder}"
        raise Interrupted(f"interrupted; {kept}", "the same line again goes on") from error
    studio.parts.clear()
    return Made(path, film.frames, film.fps, film.size, len(studio.film.takes), missing)


def _written(
    studio: Studio, path: Path, receipt: dict[str, Any], sound: Path | None, overwrite: bool
) -> Stream:
    film, done = studio.projected(), 0

    def tell(block: np.ndarray) -> None:
        nonlocal done
        done += len(block)
        studio.report(done, film.frames, "frames")

    scale = 1 if studio.film.script.size else None
    write_stream(film.heard(tell), path, receipt, scale, overwrite, sound)
    return film


def receipt_of_film(studio: Studio, seed: int, sound: Path | None) -> dict[str, Any]:
    """As of a clip, and under film all that was cut together."""
    script, loaded = studio.film.script, studio.loaded
    settings = dict(script.settings) | {"fps": script.fps}
    settings |= {"size": list(script.size)} if script.size else {}
    lines = [
        {"number": line.number, "start_ms": line.start, "end_ms": line.end, "seed": line_seed,
         "prompt": line.text}
        for line, line_seed in zip(script.lines, script.seeds, strict=True)
    ]  # fmt: skip
    film: dict[str, Any] = {"blend_s": script.blend, "every_s": script.every, "lines": lines}
    if sound is not None:
        name = sound.name.encode("utf-8", "replace").decode()
        film["sound"] = {"name": name, "sha256": sha256_file(sound)}
    receipt = make_receipt(
        prompt=None, seed=seed, model=loaded.called, weights_sha256=loaded.sha256,
        engine=studio.engine.name, settings=settings,
        graphs=getattr(studio.engine, "graphs", None),
    )  # fmt: skip
    return receipt | {"film": film}
