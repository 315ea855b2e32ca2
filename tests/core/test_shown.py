"""Words of strangers on a terminal, in JSON, in Markdown and in HTML."""

import html
import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from dln.core.text.shown import in_html, in_json, in_markdown, visible

ANY = st.text(st.characters() | st.sampled_from("\x1b\x9b\0\r\x7f\u202e\u2066\ud800\udfff\t\n"))


def obeyed(text: str) -> set[str]:
    """By Unicode's own tables: controls, what turns the direction, lone halves."""
    return {
        letter
        for letter in text
        if unicodedata.category(letter) in ("Cc", "Cs")
        or unicodedata.bidirectional(letter) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI",
                                                 "FSI", "PDI")
    }  # fmt: skip


@given(ANY)
def test_a_terminal_obeys_nothing(text):
    shown = visible(text)
    assert obeyed(shown) <= {"\n", "\t"}
    assert shown.encode().decode() == shown
    assert visible(shown) == shown


def test_what_people_write_stays():
    for text in ("лев пьёт воду", "مرحبا", "😀 ёж", "C:\\a\\x1b", "a\tb\nc"):
        assert visible(text) == text
    assert visible("\x1b[31m\u202e") == "\\x1b[31m\\u202e"


@given(st.dictionaries(ANY, ANY))
def test_json_says_the_same(value):
    text = in_json(json.dumps(value, ensure_ascii=False, indent=2))
    assert not obeyed(text) - {"\n"}
    assert json.loads(text) == value


def test_markdown_and_html_hold_no_markup():
    hostile = "<script>alert(1)</script> | [a](b) `c`\n# d ![e](f) &lt; \x1b"
    shown = in_markdown(hostile)
    assert "\n" not in shown
    for mark in "<>|[]`#!&":
        places = [i for i, letter in enumerate(shown) if letter == mark and mark != "!"]
        assert all(shown[i - 1] == "\\" for i in places)
    assert in_html(hostile) == html.escape(hostile.replace("\x1b", "\\x1b"))
