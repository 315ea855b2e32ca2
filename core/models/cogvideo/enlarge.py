"""Frames three times as large, block after block, by CogView2's super-resolutions.

A fine code is drawn with the same numbers in every frame of a clip, whatever its length, and stays
where the coarse codes around it do (`cogview2.still`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from ...errors import UsageError
from ...media.picture import fitted
from ...media.steady import Steady, steady
from ..arrays import on_host, run
from ..cogview2.grid_draw import GridDraw
from ..cogview2.still import Still
from ..cogview2.upsample import Upsampler
from ..layers.pixels import to_frames, to_numbers
from ..layers.prompt import encode_texts
from .about import Sampling

if TYPE_CHECKING:
    from ..engine import Engine
    from ..request import Request
    from .config import Config
    from .model import Model

BLOCK = 4  # frames at once: more are no faster
STILL = "<still>"  # the phrase of frames that are pictures, as both super-resolutions learn them
SMALL = "these weights make no large frames"
OWN = "refine", "fine_temperature", "fine_clusters", "still"  # settings of large frames alone
COARSE = "guidance", "temperature", "top_p", "clusters", "first_clusters"  # of codes that are drawn
NUMBERS = 1  # which of the seed's streams of random numbers; the first is the coarse codes'


def is_large(config: Config, request: Request) -> bool:
    """Whether frames become large."""
    asked = Sampling(**request.settings).upsample
    return config.large is not None if asked is None else asked


def check(config: Config, request: Request) -> None:
    """UsageError for what large frames alone take, where they do not become large, and for a clip
    that is given and cannot be read, is shorter than asked for, or comes with what it has no use
    for."""
    large = is_large(config, request)
    if large and config.large is None:
        raise UsageError(SMALL, "leave upsample out")
    of_large = [name for name in OWN if name in request.settings]
    of_large += ["--video"] if request.video is not None else []
    if of_large and not large:
        why = SMALL if config.large is None else "frames stay small"
        raise UsageError(f"{why}, which {of_large[0]} is for", f"leave {of_large[0]} out")
    if request.video is not None:
        _check_given(request, request.video)


def _check_given(request: Request, path: str) -> None:
    if request.image is not None:
        raise UsageError("a clip that is given has its first frame", "leave --image out")
    for name in COARSE:
        if name in request.settings:
            raise UsageError(f"a clip that is given is not drawn, which {name} is for",
                             f"leave {name} out")  # fmt: skip
    count = steady(path).count
    if request.frames is not None and request.frames > count:
        raise UsageError(f"{path} has {count:,} frames, not {request.frames:,}",
                         f"--frames {count}")  # fmt: skip


def enlarged(
    engine: Engine, model: Model, request: Request, coarse: Iterable[np.ndarray]
) -> Iterator[np.ndarray]:
    """coarse: codes (T, N) of the frames of a clip, in blocks -> the frames large, uint8
    (T, H, W, 3)."""
    config, sampling = model.config.pictures, Sampling(**request.settings)
    text = encode_texts(config, model.reader, [(STILL, request.prompt)])
    short = encode_texts(config.refiner, model.reader, [(STILL, request.prompt)])
    still = Still(config.grid, sampling.still)
    for codes in coarse:
        numbers = np.random.default_rng([request.seed, NUMBERS])  # the same for every block
        draw = GridDraw(model.tokenizer.clusters, numbers)
        upsampler = Upsampler(engine, draw, sampling, still)
        still.look(codes)
        fine = upsampler.direct(text, codes, config.fine_length)
        if sampling.refine:
            fine = upsampler.refined(short, fine, config.symbol("<start_of_image>"))
        yield to_frames(run(engine, "decode_large", indices=fine)["pixels"])


def given(engine: Engine, config: Config, clip: Steady, count: int) -> Iterator[np.ndarray]:
    """The codes of a clip's first frames, (T, N), in blocks: of the largest square in the middle,
    as small as the model's own frames."""
    size, held = (config.image_size, config.image_size), []
    for number, frame in enumerate(clip.frames, start=1):
        held.append(to_numbers(fitted(frame, size)))
        if len(held) == BLOCK or number == count:
            pixels, held = np.stack(held), []
            yield on_host(run(engine, "encode", frames=pixels)["indices"])
        if number == count:
            return
