"""What is typed on a command line, and files of TOML."""

import json

from hypothesis import strategies as st

from .nasty import NUMBERS, PLACES, TIMES, WORDS, damaged, texts

# What no kernel passes as an argument is left out: NUL, and surrogates that stand for no byte.
letters = st.characters(exclude_characters="\0", codec="utf-8")
no_utf8 = st.integers(0xDC80, 0xDCFF).map(chr)
arguments = st.one_of(
    st.sampled_from([word for word in (*WORDS, *TIMES, *PLACES) if "\0" not in word]),
    st.text(letters, max_size=30),
    st.lists(st.one_of(letters, no_utf8), max_size=6).map("".join),
    st.sampled_from([repr(number) for number in NUMBERS[:-1]]),
)
json_flag = st.sampled_from(((), ("--json",), ("--quiet",)))


TOML = (
    "0", "-1", "1", "2", "1.5", "1e999", "inf", "nan", "-inf", "true", '"x"', "[]", "[1, 2]",
    "[[]]", "[-1]", "[0]", "[1e400]", "{}", "{a = 1}", "9" * 5000, "1000000", "1000000000",
    "99999999999999999999", "2022-06-01", "0001-01-01T00:00:00Z", "07:32:00", "0x7fffffffffffffff",
    "[1, 'x']", '["a", "a"]', "[" * 2000, "[" * 70 + "]" * 70, '"\\u0000"', '"\x1b[31m"',
    "1\nx = 2", "[9223372036854775807]", "[" + "1," * 5000 + "]", '"' + "a" * 70_000 + '"', "1_0",
    "[4, 4, 4, 4]", "[1000000000]", "3",
)  # fmt: skip


@st.composite
def toml_files(draw: st.DrawFn, sound: str) -> bytes:
    """Lines with other values or keys, doubled, lost; or bytes that are damaged."""
    if draw(st.integers(0, 5)) == 0:
        return draw(damaged(sound.encode()))
    lines = sound.splitlines()
    # no `out`: a place that the user names is the user's
    keys = st.sampled_from(
        ("frames", "count", "data", "x" * 5000, "set", "[set]", "[[a]]", '"\x1b"', "steps", "model",
         "a.b.c.d", "width", "регион", "config")
    )  # fmt: skip
    for _ in range(draw(st.sampled_from((1, 1, 2, 3)))):
        at = draw(st.integers(0, len(lines) - 1))
        key, sign, _ = lines[at].partition(" = ")
        new = draw(st.one_of(st.sampled_from(TOML), texts.map(json.dumps)))
        kind = draw(st.integers(0, 5))
        if kind <= 2 and sign:
            lines[at] = f"{key} = {new}"
        elif kind == 3:
            lines[at] = f"{draw(keys)} = {new}"
        elif kind == 4:
            lines.insert(at, f"{draw(keys)} = {new}")
        else:
            del lines[at : at + (len(lines) > 1)]
    return "\n".join(lines).encode("utf-8", "surrogatepass")
