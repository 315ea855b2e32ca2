"""codecarbon's own settings, wherever they stand and whatever they say: the figure is the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("codecarbon")

# Each setting that codecarbon's constructors know, once in each place: what the tracker makes of
# it, and what it has to say.
SETTINGS = """
import inspect, io, json, os, sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

from codecarbon.emissions_tracker import BaseEmissionsTracker, OfflineEmissionsTracker
from dln.core.carbon.meter.tracker import started

def seen():
    heard = []
    handler = SimpleNamespace(out=lambda total, delta: heard.append(total), live_out=None,
                              task_out=None, exit=lambda: None)
    tracker = started("machine", handler)
    tracker.stop()
    told = {name: value for name, value in tracker._conf.items() if name != "output_handlers"}
    parts = [{name: repr(value) for name, value in vars(part).items()
              if name in ("_mode", "_model", "_tdp", "_tracking_mode", "_force_ram_power")}
             for part in tracker._hardware]
    return [repr(sorted(told.items())), parts, len(heard), heard[-1].pue, heard[-1].ram_power]

names = {*inspect.signature(BaseEmissionsTracker.__init__).parameters,
         *inspect.signature(OfflineEmissionsTracker.__init__).parameters}
names -= {"self", "args", "kwargs"}
clean, found = seen(), {}
home, local = (Path(place) / ".codecarbon.config" for place in (os.environ["HOME"], os.getcwd()))
said = io.StringIO()
with redirect_stdout(said), redirect_stderr(said):
    for number, name in enumerate(sorted(names)):
        value = ("77777", "zzz", "true")[number % 3]
        if number % 2:
            home.write_text(f"[codecarbon]\\n{name} = {value}\\n")
        else:
            local.write_text(f"[codecarbon]\\n{name} = {value}\\n")
        os.environ[f"CODECARBON_{name.upper()}"] = value
        found[name] = seen()
        del os.environ[f"CODECARBON_{name.upper()}"]
        home.unlink(missing_ok=True), local.unlink(missing_ok=True)
    for text in (b"no ini at all", b"[codecarbon]\\npue = 50%\\n", b"\\xff\\x00",
                 b"[codecarbon]\\na = 1\\na = 2"):
        home.write_bytes(text)
        found[repr(text)] = seen()
print(json.dumps({"clean": clean, "found": found, "said": said.getvalue()}))
"""


def test_no_setting_changes_what_is_read(tmp_path: Path):
    places = {"HOME": str(tmp_path / "home"), "SLURM_JOB_ID": "5"}
    for name in ("home", "work"):
        (tmp_path / name).mkdir()
    ran = subprocess.run([sys.executable, "-c", SETTINGS], cwd=tmp_path / "work", text=True,
                         env=os.environ | places, capture_output=True, timeout=120)  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    changed = {name: value for name, value in told["found"].items() if value != told["clean"]}
    assert len(told["found"]) > 40
    assert changed == {}
    assert told["said"] == ""
    assert sorted(os.listdir(tmp_path / "work")) == []
