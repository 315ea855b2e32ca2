"""What the reader of a sound video should know of its pictures, which are taken as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .opened import Film

if TYPE_CHECKING:
    from av import VideoFrame

TRANSFERS = {16: "PQ", 18: "HLG"}  # of ITU-T H.273, table 3
BT2020 = 9  # table 2
FIELDS_FIRST = 2  # of AVFieldOrder: from here on a frame is two fields


class Notes:
    """By the stream's word and by that of its frames, which `see` takes."""

    def __init__(self, film: Film) -> None:
        context = film.stream.codec_context
        self._interlaced = context.field_order >= FIELDS_FIRST
        self._colours: set[str] = set()
        self._name(context.color_trc, context.color_primaries)

    def see(self, frame: VideoFrame) -> None:
        self._interlaced = self._interlaced or frame.interlaced_frame
        self._name(frame.color_trc, frame.color_primaries)

    def told(self) -> tuple[str, ...]:
        """Sentences without their subject: "is HDR (HLG, bt2020), read as it is: ..."."""
        notes = []
        if self._interlaced:
            notes.append("is interlaced, read as it is: what moves has combed edges")
        names = ", ".join(sorted(self._colours, key=[*TRANSFERS.values(), "bt2020"].index))
        if self._colours & set(TRANSFERS.values()):
            notes.append(f"is HDR ({names}), read as it is: paler than it is meant to be")
        elif names:
            notes.append(f"has wide colours ({names}), read as they are: paler than they are meant")
        return tuple(notes)

    def _name(self, transfer: int, primaries: int) -> None:
        if transfer in TRANSFERS:
            self._colours.add(TRANSFERS[transfer])
        if primaries == BT2020:
            self._colours.add("bt2020")
