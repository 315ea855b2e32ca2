"""README and the guide: every command line runs, those of a page one after the other in a folder.

Weights are so few that a clip takes a moment. What trains, exports or measures for minutes or hours
has to say so behind it, and is run dry or on less of it. What a line needs that is not everywhere
it says too: "needs ...".
"""

from collections.abc import Callable, Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from shutil import which
from traceback import format_exc
from typing import Any

import pytest

from dln.cli.main import run
from dln.core.models import locate
from dln.core.models.about import About
from dln.core.models.registry import MODELS
from dln.core.runs import forecast
from dln.core.runs.costs import StageCost
from dln.core.study import ablation, study
from dln.export import bench
from dln.export.beside import race

from .furnished import Pantry
from .manual import PAGES, Line, lines_of
from .test_bench import answer, raced, studied, varied

LINES = [line for page in PAGES for line in lines_of(page)]
# What makes little work of a line that says that it lasts; an option with a colon only where the
# line has it.
BRIEFLY = {
    "train": {"--dry-run": ""},
    "export": {"--dry-run": ""},
    "evaluate": {"--count": "2", ":--size": "32x16"},
    "generate": {":--size": "32x16", ":--extend": "right=8", ":--frames": "2"},
    "bench": {":--runs": "6"},
    "doctor": {"--only": "codec-gif"},
}
FEW = 50  # steps that a training is run for in full
EXTRAS = {"digits": "sklearn"}
Outcome = tuple[int, str]
Play = Callable[[str], dict[Line, Outcome]]


def called(line: Line) -> list[str]:
    """Its words, with those that make little work of it."""
    words, more = line.args, list[str]()
    cut = words.index("--") if "--" in words else len(words)
    if (line.lasts or is_training(line)) and "--readiness" not in words:
        for flag, value in BRIEFLY.get(words[0], {}).items():
            if not flag.startswith(":") or flag[1:] in words:
                more += filter(None, (flag.removeprefix(":"), value))
    return [*words[:cut], *more, *words[cut:]]


def is_training(line: Line) -> bool:
    """Whether it trains, and for more than a FEW steps."""
    words = line.args
    few = "--steps" in words and words[words.index("--steps") + 1] in map(str, range(FEW))
    return words[0] == "train" and "--dry-run" not in words and not few


@pytest.fixture(scope="module")
def pantry(tmp_path_factory: pytest.TempPathFactory) -> Pantry:
    return Pantry(tmp_path_factory.mktemp("pantry"))


@pytest.fixture(scope="module")
def small(pantry: Pantry) -> Iterator[None]:
    """Few weights lie in the place of those that are shipped; a forecast tries no stage, and
    benchmarks and studies measure nothing."""
    shipped = locate.bundled

    def bundled(about: About) -> Path:
        if about.bundled and about.generates:
            return pantry.weights(about.name, about.data)
        return shipped(about)

    def cost(self: Any, stage: Any, settings: Any, real: bool) -> StageCost:
        return StageCost(stage.name, stage.steps, stage.batch, 1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(locate, "bundled", bundled)
        patch.setattr(forecast._Forecaster, "cost", cost)
        patch.setattr(forecast, "LOAD_S", 0.0)
        patch.setattr(bench, "run_worker", answer)
        patch.setattr(race, "race", raced)
        patch.setattr(study, "study", studied)
        patch.setattr(ablation, "ablation", varied)
        yield


@pytest.fixture(scope="module")
def play(pantry: Pantry, small: None, tmp_path_factory: pytest.TempPathFactory) -> Play:
    """play(page) -> what comes of its lines, which run once: exit codes, and what was said."""

    @cache
    def played(page: str) -> dict[Line, Outcome]:
        lines = [line for line in LINES if line.page == page]
        made = {word for line in lines for word in line.made}
        with chdir(tmp_path_factory.mktemp(Path(page).stem)):
            pantry.lay(word for line in lines for word in line.args if word not in made)
            return {line: carried_out(line) for line in lines if line.need is None}

    def carried_out(line: Line) -> Outcome:
        said = StringIO()
        with redirect_stdout(StringIO()), redirect_stderr(said):
            try:
                pantry.lay(word for word in line.args if word not in line.made)
                code = run(called(line))
            except Exception:  # the lines after it run all the same
                return 1, format_exc()
        return code, said.getvalue()

    return played


def unbundled(line: Line) -> list[str]:
    """The models without weights among its words."""
    return [word for word in line.args if word in MODELS and MODELS[word].bundled is None]


@pytest.mark.parametrize("line", LINES, ids=str)
def test_a_line_runs(play: Play, line: Line) -> None:
    if line.need:
        pytest.skip(line.need)
    for word, package in EXTRAS.items():
        if any(arg.startswith(word) for arg in line.args):
            pytest.importorskip(package)
    if "make" in line.args and not which("make"):
        pytest.skip("make is not here")
    code, said = play(line.page)[line]
    if code == 3 and "without weights" in said and unbundled(line):
        pytest.skip(f"{', '.join(unbundled(line))}: no weights come along yet")
    assert code == 0, said[-2000:]


def test_a_training_says_how_long_it_takes() -> None:
    """So that none is begun here."""
    assert [line for line in LINES if is_training(line) and not (line.lasts or line.need)] == []
