"""Which moments of a clip are learnt from, and what the data decide of the configuration.

2112.14683, section 3.3: a few frames of a clip, sparsely; times in frames of the data's rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .config import FRAMES, Config

if TYPE_CHECKING:
    from ...data import Source

LOOKED_AT = 256  # clips that tell the rate and the length of all
FREE = ("fps", "longest_span")  # of what the data decide: no size of the networks


def length(source: Source, index: int, fps: float) -> int:
    """Frames of a clip at that rate, at least 1."""
    return max(1, round(source.duration(index) * fps))


def drawn_moments(
    frames: int, longest: int, rng: np.random.Generator, whole: bool = True
) -> np.ndarray:
    """Moments of a clip of `frames` frames, float32 (FRAMES,), ascending.

    From the first to the last it is 2, 4, 8 ... frames, at most `longest`, each span as likely;
    those between lie on other frames. A clip too short for any of them is seen from its first frame
    to its last, which may be the same. Not whole: up to a frame later.
    """
    last = frames - 1
    spans = [1 << power for power in range(1, longest.bit_length())]
    spans = [span for span in spans if FRAMES - 1 <= span <= min(last, longest)]
    if spans:
        span = int(rng.choice(spans))
        between = np.sort(rng.choice(np.arange(1, span), FRAMES - 2, replace=False))
    else:
        span = min(last, longest)
        between = np.linspace(0, span, FRAMES)[1:-1]
    first = rng.integers(0, last - span + 1) + (0.0 if whole else rng.random())
    return (first + np.concatenate([[0], between, [span]])).astype(np.float32)


def fitted(config: Config, source: Source) -> dict[str, Any]:
    """The fields of the configuration that the data decide: the classes; the rate, the middle one
    of the clips' where they have one; and the longest span, of which no clip may be long enough."""
    count = min(LOOKED_AT, len(source))
    rows = [number * len(source) // count for number in range(count)]
    rates = [rate for row in rows if (rate := source.rate(row))]
    told = config.fps != Config.fps  # by the user
    fps = float(np.median(rates)) if rates and not told else config.fps
    longest = max(length(source, row, fps) for row in rows) - 1
    span = max(FRAMES - 1, min(config.longest_span, longest))
    classes = tuple(source.classes) if len(source.classes) > 1 else ()
    return {"classes": classes, "fps": fps, "longest_span": span}
