"""A few cases of each kind, always the same ones: none ends in a traceback, hangs, takes more than
4 GiB, or touches what is not its own. `python -m tests.fuzz --minutes 30` tries many more."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given

from .calls import CALLS
from .case import Bench, Case, Failure
from .kinds import KINDS, drawing
from .pantry import Pantry, fill

CASES = {"options": 120, "onnx": 25, "videos": 25, "prompts": 40, "runs": 25, "plans": 40}
FEW = 50


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
    @drawing(CASES.get(kind, FEW), always_the_same=True)
    @given(KINDS[kind](pantry))
    def attempt(case: Case) -> None:
        bench.try_case(case)

    attempt()


def test_what_the_bench_sees(tmp_path: Path) -> None:
    """It can fail: for a traceback, a file that it must not touch, a hang."""

    def broken(folder: Path) -> None:
        raise RuntimeError("oh")

    def astray(folder: Path) -> None:
        (folder.parent / "canary" / "config.toml").unlink()

    here = os.getcwd()
    bench = Bench(tmp_path, {"broken": broken, "astray": astray})
    try:
        with pytest.raises(Failure, match="RuntimeError"):
            bench.try_case(Case(call="broken"))
        with pytest.raises(Failure, match=r"touched(.|\n)*config\.toml"):
            bench.try_case(Case(call="astray"))
        assert (tmp_path / "canary" / "config.toml").exists()
        assert bench.try_case(Case(("models", "list", "--json"))) == 0
        assert bench.try_case(Case(("models", "show", "none", "--json"))) == 2
    finally:
        os.chdir(here)


def test_a_case_is_kept_as_it_is() -> None:
    case = Case(("verify", "\udcff"), {"a": b"\0\xff"}, environment={"RANK": "x"})
    assert Case.from_json(case.to_json()) == Case(*vars(case).values())
