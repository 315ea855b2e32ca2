"""Bytes in the middle of a Matroska file that its demuxer passes over without a word."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.packet import Packet

    from .opened import Film

HOLE_BYTES = 1024  # between two packets there are some thirty
HOLE_STEPS = 3  # frames: screen recordings leave out more, without a hole; so both are asked for


class Holes:
    """`hear` takes the packets of every stream, as they come.

    The demuxer goes on at the next cluster that it can read, and decoders of VP8 and VP9, which
    have no numbers of frames, as if nothing had been between.
    """

    def __init__(self, film: Film) -> None:
        stream = film.stream
        rate, clock = stream.average_rate or stream.guessed_rate, stream.time_base
        self._stream, self._clock = stream, float(clock or 0)
        self._least = HOLE_STEPS / float(rate * clock) if rate and clock else float("inf")
        self._padded = film.decoder is not stream.codec_context  # transparency lies between them
        self._end = 0  # byte
        self._hole = False  # since the stream's last packet
        self._first: int | None = None  # by the stream's clock, as is the next
        self._last = 0
        self._told: str | None = None

    def hear(self, packet: Packet) -> None:
        """One packet more."""
        if not packet.size or self._padded:
            return
        place = packet.pos or 0
        self._hole |= 0 < self._end < place - HOLE_BYTES
        self._end = max(self._end, place + packet.size)
        if packet.stream != self._stream or packet.dts is None:
            return
        if self._first is None:
            self._first = self._last = packet.dts
        lost = packet.dts - self._last
        if self._hole and lost > self._least and not self._told:
            after = (self._last - self._first) * self._clock
            self._told = f"after {after:.2f} s, {lost * self._clock:.2f} s of it cannot be read"
        self._hole, self._last = False, packet.dts

    def told(self) -> str | None:
        """The first of them: "after 2.40 s, 1.20 s of it cannot be read"; None where there is
        none."""
        return self._told
