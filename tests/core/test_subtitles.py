"""Subtitles: four formats and their damage, told in one sentence that says where."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dln.core.errors import UsageError
from dln.core.text import subtitles
from dln.core.text.subtitles import MOST_LINES, Line, clock, read_subtitles

SRT = """1
00:00:00,000 --> 00:00:02,500
lion <i>drinking</i>

2
00:00:03,000 --> 01:02:04,010
cat
dancing, well
"""
VTT = """WEBVTT - a story

NOTE nothing is shown of this

intro
00:00.000 --> 00:02.500 align:start position:10%
<v Bob>lion drinking

NOTE neither of this

second
00:03.000 --> 01:02:04.010
cat <00:00:03.500>dancing, well
"""
STYLED = """[Script Info]
Title: a story

[V4+ Styles]
Format: Name, Fontname, Fontsize

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,nothing is shown of this
Dialogue: 0,0:00:00.00,0:00:02.50,Default,,0,0,0,,{\\i1}lion{\\i0} drinking
Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\\p1}m 0 0 l 100 0 100 100{\\p0}
Dialogue: 0,0:00:03.00,1:02:04.01,Default,,0,0,0,,cat\\Ndancing, well
"""
LINES = [Line(1, 0, 2500, "lion drinking"), Line(2, 3000, 3_724_010, "cat dancing, well")]
RUSSIAN = SRT.replace("cat\ndancing, well", "лев пьёт воду")


@pytest.fixture
def read(tmp_path: Path):
    """read(content) -> the lines and the notes of a file that holds it."""

    def read(content: str | bytes, encoding: str | None = None, name: str = "story.srt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_subtitles(path, encoding)

    return read


@pytest.mark.parametrize("content", [SRT, VTT, STYLED, STYLED.replace("V4+", "V4")])
def test_formats(read, content):
    assert read(content) == (LINES, [])
    assert read(content.replace("\n", "\r\n"), name="story.txt") == (LINES, [])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_marks_at_the_beginning(read, encoding):
    assert read(RUSSIAN.encode(encoding))[0][1].text == "лев пьёт воду"


def test_russian_as_windows_writes_it(read):
    lines, (note,) = read(RUSSIAN.encode("cp1251"))
    assert [line.text for line in lines] == ["lion drinking", "лев пьёт воду"]
    assert "cp1251" in note
    assert read(RUSSIAN.encode("koi8-r"), "koi8-r") == (lines, [])


def test_other_letters_are_not_guessed(read):
    french = SRT.replace("cat", "café").encode("cp1252")
    with pytest.raises(UsageError, match=r"no text in utf-8: see its row 7"):
        read(french)
    assert read(french, "cp1252")[0][1].text == "café dancing, well"


@st.composite
def scripts(draw: st.DrawFn) -> list[Line]:
    """Lines in order, with gaps or without."""
    times = draw(st.lists(st.integers(0, 359_999_999), min_size=2, max_size=40, unique=True))
    times = sorted(times[: len(times) // 2 * 2])
    pairs = zip(times[::2], times[1::2], strict=True)
    words = st.lists(st.sampled_from(("lion", "кот", "a", "8")), min_size=1).map(" ".join)
    return [Line(n, *pair, draw(words)) for n, pair in enumerate(pairs, start=1)]


def stamp(ms: int) -> str:
    seconds, rest = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02},{rest:03}"


def written(lines: list[Line]) -> str:
    return "\n".join(f"{each.number}\n{stamp(each.start)} --> {stamp(each.end)}\n{each.text}\n"
                     for each in lines)  # fmt: skip


@given(scripts())
@settings(max_examples=60, deadline=None)
def test_what_was_written_is_read(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("any") / "story.srt"
    path.write_text(written(lines), encoding="utf-8")
    assert read_subtitles(path) == (lines, [])


def test_lines_come_in_the_order_of_time_and_keep_their_numbers(read):
    first, second = SRT.split("\n\n")
    lines, _ = read(f"{second}\n\n{first}\n")
    assert [(line.number, line.text) for line in lines] == [
        (2, "lion drinking"), (1, "cat dancing, well"),
    ]  # fmt: skip


def test_a_line_is_cut_where_the_next_begins(read):
    lines, (note,) = read(SRT.replace("02,500", "03,500"))
    assert [(line.start, line.end) for line in lines] == [(0, 3000), (3000, 3_724_010)]
    assert "line 1 of" in note
    many = [Line(n, 1000 * n, 1000 * n + 2000, "lion") for n in range(1, 9)]
    _, (note,) = read(written(many))
    assert "lines 1, 2, 3, 4, 5 and 2 more of" in note


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        (" \n\n", "is empty"),
        ("lion drinking\n", "no subtitles of the kinds srt, vtt, ass and ssa"),
        (b"\0\1\2" * 50, "bytes that no text has"),
        (bytes(range(256)), "no text in utf-8"),
        ("WEBVTT\n\n", "has none"),
        (SRT.replace("03,000", "0x,000"), "no times in its row 6: '00:00:0x,000"),
        (SRT.replace("00:00:03,000", "-00:00:03,000"), "no times in its row 6"),
        (SRT.replace("00:00:03,000", "00:00:73,000"), "no times in its row 6"),
        (SRT.replace("00:00:03,000", "100:00:03,000"), "no times in its row 6"),
        (SRT.replace("00:00:03,000 -->", "-->"), "no times in its row 6"),
        (VTT.replace("00:02.500", "00:02.50"), "no times in its row 6"),
        (STYLED.replace("0:00:02.50", "0:00:0x.50"), "no times in its row 10"),
        (STYLED.replace(",0:00:02.50", ""), "no times in its row 10"),
        (SRT.replace("01:02:04,010", "00:00:03,000"), "line 2 of .* ends when it begins"),
        (SRT.replace("01:02:04,010", "00:00:02,900"), "line 2 of .* ends before it begins: it "
         r"lasts from 0:00:03\.000 to 0:00:02\.900"),
        (SRT.replace("00:00:03,000", "00:00:00,000"), "lines 1 and 2 of .* begin at the same"),
    ],
)  # fmt: skip
def test_damage(read, content, words):
    with pytest.raises(UsageError, match=words) as caught:
        read(content)
    assert "story.srt" in caught.value.message
    assert "\n" not in caught.value.message


def test_an_encoding_that_there_is_not(read):
    for name in ("nope", "rot13"):
        with pytest.raises(UsageError, match=f"there is no encoding '{name}'"):
            read(SRT, name)


def test_a_broken_style_is_told(read):
    style = "Style: Default,Arial,huge"
    with pytest.raises(UsageError, match="cannot be read as ass: could not convert"):
        read(STYLED.replace("[Events]", f"{style}\n\n[Events]"))


def test_thousands_of_lines(read):
    lines = [Line(n, 1000 * n, 1000 * n + 1000, "lion") for n in range(1, MOST_LINES + 2)]
    assert read(written(lines[:5000]))[0] == lines[:5000]
    with pytest.raises(UsageError, match=r"has 10,001 lines, and a film has at most 10,000"):
        read(written(lines))


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(UsageError, match="There is no file"):
        read_subtitles(tmp_path / "none.srt")
    with pytest.raises(UsageError, match="is a folder"):
        read_subtitles(tmp_path)


def test_too_many_bytes(read, monkeypatch):
    monkeypatch.setattr(subtitles, "MOST_BYTES", 100)
    with pytest.raises(UsageError, match=re.escape("more than 100 bytes")):
        read(SRT)


def test_clock():
    assert clock(83_450) == "0:01:23.450"
    assert clock(36_000_007) == "10:00:00.007"
