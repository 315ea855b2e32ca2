"""Text of strangers (names, captions, messages of theirs) as it may be shown: on a terminal, in
Markdown, in HTML."""

import os
import re

# Control characters but newline and tab, what turns the direction of writing, and halves of
# surrogate pairs: what no line that a person reads may obey.
_UNSEEN = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_LIKE = dict(zip("▁▂▃▄▅▆▇█─━│┃–—−‘’“”…×·•→", [*"__.:-=+#-=||---''", '"', '"', "...", *"x.*", "->"],
                 strict=True))  # fmt: skip
_MARKS = re.compile(r"([\\`*_{}\[\]<>#|~&$])")


def visible(text: str) -> str:
    r"""What a terminal would obey is spelt: \x1b, \u202e. Newlines and tabs stay."""
    return _UNSEEN.sub(_spelt, text)


def on_one_line(text: str) -> str:
    r"""As `visible`, and a newline as \n: a name with one in it is no second line."""
    return visible(text).replace("\n", "\\n")


def in_utf8(name: str | os.PathLike[str]) -> str:
    r"""A name or an argument as what is UTF-8 may hold it: other bytes of it as \xff."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def in_json(text: str) -> str:
    r"""A JSON document with the same characters as \u001b, \u202e; it says what it did."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def in_markdown(text: str) -> str:
    """As words on one line of Markdown, also in a table: no markup, no HTML."""
    return _MARKS.sub(r"\\\1", visible(" ".join(text.split())))


def in_html(text: str) -> str:
    """As words in HTML, also within an attribute."""
    import html

    return html.escape(visible(text))


def in_ascii(text: str) -> str:
    """What reads alike in ASCII, for a terminal that has no more: bars, rules and dashes, letters
    without their marks. What has no likeness stays."""
    if text.isascii():
        return text
    return "".join(_LIKE.get(letter) or _unmarked(letter) for letter in text)


def _unmarked(letter: str) -> str:
    from unicodedata import normalize

    bare = normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return bare or letter


def _spelt(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
