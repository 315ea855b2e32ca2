"""Pipelines of diffusers on the command line: what is said before anything is loaded."""

import json
from pathlib import Path

import pytest

from dln.core.models.pipelines import folder, hub

INDEX = {
    "_class_name": "WanPipeline",
    **{part: ["diffusers", "Any"] for part in folder.NEEDED},
}


@pytest.fixture
def wan(tmp_path: Path) -> Path:
    """A folder of all parts but their tensors."""
    place = tmp_path / "wan"
    for part in folder.NEEDED:
        (place / part).mkdir(parents=True)
    (place / "model_index.json").write_text(json.dumps(INDEX))
    (place / "vae" / "config.json").write_text("{}")
    (place / "transformer" / "config.json").write_text('{"patch_size": [1, 2, 2]}')
    for part in ("vae", "transformer"):
        (place / part / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    return place


@pytest.mark.parametrize("words", [("generate", "lion", "--model"), ("export",)])
def test_a_folder_that_is_not_there_and_one_without_the_package(dln, monkeypatch, wan, words):
    missing = dln(*words, "diffusers:nowhere")
    assert missing.code == 2
    assert "there is no folder nowhere" in missing.err
    assert "--download" in missing.err
    monkeypatch.setattr(folder, "find_spec", lambda name: None)
    bare = dln(*words, f"diffusers:{wan}")
    assert bare.code == 3
    assert "pip install" in bare.err


def test_clips_that_it_does_not_make_are_refused_by_a_dry_run(dln, monkeypatch, wan):
    monkeypatch.setattr(folder, "find_spec", lambda name: object())
    asked = "generate", "lion", "--model", f"diffusers:{wan}", "--dry-run"
    assert dln(*asked, "--frames", "9", "--size", "64x32", "--steps", "3").code == 0
    for more, told in (
        (("--frames", "10"), "4 n + 1 frames"),
        (("--size", "60x32"), "multiples of 16 pixels"),
        (("--image", "a.png"), "takes no picture"),
        (("--set", "nagative=cat"), "Did you mean 'negative'"),
        (("--engine", "onnx", "--graphs", "nowhere"), "holds no export"),
    ):
        refused = dln(*asked, *more)
        assert refused.code == 2, more
        assert told in " ".join(refused.err.split())


def test_only_pipelines_are_fetched_and_only_where_that_is_asked_for(dln, monkeypatch, wan):
    fetched: list[str] = []

    def fetch(name: str) -> str:
        fetched.append(name)
        return f"diffusers:{wan}"

    monkeypatch.setattr(hub, "fetched", fetch)
    monkeypatch.setattr(folder, "find_spec", lambda name: object())
    asked = "generate", "lion", "--dry-run", "--json"
    assert dln(*asked, "--model", "diffusers:owner/name").code == 2
    assert not fetched
    done = dln(*asked, "--model", "diffusers:owner/name", "--download")
    assert done.json["model"] == f"diffusers:{wan}"
    assert fetched == ["diffusers:owner/name"]
    other = dln(*asked, "--model", "cogvideo", "--download")
    assert other.code == 2
    assert "--download is of pipelines" in other.out + other.err
