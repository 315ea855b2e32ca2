"""Any command under the meter: the whole tree stops and goes on, and nothing stays stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from dln.core.carbon.meter.audit import Signals
from dln.core.carbon.meter.emissions import Emissions
from dln.core.carbon.meter.processes import Tree

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")

LIMIT_S = 120.0  # for what hangs: a busy machine takes its time
SAID = "said"  # the file that has an audit's stderr

# Three processes in a pipeline, and one that outlives its parent.
PIPELINE = "(sleep 99 &) ; sh -c 'while :; do sleep 0.05; done' | cat | cat"


def plan(path: Path, *offsets: float) -> Path:
    """A plan whose blocks begin and end so many seconds from now."""
    now = datetime.now(UTC)
    edges = [(now + timedelta(seconds=offset)).isoformat() for offset in offsets]
    pairs = zip(edges[::2], edges[1::2], strict=True)
    label = {"signal": "average", "factors": "direct", "year": "2024", "origin": "x",
             "kind": "typical"}  # fmt: skip
    table = {
        "schema": 1, "region": "DE", "source": "typical", "mode": "pause",
        "submitted": now.isoformat(), "foresight": False, "label": label,
        "blocks": [{"start": start, "end": end} for start, end in pairs],
        "intensity_g_per_kwh": 300, "at_once_g_per_kwh": 400,
    }  # fmt: skip
    path.write_text(json.dumps(table))
    return path


@pytest.fixture
def audits(tmp_path: Path) -> Iterator[list[subprocess.Popen]]:
    started: list[subprocess.Popen] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def start(audits: list[subprocess.Popen], folder: Path, *words: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "dln.cli", "carbon", "audit", *words]
    with open(folder / SAID, "w") as said:
        audits.append(subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=said))
    return audits[-1]


def tree(audit: subprocess.Popen) -> list[psutil.Process]:
    """What the audited command consists of now."""
    found = []
    for process in psutil.Process(audit.pid).children(recursive=True):
        with suppress(psutil.Error):
            if "guardian.py" not in " ".join(process.cmdline()):
                found.append(process)
    return found


def end(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.kill()


def until(condition) -> None:
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < LIMIT_S, "never"
        time.sleep(0.02)


def stopped(process: psutil.Process) -> bool:
    """Or ended, and not yet buried by a parent that is stopped itself."""
    try:
        return process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return True


def moving(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_STOPPED
    except psutil.Error:
        return True


def all_stopped(audit: subprocess.Popen) -> bool:
    found = tree(audit)
    return len(found) >= 5 and all(stopped(process) for process in found)


def paused_pipeline(audits: list[subprocess.Popen], folder: Path) -> list[psutil.Process]:
    """An audited pipeline in its pause, all of it stopped. Its first hour is as long as it takes an
    audit to begin here, which nobody knows before."""
    length = 3.0
    while length < LIMIT_S:
        path = plan(folder / "plan.json", 0, length, length + 600, length + 900)
        edge = time.time() + length
        audit = start(audits, folder, "--plan", str(path), "--", "sh", "-c", PIPELINE)
        until(lambda edge=edge, audit=audit: len(tree(audit)) >= 5 or time.time() > edge)
        if time.time() < edge:
            until(lambda audit=audit: all_stopped(audit))
            return tree(audit)
        audit.terminate()
        audit.wait(LIMIT_S)
        for record in folder.glob("emissions-*.json"):
            record.unlink()
        length *= 4
    raise AssertionError("an audit does not begin")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_pipeline_ends_with_dln(audits, tmp_path, number):
    members = paused_pipeline(audits, tmp_path)
    audits[-1].send_signal(number)
    assert audits[-1].wait(LIMIT_S) == 128 + number
    assert psutil.wait_procs(members, timeout=LIMIT_S)[1] == []
    (record,) = tmp_path.glob("emissions-*.json")
    assert json.loads(record.read_text())["paused_seconds"] > 0


def test_a_closed_terminal_ends_the_command_and_keeps_its_record(audits, tmp_path):
    audit = start(audits, tmp_path, "--", "sh", "-c", "touch began; sleep 999")
    until((tmp_path / "began").exists)
    members = tree(audit)
    os.kill(audit.pid, signal.SIGHUP)
    assert audit.wait(LIMIT_S) == 128 + signal.SIGHUP
    assert psutil.wait_procs(members, timeout=LIMIT_S)[1] == []
    (record,) = tmp_path.glob("emissions-*.json")
    assert json.loads(record.read_text())["running_seconds"] > 0


def test_what_ignores_a_closed_terminal_is_asked_to_end(monkeypatch, tmp_path):
    monkeypatch.setattr("dln.core.carbon.meter.processes._GRACE_S", 0.3)
    deaf = tmp_path / "deaf"
    command = Tree(["sh", "-c", f"trap '' HUP; touch '{deaf}'; while :; do sleep 0.05; done"])
    until(deaf.exists)
    heard: list[str] = []
    # Where the machine is too busy for it to end in time, it is killed.
    assert command.end(signal.SIGHUP, tell=heard.append) in (-signal.SIGTERM, -signal.SIGKILL)
    assert "are asked to end" in heard[0]


def test_nohup_is_respected():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_argument_of_any_bytes_keeps_its_record(tmp_path):
    command = [sys.executable, "-m", "dln.cli", "carbon", "audit", "--out", "x.json", "--"]
    found = subprocess.run([*command, "echo", b"\xff\x1b"], cwd=tmp_path, capture_output=True,
                           timeout=LIMIT_S, check=False)  # fmt: skip
    assert (found.returncode, found.stdout) == (0, b"\xff\x1b\n")
    assert Emissions.load(tmp_path / "x.json").what == "echo '\\xff\x1b'"


def test_a_killed_dln_leaves_nothing_stopped(audits, tmp_path):
    members = paused_pipeline(audits, tmp_path)
    audits[-1].kill()
    audits[-1].wait()
    try:
        until(lambda: all(moving(process) for process in members))
    finally:
        end(members)


def test_it_goes_on_and_keeps_its_exit_code(audits, tmp_path):
    path = plan(tmp_path / "plan.json", *range(0, 600, 2))
    script = "touch began; until [ -e enough ]; do sleep 0.05; done; exit 7"
    audit = start(audits, tmp_path, "--plan", str(path), "--", "sh", "-c", script)
    until((tmp_path / "began").exists)
    shell = tree(audit)[0]
    until(lambda: stopped(shell))
    until(lambda: moving(shell))
    (tmp_path / "enough").touch()
    assert audit.wait(LIMIT_S) == 7
    (record,) = tmp_path.glob("emissions-*.json")
    assert Emissions.load(record).paused_seconds > 0
    assert "waits for cleaner hours" in (tmp_path / SAID).read_text()


def test_a_command_that_waits_for_its_first_hour(audits, tmp_path):
    path = plan(tmp_path / "plan.json", 3000, 6000)
    audit = start(audits, tmp_path, "--plan", str(path), "--", "touch", "made")
    until(lambda: "waits for cleaner hours" in (tmp_path / SAID).read_text())
    audit.terminate()
    assert audit.wait(LIMIT_S) == 128 + signal.SIGTERM
    assert not (tmp_path / "made").exists()


def test_json_leaves_stdout_to_the_record(tmp_path):
    command = [sys.executable, "-m", "dln.cli", "carbon", "audit", "--region", "norway", "--json"]
    for seconds in (1, 10, 60):  # a busy machine's meter takes its time
        found = subprocess.run(
            [*command, "--out", "x.json", "--force", "--", "sh", "-c",
             f"echo hi; sleep {seconds}; exit 3"],
            cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip
        table = json.loads(found.stdout)
        if table["energy_kwh"] is not None:
            break
    assert (found.returncode, table["exit_code"], table["path"]) == (3, 3, "x.json")
    assert "hi" in found.stderr
    assert table["emissions_kg"] == pytest.approx(
        table["energy_kwh"] * table["intensity_g_per_kwh"] / 1000
    )
    assert set(table["power"]) == {"cpu", "gpu", "ram"}
    assert os.listdir(tmp_path) == ["x.json"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--", "no-such-command"], "cannot start 'no-such-command'"),
        (["--source", "annual", "--", "true"], "belong to a --region"),
        (["--pause-above", "100", "--", "true"], "needs a --region"),
        (["--plan", "none.json", "--", "true"], "none.json is not a plan"),
        (["--region", "de", "--pue", "0.5", "--", "true"], "PUE is at least 1"),
        (["--region", "de", "--deadline", "now", "--", "true"], "belongs to --pause-above"),
    ],
)
def test_what_cannot_be_audited(dln, words, sentence, tmp_path):
    found = dln("carbon", "audit", *words)
    assert found.code == 2
    assert sentence in found.err
    assert os.listdir(tmp_path) == []
