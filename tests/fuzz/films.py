"""What films are made of: subtitles and sound."""

import io
import wave

from hypothesis import strategies as st

from .arguments import json_flag
from .case import Case
from .nasty import TIMES, WORDS, damaged
from .pantry import Pantry

SRT = "1\n00:00:00,000 --> 00:00:02,000\nlion drinking\n\n2\n00:00:02,500 --> 00:00:04,000\nкот\n"
VTT = "WEBVTT\n\nNOTE x\n\nid\n00:00.000 --> 00:02.000 align:start\n<v Bob>lion &amp; cat\n"
ASS = (
    "[Script Info]\nTitle: x\n\n[V4+ Styles]\n"
    "Style: Default,Arial,20,&H00FFFFFF,&H000000FF,&H0,&H0,0,0,0,0,100,100,0,0,1,2,2,2,9,9,9,1\n\n"
    "[Events]\nDialogue: 0,0:00:00.00,0:00:02.50,Default,,0,0,0,,{\\i1}lion\\Ndrinking\n"
)
STAMPS = (
    "00:00:02,000",
    "99:59:59,999",
    "00:00:00,001",
    "00:00:60,000",
    "-00:00:01,000",
    "0:00:02.00",
)


def films(pantry: Pantry) -> st.SearchStrategy[Case]:
    """Rows of a script with other times and words, or bytes of it or of a song that are damaged."""
    weights = {"t.safetensors": pantry["video-diffusion.safetensors"]}
    argv = ("film", "s.srt", "--model", "t.safetensors", "--audio", "a.wav", "--dry-run")
    times = [f"{one} --> {other}" for one in STAMPS for other in STAMPS]
    odd = ("", "2", "{\\p1}", "<i>", "Dialogue: 0", "[Fonts]")
    rows = st.sampled_from([*WORDS, *TIMES, *STAMPS, *times, *odd])
    told: st.SearchStrategy[str] = st.sampled_from((SRT, VTT, ASS))

    @st.composite
    def script(draw: st.DrawFn) -> bytes:
        text = draw(told)
        if draw(st.booleans()):
            return draw(damaged(text.encode(draw(st.sampled_from(("utf-8", "utf-16", "cp1251"))))))
        lines: list[str] = list(text.split("\n"))
        for _ in range(draw(st.integers(1, 3))):
            place, row = draw(st.integers(0, len(lines) - 1)), draw(rows)
            lines[place : place + draw(st.integers(0, 1))] = [row]
        return "\n".join(lines).encode("utf-8", "surrogatepass")

    songs = st.one_of(st.just(song()), st.just(song()), damaged(song(), 8))
    return st.builds(lambda data, sound, flag: Case((*argv, *flag), {
        **weights, "s.srt": data, "a.wav": sound}), script(), songs, json_flag)  # fmt: skip


def song() -> bytes:
    """A second of silence."""
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16_000))
    return held.getvalue()
