"""Pickles that run something when they are unpickled: here nothing runs."""

import io
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dln.core.errors import UsageError
from dln.core.models.published.objects import Name, Record
from dln.core.models.published.parts import tensors_of
from dln.core.models.published.tokens import Damaged

from .snapshots import PROTOCOLS, Call, Made, Named, Read, network, pickled, reader, run


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """What the reader makes of a file with these bytes."""
    return reader(tmp_path)


class Touching:
    """Unpickled, its state touches a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __setstate__(self, state: dict[str, Any]) -> None:
        Path(state["path"]).touch()


def attacks(path: str) -> list[Any]:
    import os

    from torch.storage import _load_from_bytes  # pyright: ignore

    inner = io.BytesIO()
    torch.save(Call(open, path, "w"), inner, _use_new_zipfile_serialization=False)
    module = network(nn.Linear(1, 1), _init_kwargs={"x": Call(exec, f"open({path!r}, 'w')")})
    return [
        Call(open, path, "w"),
        Call(os.system, f"touch {path}"),
        Call(eval, f"open({path!r}, 'w')"),
        Call(getattr, Call(__import__, "os"), "system"),
        {"G_ema": Call(open, path, "w")},
        Touching(path),
        Call(_load_from_bytes, inner.getvalue()),
        Made(Named("torch._utils", "_rebuild_parameter"), (Call(open, path, "w"), True, {})),
        Made(Named("builtins", "list"), (Made(Named("builtins", "map"), (Named("io", "open"),
             [path])),)),
        module,
    ]  # fmt: skip


@contextmanager
def events() -> Iterator[list[str]]:
    """What Python tells auditors of meanwhile, but for opening files to read them."""
    seen: list[str] = []
    _AUDITED.append(seen)
    try:
        yield seen
    finally:
        _AUDITED.remove(seen)


_AUDITED: list[list[str]] = []
_WATCHED = ("import", "exec", "compile", "pickle.find_class", "os.system", "subprocess.Popen",
            "os.posix_spawn", "socket.connect", "code.__new__", "function.__new__")  # fmt: skip


def _heard(event: str, args: Any) -> None:
    for seen in _AUDITED:
        if event in _WATCHED or (event == "open" and str(args[1]) not in ("rb", "r", "None")):
            seen.append(f"{event} {args!r}"[:200])


@pytest.fixture(scope="module", autouse=True)
def _auditing() -> None:
    sys.addaudithook(_heard)  # for good: Python takes none away


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_runs(protocol: int, read: Read, tmp_path: Path) -> None:
    read(pickle.dumps(1))  # what is imported late is there now
    for attack in attacks(str(tmp_path / "touched")):
        data = pickled(attack, protocol)
        with events() as seen, suppress(UsageError, Damaged):
            held = read(data)
            tensors_of(held)
            tensors_of(held.get("G_ema") if isinstance(held, dict) else None)
        assert [event for event in seen if "theirs.pkl" not in event] == []
        assert not (tmp_path / "touched").exists()


def test_these_attacks_do_run(tmp_path: Path) -> None:
    """Where pickle itself opens them: else the test above could not fail."""
    path = tmp_path / "touched"
    for attack in attacks(str(path))[:3]:
        path.unlink(missing_ok=True)
        with events() as seen:
            pickle.loads(pickled(attack))
        assert path.exists()
        assert any(event.startswith("pickle.find_class") for event in seen)


def test_what_is_not_made_is_told(read: Read) -> None:
    held = read(pickled(Call(open, "/nowhere/at/all", "w"), 2))
    assert isinstance(held, Record)
    assert str(held.kind).endswith("open")
    assert held.args == ("/nowhere/at/all", "w")


def test_a_class_of_the_first_protocols_stays_a_name() -> None:
    """INST and OBJ, which no pickler writes any more."""
    for data in (b"(S'touch x'\nios\nsystem\n.", b"(cos\nsystem\nS'touch x'\no."):
        held = run(data)
        assert (held.kind, held.args) == (Name("os", "system"), ("touch x",))
