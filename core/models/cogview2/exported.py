"""What an export of CogView2 is proven by, and what a program that has nothing but its graphs must
know: rows of the table, how codes are drawn, the rounds of iterative super-resolution."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..layers.rows import SYMBOLS
from ..proof import Proof
from .about import Sampling
from .config import SCALE
from .rounds import PRIORITIES, ROUNDS

if TYPE_CHECKING:
    from .model import Model


def proofs(model: Model) -> list[Proof]:
    """A large picture, a small one without guidance, the better of two, a region of a picture."""
    return [
        Proof(),
        Proof("unguided, small", {"upsample": False, "guidance": 1.0}),
        Proof("the better of two", {"upsample": False, "candidates": 2}),
        Proof("a region of a picture", {"mask": "16,24,48,56"}, ("image",)),
    ]


def constants(model: Model) -> dict[str, Any]:
    """As `System.constants`. A text is <still>, <n> and the words, padded on the left; without the
    prompt, <video> stands for the words. Places of the graph "image" count <start_of_image> as 0.
    A coarse code takes two numbers of the stream, for its cluster and for itself; so do all fine
    codes of a picture at once, first all clusters'; then each round takes one for each code."""
    config = model.config
    return {
        "noise": "numpy.random.default_rng(seed).random((n, rows), dtype=numpy.float32)",
        "words": {
            "length": config.text_length,
            "length_of_iterative": config.iterative.text_length,
            "first_row": config.word(0),
            "symbols": {symbol: config.symbol(symbol) for symbol in SYMBOLS},
        },
        "picture": {"codes": config.frame_length, "large": config.fine_length, "scale": SCALE},
        "sampling": asdict(Sampling()),
        "clusters": model.tokenizer.clusters.tolist(),
        "rounds": {"top": list(ROUNDS), "priorities": [list(row) for row in PRIORITIES]},
        "pixels": {"graph": "decode_large", "output": "pixels", "range": [0, 1],
                   "axes": ["picture", "channel", "row", "column"]},
        "size": [config.fine_size] * 2,
    }  # fmt: skip
