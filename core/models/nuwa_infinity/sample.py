"""NUWA-Infinity's sampling loop: patch after patch, code after code, then pixels part by part.

Written against `engine.run` alone; all randomness is one stream of uniform numbers drawn on the
host from the seed. Of a picture are held its codes (a hundredth of its pixels), the keys and values
of the patches in the pool (a few lines across the shorter side), and the pixels of one band of
rows; of a clip besides the frame before. What the networks need is the same for any size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...errors import UsageError
from ...media.clip import Clip
from ...media.picture import MOST_PIXELS, picture, read_picture
from ...media.stream import Stream
from ...progress import OnProgress, counted, unheard
from ..engine import Engine, TorchEngine
from ..layers.attention import Pair
from ..noise import noise_of
from ..request import MOST_SIDE, Request
from .about import Sampling
from .directions import Box, Order
from .draw import Draw
from .edges import Edges, edges
from .layout import Layout, around, blank
from .local import DIRECTIONS, Surroundings
from .neighbourhood import Neighbourhood
from .parts import Parts, area
from .pool import Pool
from .text import encode_captions
from .vqgan import PART

if TYPE_CHECKING:
    from .config import Config
    from .model import Model

PATCHES = 4  # along a side of a picture, unless told
UNKNOWN = -1  # in the place of a code
FADING = 3  # codes beyond a given picture in which its difference from its codes goes on


def check(config: Config, request: Request) -> None:
    """UsageError for what `planned` refuses, a prompt that nothing reads, and a clip of weights
    that know pictures alone."""
    if request.prompt.strip() and not config.text_length:
        raise UsageError("these weights read no prompt", "leave it out")
    if (request.frames or 1) > 1 and not config.extent_frames:
        raise UsageError("these weights make pictures, and no clips: no patch of theirs looks at "
                         "an earlier frame", "leave --frames out")  # fmt: skip
    planned(config, request)


def planned(config: Config, request: Request) -> tuple[Layout, np.ndarray | None]:
    """What is to be made, and the picture that it is made around, uint8 (H, W, 3). UsageError for
    a picture that nothing is to be made of, an extension of none, and for what is too large."""
    if request.image is None:
        if request.extend is not None:
            raise UsageError("a picture is extended, and there is none", "--image FILE")
        side = PATCHES * config.side
        layout, given = blank(config, request.size or (side, side)), None
    else:
        if request.extend is None and request.frames is None:
            raise UsageError("of a picture, more is made to its sides, or it is set in motion",
                             "--extend right=256, or --frames 20")  # fmt: skip
        if request.extend is not None and request.size is not None:
            raise UsageError("the size of a picture and its extension is their sum",
                             "leave --size or --extend out")  # fmt: skip
        given = _read(request.image, request.size)
        layout = around(config, (given.shape[0], given.shape[1]), request.extend or {})
    height, width = layout.size
    if max(height, width) > MOST_SIDE or height * width > MOST_PIXELS:
        raise UsageError(
            f"{width} x {height} pixels are too many: a side has at most {MOST_SIDE:,}, and all "
            f"are at most {MOST_PIXELS:,}",
            "a smaller --size or --extend",
        )
    return layout, given


def _read(image: str, size: tuple[int, int] | None) -> np.ndarray:
    return read_picture(Path(image)) if size is None else picture(image, size)


def sample(engine: Engine, model: Model, request: Request, on_progress: OnProgress) -> Stream:
    """A picture in bands of rows, or a clip frame after frame, for a prompt, from the seed alone,
    or around a given picture, which stays as it is. UsageError as of `check`."""
    config, frames = model.config, request.frames or 1
    check(config, request)
    layout, given = planned(config, request)
    drawing = Drawing(engine, model, request, layout, given)
    drawing.tell = counted(on_progress, drawing.patches, "patches")
    if request.frames is None:
        return Stream(drawing.bands(), 1.0, layout.size, 1, banded=True)
    return Stream(drawing.frames(), request.fps or config.training.fps, layout.size, frames)


def preview(
    model: Model, prompt: str, seed: int, size: tuple[int, int], frames: int | None = None
) -> Clip:
    """What a model in training draws: a picture, or a clip of so many frames."""
    engine = TorchEngine(model.graphs(), str(next(model.parameters()).device))
    return sample(engine, model, Request(prompt, seed, size=size, frames=frames), unheard).clip()


def reconstructed(model: Model, frames: np.ndarray) -> np.ndarray:
    """uint8 (T, H, W, 3) through the tokenizer and back, each frame alone."""
    engine = TorchEngine(model.graphs(), str(next(model.parameters()).device))
    parts, cell = Parts(engine, model.vqgan), model.config.vqgan.cell
    height, width = frames.shape[1:3]
    rows, columns = -(-height // cell), -(-width // cell)
    codes = [parts.encode(frame, rows, columns) for frame in frames]
    whole = Box(0, 0, rows, columns)
    return np.stack([parts.decode(each, whole)[:height, :width] for each in codes])


@dataclass
class Drawing:
    """One request on its way."""

    engine: Engine
    model: Model
    request: Request
    layout: Layout
    picture: np.ndarray | None
    tell: Callable[[], None] = lambda: None
    order: Order = field(init=False)
    pool: Pool[Pair] = field(init=False)
    edges: Edges | None = field(init=False, default=None)
    beside: Surroundings | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        config, request = self.model.config, self.request
        self.config, self.parts = config, Parts(self.engine, self.model.vqgan)
        self.order = self.layout.order(config, request.frames or 1)
        self.pool = Pool(self.order, config.extents)
        settings = Sampling(**request.settings)
        self.draw = Draw(settings, noise_of(request))
        prompt = request.prompt.strip() or None
        guided = prompt is not None and settings.guidance != 1
        self.captions = [prompt, None] if guided else [prompt]
        self.texts: dict[str, dict[str, Any]] = {}
        if config.local:
            self.beside = Surroundings(config, self.layout.rows, self.layout.columns)
        self.like = self._like()

    @property
    def patches(self) -> int:
        """How many are to be drawn."""
        known, patch = self.layout.known, self.config.patch
        if known is None:
            return len(self.order)
        rows, columns = known.bottom - known.top, known.right - known.left
        return len(self.order) - (rows // patch) * (columns // patch)

    def bands(self) -> Iterator[np.ndarray]:
        """The picture from the top down, uint8 (1, n, width, 3): as soon as all codes are there
        that a band's pixels hang on."""
        cells, shown = self._cells(), self.layout.shown
        starts = range(cells.top, cells.bottom, PART)
        left = [(self._until(start + PART), start) for start in starts]
        if self.picture is not None:  # what its borders are like, all codes around it say together
            left = [(len(self.order.path) - 1, start) for start in starts]
        for number, codes in self.drawn(0):
            while left and left[0][0] <= number:
                _, start = left.pop(0)
                box = Box(start, cells.left, min(start + PART, cells.bottom), cells.right)
                yield self._shown(self._pixels(codes, box, None, given=True), box, shown)[None]

    def frames(self) -> Iterator[np.ndarray]:
        """The frames of the clip, uint8 (1, height, width, 3) each."""
        before, last = None, len(self.order.path) - 1
        for frame in range(self.order.frames):
            for number, codes in self.drawn(frame):
                if number == last:
                    whole = Box(0, 0, *codes.shape)
                    before = self._pixels(codes, whole, before, given=frame == 0)
                    yield before[area(self.layout.shown)][None]

    def drawn(self, frame: int) -> Iterator[tuple[int, np.ndarray]]:
        """The frame's codes (h, w) after each of its patches, and the patch's number in it. It is
        one array, in which UNKNOWN stands for those still to come."""
        patch, length = self.config.patch, len(self.order.path)
        if frame and self.beside is not None:
            self.beside.next_frame()
        codes = np.full((self.layout.rows * patch, self.layout.columns * patch), UNKNOWN)
        if frame == 0 and self.picture is not None and self.layout.known is not None:
            known = self.layout.known
            rows, columns = known.bottom - known.top, known.right - known.left
            codes[area(known)] = self.parts.encode(self.picture, rows, columns)
        for number in range(length):
            _, row, column = self.order.place(number)
            place = area(Box(row, column, row + 1, column + 1), patch)
            codes[place] = self.patch(frame * length + number, codes[place].ravel()).reshape(
                patch, patch
            )
            yield number, codes

    def patch(self, number: int, known: np.ndarray) -> np.ndarray:
        """Codes (M,) of a patch, of which some may be known; the pool keeps what later ones see."""
        near = Neighbourhood(self.config, self.pool, number, self.like)
        text, start = self.text(self.order.way(number)), self.config.codes
        if (known != UNKNOWN).all():
            around = [self._taken(number, place, code) for place, code in enumerate(known)]
            self.step(near, [start, *known], 0, text, [*around, self._nothing])
        else:
            known, code = known.copy(), start
            for place, given in enumerate(known):
                logits = self.step(near, [code], place, text, [self._around(number, place)])
                code = known[place] = self.draw(logits) if given == UNKNOWN else given
                self._taken(number, place, code)
            self.step(near, [code], len(known), text, [self._nothing])  # for the last code's keys
            self.tell()
        self.pool.add(number, near.finished())
        self.pool.remove(number)
        return known

    def step(
        self,
        near: Neighbourhood,
        codes: list[int],
        place: int,
        text: dict[str, Any],
        around: list[list[int]],
    ) -> Tensor:
        """Codes one after the other, from `place` on, and what is around each that they predict ->
        the scores (B, K) of the next."""
        beside = {"around": torch.tensor([around] * len(self.captions))} if self.beside else {}
        out = self.engine.run(
            "step",
            codes=torch.tensor([codes] * len(self.captions)),
            places=torch.arange(place, place + len(codes)),
            **near.seen(len(codes)),
            **text,
            **beside,
        )
        near.add(out["k"], out["v"])
        return out["logits"][:, -1]

    @property
    def _nothing(self) -> list[int]:
        """Around no code at all."""
        return [self.config.codes] * DIRECTIONS

    def _around(self, number: int, place: int) -> list[int]:
        """Around a place of a patch."""
        return self.beside.at(*self._cell(number, place)) if self.beside else []

    def _taken(self, number: int, place: int, code: int) -> list[int]:
        """The same, after which the code is there."""
        around = self._around(number, place)
        if self.beside:
            self.beside.add(*self._cell(number, place), int(code))
        return around

    def _cell(self, number: int, place: int) -> tuple[int, int]:
        """The row and the column of a code among those of its frame."""
        patch, (_, row, column) = self.config.patch, self.order.place(number)
        return row * patch + place // patch, column * patch + place % patch

    def text(self, way: str) -> dict[str, Any]:
        """What a step is told of the captions, for patches that are come to in one way."""
        if not self.config.text_length:
            return {}
        if way not in self.texts:
            told = self.config, self.model.reader, self.captions, [way] * len(self.captions)
            rows, seen = encode_captions(*told, clip=self.request.frames is not None)
            out = self.engine.run("text", text=rows, seen=seen)
            k, v = list(out["text_k"]), list(out["text_v"])
            self.texts[way] = {"padding": out["padding"], "text_k": k, "text_v": v}
        return self.texts[way]

    def _like(self) -> Tensor:
        """(B, ...) of the type and on the device that the engine computes with."""
        if self.config.text_length:
            return self.text(self.order.way(0))["padding"]
        near = Neighbourhood(self.config, self.pool, 0, torch.empty(len(self.captions)))
        return self.step(near, [self.config.codes], 0, {}, [self._nothing])

    def _cells(self) -> Box:
        """The codes that pixels are shown of."""
        cell, shown = self.config.vqgan.cell, self.layout.shown
        return Box(shown.top // cell, shown.left // cell, -(-shown.bottom // cell),
                   -(-shown.right // cell))  # fmt: skip

    def _until(self, bottom: int) -> int:
        """The number of the last patch that pixels above row `bottom` of the codes hang on."""
        rows = -(-(bottom + self.model.vqgan.margin) // self.config.patch)
        return max(n for n, (row, _) in enumerate(self.order.path) if row < rows)

    def _pixels(
        self, codes: np.ndarray, box: Box, before: np.ndarray | None, given: bool
    ) -> np.ndarray:
        """A box of codes as uint8 (H, W, 3); where a picture is given, its own pixels."""
        cell = self.config.vqgan.cell
        place, picture = (self.layout.picture, self.picture) if given else (None, None)
        own = place and Box(place.top // cell, place.left // cell, place.bottom // cell,
                            place.right // cell)  # fmt: skip
        pixels = self.parts.decode(codes, box, before, own)
        if place is not None and picture is not None:
            if self.edges is None:
                self.edges = edges(picture, place, self._borders(codes, place), FADING * cell)
            self.edges.carry_on(pixels, box.top * cell, box.left * cell)
            top, left = place.top - box.top * cell, place.left - box.left * cell
            first = max(0, -top)
            end = max(first, min(len(picture), len(pixels) - top))
            rows = slice(top + first, top + end)
            pixels[rows, left : left + picture.shape[1]] = picture[first:end]
        return pixels

    def _borders(self, codes: np.ndarray, place: Box) -> list[np.ndarray]:
        """What codes say of the top, bottom, left and right line of a picture, (length, 3) each."""
        cell = self.config.vqgan.cell
        found = []
        for row in (place.top, place.bottom - 1):
            box = Box(row // cell, place.left // cell, row // cell + 1, -(-place.right // cell))
            line = self.parts.decode(codes, box)[row % cell]
            found.append(line[: place.right - place.left])
        for column in (place.left, place.right - 1):
            box = Box(place.top // cell, column // cell, -(-place.bottom // cell),
                      column // cell + 1)  # fmt: skip
            line = self.parts.decode(codes, box)[:, column % cell]
            found.append(line[: place.bottom - place.top])
        return found

    def _shown(self, pixels: np.ndarray, box: Box, shown: Box) -> np.ndarray:
        """Of a box's pixels those that are shown."""
        top, left = (start * self.config.vqgan.cell for start in (box.top, box.left))
        rows = slice(max(0, shown.top - top), shown.bottom - top)
        return pixels[rows, shown.left - left : shown.right - left]
