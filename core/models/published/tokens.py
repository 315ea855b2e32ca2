"""The opcodes of a pickle as data: what each carries is cut out of the bytes, large ones uncopied.

Python's own tables say what the opcodes are; the module that obeys them is not used.
"""

import codecs
import pickletools
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MOST_OPCODES = 1_000_000  # of a file: a training's whole snapshot has some hundred thousand
MOST_WHOLE = 1024  # bytes of a whole number
_LOOK = 256  # bytes in which the end of a line is looked for first


class Damaged(Exception):
    """The bytes are not what they are said to be; the reason as the end of a sentence."""


@dataclass
class Budget:
    """What one file may ask for, all that lies within its bytes included, so that few bytes cannot
    ask for much work."""

    bytes: int
    opcodes: int = MOST_OPCODES

    def spend(self, count: int) -> None:
        """Damaged where no bytes are left to copy."""
        self.bytes -= count
        if self.bytes < 0:
            raise Damaged("it asks for more memory than a file of its size holds")

    def step(self) -> None:
        """Damaged where no opcode is left."""
        self.opcodes -= 1
        if self.opcodes < 0:
            raise Damaged(f"it has more than {MOST_OPCODES:,} instructions")


class Tape:
    """Bytes that are read from front to back. Every method raises Damaged at their end."""

    def __init__(self, data: memoryview, budget: Budget) -> None:
        self.data, self.at, self.budget = data, 0, budget

    def take(self, count: int) -> memoryview:
        """The next bytes, not copied."""
        if count > len(self.data) - self.at:
            raise Damaged("it is cut off")
        self.at += count
        return self.data[self.at - count : self.at]

    def copied(self, count: int) -> bytes:
        self.budget.spend(count)
        return bytes(self.take(count))

    def number(self, kind: str) -> Any:
        """kind: as `struct` writes it."""
        return struct.unpack(kind, self.take(struct.calcsize(kind)))[0]

    def line(self) -> bytes:
        """Up to the end of the line, which is left out."""
        end, step = self.at, _LOOK
        while end < len(self.data):
            found = bytes(self.data[end : end + step]).find(b"\n")
            if found >= 0:
                text = self.copied(end + found - self.at)
                self.at += 1
                return text
            end, step = end + step, 2 * step
        raise Damaged("it is cut off")

    def opcode(self) -> tuple[str, Any]:
        """The next opcode's name, and what it carries. Damaged for what is none."""
        self.budget.step()
        code = self.take(1)[0]
        if code not in _OPCODES:
            raise Damaged(f"byte {self.at - 1:,} is no instruction of a pickle")
        name, read = _OPCODES[code]
        try:
            return name, None if read is None else read(self)
        except (UnicodeError, OverflowError) as error:
            raise Damaged(f"what {name} carries at byte {self.at:,} cannot be read") from error
        except ValueError as error:
            raise Damaged(f"what {name} carries at byte {self.at:,} is no number") from error


def _whole(tape: Tape, count: int) -> int:
    if count > MOST_WHOLE:
        raise Damaged(f"it has a whole number of {count:,} bytes")
    return int.from_bytes(tape.take(count), "little", signed=True)


def _decimal(tape: Tape) -> int:
    text = tape.line()
    return int(text[:-1] if text.endswith(b"L") else text)


def _truth_or_decimal(tape: Tape) -> int:
    begin = tape.at
    value = _decimal(tape)
    return bool(value) if bytes(tape.data[begin : begin + 3]) in (b"00\n", b"01\n") else value


def _quoted(tape: Tape) -> str:
    text = tape.line()
    if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in (b'"', b"'"):
        raise Damaged("it has a string without its quotes")
    return codecs.escape_decode(text[1:-1])[0].decode("latin-1")  # pyright: ignore


def _utf8(kind: str) -> Callable[[Tape], str]:
    return lambda tape: tape.copied(tape.number(kind)).decode("utf-8", "surrogatepass")


def _old_text(kind: str) -> Callable[[Tape], str]:
    return lambda tape: tape.copied(max(0, tape.number(kind))).decode("latin-1")


def _bytes(kind: str) -> Callable[[Tape], memoryview]:
    return lambda tape: tape.take(tape.number(kind))


def _plain(kind: str) -> Callable[[Tape], Any]:
    return lambda tape: tape.number(kind)


# How each kind of argument in Python's table of opcodes is read.
_READERS: dict[str, Callable[[Tape], Any]] = {
    "uint1": _plain("<B"), "uint2": _plain("<H"), "int4": _plain("<i"), "uint4": _plain("<I"),
    "uint8": _plain("<Q"), "float8": _plain(">d"),
    "bytes1": _bytes("<B"), "bytes4": _bytes("<I"), "bytes8": _bytes("<Q"),
    "bytearray8": _bytes("<Q"),
    "unicodestring1": _utf8("<B"), "unicodestring4": _utf8("<I"), "unicodestring8": _utf8("<Q"),
    "string1": _old_text("<B"), "string4": _old_text("<i"), "stringnl": _quoted,
    "unicodestringnl": lambda tape: tape.line().decode("raw-unicode-escape"),
    "decimalnl_short": _truth_or_decimal, "decimalnl_long": _decimal,
    "floatnl": lambda tape: float(tape.line()),
    "long1": lambda tape: _whole(tape, tape.number("<B")),
    "long4": lambda tape: _whole(tape, max(0, tape.number("<i"))),
    "stringnl_noescape": lambda tape: tape.line().decode(),
    "stringnl_noescape_pair": lambda tape: (tape.line().decode(), tape.line().decode()),
}  # fmt: skip
_OPCODES = {
    ord(opcode.code): (opcode.name, opcode.arg and _READERS[opcode.arg.name])
    for opcode in pickletools.opcodes
}
