"""Pickles followed opcode by opcode, without making anything that they ask for.

Only containers, numbers, text and tensors become what they are (`MAKERS`); every other class is an
inert `Record`. No name is imported, no object called, no state set.
"""

from collections.abc import Callable, Mapping
from typing import Any

from .makers import Maker
from .objects import Name, Record
from .tokens import Damaged, Tape

PROTOCOL = 5  # the newest that is known
MOST_MARKS = 1000  # that are open at once: how deep things lie within each other
MOST_KEY = 1 << 60  # of a whole number; larger ones can be made to fall on each other in a table
MOST_ODD_KEYS = 10_000  # that are neither text nor such numbers, for the same reason

Persistent = Callable[[Any], Any]
_NOTHING = object()


def _no_persistent(told: Any) -> Any:
    raise Damaged("it names something that lies outside of it")


class Machine:
    """The stack, the marks on it and the memo of one pickle.

    persistent: what stands for an object that lies outside the pickle, by what names it. makers:
    what may be made, by its name.
    """

    def __init__(
        self,
        tape: Tape,
        makers: Mapping[tuple[str, str], Maker],
        persistent: Persistent = _no_persistent,
    ) -> None:
        self.tape, self.makers, self.persistent = tape, makers, persistent
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.odd_keys = 0

    def run(self) -> Any:
        """The object of the pickle at which the tape stands, which is left at its end. Damaged."""
        while True:
            name, argument = self.tape.opcode()
            if name == "STOP":
                return self.pop()
            if name in _VALUES:
                made = _VALUES[name]
                self.stack.append(argument if made is _NOTHING else made())
            elif name in _ACTS:
                _ACTS[name](self, argument)
            else:
                raise Damaged(f"it uses {name}, which no checkpoint does")

    def pop(self) -> Any:
        if not self.stack:
            raise Damaged("it takes something from where nothing is")
        return self.stack.pop()

    def top(self) -> Any:
        if not self.stack:
            raise Damaged("it looks for something where nothing is")
        return self.stack[-1]

    def marked(self) -> list[Any]:
        """What lies above the last mark; the mark is gone."""
        if not self.below:
            raise Damaged("it goes back to a mark that is not there")
        above, self.stack = self.stack, self.below.pop()
        return above

    def unmark(self, _: Any) -> None:
        self.marked()

    def mark(self, _: Any) -> None:
        if len(self.below) >= MOST_MARKS:
            raise Damaged(f"it is nested more than {MOST_MARKS:,} levels deep")
        self.below.append(self.stack)
        self.stack = []

    def drop(self, _: Any) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.marked()

    def protocol(self, number: int) -> None:
        if number > PROTOCOL:
            raise Damaged(f"it is written by protocol {number}, which is not known here")

    def frame(self, length: int) -> None:
        if length > len(self.tape.data) - self.tape.at:
            raise Damaged("it is cut off")

    def keep(self, place: int | None) -> None:
        self.memo[len(self.memo) if place is None else place] = self.top()

    def recall(self, place: int) -> None:
        if place not in self.memo:
            raise Damaged("it comes back to something that was never there")
        self.stack.append(self.memo[place])

    def key(self, value: Any) -> Any:
        """A value that may be a key, or Damaged: comparing keys must not take long."""
        if isinstance(value, str) or (isinstance(value, int) and abs(value) < MOST_KEY):
            return value
        self.odd_keys += 1
        odd = isinstance(value, int | float | Name | Record | None) or _flat(value)
        if not odd or self.odd_keys > MOST_ODD_KEYS:
            raise Damaged("it has keys that no checkpoint has")
        return bytes(value) if isinstance(value, memoryview) else value

    def pairs(self, flat: list[Any]) -> dict[Any, Any]:
        if len(flat) % 2:
            raise Damaged("it has a key without a value")
        return {self.key(k): v for k, v in zip(flat[::2], flat[1::2], strict=True)}

    def append(self, values: list[Any]) -> None:
        target = self.top()
        if isinstance(target, Record):
            target.entries.extend(values)
        elif isinstance(target, list):
            target.extend(values)
        else:
            raise Damaged("it appends to what is no list")

    def set_items(self, flat: list[Any]) -> None:
        target = self.top()
        if not isinstance(target, dict | Record):
            raise Damaged("it sets an item of what is no dictionary")
        items = target.items if isinstance(target, Record) else target
        items.update(self.pairs(flat))

    def add_items(self, values: list[Any]) -> None:
        target = self.top()
        if isinstance(target, Record):
            target.entries.extend(values)
        elif isinstance(target, set):
            target.update(map(self.key, values))
        else:
            raise Damaged("it adds to what is no set")

    def build(self, _: Any) -> None:
        """The state of a record; a container's own attributes are left out."""
        state, target = self.pop(), self.top()
        if isinstance(target, Record):
            target.state = state

    def name(self, pair: tuple[str, str]) -> None:
        self.stack.append(Name(*pair))

    def stacked_name(self, _: Any) -> None:
        name, module = self.pop(), self.pop()
        self.name((module, name))

    def instance(self, pair: tuple[str, str]) -> None:
        args = tuple(self.marked())
        self.stack.append(self.made(Name(*pair), args))

    def marked_object(self, _: Any) -> None:
        kind, *args = self.marked() or [None]
        self.stack.append(self.made(kind, tuple(args)))

    def reduce(self, _: Any) -> None:
        args, kind = self.pop(), self.pop()
        self.stack.append(self.made(kind, args))

    def new_with_keywords(self, _: Any) -> None:
        keywords, args, kind = self.pop(), self.pop(), self.pop()
        if not isinstance(keywords, dict):
            raise Damaged("it makes an object with keywords that are no dictionary")
        self.stack.append(self.made(kind, args, keywords))

    def made(self, kind: Any, args: Any, keywords: dict[Any, Any] | None = None) -> Any:
        """What stands for kind(*args): the thing itself where that is allowed, else a Record."""
        if not isinstance(args, tuple):
            raise Damaged("it makes an object with arguments that are no tuple")
        if not isinstance(kind, Name):
            raise Damaged("it calls what is no class")
        maker = None if keywords else self.makers.get((kind.module, kind.name))
        if maker is None:
            return Record(kind, args, keywords or {})
        return maker(self.tape.budget, self.key, args)

    def outside(self, told: Any) -> None:
        self.stack.append(self.persistent(told))


def _flat(value: Any) -> bool:
    """Whether it is bytes or a tuple of a few plain values: hashing those takes no time."""
    if isinstance(value, tuple | frozenset):
        return len(value) <= 8 and all(isinstance(v, str | int | float | None) for v in value)
    return isinstance(value, memoryview) and len(value) <= 1024


def _tuple_of(count: int) -> Callable[[Machine, Any], None]:
    def act(machine: Machine, _: Any) -> None:
        values = [machine.pop() for _ in range(count)]
        machine.stack.append(tuple(reversed(values)))

    return act


def _pushed(make: Callable[[Machine], Any]) -> Callable[[Machine, Any], None]:
    def act(machine: Machine, _: Any) -> None:
        made = make(machine)  # which may go back to another stack
        machine.stack.append(made)

    return act


_VALUES: dict[str, Any] = {
    **dict.fromkeys(
        ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
         "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE",
         "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"), _NOTHING),
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_SET": set,
}  # fmt: skip
_ACTS: dict[str, Callable[[Machine, Any], None]] = {
    "PROTO": Machine.protocol,
    "FRAME": Machine.frame,
    "MARK": Machine.mark,
    "POP": Machine.drop,
    "POP_MARK": Machine.unmark,
    "DUP": _pushed(Machine.top),
    "PUT": Machine.keep,
    "BINPUT": Machine.keep,
    "LONG_BINPUT": Machine.keep,
    "MEMOIZE": Machine.keep,
    "GET": Machine.recall,
    "BINGET": Machine.recall,
    "LONG_BINGET": Machine.recall,
    "LIST": _pushed(Machine.marked),
    "TUPLE": _pushed(lambda machine: tuple(machine.marked())),
    "DICT": _pushed(lambda machine: machine.pairs(machine.marked())),
    "FROZENSET": _pushed(lambda machine: frozenset(map(machine.key, machine.marked()))),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "APPEND": lambda machine, _: machine.append([machine.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.marked()),
    "SETITEM": lambda machine, _: machine.set_items([machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.marked()),
    "ADDITEMS": lambda machine, _: machine.add_items(machine.marked()),
    "BUILD": Machine.build,
    "GLOBAL": Machine.name,
    "STACK_GLOBAL": Machine.stacked_name,
    "INST": Machine.instance,
    "OBJ": Machine.marked_object,
    "REDUCE": Machine.reduce,
    "NEWOBJ": Machine.reduce,
    "NEWOBJ_EX": Machine.new_with_keywords,
    "PERSID": Machine.outside,
    "BINPERSID": lambda machine, _: machine.outside(machine.pop()),
}
