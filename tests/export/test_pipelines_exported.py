"""Pipelines of diffusers on ONNX: every graph held against the published networks, whole clips
made on both."""

import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

sys.path.append(str(Path(__file__).parents[1] / "core"))
from toy_pipelines import folder_of  # pyright: ignore[reportMissingImports]

from dln.cli.main import run
from dln.core.media.receipt import read_receipt
from dln.core.media.video import compare, frames_of
from dln.core.models.package import load_model
from dln.export.engines import OnnxEngine
from dln.export.manifest import read_manifest
from dln.export.onnx import write_onnx
from dln.export.parity import check_graph

GRAPHS = [
    ("cogvideox", "denoiser"),
    ("cogvideox", "decoder_first"),
    ("cogvideox", "decoder_next"),
    ("rotary", "denoiser"),
    ("wan", "text"),
    ("wan", "denoiser_2"),
    ("wan", "decoder_first"),
    ("wan", "decoder_next"),
    ("ti2v", "denoiser"),
    ("ti2v", "decoder_first"),
    ("ti2v", "decoder_next"),
]


@pytest.mark.parametrize(("kind", "name"), GRAPHS)
def test_a_graph_computes_what_the_network_does_at_every_size(tmp_path, kind, name):
    loaded: Any = load_model(f"diffusers:{folder_of(kind, tmp_path / kind)}")
    graph = loaded.model.graphs()[name]
    write_onnx(graph, tmp_path / "graph.onnx")
    found = check_graph(graph, OnnxEngine({name: tmp_path / "graph.onnx"}, "cpu"), "fp32")
    assert found.runs >= 3
    assert found.error < 1e-4


def test_a_pipeline_is_exported_and_sampled_on_its_graphs(tmp_path, capsys):
    folder, out = folder_of("ltx", tmp_path / "ltx"), tmp_path / "exported"
    model = f"diffusers:{folder}"
    assert run(["export", model, "--out", str(out), "-q"]) == 0
    manifest = read_manifest(out)
    assert manifest["names"] == ["text", "denoiser", "decoder"]
    assert "diffusers" in manifest["versions"]
    assert (
        manifest["description"]["loop"]["scheduler"]["class"] == "FlowMatchEulerDiscreteScheduler"
    )
    assert all(entry["parity"]["runs"] >= 3 for entry in manifest["graphs"].values())
    assert manifest["sampling"]["unproven"] == []
    assert all(clip["max_level_difference"] <= 1 for clip in manifest["sampling"]["clips"])
    assert run(["export", model, "--out", str(out), "-q"]) == 0

    asked = ["generate", "lion drinking", "--model", model, "--frames", "9", "--size", "96x32",
             "--steps", "3", "--seed", "5", "--native", "-q"]  # fmt: skip
    plain, other = tmp_path / "torch.png", tmp_path / "onnx.png"
    assert run([*asked, "--out", str(plain)]) == 0
    assert run([*asked, "--out", str(other), "--engine", "onnx", "--graphs", str(out)]) == 0
    assert read_receipt(other)["engine"] == "onnx"
    difference = compare(frames_of(plain), frames_of(other))
    assert difference is None or difference[1] <= 1
    assert run(["verify", str(plain), "-q"]) == 0
    assert run(["verify", str(out), "--model", model, "-q"]) == 0

    (folder / "scheduler" / "scheduler_config.json").write_text("{}")
    assert run([*asked, "--out", str(tmp_path / "new.png"), "--engine", "onnx", "--graphs",
                str(out)]) == 2  # fmt: skip
    assert "other weights" in capsys.readouterr().err
    assert run(["verify", str(plain)]) == 3
