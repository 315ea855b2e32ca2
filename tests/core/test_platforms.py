"""What differs on Windows and macOS, with their calls faked on this machine."""

import errno
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from dln.cli import doctor
from dln.cli.options import check_device
from dln.core import files, installed, locks
from dln.core.errors import MissingCapability, UsageError
from dln.core.installed import AS_BEFORE, install_line
from dln.core.models.engine import pick_device
from dln.core.training.accelerator import create_accelerator
from dln.core.training.run import Run
from dln.export import process
from dln.export.engines import pick_providers

ROOT = Path(__file__).parents[2]
posix = pytest.mark.skipif(os.name != "posix", reason="fakes Windows")


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[int, int], int]:
    """Files as on Windows: what is open to read alone cannot be flushed, and open files stay."""
    import fcntl

    held: dict[tuple[int, int], int] = {}
    flush, remove, close = os.fsync, os.unlink, os.close

    def known(handle: int) -> tuple[int, int]:
        status = os.fstat(handle)
        return status.st_dev, status.st_ino

    def fsync(handle: int) -> None:
        if fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        flush(handle)

    def locking(handle: int, mode: int, count: int) -> None:
        if held.setdefault(known(handle), handle) != handle:
            raise OSError(errno.EACCES, "Permission denied")

    def closing(handle: int) -> None:
        with suppress(OSError):
            if held.get(known(handle)) == handle:
                del held[known(handle)]
        close(handle)

    def unlink(path: Any, **how: Any) -> None:
        with suppress(FileNotFoundError):
            status = os.stat(path)
            if (status.st_dev, status.st_ino) in held:
                raise PermissionError(errno.EACCES, "it is open")
        remove(path, **how)

    monkeypatch.setitem(sys.modules, "msvcrt", module("msvcrt", locking=locking, LK_NBLCK=2))
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "close", closing)
    monkeypatch.setattr(os, "unlink", unlink)
    monkeypatch.setattr(files, "_WINDOWS", True)
    monkeypatch.setattr(files, "try_lock", windows_locks(monkeypatch).try_lock)
    return held


def module(name: str, **what: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(what)
    return made


def windows_locks(monkeypatch: pytest.MonkeyPatch) -> Any:
    """core/locks.py as Windows imports it."""
    spec = spec_from_file_location("dln.core.locks", locks.__file__)
    assert spec
    assert spec.loader
    found = module_from_spec(spec)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "win32")
        spec.loader.exec_module(found)
    return found


@posix
def test_files_are_flushed_there(windows: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    files.write_json(path, {"a": 1})
    files.write_json(path, {"a": 2})
    files.fsync_path(path)
    files.fsync_path(tmp_path)
    assert path.read_text() == '{\n  "a": 2\n}\n'
    assert os.listdir(tmp_path) == ["a.json"]


@posix
def test_a_run_has_its_lock_there(windows: dict, tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", {"model": "toy-gan"})
    with run.locked():
        assert files.is_locked(run.path / files.LOCK)
        with pytest.raises(UsageError, match="trained by another process"), run.locked():
            pass
        assert (run.path / files.LOCK).exists()
    assert not windows
    assert not (run.path / files.LOCK).exists()


@posix
def test_a_disk_without_locks_is_no_lock_that_somebody_holds(monkeypatch, tmp_path) -> None:
    def none(handle: int, mode: int, count: int) -> None:
        raise OSError(errno.EINVAL, "no locks here")

    monkeypatch.setitem(sys.modules, "msvcrt", module("msvcrt", locking=none, LK_NBLCK=2))
    found = windows_locks(monkeypatch)
    with open(tmp_path / "a", "wb") as file:
        assert found.try_lock(file.fileno()) is None


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def until(condition: Any) -> None:
    for _ in range(1500):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it did not come about")


FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


def test_without_groups_a_process_is_stopped_with_what_it_started(monkeypatch) -> None:
    monkeypatch.delattr(os, "killpg", raising=False)
    with subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        process._stop(parent)
    until(lambda: gone(child))
    assert parent.returncode != 0


WATCHED = """
import psutil, sys, time  # psutil for the system that is
from dln.export import answering
sys.platform, answering._LOOK_S = "darwin", 0.02
answering.end_with(int(sys.argv[1]))
print("ready", flush=True)
time.sleep(60)
"""
LATE = """
import signal, time
from dln.export import answering
del signal.alarm
answering.end_after(0.05)
time.sleep(60)
"""


@posix
def test_a_worker_ends_with_who_asked_where_the_system_does_not_see_to_it() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as asking:
        command = [sys.executable, "-c", WATCHED, str(asking.pid)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as worker:
            assert worker.stdout
            assert worker.stdout.readline() == b"ready\n"
            assert worker.poll() is None
            asking.kill()
            assert worker.wait(60) == 1


@posix
def test_a_worker_ends_in_time_where_there_are_no_alarms() -> None:
    assert subprocess.run([sys.executable, "-c", LATE], timeout=60).returncode == 1


def mac(monkeypatch: pytest.MonkeyPatch, there: bool = True) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: there)


def test_mps_is_taken_where_it_is_asked_for(monkeypatch) -> None:
    mac(monkeypatch)
    assert pick_device("mps") == "mps"
    assert pick_device("auto") in ("cpu", "cuda")
    for name in ("mps:0", "metal"):
        with pytest.raises(UsageError, match="auto, cpu, mps, cuda or cuda:n"):
            pick_device(name)
    with pytest.raises(MissingCapability, match="cpu or cuda"):
        pick_providers("mps", ["CPUExecutionProvider"])
    mac(monkeypatch, there=False)
    for pick in (pick_device, create_accelerator):
        with pytest.raises(MissingCapability, match="no device mps here"):
            pick("mps")


@pytest.mark.parametrize(("device", "on_cpu"), [("mps", False), ("auto", True), ("cpu", True)])
def test_a_training_takes_mps_where_it_is_asked_for(monkeypatch, device, on_cpu) -> None:
    import accelerate

    asked: list[dict[str, Any]] = []

    def stand_in(**options: Any) -> SimpleNamespace:
        asked.append(options)
        return SimpleNamespace(num_processes=1, device=torch.device("mps"))

    mac(monkeypatch)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(accelerate, "Accelerator", stand_in)
    assert create_accelerator(device).device.type == "mps"
    assert [options["cpu"] for options in asked] == [on_cpu]


def test_the_command_line_knows_mps(monkeypatch) -> None:
    monkeypatch.delenv("PYTORCH_ENABLE_MPS_FALLBACK", raising=False)
    assert check_device("cuda:1") == "cuda:1"
    assert "PYTORCH_ENABLE_MPS_FALLBACK" not in os.environ
    assert check_device("mps") == "mps"
    assert os.environ.pop("PYTORCH_ENABLE_MPS_FALLBACK") == "1"
    mac(monkeypatch)
    assert doctor.mps().status == doctor.OK
    mac(monkeypatch, there=False)
    assert doctor.mps().status == doctor.MISSING


def test_an_extra_is_installed_from_the_checkout(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(ROOT)
    assert install_line("data") == 'pip install -c constraints.txt ".[data]"'
    assert install_line() == "pip install -c constraints.txt ."
    monkeypatch.chdir(tmp_path)
    assert install_line("text") == f'pip install -c {ROOT}/constraints.txt "{ROOT}[text]"'


class Dist:
    """An installed dln, and what pip noted of where it came from."""

    requires = ('torch>=2.9', 'scikit-learn>=1.5; extra == "data"', 'ruff>=0.12; extra == "dev"',
                "tensorrt<12; (sys_platform == 'linux') and extra == 'tensorrt'")  # fmt: skip

    def __init__(self, url: str | None) -> None:
        self.url = url

    def read_text(self, name: str) -> str | None:
        return f'{{"url": "{self.url}"}}' if self.url and name == "direct_url.json" else None


def test_an_installed_dln_knows_where_it_came_from(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(installed, "__file__", str(tmp_path / "site" / "dln" / "core" / "i.py"))
    source = tmp_path / "a copy"
    source.mkdir()
    (source / "pyproject.toml").touch()
    url = source.as_uri()
    monkeypatch.setattr(installed, "_distribution", lambda: Dist(url))
    assert install_line("data") == f'pip install "{source}[data]"'
    for lost in (None, "https://example.org/dln.zip", (tmp_path / "gone").as_uri(), "\\\\"):
        monkeypatch.setattr(installed, "_distribution", lambda lost=lost: Dist(lost))
        assert install_line("data") == 'pip install "scikit-learn>=1.5"'
        assert install_line("tensorrt") == 'pip install "tensorrt<12"'
        assert install_line() == AS_BEFORE


def test_no_line_asks_an_index_for_the_name() -> None:
    asking = re.compile(r"pip install[^\n&`]*[\s\"']dln\b")
    sources = [path for top in ("cli", "core", "export") for path in (ROOT / top).rglob("*.py")]
    texts = [*sources, ROOT / "README.md", *(ROOT / "cli" / "guide").glob("*.md")]
    assert [path.name for path in texts if asking.search(path.read_text(encoding="utf-8"))] == []
