"""CogView2's sampling loop: coarse codes, direct and iterative super-resolution, pixels.

Written against `engine.run` alone. All randomness is one stream of uniform numbers drawn on the
host from the seed and its drift, so every engine samples the same codes up to rounding, and
pictures of a little drift more are alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import UsageError
from ...media.clip import Clip
from ...media.picture import read_picture
from ...media.stream import Stream
from ...progress import OnProgress, counted
from ..arrays import Array, on_host, run
from ..engine import Engine, TorchEngine
from ..layers.draw import Draw
from ..layers.pixels import to_frames, to_numbers, to_pixels
from ..layers.prompt import encode_texts
from ..noise import Noise, noise_of
from ..request import Request
from .about import Sampling
from .captions import told_by
from .grid_draw import GridDraw
from .region import FORM, Region, parsed
from .rollout import Rollout
from .upsample import Upsampler

if TYPE_CHECKING:
    from .model import Model

STILL = "<still>"  # how a prompt begins here: a picture that opens no clip


def check(request: Request) -> None:
    """UsageError for a mask without a picture, a picture without a mask, and no mask at all."""
    mask = request.settings.get("mask")
    if mask is not None and request.image is None:
        raise UsageError("a region of a picture is filled, and there is none", "--image FILE")
    if mask is None and request.image is not None:
        raise UsageError("of a picture, a region is filled anew, and none is told", FORM)
    if mask is not None:
        parsed(mask)


def planned(request: Request) -> Region | None:
    """The picture that is given, and what of it is filled. UsageError as of `check`, and where they
    do not fit."""
    check(request)
    mask = request.settings.get("mask")
    if request.image is None or mask is None:
        return None
    return Region(read_picture(Path(request.image)), parsed(mask))


def sample(engine: Engine, model: Model, request: Request, on_progress: OnProgress) -> Stream:
    """A picture for the prompt, or a given one with a region of it anew, and all else bit for bit.
    UsageError as of `planned`."""
    region = planned(request)
    loop = start_loop(engine, model, request)
    free = None if region is None else region.masked(model.config.grid)
    total = model.config.frame_length if free is None else int(free.sum())
    loop.tell = counted(on_progress, total, "codes")
    pixels = loop.picture(request.prompt, region, free)
    made = to_frames(pixels)[0]
    made = made if region is None else region.filled(made)
    # Banded: such a picture is written pixel by pixel, and never enlarged to be watched.
    return Stream([made[None]], 1.0, made.shape[:2], 1, banded=True)


def start_loop(engine: Engine, model: Model, request: Request) -> Loop:
    """The loop of one request."""
    return Loop(engine, model, Sampling(**request.settings), noise_of(request))


@dataclass
class Loop:
    """What the parts of the loop share."""

    engine: Engine
    model: Model
    sampling: Sampling
    rng: Noise
    tell: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.config = self.model.config
        clusters = self.model.tokenizer.clusters
        self.draw = Draw(clusters, self.sampling, self.rng)
        self.upsampler = Upsampler(self.engine, GridDraw(clusters, self.rng), self.sampling)

    def picture(self, prompt: str, region: Region | None, free: np.ndarray | None) -> Array:
        """Pixels (1, 3, H, W) in [0, 1]; free: bool (N,), the codes of the region."""
        known = (
            None if region is None else self.encode("encode", region.seen(self.config.image_size))
        )
        coarse = self.coarse(prompt, known, free)
        if not self.sampling.upsample:
            return run(self.engine, "decode", indices=coarse)["pixels"]
        fine = self.fine(prompt, coarse, region)
        return run(self.engine, "decode_large", indices=fine)["pixels"]

    def encode(self, graph: str, pixels: np.ndarray) -> np.ndarray:
        """uint8 (H, W, 3) -> codes (1, N)."""
        frames = to_numbers(pixels)[None]
        return on_host(run(self.engine, graph, frames=frames)["indices"])

    def coarse(self, prompt: str, known: np.ndarray | None, free: np.ndarray | None) -> np.ndarray:
        """Codes (1, N): of several candidates, the ones that tell the prompt best."""
        count, length = self.sampling.candidates, self.config.frame_length
        if known is None:
            known = np.zeros((1, length), np.int64)
        asked = np.ones(length, dtype=bool) if free is None else free
        codes = self.drawn(prompt, known.repeat(count, 0), asked)
        if count == 1:
            return codes
        best = told_by(self.engine, self.model, codes, prompt).argmax()
        return codes[int(best)][None]

    def drawn(self, prompt: str, codes: np.ndarray, free: np.ndarray) -> np.ndarray:
        """codes: (B, N) -> the same, those that are free, bool (N,), drawn one after the other.

        What is given is read at once. A code is predicted by the one before it, which belongs to
        the causal region for that; before the first there is <start_of_image>.
        """
        sampling, config = self.sampling, self.config
        guided = sampling.guidance != 1
        captions = [prompt] * len(codes) + [None] * len(codes) * guided
        rows, seen = encode_texts(config, self.model.reader, [(STILL, each) for each in captions])
        text = run(self.engine, "text", text=rows, seen=seen)
        opening = np.full((len(codes), 1), config.symbol("<start_of_image>"))
        tokens = np.concatenate([opening, codes], axis=1)
        asked = np.append(free, False)  # whether a token is to predict the next
        causal = asked | np.append(False, free)
        rollout = Rollout(self.engine, text, len(causal))
        copies = 1 + guided
        given = np.flatnonzero(~causal)
        if len(given):
            own = np.zeros((len(given), len(given)), np.float32)
            rollout.read("image", np.tile(tokens[:, given], (copies, 1)), given, own)
        for place in np.flatnonzero(causal).tolist():
            if not asked[place:].any():
                break
            token = np.tile(tokens[:, place : place + 1], (copies, 1))
            logits = rollout.read("image", token, np.array([place]))
            if asked[place]:
                top = sampling.clusters
                tokens[:, place + 1] = self.draw(logits[:, -1], sampling.guidance, top)
                self.tell()
        return tokens[:, 1:]

    def fine(self, prompt: str, coarse: np.ndarray, region: Region | None) -> np.ndarray:
        """coarse: (1, N) -> codes (1, M) of the large picture; outside of the region those of the
        given one."""
        config, reader = self.config, self.model.reader
        text = encode_texts(config, reader, [(STILL, prompt)])
        fine = self.upsampler.direct(text, coarse, config.fine_length)
        free = None
        if region is not None:
            free = region.masked(config.fine_grid)
            fine = np.where(free, fine, self.encode("encode_large", region.seen(config.fine_size)))
        if not self.sampling.refine:
            return fine
        short = encode_texts(config.refiner, reader, [(STILL, prompt)])
        return self.upsampler.refined(short, fine, config.symbol("<start_of_image>"), free)


def reconstructed(model: Model, frames: np.ndarray) -> np.ndarray:
    """uint8 (T, H, W, 3) through the tokenizer and back."""
    import torch

    device = next(model.parameters()).device
    with torch.inference_mode():
        codes = model.tokenizer.encode(to_pixels(frames).to(device))
        return to_frames(model.tokenizer.decode(codes, frames.shape[1] // 8))


def preview(model: Model, prompt: str, stage: str) -> Clip:
    """What a model in training draws with the stages that are trained by then."""
    engine = TorchEngine(model.graphs(), str(next(model.parameters()).device))
    settings = {"upsample": stage != "image", "refine": stage == "iterative"}
    loop = start_loop(engine, model, Request(prompt, settings=settings))
    return Clip(to_frames(loop.picture(prompt, None, None)), 1.0)
