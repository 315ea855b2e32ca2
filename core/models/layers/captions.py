"""What text-to-video trainings share: how often a caption is left out, and what sheets show."""

import numpy as np

from ...data import Source
from ...text.reader import Reader

CAPTION_DROPOUT = 0.1  # share of the lessons without text, for classifier-free guidance
SHOWN = ("lion drinking", "penguin dancing", "cat playing ball", "panda on a sofa")


def drawn_caption(source: Source, clip: int, rng: np.random.Generator) -> str | None:
    """A caption of the clip, drawn anew; None for one lesson in ten."""
    caption = source.caption(clip, rng)
    return None if rng.random() < CAPTION_DROPOUT else caption


def shown_prompts(source: Source, reader: Reader) -> list[str]:
    """Prompts for a contact sheet that the model can read: else captions of the data."""
    prompts = [text for text in SHOWN if not reader.unknown(text)]
    if prompts:
        return prompts
    rng = np.random.default_rng(0)
    return [source.caption(clip, rng) for clip in range(min(4, len(source)))]
