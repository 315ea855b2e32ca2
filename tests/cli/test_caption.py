"""`dln caption` and `dln data caption`: words for pictures, clips and folders of them."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_export  # pyright: ignore[reportMissingImports]
from PIL import Image

from dln.core.data.folder import Folder
from dln.core.data.menagerie.source import Menagerie
from dln.core.data.render import render_folder
from dln.core.generation import told
from dln.core.models.package import load_model

Dln = Callable[..., Any]


@pytest.fixture(scope="module")
def weights() -> str:
    """A micro model's file, whose words are the menagerie's."""
    return str(toy_export.weights("cogview2"))


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rendered")
    render_folder(Menagerie(2), folder, size=(16, 16))
    Image.fromarray(np.zeros((9, 12, 3), np.uint8)).save(folder / "dark.png")
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder


@pytest.fixture
def clips(rendered: Path, tmp_path: Path) -> Path:
    """Two clips, a picture and what is none, without captions."""
    shutil.copytree(rendered, tmp_path / "clips")
    (tmp_path / "clips" / "metadata.csv").unlink()
    return tmp_path / "clips"


def lines(folder: Path) -> list[dict[str, str]]:
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_clip_and_a_picture_are_told(dln: Dln, weights: str, clips: Path):
    made = dln("caption", str(clips / "00000.mp4"), "--model", weights, "--json")
    found = json.loads(made.out)
    assert made.code == 0
    words = load_model(weights).model.reader.words  # pyright: ignore
    assert {*found["caption"].split()} <= {*words}
    assert found["frames"] == 8
    picture = dln("caption", str(clips / "dark.png"), "-m", weights, "--json")
    assert json.loads(picture.out)["frames"] == 1
    quiet = dln("caption", str(clips / "00000.mp4"), "-m", weights, "-q")
    assert quiet.out.strip() == found["caption"]


def test_models_without_words_for_pictures_are_refused(dln: Dln, clips: Path):
    made = dln("caption", str(clips / "00000.mp4"), "--model", "cogvideo")
    assert made.code == 2
    assert "tells no captions" in made.err
    missing = dln("caption", str(clips / "00000.mp4"))
    assert missing.code == 3
    assert "dln train cogview2" in missing.err


def test_what_cannot_be_read_is_told(dln: Dln, weights: str, clips: Path):
    for name, sentence in (("none.mp4", "none.mp4"), ("broken.mp4", "broken.mp4")):
        made = dln("caption", str(clips / name), "-m", weights)
        assert made.code == 2
        assert sentence in made.err


def test_a_folder_without_captions_gets_them(dln: Dln, weights: str, clips: Path, monkeypatch):
    """What it wrote trains: the folder is a data set, whose captions are what was told."""
    monkeypatch.setattr(told, "load", lambda about: Teller())
    made = dln("data", "caption", str(clips), "--model", weights, "--json")
    found = json.loads(made.out)
    assert made.code == 0, made.err
    assert found["clips"] == 3
    assert [each["file"] for each in found["left_out"]] == ["broken.mp4"]
    assert [(line["file_name"], line["text"]) for line in lines(clips)] == [
        ("00000.mp4", "lion 8"), ("00001.mp4", "lion 8"), ("dark.png", "lion 1")]  # fmt: skip
    source = Folder(clips)
    assert len(source) == 3
    assert source.caption(0) == "lion 8"


class Teller:
    """Says how many frames it saw."""

    def caption(self, engine: Any, model: Any, frames: np.ndarray) -> str:
        assert frames.shape[1:] == (16, 16, 3)
        return f"lion {len(frames)}"


def test_captions_that_are_there_stay(dln: Dln, weights: str, clips: Path, monkeypatch):
    (clips / "metadata.csv").write_text("file_name,text,place\n00000.mp4,a cat,home\n")
    made = dln("data", "caption", str(clips), "--model", weights)
    assert made.code == 2
    assert "--force" in made.err
    assert lines(clips) == [{"file_name": "00000.mp4", "text": "a cat", "place": "home"}]
    monkeypatch.setattr(told, "load", lambda about: Teller())
    made = dln("data", "caption", str(clips), "--model", weights, "--frames", "2", "--force")
    assert made.code == 0, made.err
    assert lines(clips) == [{"file_name": "00000.mp4", "text": "lion 2", "place": "home"}]


def test_captions_beside_clips_are_captions_too(dln: Dln, weights: str, clips: Path):
    (clips / "00000.txt").write_text("a cat")
    made = dln("data", "caption", str(clips), "--model", weights)
    assert made.code == 2
    assert not (clips / "metadata.csv").exists()
    assert dln("data", "caption", str(clips / "nowhere"), "--model", weights).code == 2


def test_an_interrupted_folder_is_as_it_was(dln: Dln, weights: str, clips: Path, monkeypatch):
    class Broken(Teller):
        def caption(self, engine: Any, model: Any, frames: np.ndarray) -> str:
            raise KeyboardInterrupt

    monkeypatch.setattr(told, "load", lambda about: Broken())
    before = sorted(path.name for path in clips.iterdir())
    assert dln("data", "caption", str(clips), "--model", weights).code == 130
    assert sorted(path.name for path in clips.iterdir()) == before
