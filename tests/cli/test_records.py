"""What an audit leaves: a record of its own, right or null, and nothing that runs on unseen."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import psutil
import pytest

from dln.cli.carbon.audit import taken
from dln.core.carbon.meter import audit as auditing
from dln.core.carbon.meter.emissions import Emissions
from dln.core.carbon.meter.meter import Energy
from dln.core.carbon.meter.outside import beyond
from dln.core.carbon.meter.processes import Tree
from dln.core.errors import UsageError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")

# What becomes of codecarbon in a process with this on its path.
FAULTY = """
import importlib.util, os, sys, time

class Faulty:
    def find_spec(self, name, path=None, target=None):
        if name == "codecarbon.emissions_tracker":
            sys.meta_path.remove(self)
            spec = importlib.util.find_spec(name)
            whole = spec.loader.exec_module
            def load(module):
                whole(module)
                kind, start = module.BaseEmissionsTracker, module.BaseEmissionsTracker.start
                {fault}
            spec.loader.exec_module = load
            return spec

sys.meta_path.insert(0, Faulty())
"""
FAULTS = {
    "a minute": "kind.start = lambda self: (time.sleep(60), start(self))",
    "never": "kind.flush = lambda self: time.sleep(1e6)",
    "nothing": "kind._prepare_emissions_data = lambda self: 1 / 0",
    "no hardware": "kind._initialize_hardware_tracking = lambda self: 1 / 0",
}
NONSENSE = "[codecarbon]\nforce_cpu_power = 50000\noutput_dir = /no/such\npue = 50%\n"


def audited(folder: Path, *words: str, **places: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dln.cli", "carbon", "audit", *words]
    return subprocess.run(command, cwd=folder, env=os.environ | places, capture_output=True,
                          text=True, timeout=45, check=False)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_meter_that_does_not_tell(tmp_path: Path, fault: str):
    (tmp_path / "sitecustomize.py").write_text(FAULTY.format(fault=FAULTS[fault]))
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    asked = ("--region", "norway", "--intensity", "12", "--json", "--out", "x.json")
    found = audited(tmp_path, *asked, "--", "sh", "-c", "sleep 0.1; exit 7", PYTHONPATH=path)
    table = json.loads(found.stdout)
    assert (found.returncode, table["exit_code"]) == (7, 7)
    for name in ("energy_kwh", "emissions_kg", "market_kg", "saving_percent"):
        assert table[name] is None
    assert table["running_seconds"] == table["not_measured_seconds"] > 0.1
    assert found.stderr.count("note:") == found.stderr.count("not measured") == 1
    assert Emissions.load(tmp_path / "x.json").kwh is None


def test_settings_of_codecarbon_are_nobodys(tmp_path: Path):
    for place in ("home", "work"):
        (tmp_path / place).mkdir()
        (tmp_path / place / ".codecarbon.config").write_text(NONSENSE)
    env = {"HOME": str(tmp_path / "home"), "CODECARBON_LOG_LEVEL": "loud",
           "CODECARBON_FORCE_RAM_POWER": "9999", "CODECARBON_PUE": "no"}  # fmt: skip
    for seconds in ("2.5", "25"):  # a busy machine's meter takes its time
        words = ("--json", "--force", "--out", "x.json", "--", "sleep", seconds)
        found = audited(tmp_path / "work", *words, **env)
        table = json.loads(found.stdout)
        if table["not_measured_seconds"] < table["running_seconds"] / 100:
            break
    assert (found.returncode, found.stderr) == (0, "")
    assert table["not_measured_seconds"] < table["running_seconds"] / 2
    for interval in json.loads((tmp_path / "work" / "x.json").read_text())["intervals"]:
        if interval["ram_kwh"] is not None:  # 5 W a module; the settings say 9,999
            assert 1 < interval["ram_kwh"] * 3.6e6 / interval["seconds"] < 500
            assert interval["cpu_kwh"] * 3.6e6 / interval["seconds"] < 5000


class Fake:
    """A meter of ten microwatt-hours a reading, in no time."""

    made = 0
    problem, lag, age = "", 0.0, 0.0

    def __init__(self, scope: str, patience: float) -> None:
        Fake.made += 1
        self.power = {"cpu": "measured (RAPL)"}
        self.scope, self.count = scope, 0

    def read(self) -> Energy:
        self.count += 1
        return Energy(cpu=1e-8 * self.count)

    close = read


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[Fake]:
    monkeypatch.setattr(auditing, "Meter", Fake)
    monkeypatch.setattr(Fake, "made", 0)
    return Fake


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["pyhton", "train.py"], "no such file or directory"),
        (["./here"], "permission denied"),
        (["python train.py"], "without the quotes"),
        ([""], "cannot start ''"),
    ],
)
def test_a_mistyped_command_starts_nothing(dln, fake, tmp_path, command, words):
    (tmp_path / "here").write_text("no program")
    outcome = dln("carbon", "audit", "--", *command)
    assert (outcome.code, outcome.out, fake.made) == (2, "", 0)
    assert words in outcome.err
    assert os.listdir(tmp_path) == ["here"]


def test_each_audit_of_a_second_has_its_record(dln, fake, tmp_path, monkeypatch):
    class Noon(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2024, 6, 1, 12, tzinfo=tz)

    monkeypatch.setattr("dln.cli.carbon.audit.datetime", Noon)
    for code in (3, 4, 5):
        assert dln("carbon", "audit", "--", "sh", "-c", f"exit {code}").code == code
    names = [
        "emissions-20240601T120000Z.json",
        *(f"emissions-20240601T120000Z-{n}.json" for n in (2, 3)),
    ]
    assert sorted(os.listdir(tmp_path)) == sorted(names)
    assert [Emissions.load(Path(name)).what[-2] for name in names] == ["3", "4", "5"]


def test_a_record_that_came_meanwhile_stays(tmp_path):
    path = tmp_path / "x.json"
    assert taken(path, force=False) == path
    with pytest.raises(UsageError, match="there already"):
        taken(path, force=False)
    assert taken(path, force=True) == path


def test_a_contract_beside_the_grid_and_alone(dln, fake):
    asked = ("carbon", "audit", "--intensity", "20")
    where = ("--region", "de", "--scope", "process")
    assert dln(*asked, *where, "-o", "a.json", "--", "true").code == 0
    both = json.loads(Path("a.json").read_text())
    assert both["market_kg"] == pytest.approx(both["energy_kwh"] * 0.02)
    assert both["emissions_kg"] > 10 * both["market_kg"]
    assert both["scope"] == "process"
    shown = dln(*asked, "-o", "b.json", "--", "true").err
    alone = json.loads(Path("b.json").read_text())
    assert (alone["market_kg"] > 0, alone["emissions_kg"], alone["region"]) == (True, None, None)
    assert "market-based" in shown
    assert "not known" not in shown
    refused = dln("carbon", "audit", "--intensity", "-1", "--", "true")
    assert (refused.code, "--intensity is at least 0" in refused.err) == (2, True)


def test_training_takes_them_too(dln, monkeypatch):
    asked = {}
    monkeypatch.setattr("dln.cli.train.carry_out", lambda *args: asked.update(account=args[-1]))
    assert dln("train", "cogvideo", "--intensity", "0", "--scope", "process").code == 0
    assert (asked["account"].scope, asked["account"].market_g_per_kwh) == ("process", 0)
    assert dln("train", "cogvideo").code == 0
    assert asked["account"] is None


def test_the_meters_start_is_no_delay(dln, fake):
    assert dln("carbon", "audit", "--region", "de", "--out", "x.json", "--", "true").code == 0
    record = Emissions.load(Path("x.json"))
    assert record.submitted == record.intervals[0].start
    assert record.at_once_kg == record.kg


def test_what_does_not_start_after_all_leaves_nothing(dln, fake, tmp_path, monkeypatch):
    monkeypatch.setattr("dln.core.carbon.meter.processes.shutil.which", lambda name: name)
    assert dln("carbon", "audit", "--", "no-such-command").code == 2
    assert os.listdir(tmp_path) == []


def test_what_stays_behind_is_named(dln, fake, tmp_path):
    outcome = dln("carbon", "audit", "--", "sh", "-c", "sleep 60 & echo $! > pid")
    pid = int((tmp_path / "pid").read_text())
    try:
        assert psutil.pid_exists(pid)
        assert f"process {pid} (" in outcome.err  # "sh" until it becomes sleep
    finally:
        os.kill(pid, signal.SIGKILL)


def begun(script: str, flag: Path) -> Tree:
    tree = Tree(["sh", "-c", f"{script.replace('FLAG', f'touch {flag}')}"])
    for _ in range(500):
        if flag.exists():
            return tree
        time.sleep(0.02)
    raise AssertionError("it did not begin")


@pytest.mark.parametrize(
    ("script", "hurry", "code"),
    [
        ("trap '' INT; FLAG; while :; do sleep 0.05; done", False, -signal.SIGTERM),
        ("trap '' INT TERM; FLAG; while :; do sleep 0.05; done", True, -signal.SIGKILL),
        ("(trap '' INT; FLAG; exec sleep 60) & sleep 60", False, -signal.SIGINT),
    ],
)
def test_what_ignores_ctrl_c_ends_all_the_same(monkeypatch, tmp_path, script, hurry, code):
    monkeypatch.setattr("dln.core.carbon.meter.processes._GRACE_S", 60.0 if hurry else 2.0)
    tree, told = begun(script, tmp_path / "flag"), []
    members = tree.members()
    assert tree.end(signal.SIGINT, lambda: hurry, tell=told.append) == code
    assert "are asked to end" in told[0]
    for member in members:  # killed ones may take a moment
        for _ in range(500):
            if gone(member):
                break
            time.sleep(0.02)
        assert gone(member)


def gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return True


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["docker", "run", "x"], "docker"),
        (["/usr/bin/srun", "-n", "4", "x"], "srun"),
        (["env", "A=1", "nice", "-n", "5", "ssh", "host", "x"], "ssh"),
        (["sh", "-c", "prepare && sudo -E train | tee log"], "sudo"),
        (["bash", "-x", "-lc", "(cd a; podman run y)"], "podman"),
        (["python", "docker.py"], None),
        (["echo", "docker"], None),
        (["sh", "-c", "echo 'docker"], None),
        (["sh", "-c"], None),
    ],
)
def test_what_runs_apart_is_said(command, name):
    said = beyond(command)
    assert said is None if name is None else said and said.startswith(f"{name}: ")
