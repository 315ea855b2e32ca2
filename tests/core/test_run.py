"""A run's folder, its configuration and its log."""

import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dln.core.errors import UsageError
from dln.core.training.contents import check_free, refuse_links
from dln.core.training.run import Run, to_toml
from dln.core.training.state import Checkpoints


def test_an_existing_run_is_kept(tmp_path: Path):
    run = Run.create(tmp_path / "x", {"model": "toy"})
    run.log({"stage": "toy", "step": 1})
    with pytest.raises(UsageError, match="x exists") as caught:
        Run.create(tmp_path / "x", {})
    assert "--force" in (caught.value.hint or "")
    assert Run.create(tmp_path / "x", {"model": "other"}, force=True).rows() == []
    assert Run.open(tmp_path / "x").config == {"model": "other"}


def test_force_spares_what_is_not_a_run(tmp_path: Path):
    (tmp_path / "samples").mkdir()
    with pytest.raises(UsageError, match="is not a run"):
        Run.create(tmp_path, {}, force=True)
    assert (tmp_path / "samples").is_dir()


FOREIGN = {
    "config.toml": 'title = "a site"\n',
    "stats.jsonl": "{}\n",
    "model.safetensors": "weights",
    "samples/one-000001.png": "a picture",
    "state/step-000001/a": "state",
    "cache/table.bin": "cache",
}


def fill(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def held(folder: Path) -> dict[str, str]:
    """Every file's text by its path, but that of the lock."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".dln.lock")
    return {str(path.relative_to(folder)): path.read_text() for path in files}


@pytest.mark.parametrize(
    "config",
    [
        'title = "a site"',
        'model = "cogvideo"\n[config]\nwidth = 3',
        'schema = "other-1"',
        "schema = ",
        "schema = 5",
        "a = " + 40_000 * "[",
        "",
    ],
)
def test_a_foreign_folder_with_a_configuration_is_left_as_it_is(tmp_path: Path, config: str):
    files = FOREIGN | {"config.toml": config}
    fill(tmp_path, files)
    for attempt in (lambda: Run.create(tmp_path, {}, force=True), lambda: Run.open(tmp_path)):
        with pytest.raises(UsageError, match=r"not a run|cannot be read"):
            attempt()
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()} == set(files)
    assert held(tmp_path) == files


def test_a_run_from_before_runs_had_a_mark_goes_on(tmp_path: Path):
    table = {"model": "toy", "options": {"seed": 1}, "overrides": {}, "config": {"width": 3},
             "data": {"fingerprint": "abc"}, "start": {}}  # fmt: skip
    (tmp_path / "config.toml").write_text(to_toml(table))
    run = Run.open(tmp_path)
    assert run.config == table
    run.write_config()
    assert tomllib.loads((tmp_path / "config.toml").read_text()) == {"schema": "dln-run-1"} | table
    assert Run.create(tmp_path, {"model": "new"}, force=True).config == {"model": "new"}


@pytest.mark.parametrize(
    "line", ["model = 5", "options = 5", "start = {sha256 = 1}", "options = {a = 1e999}"]
)
def test_a_configuration_of_wrong_types(tmp_path: Path, line: str):
    (tmp_path / "config.toml").write_text(f'schema = "dln-run-1"\n{line}\n')
    with pytest.raises(UsageError, match=r"is damaged|cannot be read"):
        Run.open(tmp_path)


def test_force_removes_what_a_run_writes_and_nothing_else(tmp_path: Path):
    run = Run.create(tmp_path / "x", {"model": "toy"})
    ours = ["stats.jsonl", "model.safetensors", "emissions.json", ".dln-abcd1234-stats.jsonl",
            "samples/toy-000010.png", "samples/.toy-000010-abcd1234.png", "cache/table.bin",
            "state/toy/final.json", "state/toy/final.safetensors", "state/toy/.old-000001/a",
            "state/toy/step-000002/weights.safetensors", "state/toy/broken-000001/info.json",
            "state/done/final.json"]  # fmt: skip
    kept = ["notes.txt", ".stats", "samples/mine.png", "state/notes.txt", "state/toy/copy/a",
            "other/stats.jsonl"]  # fmt: skip
    fill(run.path, dict.fromkeys([*ours, *kept], "x"))
    Run.create(run.path, {"model": "toy"}, force=True)
    assert held(run.path).keys() == {"config.toml", *kept}
    assert not (run.state / "done").exists()


def test_force_follows_no_link(tmp_path: Path):
    files = {"one-000001.png": "a", "toy/step-000001/a": "b", "step-000001/a": "c", "table": "d"}
    fill(tmp_path / "elsewhere", files)
    run = Run.create(tmp_path / "x", {"model": "toy"})
    (run.state / "toy").symlink_to(tmp_path / "elsewhere")
    for folder in (run.samples, run.cache):
        folder.rmdir()
        folder.symlink_to(tmp_path / "elsewhere")
    run.stats.symlink_to(tmp_path / "elsewhere" / "table")
    Run.create(run.path, {"model": "toy"}, force=True)
    assert held(run.path).keys() == {"config.toml"}
    assert not any(path.is_symlink() for path in run.path.rglob("*"))
    run.state.rmdir()
    run.state.symlink_to(tmp_path / "elsewhere")
    Run.create(run.path, {"model": "toy"}, force=True)
    assert held(tmp_path / "elsewhere") == files


def test_a_begin_that_was_killed_leaves_a_free_folder(tmp_path: Path):
    fill(tmp_path, {".dln.lock": "", ".dln-ab_d1234-config.toml": "model ="})
    assert Run.create(tmp_path, {"model": "toy"}).config == {"model": "toy"}
    assert held(tmp_path).keys() == {"config.toml"}


def test_out_inside_a_file(tmp_path: Path):
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(UsageError):
            Run.create(path, {}, force=True)
    assert (tmp_path / "file").read_text() == "mine"


def test_the_one_that_comes_second_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Both have found the folder free when the first takes it."""
    from dln.core.training import run as module

    seen: list[Path] = []

    def first_then(folder: Path, force: bool) -> None:
        seen.append(folder)
        if len(seen) == 1:
            Run.create(folder, {"model": "first"})
        check_free(folder, force)

    monkeypatch.setattr(module, "check_free", first_then)
    with pytest.raises(UsageError, match="exists"):
        Run.create(tmp_path / "x", {"model": "second"})
    monkeypatch.undo()
    assert Run.open(tmp_path / "x").config == {"model": "first"}


def test_no_run_to_open(tmp_path: Path):
    with pytest.raises(UsageError, match="is not a run"):
        Run.open(tmp_path / "missing")
    (tmp_path / "config.toml").write_text("model = ")
    with pytest.raises(UsageError, match="cannot be read"):
        Run.open(tmp_path)


def test_one_training_at_a_time(tmp_path: Path):
    pytest.importorskip("fcntl")
    run = Run.create(tmp_path / "x", {})
    with run.locked():
        with pytest.raises(UsageError, match="by another process"), Run.open(run.path).locked():
            pass
        with pytest.raises(UsageError, match="by another process"):
            Run.create(run.path, {}, force=True)
    with Run.open(run.path).locked():
        pass


def test_the_log_survives_a_cut_line(tmp_path: Path):
    run = Run.create(tmp_path / "x", {})
    for step in (1, 2, 3):
        run.log({"stage": "a", "step": step, "loss": math.nan if step == 2 else 1.0})
    run.log({"stage": "b", "step": 9})
    with open(run.stats, "a") as file:
        file.write('[]\n5\n{"stage": "a", "step": "1"}\n' + 40_000 * "[" + "\n")
    with open(run.stats, "a") as file:
        file.write('{"stage": "a", "st')
    run.rewind("a", 2)
    assert run.rows() == [
        {"stage": "a", "step": 1, "loss": 1.0},
        {"stage": "a", "step": 2, "loss": None},
        {"stage": "b", "step": 9},
    ]


_SCALARS = st.one_of(
    st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False), st.text()
)


_TABLES = st.recursive(
    st.dictionaries(st.text(), st.one_of(_SCALARS, st.lists(_SCALARS)), max_size=4),
    lambda inner: st.dictionaries(st.text(), st.one_of(_SCALARS, inner), max_size=3),
    max_leaves=6,
)


@given(_TABLES)
@settings(max_examples=40, deadline=None)
def test_toml_round_trip(table: dict[str, Any]):
    assert tomllib.loads(to_toml(table)) == table


def test_toml_by_hand():
    table = {"model": "x", "none": None, "fit": {"lr": 1e-05, "sizes": (1, 2), "deep": {"a": True}}}
    assert to_toml(table) == (
        'model = "x"\n\n[fit]\nlr = 1e-05\nsizes = [1, 2]\n\n[fit.deep]\na = true\n'
    )


def test_a_run_whose_state_lies_elsewhere_is_not_gone_on_with(tmp_path: Path):
    """A link in a stranger's run leads to somebody's folder, in which names look like ours."""
    home = tmp_path / "home"
    fill(home, {".old-000001": "mine", ".draft-final": "mine", ".draft-novel": "mine"})
    for place in ("state", "state/adversarial", "samples"):
        run = tmp_path / place.replace("/", "-")
        Run.create(run, {"model": "toy-gan"})
        if (run / place).is_dir():
            (run / place).rmdir()
        (run / place).symlink_to(home)
        with pytest.raises(UsageError, match="is a link"):
            refuse_links(run)
        checkpoints = Checkpoints(run / place)
        checkpoints.tidy()
        assert sorted(path.name for path in home.iterdir()) == [
            ".draft-final", ".draft-novel", ".old-000001"
        ]  # fmt: skip
