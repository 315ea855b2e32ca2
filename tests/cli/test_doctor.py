"""`dln doctor --deep` on the command line: a table, one object, Markdown, exit codes."""

import logging
import sys
from types import ModuleType
from typing import Any

import pytest

from dln.cli import preview, tried
from dln.core.errors import DlnError, MissingCapability
from dln.export.checkup import apart
from dln.export.checkup.listed import every_check
from dln.export.checkup.outcome import FAILED, MISSING, OK, Outcome

ANSWERS = {
    "gpu": Outcome(MISSING, "no GPU | here", "a machine with one"),
    "train-cpu": Outcome(OK, "learns", numbers={"loss": 0.1}),
    "resume-cpu": Outcome(FAILED, "3 of 9 tensors differ", "the log is a.log"),
}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """One that lacks a GPU and resumes badly; the seconds that its checks are given."""
    given: list[float] = []

    def ask(check: Any, seconds: float, *rest: Any) -> Outcome:
        given.append(seconds)
        return ANSWERS.get(check.name, Outcome(OK, "fine"))

    monkeypatch.setattr(apart, "ask", ask)
    return given


def test_one_real_run_of_two_cheap_checks(dln):
    found = dln("doctor", "--deep", "--only", "codec-gif", "--only", "codec-mp4", "--json")
    assert found.code == 0
    assert (found.json["ok"], found.json["failed"]) == (["codec-mp4", "codec-gif"], [])
    assert [check["numbers"]["frames"] for check in found.json["checks"]] == [24, 24]
    assert found.json["seconds"] > 0
    assert {"cpu", "cores", "torch", "load_1min"} <= found.json["machine"].keys()


def test_what_failed_decides_the_exit_code_and_what_is_not_here_does_not(dln, machine):
    every = dln("doctor", "--deep", "--json")
    names = [check.name for check in every_check()]
    assert [check["name"] for check in every.json["checks"]] == names
    assert (every.code, every.json["failed"]) == (1, ["resume-cpu"])
    assert {"gpu", "pictures", "rtx-run", "resume-cuda"} <= set(every.json["missing"])
    assert dln("doctor", "--deep", "-q").out == "resume-cpu\n"
    without = dln("doctor", "--deep", "--only", "train-*", "--json")
    assert (without.code, without.json["ok"]) == (0, ["train-cpu"])
    assert without.json["missing"] == ["gpu", "train-cuda"]


def test_each_is_told_when_it_begins_and_when_it_ends(dln, machine):
    found = dln("doctor", "--deep", "--only", "resume-cpu", "--only", "gpu")
    lines = found.err.splitlines()
    assert lines[0].startswith("checking: gpu: each GPU multiplies")
    assert lines[0].endswith("(1 of 2)")
    assert lines[1] == "missing: gpu: no GPU | here"
    assert lines[3] == "failed: resume-cpu: 3 of 9 tensors differ"
    assert "the log is a.log" in found.out
    assert "0 ok, 1 failed, 1 not here" in found.out


def test_markdown_is_one_table_and_what_it_holds_for(dln, machine):
    found = dln("doctor", "--deep", "--markdown", "--only", "gpu", "--only", "train-cpu").out
    head, rule, first, second, blank, about, counts = found.splitlines()
    assert head == "| what | state | seconds | found | to get it |"
    assert rule == "| --- | --- | --- | --- | --- |"
    assert first == r"| gpu | missing |  | no GPU \| here | a machine with one |"
    assert second.startswith("| train-cpu | ok |")
    assert (blank, about.startswith("Machine: ")) == ("", True)
    assert counts.startswith("1 ok, 0 failed, 1 not here")
    shallow = dln("doctor", "--markdown").out.splitlines()
    assert shallow[0] == "| what | state | found | to get it |"
    assert all(line.startswith("| ") for line in shallow)


def test_the_time_is_the_user_s(dln, machine):
    dln("doctor", "--deep", "--only", "train-cpu", "--limit", "7")
    assert 6 < machine[0] <= 7
    dln("doctor", "--deep", "--only", "train-cpu")
    assert machine[1] == 120


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--deep", "--only", "codec-mp5"), "Did you mean 'codec-mp4'"),
        (("--only", "codec-mp4"), "--only and --limit are of --deep"),
        (("--limit", "9"), "--only and --limit are of --deep"),
        (("--deep", "--limit", "0"), "--limit"),
    ],
)
def test_mistakes(dln, words, told):
    found = dln("doctor", *words)
    assert (found.code, told in found.err) == (2, True)


def test_no_torch_is_loaded_for_what_needs_none(dln, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(apart, "WORKER", (sys.executable, "-c", "raise SystemExit(3)"))
    assert dln("doctor", "--deep", "--only", "pictures").code == 0


def test_pictures_are_missing_where_nobody_sees_them():
    with pytest.raises(MissingCapability, match="no terminal with colours"):
        tried.pictures()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Its columns and rows."""
    size = [80, 24]
    monkeypatch.setattr(tried, "can_play", lambda: True)
    monkeypatch.setattr(tried.os, "get_terminal_size", lambda: size)
    return size


def test_a_terminal_without_a_size_draws_nothing(terminal):
    terminal[:] = [0, 0]
    with pytest.raises(MissingCapability, match="tells no size"):
        tried.pictures()


@pytest.mark.parametrize("module", preview.PROTOCOLS)
def test_the_protocol_is_the_one_that_draws(monkeypatch, terminal, module):
    """What textual-image would have chosen in such a terminal."""
    protocol, begins = preview.PROTOCOLS[module]
    sent = [f"<{begins}>"]
    chosen = type("Image", (), {"__module__": f"textual_image.renderable.{module}"})
    renderable = ModuleType("textual_image.renderable")
    renderable.Image = chosen  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "textual_image.renderable", renderable)
    monkeypatch.setattr(preview, "drawn", lambda clip: sent)
    assert tried.pictures().numbers == {"protocol": protocol}
    sent[0] = "nothing"
    with pytest.raises(DlnError, match="is sent without"):
        tried.pictures()


def test_a_sample_is_drawn_by_half_blocks_where_they_are_chosen(monkeypatch):
    """By the library itself, whose choice hangs on the terminal alone."""
    import textual_image.renderable as renderable

    logger = logging.getLogger("textual_image")
    monkeypatch.setattr(logger, "level", logging.WARNING)
    monkeypatch.setattr(renderable, "Image", renderable.HalfcellImage)
    protocol, begins, sent = preview.sample()
    assert protocol == "half blocks"
    assert logger.level == logging.ERROR  # nothing it remarks on the way is shown
    assert sent.count(begins) >= 32  # one for each two pixels, or more where it is scaled up
