"""What strangers and accidents put into files and command lines, as hypothesis draws it: nasty
values, and sound documents, lines and bytes with some of them put in."""

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

CANARY = "@canary@"  # becomes the path of a folder that no case may touch


class Raw(str):
    """A piece of JSON as it is written, which no value of Python would give."""


NUMBERS = (
    0, -1, 1, 2, 0.5, -0.0, 1e-320, 1e308, -1e308, 255, 65536, 2**31, 2**32, 2**53 + 1, 2**63,
    2**64, -(2**63) - 1, 10**8, 10**12, 10**18, 10**400,
)  # fmt: skip
TOKENS = tuple(
    Raw(text)
    for text in (
        "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 5000, "-" + "9" * 5000, "1e-999",
        "[" * 100_000, "[" * 3000 + "]" * 3000, '{"a":' * 3000 + "1" + "}" * 3000,
        "[" * 70 + "]" * 70, '"\\ud800"', '"\\u0000"', "01", "'x'", '{"a":1,"a":2}', "\ufeff1", "",
    )
)  # fmt: skip
PLACES = (
    "..", "../..", "../canary", f"{CANARY}", f"{CANARY}/model.safetensors", "onnx-/../../canary",
    f"onnx-/../../../..{CANARY}", "/dev/zero", "/dev/null", "/dev/stdin", "/", "~", ".", "a/b/c",
    "a" * 300, "a/" * 3000, "con", "x\x00y", f"csv:{CANARY}/x.csv", "csv:/dev/zero",
    "file:///etc/passwd", "http://127.0.0.1:9/x",
)  # fmt: skip
TIMES = (
    "0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59+00:00", "9999-12-31T23:59:59-12:00",
    "0001-01-01T00:00+14:00", "2026-13-45T99:99Z", "2022-06-01", "2022-06-01T00:00",
    "2022-W01-1T00:00Z", "1969-12-31T23:59:59Z", "-0001-01-01T00:00Z",
    "2022-06-01T00:00:00.9999999Z", "2022-06-01T00:00+23:59", "24:00", "noon",
)  # fmt: skip
WORDS = (
    "", " ", "\n", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x9b2J", "\r\b\x7f",
    "\u202eabc\u2066", "[bold red]x[/]", "[/]", "[link=x]", "{0}{x}%s%n$(id)`id`",
    "<script>alert(1)</script>", "\ufeff", "-", "--", "--force", "nan", "inf", "-inf", "1e999",
    "0x10", "٣", "½", "1_0", "true", "null", "e\u0301" * 50, "🦁" * 100, "лев пьёт", "a" * 70_000,
    ",".join("abc" * 99), "'; drop table", "=", "a=b", "torch", "onnx", "trt", "onnx-fp16",
    "cuda:99", "cuda:" + "9" * 30, "toy-gan", "cogvideo", "resnet", "GB", "norway", "menagerie",
    "digits,noise=nan", "x.tar", "{000..999999999}.tar",
)  # fmt: skip

texts = st.one_of(
    st.sampled_from(WORDS + PLACES + TIMES),
    st.text(st.characters(codec="utf-8"), max_size=20),
)


def values(places: bool = True) -> st.SearchStrategy[Any]:
    """Anything that JSON can spell and some that it cannot. places: also paths that lead away."""
    words = texts if places else st.sampled_from(WORDS + TIMES)
    leaves = st.one_of(
        st.sampled_from(NUMBERS),
        st.sampled_from(TOKENS),
        words,
        st.sampled_from((None, True, False)),
    )
    return st.one_of(leaves, st.lists(leaves, max_size=3), st.dictionaries(st.sampled_from(
        ("a", "", "schema", "__class__")), leaves, max_size=2))  # fmt: skip


def spelt(value: Any) -> bytes:
    """As JSON, the raw pieces as they are."""
    pieces: list[str] = []

    def marked(item: Any) -> Any:
        if isinstance(item, Raw):
            pieces.append(str(item))
            return f"@raw{len(pieces) - 1}@"
        if isinstance(item, int) and abs(item) > 10**300:
            return marked(Raw(f"{'-' * (item < 0)}1{'0' * 400}"))
        if isinstance(item, dict):
            return {key: marked(inner) for key, inner in item.items()}
        return [marked(inner) for inner in item] if isinstance(item, list | tuple) else item

    text = json.dumps(marked(value))
    for number, piece in enumerate(pieces):
        text = text.replace(f'"@raw{number}@"', piece)
    return text.encode("utf-8", "surrogatepass")


def nodes(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a document, without recursion."""
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        keys = inner if isinstance(inner, dict) else range(len(inner))
        for key in list(keys):
            yield inner, key
            if isinstance(inner[key], dict | list) and inner[key]:
                waiting.append(inner[key])


def replace(inner: Any, key: Any, value: Any) -> None:
    inner[key] = value


def drop(inner: Any, key: Any, value: Any) -> None:
    del inner[key]


def repeat(inner: Any, key: Any, value: Any) -> None:
    """The same item many times, or a key that nobody knows."""
    if isinstance(inner, list):
        inner[key:key] = [inner[key]] * 50
    else:
        inner[f"{key}2"] = inner[key]


def wrap(inner: Any, key: Any, value: Any) -> None:
    inner[key] = {str(key): [inner[key]]}


def turn(inner: Any, key: Any, value: Any) -> None:
    """A number into one near it or far from it, a text into its beginning, a list around."""
    old = inner[key]
    if isinstance(old, bool) or old is None:
        inner[key] = str(old)
    elif isinstance(old, int | float):
        inner[key] = -old if value in (None, True) else old * 1_000_003
    elif isinstance(old, str):
        inner[key] = old[: len(old) // 2]
    elif isinstance(old, list):
        inner[key] = old[::-1]


def rename(inner: Any, key: Any, value: Any) -> None:
    if isinstance(inner, dict) and isinstance(value, str) and not isinstance(value, Raw):
        inner[value] = inner.pop(key)


CHANGES: tuple[Callable[[Any, Any, Any], None], ...] = (
    replace, replace, replace, replace, drop, repeat, wrap, turn, turn, rename,
)  # fmt: skip


@st.composite
def documents(draw: st.DrawFn, sound: Any, places: bool = True) -> Any:
    """`sound` with one to three of its values changed; now and then another value altogether."""
    value, new = copy.deepcopy(sound), values(places)
    if draw(st.integers(0, 24)) == 0:
        return draw(new)
    for _ in range(draw(st.sampled_from((1, 1, 2, 3)))):
        if not isinstance(value, dict | list) or not value:
            break
        there = list(nodes(value))
        inner, key = there[draw(st.integers(0, len(there) - 1))]
        draw(st.sampled_from(CHANGES))(inner, key, draw(new))
    return value


@st.composite
def damaged(draw: st.DrawFn, sound: bytes, most: int = 4) -> bytes:
    """Bytes with some flipped, cut off, put in, taken out, or moved."""
    found = bytearray(sound)
    for _ in range(draw(st.integers(1, most))):
        size = len(found)
        at = draw(st.integers(0, max(0, size - 1)))
        kind = draw(st.sampled_from(("flip", "byte", "number", "cut", "in", "out", "move", "head")))
        if kind == "flip" and size:
            found[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "byte" and size:
            found[at] = draw(st.sampled_from((0, 1, 0x7F, 0x80, 0xFF)))
        elif kind == "number":
            wide = draw(st.sampled_from((2, 4, 8)))
            order = draw(st.sampled_from(("little", "big")))
            number = draw(st.sampled_from((0, 1, 2 ** (8 * wide) - 1, 2 ** (8 * wide - 1), 65535)))
            found[at : at + wide] = (number % 2 ** (8 * wide)).to_bytes(wide, order)
        elif kind == "cut":
            del found[at:]
        elif kind == "in":
            found[at:at] = draw(st.binary(min_size=1, max_size=16))
        elif kind == "out":
            del found[at : at + draw(st.integers(1, 64))]
        elif kind == "move":
            other = draw(st.integers(0, max(0, size - 1)))
            found[at:at] = found[other : other + draw(st.integers(1, 256))]
        elif kind == "head" and size:
            place = draw(st.integers(0, min(size, 64) - 1))
            found[place] = draw(st.integers(0, 255))
    return bytes(found)


def json_files(sound: Any, places: bool = True) -> st.SearchStrategy[bytes]:
    """A JSON document with changed values, or with damaged bytes."""
    whole = documents(sound, places).map(spelt)
    return st.one_of(whole, whole, whole, damaged(json.dumps(sound).encode()))


@st.composite
def tables(draw: st.DrawFn, sound: str, cells: Sequence[str] = ()) -> bytes:
    """Lines of comma-separated cells with some changed, lost, doubled or out of order."""
    lines = [line.split(",") for line in sound.splitlines()]
    own = st.sampled_from(tuple(cells) or WORDS)
    for _ in range(draw(st.sampled_from((1, 1, 2, 3)))):
        if not lines:
            break
        # the header and the first lines more often than the many others
        at = draw(st.one_of(st.integers(0, min(3, len(lines) - 1)), st.integers(0, len(lines) - 1)))
        kind = draw(
            st.sampled_from(("cell", "cell", "cell", "out", "twice", "swap", "more", "less"))
        )
        if kind == "cell":
            place = draw(st.integers(0, max(0, len(lines[at]) - 1)))
            lines[at][place : place + 1] = [draw(st.one_of(own, texts))]
        elif kind == "out":
            del lines[at]
        elif kind == "twice":
            lines.insert(at, lines[at])
        elif kind == "swap":
            lines[at], lines[0] = lines[0], lines[at]
        elif kind == "more":
            lines[at] = [*lines[at], draw(texts)]
        else:
            lines[at] = lines[at][:-1]
    text = "\n".join(",".join(cells) for cells in lines)
    return text.encode("utf-8", "surrogatepass")
