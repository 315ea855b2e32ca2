"""`dln carbon`: figures with their ranges and labels, plans, and no network."""

import json
import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dln.core.carbon.meter.emissions import Emissions, Interval
from dln.core.carbon.plan.plan import Plan


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **named: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


JUNE = datetime(2022, 6, 1, tzinfo=UTC)


def year_file(folder: Path, start: datetime = JUNE) -> Path:
    """Ten days; the hours 3 to 5 of each are clean."""
    lines = ["timestamp_utc,gco2_per_kwh"]
    for hour in range(240):
        value = 100 if 3 <= hour % 24 < 6 else 400
        lines.append(f"{(start + timedelta(hours=hour)).isoformat()},{value}")
    path = folder / "grid.csv"
    path.write_text("\n".join(lines))
    return path


def test_the_papers_arithmetic(dln):
    found = dln("carbon", "estimate", "--paper", "--json").json["experiments"]
    rows = {row["experiment"]: row for row in found}
    bert, whole = rows["BERT pretrain"], rows["6B transformer, all of it"]
    assert bert["emissions_kg_low"] == pytest.approx(7.46)
    assert bert["emissions_kg_high"] == pytest.approx(28.2, abs=0.05)
    assert whole["emissions_kg_low"] / 1000 == pytest.approx(21, abs=0.5)
    assert whole["emissions_kg_high"] / 1000 == pytest.approx(78, abs=0.5)
    assert rows["6B transformer, 8 of 60 days"]["kwh_per_gpu_hour"] == pytest.approx(0.28, abs=5e-3)
    assert rows["DenseNet-121"]["kwh_per_gpu_hour"] == pytest.approx(0.07, abs=5e-3)


def test_the_papers_eight_percent(dln):
    found = dln("carbon", "estimate", "--paper", "--json").json
    assert found["later_start_percent"] == pytest.approx(100 * (2381 / 2210 - 1))
    assert round(found["later_start_percent"]) == 8


def test_an_estimate_by_hand(dln):
    found = dln(
        "carbon", "estimate", "--region", "norway", "--kwh", "50", "--pue", "1.2", "--json"
    ).json
    assert found["energy_kwh"] == pytest.approx(60)
    grams = found["intensity_g_per_kwh"]
    assert found["emissions_kg"] == pytest.approx(60 * grams / 1000)
    assert found["emissions_kg_low"] < found["emissions_kg"] < found["emissions_kg_high"]
    assert found["equivalents"]["phone_charges"] == pytest.approx(60 * grams / 1e6 / 8.22e-6)
    assert found["label"]["signal"] == "average"


RUN = Emissions("a run", JUNE, (Interval(JUNE, 3600, 1.0, 2.0, 0.5),), pue=1.5)


def test_an_estimate_from_a_run(dln, tmp_path: Path):
    RUN.save(tmp_path / "emissions.json")
    asked = ("--from-run", str(tmp_path), "--times", "10", "--pue", "1.2")
    found = dln("carbon", "estimate", "--region", "norway", *asked, "--json").json
    assert found["energy_kwh"] == pytest.approx(3.5 * 10 * 1.2)


def test_how_hard_devices_work(dln):
    asked = ("--gpu", "A100", "--gpus", "2", "--hours", "3", "--utilisation", "0.5")
    found = dln("carbon", "estimate", "--region", "de", *asked, "--json").json
    assert found["energy_kwh_low"] == found["energy_kwh"] == pytest.approx(0.5 * 0.4 * 2 * 3)


def test_a_report_and_its_verification(dln, tmp_path: Path):
    RUN.save(tmp_path / "run.json")
    found = dln("carbon", "report", "run.json", "--region", "norway", "--out", "r", "--json").json
    assert found["totals"]["emissions_kg"] == pytest.approx(
        1.5 * 3.5 * found["runs"][0]["intensity_g_per_kwh"] / 1000
    )
    made = ["co2_eq_emissions.yaml", "report.html", "report.json", "report.md", "run-1.png"]
    assert sorted(os.listdir("r")) == made
    page = Path("r/report.html").read_text()
    assert "http" not in page
    assert page.count("src=") == page.count('src="data:image/png;base64,') == 1
    assert dln("carbon", "report", "--verify", "r/report.json").code == 0
    table = json.loads(Path("r/report.json").read_text())
    table["runs"][0]["intervals"][0]["cpu_kwh"] = 2.0
    Path("r/report.json").write_text(json.dumps(table))
    outcome = dln("carbon", "report", "--verify", "r/report.json")
    assert outcome.code == 1
    assert "energy_kwh is 5.25, not 6.75" in outcome.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["none.json"], "there is no none.json"),
        (["grid.csv"], "not a record that dln wrote"),
        (["--verify", "grid.csv"], "not a report.json"),
        (["run.json", "--source", "annual"], "belongs to a --region"),
        (["run.json", "--region", "de", "--source", "csv:old.csv"], "is not within the data"),
    ],
)
def test_what_cannot_be_reported(dln, tmp_path: Path, words: list[str], sentence: str):
    RUN.save(tmp_path / "run.json")
    year_file(tmp_path)
    year_file(tmp_path, JUNE - timedelta(days=99)).rename("old.csv")
    year_file(tmp_path)
    outcome = dln("carbon", "report", *words)
    assert outcome.code == 2
    assert sentence in outcome.err


def test_bars_as_a_picture(dln, tmp_path: Path):
    found = dln("carbon", "compare", "--kwh", "1", "--regions", "de,pl", "--out", "bars.png")
    assert found.code == 0
    assert Path("bars.png").read_bytes().startswith(b"\x89PNG")
    outcome = dln("carbon", "compare", "--kwh", "1", "--regions", "de,pl", "--out", "bars.txt")
    assert (outcome.code, "no picture" in outcome.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "made"),
    [
        (["compare", "--kwh", "1", "--regions", "de,pl", "--out", "new/bars.svg"], "new/bars.svg"),
        (["schedule", "--region", "de", "--out", "new/plan.json"], "new/plan.json"),
        (["report", "run.json", "--out", "new"], "new/report.md"),
        (["audit", "--out", "new/x.json", "--", "true"], "new/x.json"),
    ],
)
def test_what_is_there_is_overwritten_by_force_alone(dln, tmp_path: Path, words, made):
    RUN.save(tmp_path / "run.json")
    assert dln("carbon", *words).code == 0
    (tmp_path / made).write_text("mine")
    refused = dln("carbon", *words)
    assert (refused.code, (tmp_path / made).read_text()) == (2, "mine")
    assert "there already" in refused.err
    assert "--force" in refused.err
    assert dln("carbon", words[0], "--force", *words[1:]).code == 0
    assert (tmp_path / made).read_text() != "mine"


@pytest.mark.parametrize(
    "words",
    [
        ["estimate", "--region", "de", "--kwh", "inf"],
        ["estimate", "--region", "de", "--kwh", "nan"],
        ["estimate", "--region", "de", "--kwh", "1", "--times", "1e308"],
        ["estimate", "--region", "de", "--kwh", "1", "--pue", "inf"],
        ["estimate", "--region", "de", "--gpu", "H100", "--hours", "1e308"],
        ["estimate", "--region", "de", "--gpu", "H100", "--hours", "nan"],
        ["estimate", "--region", "de", "--gpu", "H100", "--hours", "1", "--gpus", "9" * 400],
        ["estimate", "--region", "de", "--gpu", "H100", "--hours", "1", "--utilisation", "nan"],
        ["estimate", "--region", "de", "--model", "recognizer", "--steps", "9" * 400],
        ["estimate", "--region", "de", "--model", "recognizer", "--batch", "9" * 400],
        ["estimate", "--region", "x" * 1_000_000],
        ["compare", "--kwh", "1e308"],
        ["schedule", "--region", "de", "--start", "0001-01-01T00:00+23:59"],
        ["schedule", "--region", "de", "--start", "9999-12-31T23:59Z"],
        ["schedule", "--region", "de", "--duration", "9" * 400 + "h"],
        ["schedule", "--region", "de", "--slack", "100000d"],
        ["audit", "--region", "de", "--pause-above", "inf", "--", "true"],
        ["audit", "--region", "de", "--pause-above", "9", "--deadline", "9999-12-31", "--", "true"],
        ["audit", "--region", "de", "--pue", "nan", "--", "true"],
        ["audit", "--", "\0"],
    ],
)
def test_figures_and_times_beyond_all_use(dln, words: list[str]):
    outcome = dln("carbon", *words)
    assert (outcome.code, outcome.out) == (2, "")
    assert len(outcome.err) < 2000


def test_the_starts_of_a_plan_are_told_in_utc(dln, tmp_path: Path):
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=2)
    asked = ("carbon", "schedule", "--region", "fr", "--source", f"csv:{year_file(tmp_path, day)}")
    begin = f"{day:%Y-%m-%d}"
    here = dln(*asked, "--start", f"{begin}T02:00+02:00", "--duration", "3h", "--json").json
    there = dln(*asked, "--start", f"{begin}T00:00Z", "--duration", "3h", "--json").json
    assert here == there
    assert here["lines"]["cron"].startswith(f"CRON_TZ=UTC\n00 03 {day:%d %m} *")


def test_a_plan_says_what_a_back_test_found(dln):
    asked = ("carbon", "schedule", "--mode", "start", "--json", "--region")
    found = dln(*asked, "us-cal-ciso").json
    assert found["skill"] == pytest.approx(0.95, abs=0.03)
    assert found["backtest_saving_percent"] < found["oracle_saving_percent"]
    assert dln(*asked, "AT").json["skill"] is None
    ireland = dln(*asked, "IE").json
    kept = ireland["backtest_saving_percent"] / ireland["backtest_promised_percent"]
    assert ireland["expected_saving_percent"] == pytest.approx(kept * ireland["saving_percent"])
    assert ireland["blocks"][0]["start"] >= ireland["submitted"]


def test_the_mean_of_four_weeks_and_its_skill(dln, tmp_path: Path):
    lines = ["timestamp_utc,gco2_per_kwh"]
    for hour in range(90 * 24):
        value = 100 if 3 <= hour % 24 < 6 else 400
        lines.append(f"{(JUNE + timedelta(hours=hour)).isoformat()},{value}")
    (tmp_path / "days.csv").write_text("\n".join(lines))
    asked = ("carbon", "schedule", "--region", "de", "--source", "recent28:days.csv", "--json")
    found = dln(*asked, "--start", "2022-08-10T00:00Z", "--duration", "3h").json
    assert found["blocks"] == [{"start": "2022-08-10T03:00Z", "end": "2022-08-10T06:00Z"}]
    assert found["skill"] == pytest.approx(1)
    assert not found["foresight"]
    early = dln(*asked, "--start", "2022-06-29T00:00Z", "--duration", "3h").json
    assert early["skill"] is None


def test_energy_of_devices(dln):
    asked = ("carbon", "estimate", "--region", "de", "--gpu", "A100", "--gpus", "2", "--hours", "3")
    found = dln(*asked, "--json").json
    assert found["energy_kwh_high"] == pytest.approx(0.4 * 2 * 3)
    assert found["energy_kwh"] == pytest.approx(0.7 * 2.4)
    whole = dln(*asked, "--machine", "--json").json
    assert whole["energy_kwh"] == pytest.approx(0.7 * 2.4 / 0.74)


def test_energy_of_a_model_by_hand(dln):
    """FLOP over what a device reaches of its rate, times the power that it draws."""
    model = ("--model", "recognizer", "--steps", "100", "--batch", "16")
    asked = ("carbon", "estimate", "--region", "de", "--json", *model)
    found = dln(*asked, "--gpu", "A100", "--gpus", "4").json
    (stage,) = found["stages"]
    assert (stage["steps"], stage["batch"], stage["flop"]) == (100, 16, found["flop"])
    seconds = found["flop"] / 312e12
    assert found["energy_kwh"] == pytest.approx(seconds / 0.33 * 0.7 * 400 / 3.6e6)
    assert found["energy_kwh_high"] == pytest.approx(seconds / 0.21 * 400 / 3.6e6)
    assert found["hours_low"] == pytest.approx(seconds / 0.46 / 3600 / 4)
    anywhere = dln(*asked).json
    assert "no --gpu" in anywhere["energy_origin"]
    assert anywhere["energy_kwh_low"] < found["energy_kwh_low"]
    assert anywhere["energy_kwh_high"] > found["energy_kwh_high"]


def test_an_hour_of_a_month(dln):
    asked = ("carbon", "estimate", "--region", "us-cal-ciso", "--json")
    hours = [dln(*asked, "--month", "6", "--hour", str(hour)).json for hour in range(24)]
    grams = [found["intensity_g_per_kwh"] for found in hours]
    assert max(grams) > 1.5 * min(grams)
    month = dln(*asked, "--month", "6").json
    assert month["intensity_g_per_kwh"] == pytest.approx(sum(grams) / 24)
    refused = dln("carbon", "estimate", "--region", "norway", "--hour", "3")
    assert (refused.code, "hours of Norway are not known" in refused.err) == (2, True)


def test_what_an_energy_rests_on(dln, tmp_path: Path):
    asked = ("carbon", "estimate", "--region", "de", "--json")
    assert dln(*asked, "--kwh", "3").json["energy_origin"] == "as given"
    assert "rated power" in dln(*asked, "--gpu", "T4", "--hours", "1").json["energy_origin"]
    half = Interval(JUNE, 60, 0.25, 0, 0.25)
    Emissions("x", JUNE, (half,), {"cpu": "measured (RAPL)"}).save(tmp_path / "x.json")
    found = dln(*asked, "--from-run", "x.json", "--times", "4").json
    assert (found["energy_kwh"], found["energy_origin"]) == (2.0, "cpu measured (RAPL)")


def test_a_bare_region_lists_them(dln):
    listed = dln("carbon", "estimate", "--region")
    assert listed.code == 0
    assert "NO-NO1" in listed.out
    assert dln("carbon", "estimate", "-r", "--json").json["regions"][-1]["g_per_kwh"] > 1000
    assert dln("carbon", "schedule", "--region", "--quiet").code == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["estimate"], "no region by default"),
        (["estimate", "--region", "norwya"], "Did you mean 'norway'"),
        (["estimate", "--region", "de", "--kwh", "0"], "--kwh is above 0"),
        (["estimate", "--region", "de", "--pue", "0.9"], "PUE is at least 1"),
        (["estimate", "--region", "de", "--gpu", "A100"], "--gpu needs --hours or a --model"),
        (["estimate", "--region", "de", "--hours", "3"], "--hours belong to a --gpu"),
        (["estimate", "--region", "de", "--steps", "3"], "belong to a --model"),
        (["estimate", "--region", "de", "--model", "cogvido"], "Did you mean 'cogvideo'"),
        (
            ["estimate", "--region", "de", "--model", "recognizer", "--gpu", "EPYC-7742"],
            "how fast EPYC-7742 computes is not known",
        ),
        (["estimate", "--region", "de", "--gpu", "A10O", "--hours", "1"], "Did you mean 'a10'"),
        (["compare", "--kwh", "1", "--regions", "ibm:*"], "no cloud 'ibm:*'"),
        (["schedule"], "no region by default"),
        (["schedule", "--region", "norway"], "hours of Norway are not known"),
        (["schedule", "--region", "de", "--duration", "long"], "'long' is not a duration"),
        (["schedule", "--region", "de", "--duration", "0h"], "--duration is above 0"),
        (["schedule", "--region", "de", "--start", "noon"], "'noon' is not a time"),
        (["regions", "atlantis"], "no region has 'atlantis'"),
    ],
)
def test_one_sentence_each(dln, words: list[str], sentence: str):
    outcome = dln("carbon", *words)
    assert outcome.code == 2
    assert outcome.out == ""
    assert sentence in outcome.err


def test_a_comparison_is_ranked(dln):
    found = dln(
        "carbon",
        "compare",
        "--kwh",
        "37.3",
        "--regions",
        "poland,de,fr,gcp:europe-west4,gb",
        "--json",
    )
    grams = [row["intensity_g_per_kwh"] for row in found.json["regions"]]
    assert grams == sorted(grams)
    assert found.json["regions"][-1]["region"] == "PL"
    france = next(row for row in found.json["regions"] if row["region"] == "FR")
    assert france["emissions_kg"] == pytest.approx(3.7, abs=0.05)


def test_a_schedule_from_a_file(dln, tmp_path: Path):
    asked = ("carbon", "schedule", "--region", "fr", "--source", f"csv:{year_file(tmp_path)}")
    times = ("--start", "2022-06-02T00:00Z", "--duration", "6h", "--slack", "24h")
    found = dln(*asked, *times, "--out", "plan.json", "--json").json
    assert found["blocks"] == [
        {"start": "2022-06-02T03:00Z", "end": "2022-06-02T06:00Z"},
        {"start": "2022-06-03T03:00Z", "end": "2022-06-03T06:00Z"},
    ]
    assert found["intensity_g_per_kwh"] == 100
    assert found["saving_percent"] == pytest.approx(100 * (1 - 100 / 250))
    assert Plan.load(Path("plan.json")).region == "FR"
    shown = dln(*asked, *times)
    assert "the most that can be had" in shown.out
    assert "not emissions avoided" in shown.out
    whole = dln(*asked, *times, "--mode", "start", "--json").json
    assert len(whole["blocks"]) == 1
    assert "the plan is over: there is nothing to start" in shown.out
    nothing = dln(*asked, *times[:2], "--duration", "6h", "--slack", "0h")
    assert "not worth waiting" in nothing.out


def test_training_by_a_plan(dln, training, tmp_path: Path):
    dln("carbon", "schedule", "--region", "de", "--out", "plan.json")
    assert dln("train", "cogvideo", "--carbon-plan", "plan.json", "--on-pause", "exit").code == 0
    pace = training.paces[-1]
    assert pace.leave
    assert pace.schedule == Plan.load(Path("plan.json"))


def test_training_below_a_limit(dln, training, tmp_path: Path):
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    path = year_file(tmp_path, today - timedelta(days=2))
    day = today + timedelta(days=1)
    limit = ("--pause-above", "200", "--deadline", (day + timedelta(hours=12)).isoformat())
    assert dln("train", "cogvideo", *limit, "--region", "de", "--source", f"csv:{path}").code == 0
    runs = training.paces[-1].schedule.running
    assert [runs(day + timedelta(hours=hour)) for hour in (2, 3, 5, 6, 13)] == [
        False, True, True, False, True,
    ]  # fmt: skip


def test_training_in_a_region(dln, training):
    assert dln("train", "cogvideo", "--region", "norway", "--pue", "1.2").code == 0
    assert training.paces[-1] is None
    place = training.places[-1]
    assert (place.region.code, place.pue) == ("NO", 1.2)


def test_data_that_end_before_now_are_no_source_of_a_run(dln, training, tmp_path: Path):
    source = f"csv:{year_file(tmp_path)}"
    outcome = dln("train", "cogvideo", "--region", "de", "--source", source)
    assert outcome.code == 2
    assert "is not within the data" in outcome.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--pause-above", "200"], "--pause-above needs a --region"),
        (["--source", "annual"], "belong to a --region"),
        (["--deadline", "2030-01-01"], "belongs to --pause-above"),
        (["--pause-above", "-1", "--region", "de"], "above 0"),
        (["--carbon-plan", "none.json"], "none.json is not a plan"),
        (["--carbon-plan", "p.json", "--pause-above", "200"], "give one"),
    ],
)
def test_training_says_what_is_wrong(dln, training, words: list[str], sentence: str):
    outcome = dln("train", "cogvideo", *words)
    assert outcome.code == 2
    assert sentence in outcome.err


def test_a_backtest(dln, tmp_path: Path):
    start = datetime(2021, 1, 1, tzinfo=UTC)
    lines = ["timestamp_utc,gco2_per_kwh"]
    for hour in range(3 * 365 * 24):
        value = 100 if hour % 24 < 8 else 300
        lines.append(f"{(start + timedelta(hours=hour)).isoformat()},{value}")
    (tmp_path / "years.csv").write_text("\n".join(lines))
    years = ("--fit", "2021", "--fit", "2022", "--score", "2023")
    found = dln("carbon", "backtest", "years.csv", *years, "--mode", "start", "--json").json
    # Eight hours at once cost 100 to 300: by the hour of the start 0 to 8 of them are clean.
    at_once = [
        sum(100 if hour % 24 < 8 else 300 for hour in range(h, h + 8)) / 8 for h in range(24)
    ]
    by_hand = sum(100 * (1 - 100 / now) for now in at_once) / 24
    assert found["realised_saving_percent"] == pytest.approx(by_hand, abs=0.2)
    assert found["skill"] == pytest.approx(1, abs=0.01)
    assert found["warning"] is None
    refused = dln("carbon", "backtest", "years.csv", "--fit", "2021", "--score", "2021")
    assert (refused.code, "has not seen" in refused.err) == (2, True)
