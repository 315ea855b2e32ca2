"""What an export of CogVideo is proven by, and what a program that has nothing but its graphs must
know: rows of the table, which token sees which, how codes are drawn."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..cogview2.config import SCALE
from ..cogview2.rounds import PRIORITIES, ROUNDS
from ..layers.rows import SYMBOLS
from ..proof import Proof
from .about import Sampling
from .enlarge import NUMBERS
from .masks import BESIDE, GIVEN, NEW, interpolating

if TYPE_CHECKING:
    from .config import Config
    from .model import Model

KEY_FRAMES = 5


def proofs(model: Model) -> list[Proof]:
    """The whole recursion under guidance, key frames without it, and key frames that go on from a
    picture, small where frames may be large."""
    small = {"upsample": False} if model.config.large else {}
    return [
        Proof(),
        Proof("unguided", {"frames": KEY_FRAMES, "guidance": 1.0} | small),
        Proof("from a picture", {"frames": KEY_FRAMES} | small, ("image",)),
    ]


def constants(model: Model) -> dict[str, Any]:
    """As `System.constants`. A text is a duration's symbol, <n> and the words, padded on the left;
    without the prompt, <video> stands for the words. Each code takes two numbers of the stream,
    for its cluster and for itself: all rows' first ones, then all second ones. windows: that of
    each token of a frame, in even and in odd layers of the interpolation. given_codes: whether it
    reads those of given frames "shifted" by a place, or "placed". beside: the frames whose codes,
    in the same place, a new frame's graph is given, -1 in given frames; None where it has no such
    input. large: how frames become large, by a stream of their own, two numbers for each fine code,
    then one in each round, the same in every frame; None where they do not."""
    config = model.config
    seconds, frames = config.durations, config.most_frames
    beside = {
        graph: {str(frame): list(others) for frame, others in frames_beside.items()}
        for graph, frames_beside in BESIDE.items()
    }
    windows = interpolating(config.grid, config.frames, config.window).regions()
    return {
        "noise": "numpy.random.default_rng(seed).random((2, rows), dtype=numpy.float32)",
        "words": {
            "length": config.text_length,
            "first_row": config.word(0),
            "symbols": {symbol: config.symbol(symbol) for symbol in SYMBOLS},
            "durations": [f"<{each}s>" for each in seconds],
        },
        "frame": {"tokens": config.frame_length, "windows": windows.tolist()},
        "window_frames": {"count": config.frames, "given": list(GIVEN), "new": list(NEW),
                          "given_codes": config.given,
                          "beside": beside if config.points else None},
        "sampling": asdict(Sampling()),
        "clusters": model.tokenizer.clusters.tolist(),
        "pixels": {"graph": "decode", "output": "pixels", "range": [0, 1],
                   "axes": ["frame", "channel", "row", "column"]},
        "large": large(config) if config.large else None,
        "clip": {"frames": frames, "fps": (frames - 1) / config.clip_seconds,
                 "size": [config.pictures.fine_size if config.large else config.image_size] * 2},
    }  # fmt: skip


def large(config: Config) -> dict[str, Any]:
    """The same of both super-resolutions: their texts begin with <still>."""
    pictures = config.pictures
    return {
        "noise": f"numpy.random.default_rng([seed, {NUMBERS}]).random((n, codes), "
                 "dtype=numpy.float32)",
        "codes": pictures.fine_length,
        "scale": SCALE,
        "length_of_iterative": pictures.iterative.text_length,
        "rounds": {"top": list(ROUNDS), "priorities": [list(row) for row in PRIORITIES]},
        "pixels": {"graph": "decode_large", "output": "pixels"},
    }  # fmt: skip
