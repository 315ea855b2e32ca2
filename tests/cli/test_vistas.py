"""The second built-in world at the command line."""

import csv

import pytest

from dln.cli.train import PROMPTS


def test_what_can_be_asked_for(dln):
    facts = dln("data", "show", "vistas,camera=ride", "--json").json
    assert facts["name"] == "vistas,camera=ride"
    assert "river" in facts["places"]
    assert "lake" not in facts["places"]
    assert facts["cameras"] == ["still", "ride", "panorama"]
    assert {"winter", "fog", "dusk"} <= set(dln("data", "show", "vistas", "-q").out.split())
    assert set(PROMPTS) == {"menagerie", "vistas"}


@pytest.mark.parametrize(
    "line",
    [("data", "show", "vistas,camera=kite"),
     ("data", "render", "new", "--data", "vistas,weather=hail"),
     ("train", "resnet", "--data", "vistas,camra=ride", "--out", "new")],
)  # fmt: skip
def test_what_there_is_not(dln, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = dln(*line)
    assert outcome.code == 2
    assert "vistas" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_rides_become_videos_and_panoramas_pictures(dln, tmp_path):
    for camera, size, kind in (("ride", "48x32", "mp4"), ("panorama", "301x33", "png")):
        folder = tmp_path / camera
        asked = ("--data", f"vistas,camera={camera},weather=clear", "--size", size, "-n", "2")
        found = dln("data", "render", str(folder), *asked, "--json").json
        assert (found["clips"], found["path"]) == (2, str(folder))
        with (folder / "metadata.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["file_name"] for row in rows] == [f"00000.{kind}", f"00001.{kind}"]
        assert {row["weather"] for row in rows} == {"clear"}
    assert dln("data", "check", str(tmp_path / "ride"), "--json").json["usable"] == 2
    wide = dln("data", "render", str(tmp_path / "x"), "--data", "vistas", "--size", "4096x64")
    assert wide.code == 2
    assert "2048" in wide.err
