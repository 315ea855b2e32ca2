"""A few cases of each kind, always the same ones: none ends in a traceback, hangs, takes more than
4 GiB, or touches what is not its own. `python -m tests.fuzz --minutes 30` tries many more."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given

from dln.cli.main import tree

pytest.importorskip("resource", reason="limits memory as POSIX does")

from . import case
from .calls import CALLS
from .case import Bench, Case, Failure
from .commands import LINES, every_command
from .kinds import KINDS, drawing
from .pantry import Pantry, fill

FEW = {"runs": 10, "plans": 15, "http": 25, "prompts": 25, "onnx": 30}
MANY = 50


@pytest.fixture(scope="module")
def pantry(tmp_path_factory: pytest.TempPathFactory) -> Pantry:
    return fill(tmp_path_factory.mktemp("pantry"))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    here = os.getcwd()
    yield Bench(tmp_path / "bench", CALLS)
    os.chdir(here)


@pytest.mark.parametrize("kind", KINDS)
def test_no_case_does_harm(kind: str, pantry: Pantry, bench: Bench) -> None:
    @drawing(FEW.get(kind, MANY), always_the_same=True)
    @given(KINDS[kind](pantry))
    def attempt(drawn: Case) -> None:
        bench.try_case(drawn)

    attempt()


def test_every_command_has_its_options_tried() -> None:
    assert set(LINES) == set(every_command(tree()))


def test_what_the_bench_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It can fail: for a traceback, a file that it must not touch, a hang."""
    monkeypatch.setattr(case, "SECONDS", 0.1)

    def broken(folder: Path) -> None:
        raise RuntimeError("oh")

    def astray(folder: Path) -> None:
        (folder.parent / "canary" / "config.toml").unlink()

    def for_ever(folder: Path) -> None:
        while True:
            pass

    here = os.getcwd()
    bench = Bench(tmp_path, {"broken": broken, "astray": astray, "for ever": for_ever})
    try:
        with pytest.raises(Failure, match="RuntimeError"):
            bench.try_case(Case(call="broken"))
        with pytest.raises(Failure, match=r"touched(.|\n)*config\.toml"):
            bench.try_case(Case(call="astray"))
        assert (tmp_path / "canary" / "config.toml").exists()
        with pytest.raises(Failure, match="hang"):
            bench.try_case(Case(call="for ever"))
        monkeypatch.undo()
        assert bench.try_case(Case(("models", "list", "--json"))) == 0
        assert bench.try_case(Case(("models", "show", "none", "--json"))) == 2
    finally:
        os.chdir(here)


def test_a_case_is_kept_as_it_is() -> None:
    whole = Case(("verify", "\udcff"), {"a": b"\0\xff"}, environment={"RANK": "x"})
    assert Case.from_json(json.loads(json.dumps(whole.to_json()))) == whole
