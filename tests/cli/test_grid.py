"""`dln generate --grid`: all clips of --count in one file."""

from pathlib import Path

import pytest

from dln.core.media.receipt import read_receipt
from dln.core.media.video import read_clip


def test_one_file_of_all_seeds(dln, toy_weights):
    weights = str(toy_weights("toy-stream"))
    asked = ("generate", "--model", weights, "--seed", "4", "--count", "3", "--frames", "2")
    outcome = dln(*asked, "--grid", "--size", "8", "--native", "--out", "all.png", "--json")
    assert outcome.code == 0, outcome.err
    (clip,) = outcome.json["clips"]
    assert (clip["path"], clip["seed"], clip["grid"]) == ("all.png", 4, 3)
    assert (clip["height_px"], clip["width_px"], clip["frames"]) == (16, 16, 2)
    assert read_clip("all.png").frames.shape == (2, 16, 16, 3)
    assert (read_receipt("all.png")["seed"], read_receipt("all.png")["grid"]) == (4, 3)
    assert dln("verify", "all.png").code == 0


def test_its_name_says_what_it_is(dln, toy_weights):
    weights = str(toy_weights("toy-stream"))
    planned = dln("generate", "--model", weights, "-s", "4", "-n", "3", "--grid", "--dry-run")
    assert f"would write {Path(weights).stem}-grid-4.mp4" in planned.out


@pytest.mark.parametrize(
    ("flags", "said"),
    [((), "from 2 to 144 clips, not 1"), (("-n", "145"), "not 145"),
     (("-n", "4", "--best-of", "2"), "--best-of keeps one")],
)  # fmt: skip
def test_what_makes_no_mosaic(flags, said, dln, core):
    outcome = dln("generate", "lion drinking", "--grid", *flags)
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.err


def test_a_class_is_refused_before_anything_is_made(dln, tmp_path):
    """By the weights' own configuration."""
    from dln.core.models.package import save_model
    from dln.core.models.stylegan_v.config import Config
    from dln.core.models.stylegan_v.model import Model

    sizes = {"side": 32, "latent": 8, "channel_base": 64, "channel_max": 8, "waves": 4}
    save_model(tmp_path / "own.safetensors", Model(Config(**sizes, classes=("sea", "wood"))),
               {"model": "stylegan-v"})  # fmt: skip
    asked = ("generate", "--model", str(tmp_path / "own.safetensors"), "--frames", "2")
    outcome = dln(*asked, "--class", "woods")
    assert (outcome.code, outcome.out) == (2, "")
    assert "know no class 'woods'" in outcome.err
    assert "sea, wood" in outcome.err
    assert dln(*asked, "--class", "wood", "-s", "1", "--out", "wood.mp4").code == 0
