"""Regions by every name they go by, and what their figures are."""

import csv
import gzip
import json
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from dln.core.carbon.grid.sources import open_source
from dln.core.carbon.places.annual import annual
from dln.core.carbon.places.embedded import typical
from dln.core.carbon.places.profiles import Profile, recent
from dln.core.carbon.places.regions import find, regions, search
from dln.core.carbon.values import Label, Series
from dln.core.errors import UsageError

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "carbon-data"
LABEL = Label("average", "direct", "2022", "a test", "measured")
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "code"),
    {
        "norway": "NO", "Норвегия": "NO", "NOR": "NO", "no": "NO", " Norway ": "NO",
        "us-cal-ciso": "US-CAL-CISO", "California": "US-CA", "NO2": "NO-NO2", "se3": "SE-SE3",
        "aws:eu-north-1": "aws:eu-north-1", "eu-north-1": "aws:eu-north-1", "uk": "GB",
        "reunion": "RE", "Ontario": "CA-ON", "usa": "US", "germany": "DE", "Hong Kong": "HK",
    }.items(),
)  # fmt: skip
def test_names(text: str, code: str):
    assert find(text).code == code


def test_every_code_finds_itself_and_has_a_figure():
    assert [find(region.code) for region in regions()] == list(regions())
    assert len({region.code for region in regions()}) == len(regions())
    for region in regions():
        spread = annual(region).g_per_kwh
        assert spread.low <= spread.expected <= spread.high < 1600


def test_unknown_and_ambiguous():
    with pytest.raises(UsageError, match=r"no region 'norwya'\. Did you mean 'norway'"):
        find("norwya")
    with pytest.raises(UsageError, match="more than one region: aws:eu-west-2 or azure:uksouth"):
        find("London")


def test_search():
    assert {r.code for r in search("norway")} >= {"NO", "NO-NO1", "azure:norwayeast"}
    assert search("nowhere at all") == []


def test_annual_figures_by_hand():
    spec = find_spec("codecarbon")
    assert spec
    assert spec.origin
    data = Path(spec.origin).parent / "data" / "private_infra"
    mix = json.loads((data / "global_energy_mix.json").read_text())
    assert annual(find("norway")).g_per_kwh.expected == mix["NOR"]["carbon_intensity"]
    assert annual(find("norway")).label.origin.startswith(f"codecarbon {version('codecarbon')}:")
    lb = json.loads((data / "2023/usa_emissions.json").read_text())["california"]["emissions"]
    state = annual(find("california"))
    assert state.g_per_kwh.expected == pytest.approx(lb * 453.59237 / 1000)
    assert state.label.factors == "direct"
    assert mix["CAF"]["carbon_intensity"] == 0  # all of its 0.15 TWh from hydropower
    assert annual(find("Central African Republic")).g_per_kwh.expected == 26
    # British Columbia 2023: 86.8 hydro, 6.7 biomass, 2.9 wind, 2.8 gas, 0.6 solar, 0.1 petroleum
    grams = 86.8 * 26 + 6.7 * 230 + 2.9 * 26 + 2.8 * 743 + 0.6 * 48 + 0.1 * 816
    assert annual(find("british columbia")).g_per_kwh.expected == pytest.approx(grams / 99.9)


@pytest.mark.skipif(not SHARED.exists(), reason="the shared series are not here")
def test_the_table_is_the_mean_of_2022():
    with gzip.open(SHARED / "ci_hourly_2022_25zones.csv.gz", "rt") as file:
        rows = [row for row in csv.DictReader(file) if row["zone"] == "DE"]
    profile = typical(find("DE"))
    assert profile
    for month, hour in ((1, 0), (6, 12), (12, 23)):
        stamp = f"2022-{month:02d}-"
        found = [float(r["gco2_per_kwh"]) for r in rows
                 if r["timestamp_utc"].startswith(stamp)
                 and r["timestamp_utc"][11:13] == f"{hour:02d}"]  # fmt: skip
        assert profile.mean[month - 1, hour] == pytest.approx(np.mean(found), abs=0.6)


def test_the_range_is_numpys_percentiles():
    for code in ("DE", "US-CAL-CISO", "ZA"):
        profile, found = typical(find(code)), annual(find(code)).g_per_kwh
        assert profile
        assert (found.low, found.high) == pytest.approx(np.percentile(profile.mean, [5, 95]))
        assert found.expected == pytest.approx(profile.mean.mean())


def year_of(values: np.ndarray) -> Series:
    return Series(datetime(2022, 1, 1, tzinfo=UTC), HOUR, values, LABEL)


def test_a_profile_by_hand():
    hours = np.arange(365 * 24)
    profile = Profile.fit(year_of(100.0 + hours % 24 + 10 * (hours // 24 % 2)), "X")
    assert profile.mean[0, 5] == pytest.approx(105 + 10 * 15 / 31)
    assert profile.std[1, 7] == pytest.approx(5.0)
    start = datetime(2023, 2, 28, 22, 40, tzinfo=UTC)
    laid = profile.series(start, start + 3 * HOUR)
    assert laid.start == start.replace(minute=0)
    assert laid.g_per_kwh.tolist() == [
        profile.mean[1, 22], profile.mean[1, 23], profile.mean[2, 0], profile.mean[2, 1],
    ]  # fmt: skip
    with pytest.raises(UsageError, match="every month"):
        Profile.fit(Series(start, HOUR, np.ones(500), LABEL), "X")


def test_the_mean_day_of_four_weeks():
    series = year_of(np.arange(60 * 24, dtype=float))
    start = datetime(2022, 2, 10, 6, tzinfo=UTC)  # hour 966
    found = recent(series, start, start + 26 * HOUR)
    expected = np.mean([966 - 24 * day for day in range(1, 29)])
    assert found.g_per_kwh[0] == pytest.approx(expected)
    assert found.g_per_kwh[24] == found.g_per_kwh[0]
    assert len(found.g_per_kwh) == 26
    with pytest.raises(UsageError, match="needs data from 2021-12-24"):
        recent(series, datetime(2022, 1, 21, tzinfo=UTC), start)


def test_sources(tmp_path: Path):
    start = datetime(2022, 5, 1, 10, 30, tzinfo=UTC)
    flat = open_source("annual", find("norway")).series(start, start + 2 * HOUR)
    assert flat.g_per_kwh.tolist() == [annual(find("norway")).g_per_kwh.expected] * 3
    assert open_source("typical", find("DE")).series(start, start + HOUR).end >= start + HOUR
    with pytest.raises(UsageError, match="hours of Norway are not known"):
        open_source("typical", find("norway"))
    with pytest.raises(UsageError, match=r"no source 'typcal'\. Did you mean 'typical'"):
        open_source("typcal", find("norway"))
