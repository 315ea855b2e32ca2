"""How long a video's pictures are shown and how often they change: by the times in its packets, for
what headers say counts sound, late beginnings and what has been cut off."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from .holes import Holes
from .opened import Film
from .upright import shown_size

if TYPE_CHECKING:
    from av import VideoFrame
    from av.packet import Packet

ROUNDING_SECONDS = 0.005
LOST_SECONDS = 0.5  # or two frames: how far a whole file may end before its header says
COUNTED = ("matroska,webm", "asf", "avi", "flv")  # whose demuxers pass over what they cannot read
LOST_SHARE = 0.1  # of the bytes of a transport stream, which is packets to its last byte
USUAL_FPS = 8.0


class Probe(NamedTuple):
    """What a video is: seconds, pixels, pixels, frames a second."""

    duration: float
    width: int
    height: int
    fps: float


class Measure:
    """The times of an open file: `hear` takes its packets, `see` its decoded frames."""

    def __init__(self, film: Film) -> None:
        self._film, self._stream, self._holes = film, film.stream, Holes(film)
        self._first: VideoFrame | None = None
        self.frames = 0
        self._packets = 0
        self._begin: int | None = None  # by the stream's clock, as are the next two
        self._last: int | None = None  # the last picture's beginning
        self._end: int | None = None
        self._heard = Fraction(0)  # seconds, until the last packet of any stream ends
        self._read = 0  # bytes, until there

    def see(self, frame: VideoFrame) -> None:
        """One frame more."""
        self._first = frame if self._first is None else self._first
        self.frames += 1

    def hear(self, packet: Packet) -> None:
        """One packet more, of whichever stream."""
        self._holes.hear(packet)
        place = packet.dts if packet.pts is None else packet.pts
        self._read = max(self._read, (packet.pos or 0) + packet.size)
        if not packet.size or packet.is_discard:  # what an edit list cuts away is not shown
            return
        ours = packet.stream == self._stream
        self._packets += ours
        if place is None or not packet.time_base:
            return
        end = place + (packet.duration or (self._step() if ours else 0))
        self._heard = max(self._heard, end * packet.time_base)
        if ours:
            self._begin = place if self._begin is None else min(self._begin, place)
            self._last = place if self._last is None else max(self._last, place)
            self._end = end if self._end is None else max(self._end, end)

    def probe(self) -> Probe:
        """What the file is, from the first frame's beginning to the last one's end."""
        least, duration = self._seconds(self._last), self._seconds(self._end)
        declared = self._declared()
        if declared and least < declared <= duration + ROUNDING_SECONDS:
            duration = declared  # packets that are shown in another order tell others' lengths
        height, width = self._size()
        return Probe(duration, width, height, self._rate(duration))

    def lost(self) -> str | None:
        """What is missing ("it says 12.00 s and ends after 3.20 s"), or None."""
        container = self._film.container
        rest = container.size - self._read
        if container.format.name == "mpegts" and rest > LOST_SHARE * container.size:
            return f"its last {rest:,} bytes cannot be read"
        if container.format.name == "matroska,webm" and (hole := self._holes.told()):
            return hole
        if container.format.name not in COUNTED or not container.duration:
            return None
        declared, found = container.duration / 1e6, float(self._heard)
        slack = max(LOST_SECONDS, 2 / float(self._stream.average_rate or USUAL_FPS))
        if declared - found <= slack:
            return None
        return f"it says {declared:.2f} s and ends after {found:.2f} s"

    def _seconds(self, end: int | None) -> float:
        """From the first picture's beginning to `end`; by their number where there is no clock."""
        clock, first = self._stream.time_base, self._first
        begin = self._begin if first is None or first.pts is None else first.pts
        if begin is None or end is None or not clock:
            return self._count() / float(self._stream.guessed_rate or USUAL_FPS)
        return max(0.0, float((end - begin) * clock))

    def _declared(self) -> float | None:
        """What the header says; a GIF's says nothing."""
        stream, container = self._stream, self._film.container
        if container.format.name == "gif":
            return None
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        return container.duration / 1e6 if container.duration else None

    def _rate(self, duration: float) -> float:
        """What the header says where that is about the number of frames, else their number in a
        second."""
        stream, count = self._stream, self._count()
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        told = self._film.container.format.name != "gif"
        if told and 0.8 * count - 0.5 <= rate * duration <= 1.25 * count + 0.5:
            return rate
        return plain_rate(count, duration) if duration else USUAL_FPS

    def _count(self) -> int:
        return self.frames if self.frames > 1 else self._packets

    def _size(self) -> tuple[int, int]:
        if self._first is None:
            return self._stream.height, self._stream.width
        return shown_size(self._first, self._film.aspect)

    def _step(self) -> int:
        """Ticks from frame to frame, where a packet does not say how long it lasts."""
        rate, clock = self._stream.average_rate or self._stream.guessed_rate, self._stream.time_base
        return round(1 / (rate * clock)) if rate and clock else 0


def plain_rate(count: int, duration: float) -> float:
    """count / duration, or the whole number it stands for where a duration is rounded to 10 ms."""
    rate = count / duration
    whole = max(1, round(rate))
    return float(whole) if abs(count / whole - duration) < 0.0051 else rate
