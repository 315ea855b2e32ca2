"""One pass over the frames of a window, token by token, with the caches of both channels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..arrays import Array, on_host, run
from ..layers.draw import Draw
from ..layers.prompt import shift
from . import masks
from .cache import Windows
from .config import Config

if TYPE_CHECKING:
    from ..engine import Engine

ITSELF = np.zeros((1, 1), np.float32)  # what a single new token sees of itself


@dataclass
class Loop:
    """What the parts of the loop share."""

    engine: Engine
    config: Config
    draw: Draw
    tell: Callable[[], None]
    visible: dict[str, masks.Visibility] = field(init=False)

    def __post_init__(self) -> None:
        config = self.config
        self.visible = {
            "keyframes": masks.sequential(config.grid, config.frames),
            "interpolation": masks.interpolating(config.grid, config.frames, config.window),
        }

    def choose(self, logits: Array, guidance: float, top: int) -> np.ndarray:
        """logits: (B or 2 B, 1, K), the second half unconditional -> codes (B,)."""
        code = self.draw(logits[:, -1], guidance, top)
        self.tell()
        return code


def whole_frame(text: dict[str, Array], owner: str, length: int) -> Windows:
    """The caches of a channel in which a token sees all of its own frame."""
    region = np.zeros((1, length), np.int64)
    return Windows(text[f"{owner}_k"], text[f"{owner}_v"], on_host(text["padding"]), region)


class ClipRun:
    """One pass of a two-channel graph over the frames of a window, with both caches."""

    def __init__(self, loop: Loop, graph: str, text: dict[str, Array], guidance: float) -> None:
        self.loop, self.graph, self.guidance = loop, graph, guidance
        self.text, self.padding = text, on_host(text["padding"])
        self.visible = loop.visible[graph]
        self.spatial = whole_frame(text, "image", loop.config.frame_length)
        k, v = text[f"{graph}_k"], text[f"{graph}_v"]
        # Where the window is the whole frame, even and odd layers see the same.
        kinds = self.visible.regions()[: 1 if self.visible.whole else 2]
        self.temporal = Windows(k, v, self.padding, kinds)
        self.places = np.zeros(0, np.int64)
        self.known: dict[int, np.ndarray] = {}  # (B, N) codes of each frame
        self.beside = np.zeros((0, 0, 0), np.int64)

    def read(self, frames: dict[int, np.ndarray], within: np.ndarray) -> None:
        """Take given frames in, first of all and all at once. frames[slot]: (B, N) codes;
        within: (N, N) mask."""
        taken_in = given_tokens if self.graph == "interpolation" else shift
        tokens = np.concatenate([taken_in(self.loop.config, c) for c in frames.values()], axis=1)
        places = np.concatenate([self.places_of(slot) for slot in frames])
        count, copies = len(places), len(self.padding) // len(tokens)
        self.known |= frames
        bias = self.padding[:, None].repeat(count, 1)
        out = run(
            self.loop.engine,
            self.graph,
            tokens=np.tile(tokens, (copies, 1)),
            places=places,
            spatial_bias=bias,
            spatial_own=apart(within, len(frames)),
            temporal_bias=[bias, bias],
            temporal_own=self.visible.dense[:, places][:, :, places],
            spatial_k=list(self.text["image_k"]),
            spatial_v=list(self.text["image_v"]),
            temporal_k=list(self.text[f"{self.graph}_k"]),
            temporal_v=list(self.text[f"{self.graph}_v"]),
            **self.pointed(np.full((*tokens.shape, self.seen_beside), masks.NOTHING)),
        )
        # Where windows are small, room for all that comes costs less than growing for each frame.
        ahead = 0 if self.visible.whole else self.loop.config.frames - len(frames)
        self.temporal.add_frames(out["temporal_k"], out["temporal_v"], ahead)

    def places_of(self, slot: int) -> np.ndarray:
        """Places of the tokens of one frame."""
        length = self.loop.config.frame_length
        return np.arange(slot * length, (slot + 1) * length)

    @property
    def seen_beside(self) -> int:
        """Frames that a new one may point to."""
        return len(masks.BESIDE[self.graph][masks.NEW[0]])

    def pointed(self, codes: np.ndarray) -> dict[str, np.ndarray]:
        """codes: (B, Q, frames beside) -> the graph's input, for each text, where it has one."""
        if not self.loop.config.points:
            return {}
        return {"beside": np.tile(codes, (len(self.padding) // len(codes), 1, 1))}

    def begin(self, slot: int) -> None:
        """Get ready for the tokens of a new frame, which comes after all that is known."""
        self.places = self.places_of(slot)
        others = masks.BESIDE[self.graph][slot]
        self.beside = np.stack([self.known[other] for other in others], axis=-1)
        self.spatial.clear()
        self.spatial.begin()
        self.temporal.begin()

    def step(self, token: np.ndarray, number: int) -> Array:
        """Token (B, 1) `number` of the frame begun -> logits (B, 1, K)."""
        spatial_k, spatial_v, (spatial_bias,) = self.spatial.look(number)
        temporal_k, temporal_v, temporal_bias = self.temporal.look(number)
        out = run(
            self.loop.engine,
            self.graph,
            tokens=np.tile(token, (len(self.padding) // len(token), 1)),
            places=self.places[number : number + 1],
            spatial_bias=spatial_bias,
            spatial_own=ITSELF,
            temporal_bias=[temporal_bias[0], temporal_bias[-1]],
            temporal_own=ITSELF[None].repeat(2, 0),
            spatial_k=spatial_k,
            spatial_v=spatial_v,
            temporal_k=temporal_k,
            temporal_v=temporal_v,
            **self.pointed(self.beside[:, number : number + 1]),
        )
        self.spatial.add(number, out["spatial_k"], out["spatial_v"])
        self.temporal.add(number, out["temporal_k"], out["temporal_v"])
        return out["logits"]

    def write(self, slot: int, batch: int) -> np.ndarray:
        """Generate frame `slot` token by token: (B, N)."""
        config, top = self.loop.config, self.loop.draw.sampling.clusters
        self.begin(slot)
        token = np.full((batch, 1), config.symbol("<start_of_image>"))
        codes = []
        for number in range(config.frame_length):
            codes.append(self.loop.choose(self.step(token, number), self.guidance, top))
            token = codes[-1][:, None]
        self.known[slot] = np.stack(codes, axis=1)
        return self.known[slot]


def apart(within: np.ndarray, frames: int) -> np.ndarray:
    """What the tokens of frames, one after the other, see of each other: within: (N, N), of their
    own; nothing of the others' -> (frames N, frames N)."""
    length = len(within)
    found = np.full((frames * length, frames * length), masks.HIDDEN)
    for start in range(0, len(found), length):
        found[start : start + length, start : start + length] = within
    return found


def given_tokens(config: Config, codes: Array) -> Array:
    """(..., N) codes of frames that interpolation is given -> the input tokens."""
    return codes if config.given == "placed" else shift(config, codes)
