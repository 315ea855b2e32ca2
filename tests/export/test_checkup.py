"""The examination of a machine: what a check may do to it, and what it makes of that."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dln.core.errors import DlnError, MissingCapability, UsageError
from dln.export.checkup import apart, examine, listed, report
from dln.export.checkup.listed import Check, chosen, every_check
from dln.export.checkup.outcome import FAILED, MISSING, OK, Found, Job, Outcome, judged
from dln.export.checkup.worker import call

CHECK = Check("toy", "a toy", "toys:play", limit_s=60)
GIF = Check("codec-gif", "frames", "codecs:written", {"suffix": "gif"})


@pytest.mark.parametrize(
    ("error", "status", "value", "hint"),
    [
        (MissingCapability("no GPU", "buy one"), MISSING, "no GPU", "buy one"),
        (DlnError("it computes 3", "look"), FAILED, "it computes 3", "look"),
        (UsageError("no such file"), FAILED, "no such file", None),
        (ValueError("a\nb"), FAILED, "ValueError: a b", None),
        (RuntimeError("x" * 999), FAILED, f"RuntimeError: {'x' * 283}...", None),
    ],
)
def test_whatever_a_check_raises_is_judged(error, status, value, hint):
    def check() -> Found:
        raise error

    found = judged(check)
    assert (found.status, found.value, found.hint) == (status, value, hint)


def test_what_was_seen_is_told():
    assert judged(lambda: Found("3 W", {"watts": 3})) == Outcome(OK, "3 W", numbers={"watts": 3})


def asked(tmp_path: Path, code: str, seconds: float = 60.0) -> Outcome:
    """What comes of a worker that runs this code."""
    return apart.ask(CHECK, seconds, tmp_path, {}, (sys.executable, "-c", code))


def test_a_process_that_crashes_is_told_with_its_last_words(tmp_path):
    code = ("import os, signal, sys; print('CUDA error: an illegal address', file=sys.stderr, "
            "flush=True); os.kill(os.getpid(), signal.SIGSEGV)")  # fmt: skip
    found = asked(tmp_path, code)
    assert found.status == FAILED
    assert "crashed (SIGSEGV)" in found.value
    assert "an illegal address" in found.value
    log = Path((found.hint or "").removeprefix("the log is "))
    assert "an illegal address" in log.read_text()


def test_a_process_that_hangs_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(apart, "last_words", lambda log: "; it said last: still here")
    hanging = Check("toy", "a toy", "toys:play", limit_s=0.3)
    command = (sys.executable, "-c", "import time; time.sleep(60)")
    found = apart.ask(hanging, 0.3, tmp_path, {}, command)
    assert found.status == FAILED
    assert found.value == "it hung: stopped after 0 s; it said last: still here"


def test_one_that_the_time_of_all_has_cut_short_has_not_failed(tmp_path):
    found = asked(tmp_path, "import time; time.sleep(60)", seconds=0.3)
    assert found == Outcome(MISSING, "no time was left for it", "dln doctor --deep --only toy")


def test_one_that_may_be_slow_is_not_taken_to_hang(tmp_path):
    slow = Check("toy", "a toy", "toys:play", limit_s=0.3, instead="dln bench toy --engine trt")
    command = (sys.executable, "-c", "import time; time.sleep(60)")
    found = apart.ask(slow, 0.3, tmp_path, {}, command)
    assert found == Outcome(MISSING, "it takes longer than 0 s here", slow.instead)


def test_what_may_be_slow_names_a_line_that_there_is():
    from dln.cli.called import split

    lines = [check.instead for check in every_check() if check.instead]
    assert len(lines) >= 8
    for line in lines:
        context, args = split(line.split()[1:])
        command: Any = context.command
        command.make_context(context.info_name, args, parent=context.parent)


@pytest.mark.parametrize(
    ("code", "told"),
    [("", "ended without an answer"), ("raise SystemExit(7)", "ended with code 7")],
)
def test_a_process_without_an_answer_has_failed(tmp_path, code, told):
    found = asked(tmp_path, code)
    assert (found.status, told in found.value) == (FAILED, True)


def test_an_answer_before_a_crash_is_none(tmp_path):
    said = json.dumps({"status": OK, "value": "fine"})
    found = asked(tmp_path, f"import os; os.write(1, {said.encode()!r}); os._exit(3)")
    assert (found.status, found.value) == (FAILED, "its process ended with code 3")


def test_the_worker_is_told_all_and_answers_for_itself(tmp_path):
    """A real check in its real process, without torch: a gif, and a format that there is not."""
    found = apart.ask(GIF, 60, tmp_path, {})
    assert (found.status, found.numbers) == (OK, {"frames": 24, "levels": 0})
    assert (tmp_path / "numbered.gif").is_file()
    wrong = Check("codec-avi", "frames", "codecs:written", {"suffix": "avi"})
    refused = apart.ask(wrong, 60, tmp_path, {})
    assert (refused.status, "cannot be written as '.avi'" in refused.value) == (FAILED, True)


def test_every_check_names_a_function_that_takes_what_it_is_given():
    from importlib import import_module
    from inspect import signature

    for check in every_check():
        if check.task:
            file, _, name = check.task.partition(":")
            function = getattr(import_module(f"dln.export.checkup.{file}"), name)
            signature(function).bind(Job(Path()), **check.given)
    assert [c.name for c in every_check() if not c.task] == ["pictures"]


def test_what_fails_to_import_fails_the_check():
    found = judged(lambda: call("nowhere:none", Job(Path()), {}))
    assert found.status == FAILED
    assert found.value.startswith("ModuleNotFoundError")


class Asked:
    """In the place of processes: answers by name, and keeps what it was asked."""

    def __init__(self, **answers: Outcome) -> None:
        self.answers, self.seen = answers, list[tuple[str, float, dict[str, Any]]]()

    def __call__(
        self, check: Check, seconds: float, folder: Path, before: Mapping[str, Any]
    ) -> Outcome:
        self.seen.append((check.name, seconds, dict(before)))
        return self.answers[check.name]


BASE, ON_BASE, OTHER = (Check("base", "", "a:b"), Check("above", "", "a:b", after=("base",)),
                        Check("other", "", "a:b", limit_s=5))  # fmt: skip


def examined(*checks: Check, limit_s: float = 100.0, **answers: Outcome) -> Any:
    ask = Asked(**answers)
    return {o.name: o for o in examine.examine(checks, {}, limit_s, ask=ask)}, ask.seen


def test_what_rests_on_a_check_is_told_its_numbers():
    fine = Outcome(OK, "fine", numbers={"s": 3})
    found, seen = examined(BASE, ON_BASE, base=fine, above=Outcome(FAILED, "bad"))
    assert [found[name].status for name in ("base", "above")] == [OK, FAILED]
    assert seen[1][::2] == ("above", {"base": {"s": 3}})


@pytest.mark.parametrize(
    ("base", "value", "hint"),
    [
        (Outcome(MISSING, "no GPU", "buy one"), "no GPU", "buy one"),
        (Outcome(FAILED, "wrong"), "it rests on base, which failed",
         "dln doctor --deep --only base"),
    ],
)  # fmt: skip
def test_what_rests_on_a_check_that_is_not_ok_is_not_made(base, value, hint):
    found, seen = examined(BASE, ON_BASE, OTHER, base=base, other=Outcome(OK, "fine"))
    assert (found["above"].status, found["above"].value) == (MISSING, value)
    assert found["above"].hint == hint
    assert [name for name, *_ in seen] == ["base", "other"]


def test_no_check_gets_more_than_its_limit_or_than_what_is_left():
    found, seen = examined(BASE, OTHER, limit_s=20, base=Outcome(OK, ""), other=Outcome(OK, ""))
    assert found["base"].seconds >= 0
    assert 19 < seen[0][1] <= 20
    assert seen[1][1] == 5
    _, seen = examined(OTHER, limit_s=2 * examine.LIMIT_S, other=Outcome(OK, ""))
    assert seen[0][1] == 10  # a slow machine
    found, seen = examined(BASE, limit_s=0)
    assert (found["base"].value, seen) == ("no time was left for it", [])


def test_what_only_the_caller_sees_is_asked_of_it():
    def broken() -> Found:
        raise DlnError("garbled")

    checks = [Check("pictures", "", "")]
    (found,) = examine.examine(checks, {"pictures": broken}, ask=Asked())
    assert (found.name, found.status, found.value) == ("pictures", FAILED, "garbled")


def test_patterns_take_what_they_rest_on_along():
    every = every_check()
    assert chosen([], every) == every
    names = [check.name for check in chosen(["speed-cogvideo-trt", "codec-*"], every)]
    assert names == ["gpu", "codec-mp4", "codec-webm", "codec-gif", "speed-cogvideo-torch",
                     "speed-cogvideo-trt"]  # fmt: skip
    with pytest.raises(UsageError, match="Did you mean 'onnx-cpu'"):
        chosen(["onnx-cpi"], every)


def test_names_are_one_each_and_rest_on_earlier_ones():
    seen: set[str] = set()
    for check in every_check():
        assert check.name not in seen
        assert set(check.after) <= seen
        seen.add(check.name)
    models = {name.removesuffix("-torch") for name in seen if name.endswith("-torch")}
    assert {"speed-cogvideo", "speed-video-diffusion"} <= models
    for model in models:
        assert {f"{model}-{engine}" for engine in listed.ENGINES} <= seen


def test_a_table_in_markdown_keeps_its_columns():
    odd = Outcome(FAILED, "a | b\n<c>", "x | y", name="toy", seconds=1.26)
    head, rule, row = report.markdown(report.COLUMNS, [report.row(odd)])
    assert head.count("|") == rule.count("|") == 6
    assert row.count("|") - row.count("\\|") == 6
    assert row.startswith("| toy | failed | 1.3 | a ")


def test_the_last_words_count_the_states():
    outcomes = [Outcome(OK, "", name="a"), Outcome(MISSING, "", name="b"), Outcome(OK, "")]
    about = {"cpu": "Zuse Z3", "cores": 1, "platform": "relays", "python": "3", "torch": "2",
             "load_1min": None}  # fmt: skip
    where, counts = report.remarks(outcomes, about, 12.3)
    assert "Zuse Z3, cores 1" in where
    assert "load unknown" in where
    assert counts == "2 ok, 0 failed, 1 not here, in 12 s."
