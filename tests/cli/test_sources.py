"""The options of a file of intensities, in every command that takes one; its label goes with it."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dln.core.carbon.meter.emissions import Emissions, Interval
from dln.core.carbon.plan.plan import Plan

HOUR = timedelta(hours=1)
MAY = datetime(2023, 5, 1, tzinfo=UTC)
POUND = 0.45359237


def moer(path: Path, start: datetime, hours: int = 72) -> str:
    """Marginal pounds for each MWh, 5 minutes apart: 200 from 3 to 6 o'clock, else 800."""
    lines = ["timestamp,MOER,MOER version,frequency"]
    for number in range(hours * 12):
        time = start + number * timedelta(minutes=5)
        lines.append(f"{time.isoformat(' ')},{200 if 3 <= time.hour < 6 else 800},3.2,300.0")
    path.write_text("\n".join(lines))
    return f"csv:{path.name}"


def odd(path: Path, start: datetime, days: int = 3) -> str:
    """Tonnes for each MWh of two places, in local time, in a spreadsheet's own words."""
    lines = ["Zeit;Ort;Wert Nord;Wert Süd"]
    for hour in range(24 * days):
        time = start + hour * HOUR
        wert = "0,05" if time.hour == 4 else "0,4"
        here = f"{time.astimezone(ZoneInfo('Europe/Berlin')):%d.%m.%Y %H:%M}"
        lines += [f"{here};A;{wert};9", f"{here};B;1;9"]
    path.write_text("\n".join(lines).replace("Zeit", "Datum und Zeit").replace("Ort", "Zone"))
    return f"csv:{path.name}"


ODD = ("--column", "wert nord", "--zone", "A", "--unit", "t/MWh", "--timezone", "Europe/Berlin",
       "--factors", "direct", "--signal", "marginal")  # fmt: skip


def record(path: Path, start: datetime) -> Path:
    """Two kWh from 2 to 4 o'clock."""
    Emissions("job", start, (Interval(start + 2 * HOUR, 7200, 2.0),), {"cpu": "measured"}).save(
        path
    )
    return path


def test_no_region_is_asked_for_where_a_file_knows(dln, tmp_path: Path):
    source = moer(tmp_path / "moer.csv", MAY)
    job = ("--start", "2023-05-01T00:00Z", "--duration", "2h", "--slack", "6h")
    found = dln("carbon", "schedule", "--source", source, *job, "-o", "plan.json", "--json").json
    assert found["region"] is None
    assert found["intensity_g_per_kwh"] == pytest.approx(200 * POUND)
    assert found["at_once_g_per_kwh"] == pytest.approx(800 * POUND)
    plan = Plan.load(Path("plan.json"))
    assert (plan.region, plan.label.signal, plan.label.factors) == (None, "marginal", "direct")
    shown = dln("carbon", "schedule", "--source", source, *job).out
    assert "marginal, direct factors" in shown
    assert "attributional" not in shown
    assert dln("carbon", "schedule", "--source", "typical").code == 2
    placed = dln(
        "carbon", "schedule", "--region", "us-cal-ciso", "--source", source, *job, "--json"
    )
    assert placed.json["region"] == "US-CAL-CISO"


def test_marginal_stays_marginal_in_a_report(dln, tmp_path: Path):
    source = moer(tmp_path / "moer.csv", MAY)
    record(tmp_path / "run.json", MAY)
    found = dln("carbon", "report", "run.json", "--source", source, "--json")
    (run,) = found.json["runs"]
    assert run["emissions_kg"] == pytest.approx((800 + 200) * POUND / 1000)
    assert run["region"] is None
    told = json.loads(Path("carbon-report/report.json").read_text())["runs"][0]
    assert told["intensity"]["label"]["signal"] == "marginal"
    for name in ("report.html", "report.md"):
        text = Path("carbon-report", name).read_text()
        assert "marginal" in text
    assert dln("carbon", "report", "--verify", "carbon-report/report.json").code == 0


def test_an_audit_by_a_file_alone(dln, tmp_path: Path):
    """With a plan of the same file, which has no region either."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    source = moer(tmp_path / "moer.csv", now - 24 * HOUR)
    start = (now - HOUR).isoformat()
    job = ("--start", start, "--duration", "9h", "--slack", "0h", "-o", "plan.json")
    assert dln("carbon", "schedule", "--source", source, *job).code == 0
    words = (
        "--plan",
        "plan.json",
        "--source",
        source,
        "-o",
        "run.json",
        "--",
        sys.executable,
        "-c",
        "",
    )
    outcome = dln("carbon", "audit", *words)
    assert outcome.code == 0
    assert "marginal" in outcome.err
    found = Emissions.load(tmp_path / "run.json")
    assert found.region is None
    assert found.intensity
    assert found.intensity.label.signal == "marginal"
    assert found.intensity.g_per_kwh[0] in (pytest.approx(200 * POUND), pytest.approx(800 * POUND))


def test_what_a_file_does_not_say_is_said(dln, tmp_path: Path):
    source = odd(tmp_path / "odd.csv", MAY)
    job = ("--start", "2023-05-01T00:00Z", "--duration", "1h", "--slack", "8h", "--json")
    found = dln("carbon", "schedule", "--source", source, *ODD, *job).json
    assert found["blocks"] == [{"start": "2023-05-01T04:00Z", "end": "2023-05-01T05:00Z"}]
    assert found["intensity_g_per_kwh"] == pytest.approx(50)
    assert (found["label"]["signal"], found["label"]["factors"]) == ("marginal", "direct")
    assert found["label"]["origin"] == "csv: odd.csv, A"
    record(tmp_path / "run.json", MAY + HOUR)
    (run,) = dln("carbon", "report", "run.json", "--source", source, *ODD, "--json").json["runs"]
    assert run["emissions_kg"] == pytest.approx(0.4 + 0.05)


def test_training_by_a_file_alone(dln, training, tmp_path: Path):
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    source = odd(tmp_path / "odd.csv", today - 24 * HOUR, days=9)
    words = ("--pause-above", "200", "--deadline", (today + 99 * HOUR).isoformat())
    assert dln("train", "cogvideo", "--source", source, *ODD, *words).code == 0
    assert training.places[-1].region is None
    runs = training.paces[-1].schedule.running
    assert [runs(today + (24 + hour) * HOUR) for hour in (3, 4, 5)] == [False, True, False]


def test_a_back_test_reads_the_same_files(dln, tmp_path: Path):
    lines = ["Zeit;CI (kg/kWh);CI 2 (kg/kWh)"]
    start = datetime(2021, 1, 1, tzinfo=UTC)
    for step in range(3 * 365 * 4):
        time = start + 6 * step * HOUR
        lines.append(f"{time:%d.%m.%Y %H:%M};{'0,1' if time.hour == 6 else '0,4'};0,2")
    gone = lines.pop(4 * 20)  # an hour of the first year, before anything is needed of it
    (tmp_path / "years.csv").write_text("\n".join(lines).replace("Zeit", "Zeitpunkt UTC"))
    asked = ("carbon", "backtest", "years.csv", "--fit", "2022", "--score", "2023", "--source",
             "recent28", "--duration", "6h", "--slack", "24h", "--json")  # fmt: skip
    column = ("--column", "CI (kg/kWh)")
    found = dln(*asked, *column)
    assert gone[:10] in ("20.01.2021", "21.01.2021")
    assert found.json["realised_saving_percent"] == pytest.approx(75 * 3 / 4, abs=1)
    assert "no value that can be used" in found.err
    assert "several intensities" in dln(*asked[:-1]).err
    lines.pop(4 * 500)
    (tmp_path / "years.csv").write_text("\n".join(lines).replace("Zeit", "Zeitpunkt UTC"))
    assert "has no value for 2022" in dln(*asked[:-1], *column).err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["schedule", "--region", "de", "--zone", "A"], "--zone belongs to --source csv:FILE"),
        (["schedule", "--region", "de", "--fill", "2"], "--fill belongs to --source csv:FILE"),
        (["audit", "--region", "de", "--unit", "g/kWh", "--", "true"], "--unit belongs to"),
        (["audit", "--zeros", "--", "true"], "--zeros belongs to"),
        (["report", "run.json", "--timezone", "UTC"], "--timezone belongs to"),
        (["schedule", "--source", "csv:"], "no source 'csv:'"),
        (["schedule", "--source", "csv:none.csv"], "There is no file none.csv"),
        (["schedule", "--source", "csv:moer.csv", "--column", "MOERE"], "no column 'MOERE'"),
        (["schedule", "--source", "csv:moer.csv", "--zone", "A"], "no column of zones"),
        (["schedule", "--source", "csv:moer.csv", "--signal", "average"], "signal is marginal"),
        (["schedule", "--source", "csv:moer.csv", "--fill", "-1"], "--fill"),
    ],
)
def test_options_that_do_not_fit(dln, tmp_path: Path, words: list[str], sentence: str):
    moer(tmp_path / "moer.csv", MAY)
    record(tmp_path / "run.json", MAY)
    outcome = dln("carbon", *words)
    assert outcome.code == 2
    assert sentence in " ".join(outcome.err.split())


def test_a_hole_far_off_is_noted_and_one_inside_named(dln, tmp_path: Path):
    lines = [f"{(MAY + h * HOUR).isoformat()},{100 + h % 24}" for h in range(72)]
    lines[50] = lines[50].split(",")[0] + ",0"
    (tmp_path / "g.csv").write_text("\n".join(["timestamp_utc,gco2_per_kwh", *lines]))
    job = ("carbon", "schedule", "--source", "csv:g.csv", "--duration", "2h", "--slack", "9h")
    outcome = dln(*job, "--start", "2023-05-01T00:00Z")
    assert outcome.code == 0
    assert "line 52 has 0" in " ".join(outcome.err.split())
    outcome = dln(*job, "--start", "2023-05-03T00:00Z")
    told = " ".join(outcome.err.split())
    assert outcome.code == 2
    assert "no value for 2023-05-03T02:00Z: line 52 has 0" in told
    outcome = dln(*job, "--start", "2023-05-03T00:00Z", "--fill", "1")
    assert outcome.code == 0
    assert "1 of 72 steps filled in" in " ".join(outcome.out.split())
    recent = dln("carbon", "schedule", "--source", "recent28:g.csv", "--start", "2023-05-02T00:00Z")
    assert "needs data from" in " ".join(recent.err.split())
