"""What a film is made of: each line of its script a shot, cut to the frame, made of clips or of
pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from hashlib import sha256
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..media.rates import fraction_of
from ..models.request import MOST_FRAMES, Request
from ..text.reader import FUNCTION_WORDS, Reader, check_prompt
from ..text.subtitles import Line

if TYPE_CHECKING:
    from ..models.about import About
    from ..models.system import Usual

LEAST_FPS = 24.0  # unless told: no cut is further from its line's time than 21 ms
TOLD = 5  # lines whose words are told where several are not known
DRIFT = 0.2  # of the way to a new noise that pictures go in a second
MOST_SECONDS = 3600.0  # of --blend and --every


@dataclass(frozen=True)
class Script:
    """What a film is to be. lines: in order; seeds: one a line; fps: frames a second, None leaves
    it to the model; size: (height, width) in pixels; blend: seconds in which a line fades in over
    the one before; every: seconds between pictures of a model that makes no clips; settings: of the
    model's sampler."""

    lines: Sequence[Line]
    seeds: Sequence[int]
    fps: float | None = None
    size: tuple[int, int] | None = None
    blend: float = 0.0
    every: float = 1.0
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.blend <= MOST_SECONDS:
            raise UsageError(f"lines blend for 0 to {MOST_SECONDS:g} seconds, not {self.blend:g}",
                             "--blend 0.5")  # fmt: skip
        if not 0 < self.every <= MOST_SECONDS:
            raise UsageError(f"a picture comes every 0 to {MOST_SECONDS:g} seconds, "
                             f"not {self.every:g}", "--every 1")  # fmt: skip
        Request(fps=self.fps, size=self.size)

    @property
    def rate(self) -> Fraction:
        """Frames a second."""
        assert self.fps is not None
        return fraction_of(self.fps)

    @property
    def frames(self) -> int:
        """Until the last line's end."""
        return self.frame_at(self.lines[-1].end)

    def frame_at(self, milliseconds: int) -> int:
        """The frame that begins nearest to a moment: told from the film's beginning, so that
        roundings do not add up."""
        return math.floor(self.rate * milliseconds / 1000 + Fraction(1, 2))


@dataclass(frozen=True)
class Take:
    """One clip or picture that is to be made. frames: how many it has; follows: whether it begins
    with the last frame of the take before, which is not shown twice."""

    request: Request
    frames: int = 1
    follows: bool = False


@dataclass(frozen=True)
class Shot:
    """A line on the screen. first: its first frame in the film; own: frames of the line's time;
    frames: until the next line begins; fade: of these, how many fade in from what was before."""

    line: Line
    first: int
    own: int
    frames: int
    fade: int
    takes: tuple[Take, ...]


def check_words(lines: Sequence[Line], reader: Reader | None, about: About) -> None:
    """UsageError naming each line with words that the model does not know, and the words."""
    faults = []
    for line in lines:
        try:
            about.check_prompt(line.text)
            if reader is not None and not (about.wordless and not line.text):
                check_prompt(line.text, reader)
                _check_all(line.text, reader)
        except UsageError as error:
            faults.append((f"line {line.number}: {error.message}", error.hint))
    if faults:
        more = f"; and {len(faults) - TOLD} more lines" if len(faults) > TOLD else ""
        told = "; ".join(message for message, _ in faults[:TOLD])
        raise UsageError(f"{told}{more}", faults[0][1])


def _check_all(prompt: str, reader: Reader) -> None:
    """UsageError for any word that names something and is not known."""
    unknown = [word for word in dict.fromkeys(reader.unknown(prompt)) if word not in FUNCTION_WORDS]
    if unknown:
        near = dict.fromkeys(each for word in unknown for each in reader.nearest(word))
        words = ", ".join(map(repr, unknown))
        raise UsageError(f"the model does not know {words}",
                         f"nearest: {', '.join(near)}" if near else None)  # fmt: skip


def line_seed(seed: int, number: int) -> int:
    """The seed of a line of a film: 31 bits of a hash of both."""
    return int.from_bytes(sha256(f"line {seed}/{number}".encode()).digest()[:4], "big") >> 1


def take_seed(seed: int, number: int) -> int:
    """The seed of a line's take `number`; the first has the line's own."""
    digest = sha256(f"take {seed}/{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1 if number else seed


def shots_of(script: Script, about: About, usual: Usual | None) -> list[Shot]:
    """The shots of a script whose rate is told. usual: the model's clips, None for one of pictures.
    UsageError for a line that is shorter than a frame, and for a film without end."""
    lines = script.lines
    if script.frames > MOST_FRAMES:
        raise UsageError(f"a film has at most {MOST_FRAMES:,} frames, not {script.frames:,}",
                         "fewer of them with --fps, or two films")  # fmt: skip
    starts = [script.frame_at(line.start) for line in lines]
    ends = [script.frame_at(line.end) for line in lines]
    blend, found = script.frame_at(round(1000 * script.blend)), []
    bounds = pairwise([*starts, ends[-1]])
    for line, seed, (first, after), end in zip(lines, script.seeds, bounds, ends, strict=True):
        if (own := end - first) < 1:
            raise UsageError(f"line {line.number} is shorter than a frame, of which a second has "
                             f"{float(script.rate):g}", "more of them with --fps")  # fmt: skip
        fade = min(blend, after - first) if first else 0
        takes = takes_of(script, about, usual, Request(line.text, seed), own)
        found.append(Shot(line, first, own, after - first, fade, tuple(takes)))
    return found


def default_fps(usual: Usual | None) -> float:
    """LEAST_FPS, or the next rate above it at which each frame of a clip is shown equally often."""
    return usual.fps * math.ceil(LEAST_FPS / usual.fps) if usual else LEAST_FPS


def takes_of(
    script: Script, about: About, usual: Usual | None, request: Request, own: int
) -> list[Take]:
    """What is to be made for `own` frames of the film."""
    request = replace(request, settings=script.settings,
                      size=script.size if "size" in about.takes else None)  # fmt: skip
    if usual is None:
        step = picture_step(script)
        count = math.ceil((own - 1) / script.rate / step) + 1
        return [Take(replace(request, drift=float(DRIFT * step * n))) for n in range(count)]
    needed = shown_at(usual, script, own - 1) + 1
    if needed <= usual.frames:
        return [Take(request, usual.frames)]
    if usual.most is None or needed <= usual.most:
        return [Take(replace(request, frames=needed), needed)]
    return _one_after_the_other(request, usual, needed, follow="picture" in about.takes)


def _one_after_the_other(request: Request, usual: Usual, needed: int, follow: bool) -> list[Take]:
    """Clips that make up one that is longer than any."""
    takes = [Take(request, usual.frames)]
    left, more = needed - usual.frames, usual.frames - follow
    for number in range(1, math.ceil(left / more) + 1):
        seed = take_seed(request.seed, number)
        takes.append(Take(replace(request, seed=seed), usual.frames, follow))
    return takes


def shown_at(usual: Usual, script: Script, frame: int) -> int:
    """Which frame of a line's clips is shown by a frame of the film since the line's beginning:
    clips go at their own pace, whatever the film's rate."""
    return math.floor(frame * fraction_of(usual.fps) / script.rate)


def picture_step(script: Script) -> Fraction:
    """Seconds from a picture to the next, a frame at least."""
    return max(Fraction(script.every).limit_denominator(1000), 1 / script.rate)
