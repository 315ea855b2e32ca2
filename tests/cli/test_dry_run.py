"""`dln train --dry-run`: what it says of a training's cost, and what that rests on."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from PIL import Image

from dln.core.carbon.values import Spread
from dln.core.runs import forecast as module
from dln.core.runs.costs import DONE, ESTIMATED, MEASURED, Forecast, StageCost, Took

GIB = 1 << 30


def found(watts: float | None = 50.0, others: float | None = None) -> Forecast:
    stages = [
        StageCost("tokenizer", 0, 32, 1000),
        StageCost("image", 100, 32, 2_000_000, MEASURED,
                  Took(Spread.exact(36.0), 0.0, (5.0, 5.0), 8), evaluations=2, prepare_s=3590.0,
                  evaluate_s=10.0, memory_bytes=GIB, checkpoint_bytes=10**8, weights_bytes=10**7),
        StageCost("keyframes", 100, 8, 3_000_000, ESTIMATED,
                  Took(Spread(36.0, 72.0, 108.0), 0.0, flop=1e12), save_s=0.0),
    ]  # fmt: skip
    power = {"cpu": "estimated (rated power and load)", "gpu": "none", "ram": "none"}
    return Forecast(stages, "cpu", "fp32", 0.0, 10**9, watts, power if watts else {}, 5e10, others)


@pytest.fixture
def foreseen(monkeypatch):
    """The forecast, and what it was asked."""
    asked = []

    def forecast(*given):
        asked.append(given)
        return found()

    monkeypatch.setattr(module, "forecast", forecast)
    return asked


def test_hours_energy_and_carbon(dln, foreseen):
    """An hour of steps and one of tables, then 1, 2 or 3 hours: 50 W for 4 are 0.2 kWh."""
    line = ("train", "cogvideo", "--dry-run", "--region", "norway", "--pue", "1.5")
    told = dln(*line, "--intensity", "10", "--scope", "process", "--json").json
    assert [told[f"hours{end}"] for end in ("", "_low", "_high")] == [4.0, 3.0, 5.0]
    assert told["hours_origin"] == "measured and estimated"
    assert told["energy_kwh"] == pytest.approx(0.2 * 1.5)
    assert told["energy_origin"] == (
        "50 W while stages were tried: cpu estimated (rated power and load)"
    )
    rate = told["intensity_g_per_kwh"]
    assert 0 < rate < 100
    assert told["emissions_kg"] == pytest.approx(0.3 * rate / 1000)
    assert told["market_kg"] == pytest.approx(0.003)
    assert told["memory_bytes"] == GIB
    assert told["disk_bytes_by_kind"] == {
        "tables": 10**9, "checkpoints": 3 * 10**8, "weights": 2 * 10**7
    }  # fmt: skip
    stages = {stage["stage"]: stage for stage in told["stages"]}
    assert [stages[name]["origin"] for name in stages] == [DONE, MEASURED, ESTIMATED]
    assert stages["image"]["hours"] == 2.0
    assert stages["image"]["evaluations_origin"] == "measured"
    assert stages["keyframes"]["evaluations_origin"] == "assumed"
    assert foreseen[0][0] == "cogvideo"
    assert foreseen[0][2] == "process"


def test_a_person_reads_the_same(dln, foreseen, monkeypatch):
    monkeypatch.delenv("COLUMNS")
    told = dln("train", "cogvideo", "--dry-run", "--region", "norway").out
    lines = {line.split("  ")[0]: line for line in told.splitlines()}
    assert "finished" in lines["stage tokenizer"]
    assert "2 hours" in lines["stage image"]
    assert "measured (36 s a step, scaled from 8 of its 32 samples)" in lines["stage image"]
    assert "21 % to 46 % of the matrix products" in lines["stage keyframes"]
    assert "4 hours (3 hours to 5 hours) on cpu in fp32" in lines["hours"]
    assert lines["energy"].split("  ")[-1].strip() == "150 / 200 / 250 Wh, PUE 1"
    assert "CO2e" in lines["emissions"]


def test_no_region_no_carbon(dln, foreseen):
    told = dln("train", "cogvideo", "--dry-run", "--json").json
    assert (told["region"], told["emissions_kg"], told["label"]) == (None, None, None)
    assert "no --region was named" in dln("train", "cogvideo", "--dry-run").out


def test_no_meter_no_energy(dln, monkeypatch):
    monkeypatch.setattr(module, "forecast", lambda *asked: found(None))
    told = dln("train", "cogvideo", "--dry-run", "--region", "norway", "--json").json
    assert (told["energy_kwh"], told["emissions_kg"], told["power_watts"]) == (None, None, None)
    assert told["energy_origin"].startswith("not known")
    assert told["hours"] == 4.0
    assert "not known: codecarbon" in dln("train", "cogvideo", "--dry-run", "-r", "norway").out


def test_a_busy_machine_is_told(dln, monkeypatch):
    """Since its hours are those of a machine that others slow."""
    for others, told in ((None, False), (0.2, False), (0.8, True)):
        monkeypatch.setattr(module, "forecast", lambda *asked, o=others: found(others=o))
        assert ("0.8 of" in dln("train", "cogvideo", "--dry-run").out) == told
        assert dln("train", "cogvideo", "--dry-run", "--json").json["busy_cores"] == others


def test_by_the_hours_of_a_file(dln, foreseen):
    """As the run itself would be metered: 100 g/kWh now, 300 from an hour on."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    rows = [(now + timedelta(hours=hour), 100 if hour < 1 else 300) for hour in range(-2, 30)]
    with open("grid.csv", "w") as file:
        file.write("time,g\n" + "".join(f"{time.isoformat()},{value}\n" for time, value in rows))
    told = dln("train", "cogvideo", "--dry-run", "--source", "csv:grid.csv", "--column", "g",
               "--unit", "g/kWh", "--signal", "average", "--factors", "life-cycle",
               "--json").json  # fmt: skip
    assert 225 < told["intensity_g_per_kwh"] < 300
    assert told["region"] is None
    assert told["emissions_kg"] == pytest.approx(0.2 * told["intensity_g_per_kwh"] / 1000)


@pytest.mark.parametrize(
    ("options", "waits", "mean"),
    [(["--carbon-plan", "plan.json"], (2, 3), (3 * 100 + 400) / 4),
     (["--pause-above", "200", "--deadline", "2090-01-01"], (2, 36), 100)],
)  # fmt: skip
def test_a_run_that_waits_is_counted_by_the_hours_that_it_waits_for(
    dln, foreseen, options, waits, mean
):
    """Three clean hours come, two to three hours from now, and three again a day later."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    rows = [(now + timedelta(hours=hour), 100 if hour % 24 in (3, 4, 5) else 400)
            for hour in range(60)]  # fmt: skip
    with open("grid.csv", "w") as file:
        file.write("time,g\n" + "".join(f"{time.isoformat()},{value}\n" for time, value in rows))
    grid = ["--source", "csv:grid.csv", "--column", "g", "--unit", "g/kWh", "--signal", "average",
            "--factors", "life-cycle"]  # fmt: skip
    made = dln("carbon", "schedule", *grid, "--duration", "3h", "--slack", "12h", "-o", "plan.json")
    assert made.code == 0, made.err
    told = dln("train", "cogvideo", "--dry-run", *options, *grid, "--json").json
    assert told["intensity_g_per_kwh"] == pytest.approx(mean, rel=0.02)
    assert waits[0] <= told["waiting_hours"] <= waits[1]
    assert datetime.fromisoformat(told["ends"]) > now + timedelta(hours=6)
    shown = dln("train", "cogvideo", "--dry-run", *options, *grid).out
    assert ("the plan is for 3 hours" in shown) == ("--carbon-plan" in options)


def test_the_costs_are_not_pushed_off_the_screen(dln, foreseen):
    line = ("train", "cogvideo", "--dry-run")
    short, whole = dln(*line).out, dln(*line, "--verbose").out
    assert "codebook" not in short
    assert "--verbose lists them" in short
    assert len(short.splitlines()) <= 24
    assert "tokenizer codebook size" in whole
    assert "sharpness memory mib by method saf" in whole
    assert "sharpness memory mib" in dln(*line, "--sharpness", "sam").out


def test_what_is_not_here_is_not_timed(dln, foreseen):
    line = ("train", "resnet", "--preset", "resnet50", "--data", "imagenet", "--dry-run")
    assert dln(*line, "--json").json["hours"] is None
    assert "imagenet is not here" in dln(*line).out
    assert foreseen == []


def test_the_configuration_is_what_the_data_lead_to(dln, foreseen):
    """Names of classes come from the data, a world's or a folder's; a classifier's are counted."""
    line = ("train", "recognizer", "--data", "vistas,camera=still", "--dry-run", "--json")
    told = dln(*line).json["configuration"]
    assert (len(told["seasons"]), told["actors"]) == (4, [])
    for name in ("day", "night"):
        os.makedirs(f"sky/{name}")
        Image.new("RGB", (32, 32)).save(f"sky/{name}/0.png")
    for model, classes in (("stylegan-v", ["day", "night"]), ("resnet", 2)):
        told = dln("train", model, "--data", "sky", "--dry-run", "--json").json["configuration"]
        assert told["classes"] == classes


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--region", "norwya"], "norwya"),
        (["--carbon-plan", "none.json"], "none.json"),
        (["--pue", "1.1"], "--source and --pue belong to a --region"),
    ],
)
def test_it_refuses_what_the_run_refuses(dln, training, args, words):
    said = [dln("train", "cogvideo", *args, *dry) for dry in ([], ["--dry-run"])]
    assert said[0] == said[1]
    assert (said[0].code, said[0].out) == (2, "")
    assert words in said[0].err


def test_a_real_one_writes_nothing(dln):
    told = dln("train", "resnet", "--data", "digits", "--steps", "30", "--dry-run", "--json").json
    assert told["stages"][0]["origin"] == MEASURED
    assert 0 < told["hours"] < 1
    assert told["stages"][0]["steps"] == 30
    assert os.listdir() == []
