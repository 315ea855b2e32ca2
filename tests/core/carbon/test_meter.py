"""The meter: what it asks of codecarbon, and that nothing of it can cost a run."""

import os
import sys
import time
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from dln.core.carbon.grid.sources import Annual
from dln.core.carbon.meter import meter as module
from dln.core.carbon.meter.meter import Energy, Meter
from dln.core.carbon.meter.recorder import Place, Recorder
from dln.core.carbon.places.regions import find
from dln.core.carbon.values import Label


class Tracker:
    """codecarbon's, as far as it is used: a watt-hour of memory for each flush."""

    asked: dict[str, Any]
    at_start: Callable[[], None] = staticmethod(lambda: None)
    at_flush: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, **asked: Any) -> None:
        Tracker.asked = asked
        cpu = type("CPU", (), {"_mode": "intel_rapl"})()
        self._hardware = [type("RAM", (), {})(), cpu]
        self.flushed = 0

    def start(self) -> None:
        self.at_start()

    def flush(self) -> None:
        self.at_flush()
        self.flushed += 1
        total = SimpleNamespace(cpu_energy=0.0, gpu_energy=0.0, ram_energy=0.001 * self.flushed)
        for handler in self.asked["output_handlers"]:
            handler.out(total, total)

    def stop(self) -> None:
        self.flush()


@pytest.fixture
def codecarbon(monkeypatch: pytest.MonkeyPatch) -> type[Tracker]:
    fake = ModuleType("codecarbon")
    vars(fake)["OfflineEmissionsTracker"] = Tracker
    monkeypatch.setitem(sys.modules, "codecarbon", fake)
    return Tracker


def test_readings_and_their_origin(codecarbon):
    meter = Meter()  # ready with its first reading
    assert meter.read() == Energy(ram=0.002)
    assert meter.close() == Energy(ram=0.003)
    assert meter.read() == meter.close() == Energy(ram=0.003)
    assert meter.power == {
        "cpu": "measured (RAPL)", "gpu": "none", "ram": "estimated (its size)",
    }  # fmt: skip


def test_codecarbon_calls_nobody_and_writes_nothing(codecarbon):
    Meter().close()
    asked = codecarbon.asked
    assert asked["output_methods"] == []
    assert asked["emissions_endpoint"] is None
    assert asked["electricitymaps_api_token"] is None
    assert asked["pue"] == 1.0


def fail() -> None:
    raise OSError("no sensor")


def test_a_broken_sensor_is_no_energy(codecarbon, monkeypatch):
    monkeypatch.setattr(codecarbon, "at_start", staticmethod(fail))
    meter = Meter()
    assert (meter.power, meter.close()) == ({}, None)
    assert "no sensor" in meter.problem


def test_a_sensor_that_breaks_later(codecarbon, monkeypatch):
    meter = Meter()
    meter.read()
    monkeypatch.setattr(codecarbon, "at_flush", staticmethod(fail))
    assert meter.read() is None
    assert meter.close() == Energy(ram=0.002)


def test_a_sensor_that_never_answers(codecarbon, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)
    monkeypatch.setattr(module, "END_S", 0.05)
    monkeypatch.setattr(codecarbon, "at_start", staticmethod(lambda: time.sleep(5)))
    start = time.monotonic()
    assert Meter().close() is None
    assert time.monotonic() - start < 4


def test_without_codecarbon(monkeypatch):
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    meter = Meter()
    assert (meter.power, meter.read()) == ({}, None)


def test_this_machine(tmp_path, monkeypatch):
    """The real tracker: work takes energy, every part says what it rests on, no file is left."""
    monkeypatch.chdir(tmp_path)
    meter = Meter()
    end = time.monotonic() + 1
    while time.monotonic() < end:
        pass
    energy = meter.close()
    assert energy
    assert energy.cpu + energy.gpu + energy.ram > 0
    assert energy.cpu + energy.gpu + energy.ram < 1e-3
    assert all(how.startswith(("measured", "estimated", "none")) for how in meter.power.values())
    assert os.listdir() == []


def test_codecarbons_own_figure(tmp_path, monkeypatch):
    """On a grid of constant intensity the tracker's own kg are ours, with and without a pause."""
    codecarbon = pytest.importorskip("codecarbon")
    made: list[Any] = []

    def tracker(**asked: Any) -> Any:
        forced = asked | {"force_carbon_intensity_g_co2e_kwh": 321.0}
        made.append(original(**forced))
        return made[-1]

    original = codecarbon.OfflineEmissionsTracker
    monkeypatch.setattr(codecarbon, "OfflineEmissionsTracker", tracker)
    label = Label("average", "life-cycle", "2024", "a test", "measured")
    place = Place(find("norway"), Annual(321.0, label))
    kept = Recorder(tmp_path / "emissions.json", "a run", place)
    made[0].flush()
    before = made[0]._total_emissions  # of the meter's own start
    for running in (True, False, True):
        end = time.monotonic() + 1
        while time.monotonic() < end:
            sum(range(1000))
        kept.mark(running)
    found = kept.close()
    assert found.kg == pytest.approx(made[0].final_emissions - before, rel=0.03)
    assert found.kwh
    assert found.kg == pytest.approx(found.kwh * 0.321)
    assert found.paused_seconds == pytest.approx(1, abs=0.5)
