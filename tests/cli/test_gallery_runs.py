"""A run in a gallery: curves, samples in order, energy with what it is, card and settings."""

import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dln.core.carbon.grid.sources import Annual
from dln.core.carbon.meter.emissions import Emissions, Interval
from dln.core.carbon.places.regions import find
from dln.core.carbon.values import Label
from dln.core.training.run import Run

from .gallery_pages import CLIP, page_of

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
LABEL = Label("marginal", "direct", "2024", "a test", "measured")
# An hour of 3.5 kWh and a PUE of 1.2 are 4.2 kWh; at 100 g each 0.42 kg.
RECORD = Emissions("dln train", NOON, (Interval(NOON, 3600, 1.0, 2.0, 0.5),),
                   {"gpu": "measured (its own counter)"}, 1.2)  # fmt: skip


@pytest.fixture
def run(toy_weights) -> Path:
    """runs/mine: two stages, a sheet at each evaluation, written in no order at all."""
    config = {"model": "toy-gan", "options": {"seed": 3, "batch": 8}, "data": {"name": "<b>mine"}}
    made = Run.create("runs/mine", config)
    for stage in ("small", "big"):
        for step in (10, 1_500_000, 200):
            made.log({"stage": stage, "step": step, "loss": step / 7, "grad_norm": 1.0})
            made.log({"stage": stage, "step": step, "metrics": {"psnr": step / 1000}})
            made.save_sheet(f"{stage}-{step:06d}", [CLIP])
    (made.samples / "notes.png").write_bytes((made.samples / "big-000010.png").read_bytes())
    RECORD.placed(find("norway"), Annual(100.0, LABEL)).save(made.path / "emissions.json")
    shutil.copy(toy_weights("toy-gan"), made.weights)
    return made.path


def test_sheets_come_stage_by_stage_in_the_order_of_steps(dln, run):
    told, page = page_of(dln, "runs/mine")
    assert (told["runs"], told["in_page"]) == (1, 6)
    sheets = [text for text in page.texts["h4"] if "step" in text]
    assert sheets == [f"{stage}, step {step}" for stage in ("small", "big")
                      for step in ("10", "200", "1,500,000")]  # fmt: skip
    assert "psnr 0.2" in page.words
    assert [each["alt"] for each in page.of("img")] == [f"contact sheet, {name}" for name in sheets]


def test_every_number_has_its_curve(dln, run):
    _, page = page_of(dln, "runs/mine")
    labels = [each["aria-label"] for each in page.of("svg") if "aria-label" in each]
    assert [each.partition(":")[0] for each in labels] == ["loss", "psnr, measured"] * 2
    assert page.texts["h4"][0] == "small"


def test_energy_says_what_it_is(dln, run):
    _, page = page_of(dln, "runs/mine")
    said = dict(zip(page.texts["dt"], page.texts["dd"], strict=True))
    assert said["emitted"].startswith("420 g CO2e")
    assert "4.2 kWh" in said["energy used"]
    for word in ("Norway", "marginal", "direct", "2024", "measured (its own counter)"):
        assert word in page.words


def test_card_and_settings_stand_there(dln, run):
    _, page = page_of(dln, "runs/mine")
    assert page.texts["pre"] == [(run / "config.toml").read_text()]
    said = dict(zip(page.texts["dt"], page.texts["dd"], strict=True))
    assert (said["seed"], said["batch"], said["name"]) == ("3", "8", "<b>mine")
    assert "b" not in page.texts or "<b>mine" not in page.texts["b"]
    assert said["model"] == "toy-gan"
    assert "dln generate --model runs/mine" in page.texts["code"]
    assert "dln carbon report runs/mine" in page.texts["code"]


@pytest.mark.parametrize("asked", [["runs", "runs/mine"], ["."], []])
def test_a_folder_of_runs_shows_each_of_them_once(dln, run, asked):
    Run.create("runs/begun", {"model": "toy-gan"})
    shutil.copy(run / "samples" / "big-000010.png", run / "mine.png")
    told, page = page_of(dln, *asked)
    assert told["runs"] == 2
    assert page.texts["h2"] == ["runs/begun", "runs/mine"]
    assert "not finished" in page.words
    assert "dln train toy-gan --resume --out runs/begun" in page.texts["code"]
    assert "1 clip or picture" in page.texts["h3"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("config.toml", "config.toml"),
        ("emissions.json", "is not a record that dln wrote"),
        ("model.safetensors", "model.safetensors"),
        ("stats.jsonl", "small, step 10"),
        ("samples/small-000010.png", "small-000010.png"),
    ],
)
def test_what_is_damaged_is_said_and_the_rest_is_shown(dln, run, name, said):
    (run / name).write_bytes(b"\x00\xff<script>nothing of ours")
    told, page = page_of(dln, "runs/mine")
    assert said in page.words
    assert len(page.of("img")) == 6 - len(told["damaged"])
    assert len(told["damaged"]) == ("png" in name)
    assert len(page.of("script")) == 1


LIGHT = """
import sys
from dln.cli.main import run
assert run(["gallery", "runs/mine", "--force"]) == 0
print([name for name in ("torch", "matplotlib", "onnx", "scipy") if name in sys.modules])
"""


def test_it_needs_no_pytorch(run):
    ran = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True)
    assert ran.stdout.splitlines() == ["gallery.html", "[]"], ran.stderr
