"""A procedural world of landscapes: one seed is one country that goes on for ever.

A seed draws a `Vista`; `frames` films it through a tripod's camera, from a ride or as a panorama,
at any size and at any moments; `panorama` gives any part of its endless picture, `truth` what is
true of a frame; `caption` tells it in English or in Russian, `describe` reads such a caption back.
"""

from .captions import caption, vocabulary
from .country import (
    CAMERAS,
    CLIP_SECONDS,
    PLACES,
    SEASONS,
    TIMES,
    WEATHERS,
    Vista,
    draw_vista,
    elevation,
    places_of,
)
from .films import frames
from .lexicon import describe
from .panorama import panorama
from .truth import Near, Truth, truth

__all__ = [
    "CAMERAS",
    "CLIP_SECONDS",
    "PLACES",
    "SEASONS",
    "TIMES",
    "WEATHERS",
    "Near",
    "Truth",
    "Vista",
    "caption",
    "describe",
    "draw_vista",
    "elevation",
    "frames",
    "panorama",
    "places_of",
    "truth",
    "vocabulary",
]
