"""What an export of NUWA-Infinity is proven by, and what a program that has nothing but its graphs
must know: rows of the table, places and offsets of patches, how codes are drawn."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..proof import Proof
from .about import Sampling
from .config import SYMBOLS
from .directions import PATHS, centre
from .local import BESIDE
from .transformer import HIDDEN

if TYPE_CHECKING:
    from .model import Model


def proofs(model: Model) -> list[Proof]:
    """A picture that is cropped, one that grows on all sides, and one that is set in motion, where
    these weights can."""
    config = model.config
    side, cell = config.side, config.vqgan.cell
    size = (side + cell + 1, 2 * side)
    found = [
        Proof("a picture", {"size": size}),
        Proof("a picture, unguided", {"size": size, "guidance": 1.0}),
        Proof("around a picture", {"extend": {"left": 1, "up": cell, "right": side}}, ("image",)),
    ]
    if config.extent_frames:
        found.append(Proof("in motion", {"size": (side, side), "frames": 2}, ("image",)))
    return found


def constants(model: Model) -> dict[str, Any]:
    """As `System.constants`. A patch's codes go row after row, after the start token, which has
    place 0. Offsets count frames, rows and columns from the patch that looks to the one that is
    seen; those of its own codes are `centre`. A text is what is drawn, its way, then the words; of
    an encoder of its own, the words alone. Around a code are those that are there in each
    direction, rows and columns away. Frames after the first are decoded with the one
    before."""
    config = model.config
    words = model.words
    return {
        "noise": "numpy.random.default_rng(seed).random(), one for each code that is drawn",
        "words": {
            "length": config.text_length,
            "encoder": config.encoder,
            "symbols": {symbol: words + row for row, symbol in enumerate(SYMBOLS)},
        },
        "patch": {"side": config.patch, "start": config.codes, "cell": config.vqgan.cell},
        "extents": dict(zip(("frames", "rows", "columns"), config.extents, strict=True)),
        "offsets": {"centre": centre(config.extents), "rows": 2 * config.extent_rows + 1,
                    "columns": 2 * config.extent_columns + 1},
        "ways": list(PATHS),
        "around": {"directions": [*BESIDE, "the frame before"], "none": config.codes}
        if config.local else None,
        "hidden": HIDDEN,
        "sampling": asdict(Sampling()),
        "margins": {"decode": model.vqgan.margin, "decode_guided": model.vqgan.guided_margin},
        "pixels": {"graph": "decode", "output": "pixels", "range": [0, 1],
                   "axes": ["picture", "channel", "row", "column"]},
        "clip": {"fps": config.training.fps},
    }  # fmt: skip
