"""Do things keep what they are from frame to frame: what is in a glass, what is left of an apple?

The menagerie's actors drink a glass empty and eat an apple, and at the end of each cycle it is full
or whole again. So between two refills less and less is left; a glass that is full, empty and full
is a fault that no judge of whole clips sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.menagerie import caption, draw_story
from ..errors import UsageError
from ..models.engine import Engine
from ..models.package import load_model
from ..models.recognizer.model import left_of
from ..progress import OnProgress, unheard
from .alignment import share
from .clips import make, prefixed
from .world import world_of

if TYPE_CHECKING:
    from ..models.package import Loaded

USUAL = 60  # clips
THINGS = {"drinking": "glass", "eating": "apple"}
PROMPT_SEED = 60_000
RISE = 0.25  # by which more is left than before, which is no error of the detector
LOW, HIGH = 0.45, 0.7  # a refill begins below the one and ends above the other
APART = 1.0  # seconds between two refills, at least: half of the shortest cycle
FALL, SLOPE = 0.5, 1.2  # less by so much at once is no gulp, nor by so much a second


@dataclass(frozen=True)
class Seen:
    """What is seen of a thing in the frames of a clip. held: (T,) whether it is there at all; left:
    (T,) from 0 to 1."""

    held: np.ndarray
    left: np.ndarray

    @property
    def kept(self) -> bool:
        """Whether it is there in every frame."""
        return bool(self.held.all())

    def steady(self, fps: float) -> bool:
        """Whether less and less is left but for refills."""
        return self.kept and not self.faults(fps)

    def faults(self, fps: float) -> int:
        """How often more is left than a moment before, and it is no refill; how often so much less
        that nobody can have had it."""
        found = rises(self.left)
        refills = [rise.end for rise in found if rise.whole]
        near = np.diff(refills) < APART * fps
        fallen = np.diff(self.left) < -max(FALL, SLOPE / fps)
        return len(found) - len(refills) + int(near.sum() + fallen.sum())


@dataclass(frozen=True)
class Rise:
    """Frame `end` has more, `high`, than frame `begin` had, `low`; cut: the clip ends there."""

    begin: int
    end: int
    low: float
    high: float
    cut: bool = False

    @property
    def whole(self) -> bool:
        """Whether it is a refill."""
        return self.low <= LOW and (self.high >= HIGH or self.cut)


def rises(left: np.ndarray) -> list[Rise]:
    """(T,) what is left -> where it grows by RISE or more before it shrinks by as much again."""
    found: list[Rise] = []
    low = high = 0  # frames: of the least since the last rise, and of the most of this one
    growing = False
    for number, value in enumerate(left):
        if growing and value > left[high]:
            high = number
        elif growing and value < left[high] - RISE:
            found.append(Rise(low, high, float(left[low]), float(left[high])))
            growing, low = False, number
        elif not growing and value < left[low]:
            low = number
        elif not growing and value >= left[low] + RISE:
            growing, high = True, number
    if growing:
        cut = high == len(left) - 1
        found.append(Rise(low, high, float(left[low]), float(left[high]), cut))
    return found


def props(
    loaded: Loaded,
    count: int | None = None,
    seed: int = 0,
    held_out: bool = False,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    engine: Engine | None = None,
    on_progress: OnProgress | None = None,
    data: str | None = None,
) -> dict[str, Any]:
    """Generate `count` clips of drinking and eating, 60 where left out, and look at the glass and
    the apple in each frame.

    steady: the share of clips in which the thing is there all the time and has less and less, no
    leaps and but for refills; kept: in which it is there all the time; each with its 95 %
    Wilson interval. faults_per_clip: how often it is not so. Settings as in
    `clips.evaluate`; held_out: the pairs with these actions that training never saw.
    UsageError for a model that did not learn the menagerie's prompts, MissingCapability where the
    detector's weights are not installed.
    """
    world, report, count = world_of(loaded, data), on_progress or unheard, count or USUAL
    if not world.ranked:
        raise UsageError("things are held in clips of the menagerie's prompts alone",
                         "dln evaluate cogvideo --metrics props")  # fmt: skip
    detector = load_model("recognizer-props")
    asked = prompts(count, seed, held_out)
    made = make(loaded, [prompt for prompt, _ in asked], settings, engine=engine, device=device)
    steady, kept, faults, seconds = list[bool](), list[bool](), list[int](), 0.0
    for number, ((_, clip), (_, thing)) in enumerate(zip(made, asked, strict=True)):
        seen = look(detector.model, clip.clip.frames, thing)
        steady.append(seen.steady(clip.clip.fps))
        kept.append(seen.kept)
        faults.append(seen.faults(clip.clip.fps))
        seconds += sum(clip.seconds.values())
        report(number + 1, count, "clips")
    found = share("steady", steady) | share("kept", kept)
    found |= {"faults_per_clip": float(np.mean(faults)), "count": count}
    found |= {"seconds_per_clip": seconds / count, "recognizer_sha256": detector.sha256}
    return prefixed(found, held_out)


def look(detector: Any, frames: np.ndarray, thing: str) -> Seen:
    """What the detector sees of a thing in RGB uint8 (T, H, W, 3)."""
    odds = detector.each_frame(frames)
    place = detector.config.things.index(thing)
    held = odds["held"].argmax(-1) == place
    return Seen(held.cpu().numpy(), left_of(odds["left"]).cpu().numpy())


def prompts(count: int, seed: int, held_out: bool) -> list[tuple[str, str]]:
    """Captions of drinking and of eating in turn, and what is held in each."""
    found = []
    for number in range(count):
        action = list(THINGS)[number % len(THINGS)]
        rng = np.random.default_rng([PROMPT_SEED + seed, number])
        story = draw_story(int(rng.integers(1 << 62)), held_out=held_out, action=action)
        found.append((caption(story, rng), THINGS[action]))
    return found
