"""`dln carbon report` and `estimate`: units in words, contracts, machines, units of work."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dln.core.carbon.meter.emissions import Emissions, Interval

JUNE = datetime(2022, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
RUN = Emissions(
    "python train.py",
    JUNE,
    (
        Interval(JUNE, 3600, 1.0, 2.0, 0.5),
        Interval(JUNE + HOUR, 3600, 0.1, running=False),
        Interval(JUNE + 2 * HOUR, 3600, 1.0, 2.0, 0.5),
    ),
    {"cpu": "measured (RAPL)", "gpu": "measured (its own counter)"},
    1.5,
)
TINY = Emissions("a moment", JUNE, (Interval(JUNE, 30, 2e-5, 0, 7.8e-6),))


@pytest.fixture
def records(tmp_path: Path) -> None:
    RUN.save(tmp_path / "run.json")
    TINY.save(tmp_path / "tiny.json")
    rows = ["timestamp_utc,gco2_per_kwh"]
    rows += [f"2022-06-01T0{hour}:00Z,{g}" for hour, g in enumerate((400, 500, 100, 100))]
    (tmp_path / "grid.csv").write_text("\n".join(rows))


GRID = ("--region", "de", "--source", "csv:grid.csv")


def words(path: str) -> str:
    """A page without its pictures and numbers of the style."""
    return re.sub(r"data:image[^\"]*|<style>.*?</style>", "", Path(path).read_text(), flags=re.S)


@pytest.mark.usefixtures("records")
def test_the_headline_by_hand(dln):
    """1.5 (3.5 x 400 + 0.1 x 500 + 3.5 x 100) g = 2.7 kg; at once 1.5 (3.5 x 900) g = 4.725 kg."""
    shown = dln("carbon", "report", "run.json", *GRID, "--out", "r")
    assert shown.code == 0
    for text in (shown.out, words("r/report.html"), Path("r/report.md").read_text()):
        assert "Emitted 2.7 kg CO2e, using 10.6 kWh in 2 hours" in text
        assert "Waiting saved 2 kg (42.9 %)" in text
        assert "1.2 litres of petrol, or 11 km by car" in text
    page = words("r/report.html")
    assert page.index("Emitted 2.7 kg") < page.index("Waiting saved") < page.index("litres")
    assert page.index("litres") < page.index("<table>")
    assert "gallon" not in page
    assert "mile" not in page


@pytest.mark.usefixtures("records")
def test_small_amounts_have_small_units(dln):
    shown = dln("carbon", "report", "tiny.json", "--region", "norway", "--out", "r")
    for text in (shown.out, words("r/report.html"), Path("r/report.md").read_text()):
        assert "0.84 mg" in text
        assert "27.8 mWh" in text
        assert not re.search(r"\de-\d", text.replace("co2_eq", ""))
        assert "kwh" not in text
    assert r"27.8 mWh & 30.1 & 0.84 mg \\" in Path("r/report.md").read_text()


@pytest.mark.usefixtures("records")
def test_a_contract_beside_the_grid(dln):
    both = dln("carbon", "report", "run.json", *GRID, "--intensity", "12.5", "-o", "r", "--json")
    found = both.json["runs"][0]
    assert found["emissions_kg"] == pytest.approx(2.7)
    assert found["market_kg"] == pytest.approx(1.5 * 7.1 * 12.5 / 1000)
    assert found["market_g_per_kwh"] == 12.5
    page = words("r/report.html")
    assert "133 g CO2e (12.5 g CO2e/kWh, as stated by the user" in page
    assert "location-based" in page
    assert dln("carbon", "report", "--verify", "r/report.json").code == 0


@pytest.mark.usefixtures("records")
def test_own_solar_alone(dln):
    alone = dln("carbon", "report", "run.json", "--intensity", "0", "-o", "r", "--json").json
    assert alone["totals"]["market_kg"] == 0
    assert alone["totals"]["emissions_kg"] is None
    assert "that was bought or made (market-based): 0 g CO2e" in words("r/report.html")
    assert dln("carbon", "report", "--verify", "r/report.json").code == 0


@pytest.mark.usefixtures("records")
def test_machines_and_clips(dln):
    """Three hours, the paused one too, of 1,000 kg over five years; 24 clips."""
    asked = ("--embodied", "1000", "--per", "24:clip", "-o", "r", "--json")
    found = dln("carbon", "report", "run.json", *GRID, *asked).json["runs"][0]
    share = 1000 * 3 / (5 * 365 * 24)
    assert found["embodied"]["embodied_kg"] == pytest.approx(share)
    assert found["sci"]["sci_kg_per_unit"] == pytest.approx((2.7 + share) / 24)
    assert found["emissions_kg"] == pytest.approx(2.7)
    page = words("r/report.html")
    assert "CO2e a clip: (E I + M) / 24" in page
    assert dln("carbon", "report", "--verify", "r/report.json").code == 0


@pytest.mark.usefixtures("records")
def test_steps_of_all_stages(dln, tmp_path: Path):
    (tmp_path / "run").mkdir()
    RUN.save(tmp_path / "run" / "emissions.json")
    rows = [("low", 50), ("low", 100), ("high", 20), ("high", True), ("high", "9")]
    lines = [json.dumps({"stage": stage, "step": step}) for stage, step in rows]
    (tmp_path / "run" / "stats.jsonl").write_text("\n".join([*lines, '{"stage": "low", "st']))
    asked = (*GRID, "--embodied", "server", "--per", "step", "--json", "--out")
    for place, out in (("run", "a"), ("run/emissions.json", "b")):
        found = dln("carbon", "report", place, *asked, out).json["runs"][0]["sci"]
        assert (found["unit"], found["units"]) == ("step", 120)
    refused = dln("carbon", "report", "run.json", *GRID, "--embodied", "server", "--per", "step")
    assert (refused.code, "how many steps" in refused.err) == (2, True)


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (["--per", "3:clip", *GRID], "counts what making the machines emitted"),
        (["--per", "3:clip", "--embodied", "server"], "by the grid of the place"),
        (["--intensity", "-1"], "at least 0"),
        (["--intensity", "nan"], "at least 0"),
        (["--intensity", "1e9"], "at most 1,000,000 g/kWh"),
        (["--embodied", "toaster"], "what making 'toaster' emitted is not known"),
    ],
)
def test_what_cannot_be_asked(dln, asked: list[str], sentence: str):
    refused = dln("carbon", "report", "run.json", *asked)
    assert refused.code == 2
    assert sentence in refused.err
    assert not Path("carbon-report").exists()


def test_an_estimate_by_contract(dln):
    asked = ("carbon", "estimate", "--kwh", "50", "--pue", "1.2")
    both = dln(*asked, "--region", "norway", "--intensity", "10", "--json").json
    assert both["market_kg"] == both["market_kg_low"] == pytest.approx(0.6)
    assert both["emissions_kg"] == pytest.approx(60 * both["intensity_g_per_kwh"] / 1000)
    alone = dln(*asked, "--intensity", "0", "--json").json
    assert (alone["market_kg"], alone["emissions_kg"], alone["region"]) == (0, None, None)
    shown = dln(*asked, "--intensity", "10").out
    assert "600 g CO2e" in shown
    assert "as stated by the user" in shown
    assert "operation, market-based;" in shown
    assert dln(*asked, "--intensity", "10", "-q").out == "0.6\n"
    assert dln(*asked).code == 2


def test_an_estimate_of_machines_by_hand(dln):
    work = ("--gpu", "V100", "--gpus", "8", "--hours", "36", "--times", "2", "--utilisation", "0.5")
    asked = ("--embodied", "1000", "--per", "500:step", "--json")
    found = dln("carbon", "estimate", "--region", "fr", *work, *asked).json
    operation = 0.5 * 0.3 * 8 * 72 * found["intensity_g_per_kwh"] / 1000
    share = 1000 * 72 / (5 * 365 * 24)
    assert found["emissions_kg"] == pytest.approx(operation)
    assert found["embodied"]["embodied_kg"] == pytest.approx(share)
    assert found["sci"]["sci_kg_per_unit"] == pytest.approx((operation + share) / 500)


def test_an_estimate_stays_light():
    asked = ["carbon", "estimate", "--region", "fr", "--gpu", "H100", "--hours", "9", "--quiet",
             "--embodied", "8xH100", "--per", "5:step", "--intensity", "3"]  # fmt: skip
    code = f"import sys; from dln.cli.main import run; code = run({asked})\n"
    code += "sys.exit(code or bool({'torch', 'numpy', 'pydantic', 'matplotlib'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (["--kwh", "3", "--embodied", "server"], "for how long"),
        (["--kwh", "3", "--per", "3:clip"], "counts what making the machines emitted"),
        (["--gpu", "T4", "--hours", "1", "--embodied", "T4", "--per", "step"], "how many steps"),
        (["--kwh", "3", "--intensity", "inf"], "at least 0"),
    ],
)
def test_what_cannot_be_estimated(dln, asked: list[str], sentence: str):
    refused = dln("carbon", "estimate", "--region", "norway", *asked)
    assert refused.code == 2
    assert refused.out == ""
    assert sentence in refused.err


def test_the_axis_is_in_the_zone_that_it_names():
    import matplotlib

    from dln.core.carbon.report import pictures

    with matplotlib.rc_context({"timezone": "Asia/Tokyo"}):
        drawing, axes = pictures.panels(1, height=3)
        here = next(axes)
        pictures.draw_power(here, RUN)
        pictures.clock(here, RUN)
        pictures.saved(drawing, "png")
    assert here.get_xlabel() == "time, UTC"
    told = {label.get_text() for label in here.get_xticklabels()}
    assert {"01:00", "02:00"} <= told
