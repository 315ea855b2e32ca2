"""A procedural world of captioned clips: twelve cartoon actors, ten actions, six scenes.

A seed draws a `Story`; `render` films it at any size and at any moments, `caption` tells it in
English or in Russian, and `describe` reads such a caption back.
"""

from .captions import caption, vocabulary
from .lexicon import describe
from .render import backdrop, render
from .world import ACTIONS, ACTORS, CLIP_SECONDS, HELD_OUT, NAMES, SCENES, SPEEDS, Story, draw_story

__all__ = [
    "ACTIONS",
    "ACTORS",
    "CLIP_SECONDS",
    "HELD_OUT",
    "NAMES",
    "SCENES",
    "SPEEDS",
    "Story",
    "backdrop",
    "caption",
    "describe",
    "draw_story",
    "render",
    "vocabulary",
]
