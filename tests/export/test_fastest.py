"""What computes unless it is said: ONNX Runtime where that costs nothing first, and PyTorch
whenever anything is wrong with that."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parent))
from toy_export import exported, loaded

from dln.core.errors import MissingCapability
from dln.export import kit, onnx
from dln.export import open as opening
from dln.export.engines import OnnxEngine
from dln.export.kit import Kit
from dln.export.manifest import FILE
from dln.export.open import fastest_engine, kept_folder
from dln.export.packing import pack


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch) -> Path:
    """An empty working folder and an empty cache; nothing is ever traced."""

    def never(*_, **__):
        raise AssertionError("it was traced")

    exported()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(onnx, "write_onnx", never)
    monkeypatch.setattr(OnnxEngine, "take_threads", lambda engine, *_: None)
    return tmp_path / "cache"


@pytest.fixture
def bundled(tmp_path, monkeypatch):
    """The toy as if it came along, with its kit."""
    path, toy = tmp_path / "toy.graphs.zip", replace(loaded(), bundled=True)
    monkeypatch.setattr(kit, "kit_path", lambda model: path)
    pack(exported().folder, toy, path)
    return toy


def opened(toy, device: str = "cpu") -> tuple[str, list[str]]:
    """The engine's name and what was said; it computes what the model does."""
    notes: list[str] = []
    engine, graph = fastest_engine(toy, device, notes.append), toy.model.graphs()["text"]
    torch.manual_seed(0)
    inputs = graph.inputs()
    ours, theirs = engine.run("text", **inputs), graph.module(**inputs)
    for name, tensor in zip(graph.outputs, theirs, strict=True):
        torch.testing.assert_close(ours[name], tensor, atol=1e-4, rtol=1e-4)
    return engine.name, notes


def test_weights_that_were_never_exported_run_on_pytorch(nowhere):
    assert opened(loaded()) == ("torch", [])
    assert not (nowhere / "dln" / "exports").exists()


def test_graphs_that_came_along_are_laid_into_the_cache_once(bundled):
    place = kept_folder(bundled, "fp32")
    told = [f"graphs of cogvideo for ONNX Runtime are kept in {place}"]
    assert opened(bundled) == ("onnx", told)
    assert opened(bundled) == ("onnx", [])
    assert opened(bundled, "auto")[0] == ("torch" if torch.cuda.is_available() else "onnx")


@pytest.mark.parametrize("place", ["exports/toy-fp32", None])
def test_an_export_that_is_there_is_used(place):
    exported().copy(Path(place) if place else kept_folder(loaded(), "fp32"))
    assert opened(loaded()) == ("onnx", [])


def test_an_older_export_is_passed_by(bundled):
    """Of graphs that come along a new copy is made; weights of one's own run on PyTorch."""
    for toy, engine in ((loaded(), "torch"), (bundled, "onnx")):
        place = exported().copy(kept_folder(toy, "fp32"))
        (place / FILE).write_text('{"schema": "dln-export-1"}')
        name, notes = opened(toy)
        assert (name, len(notes)) == (engine, int(engine == "onnx"))
        for file in (FILE, "report.md"):
            (place / file).unlink(missing_ok=True)
        for file in (place / "onnx").iterdir():
            file.unlink()
        (place / "onnx").rmdir()
        if engine == "torch":
            place.rmdir()


@pytest.mark.parametrize("half", [b"", b"half"])
def test_a_damaged_file_costs_a_note(half, bundled):
    place = exported().copy(kept_folder(loaded(), "fp32"))
    (place / "onnx" / "decode.onnx").write_bytes(half)
    name, (note,) = opened(loaded())
    assert name == "torch"
    assert note.startswith("PyTorch computes, ONNX Runtime could not: ")
    assert "decode.onnx" in note
    name, notes = opened(bundled)
    assert (name, opened(bundled)) == ("onnx", ("onnx", []))
    assert "it is written again" in notes[0]


def test_what_a_killed_command_left_is_finished(bundled):
    exported().copy(place := kept_folder(bundled, "fp32"))
    (place / "onnx" / "decode.onnx").unlink()
    (place / ".dln-draft-abcdefgh").mkdir()
    assert opened(bundled)[0] == "onnx"
    assert not (place / ".dln-draft-abcdefgh").exists()


def test_a_cache_that_cannot_be_written(bundled, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    name, notes = opened(bundled)
    assert name == "torch"
    assert "could not: cannot write" in notes[-1]


def test_a_graph_that_does_not_come_out_as_it_was_proven(bundled, monkeypatch):
    monkeypatch.setattr(Kit, "write", lambda *_: None)
    name, notes = opened(bundled)
    assert name == "torch"
    assert notes[-1].endswith("could not: graph 'text' did not come along with the weights")


def test_no_onnx_runtime(bundled, monkeypatch):
    def missing():
        raise MissingCapability("onnxruntime does not load: no")

    monkeypatch.setattr(opening, "require_onnxruntime", missing)
    name, notes = opened(bundled)
    assert (name, notes) == (
        "torch", ["PyTorch computes, ONNX Runtime could not: onnxruntime does not load: no"]
    )  # fmt: skip
