"""Graphs packed beside their weights: the very files that were proven, in a moment."""

import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))
from toy_export import NAMES, build, exported, loaded

from dln.core.files import sha256_file
from dln.core.models.package import load_model
from dln.core.models.registry import MODELS
from dln.export import kit, onnx
from dln.export.bundle import Export, ExportOptions
from dln.export.finished import Wanted, lacking
from dln.export.kit import Kit, graph_code, kit_of, kit_path
from dln.export.manifest import read_manifest
from dln.export.packing import pack, strip


@pytest.fixture
def packed(tmp_path, monkeypatch):
    """The toy as if it came along, with its kit."""
    path = tmp_path / "toy.graphs.zip"
    monkeypatch.setattr(kit, "kit_path", lambda model: path)
    model = replace(loaded(), bundled=True)
    pack(exported().folder, model, path)
    return model


def test_the_first_use_traces_and_proves_nothing(packed, tmp_path, monkeypatch):
    def never(*_, **__):
        raise AssertionError("it was traced")

    monkeypatch.setattr(onnx, "write_onnx", never)
    out, told = tmp_path / "export", []
    Export(packed, out, ExportOptions(renew=True), told.append).run()
    ours, theirs = read_manifest(out), read_manifest(exported().folder)
    assert told == [f"graph '{name}'" for name in NAMES]
    assert {n: sha256_file(out / "onnx" / f"{n}.onnx") for n in NAMES} == {
        n: sha256_file(exported().file(n)) for n in NAMES
    }
    assert [e["parity"] for e in ours["graphs"].values()] == [
        e["parity"] for e in theirs["graphs"].values()
    ]
    assert ours["sampling"] == theirs["sampling"]
    assert ours["proven_with"] == theirs["versions"]
    assert lacking(ours, Wanted("cogvideo", packed.sha256, "fp32")) is None


def test_hardly_a_weight_lies_in_a_kit(packed):
    """What is computed from weights when a file is written may stay: a slice of a table."""
    import onnx as files

    for name, graph in packed.model.graphs().items():
        bare = files.ModelProto.FromString(strip(exported().file(name), graph))
        floats = [t for t in bare.graph.initializer if t.data_type == files.TensorProto.FLOAT]
        kept = sum(len(tensor.raw_data) for tensor in floats)
        assert kept < sum(4 * tensor.numel() for tensor in graph.module.parameters()) / 10


def test_a_kit_of_other_weights_or_other_code_is_none(packed, monkeypatch):
    assert kit_of(packed) is not None
    assert kit_of(loaded()) is None  # not bundled
    assert kit_of(replace(packed, sha256="0" * 64)) is None
    monkeypatch.setattr(kit, "graph_code", lambda model: "other")
    assert kit_of(packed) is None


@pytest.mark.parametrize("damage", ["no zip", "no manifest", "no graph"])
def test_a_damaged_kit_is_none(damage, packed, tmp_path):
    path = kit.kit_path("cogvideo")
    graph = packed.model.graphs()["decode"]
    if damage == "no zip":
        path.write_bytes(path.read_bytes()[:300])
    else:
        with zipfile.ZipFile(path) as file:
            told = file.read("manifest.json")
        with zipfile.ZipFile(path, "w") as file:
            if damage == "no graph":
                file.writestr("manifest.json", told)
                file.writestr("decode.onnx", b"\xff\xff")
    found = kit_of(packed)
    assert found is None or found.write(graph, tmp_path / "decode.onnx") is None
    assert (found is None) == (damage != "no graph")


def test_weights_that_do_not_give_the_proven_file_are_traced_anew(packed, tmp_path):
    other = build(seed=1).graphs()["decode"]
    assert Kit(kit.kit_path("cogvideo")).write(other, tmp_path / "decode.onnx") is None
    mine = packed.model.graphs()["decode"]
    assert Kit(kit.kit_path("cogvideo")).write(mine, tmp_path / "decode.onnx") is not None


def test_the_code_of_a_kit_is_what_its_graphs_need(packed):
    """The networks, their blocks and what writes them; nothing of training."""
    needed = {name.rpartition(".")[2] for name in code_of(packed)}
    assert {"graphs", "transformer", "tokenizer", "model", "graph", "onnx", "axes"} <= needed
    assert not {"training", "tokenizer_training", "about", "system", "exported"} & needed


def test_a_change_of_the_code_is_another_code(packed, monkeypatch):
    before, read = graph_code(packed), kit.source_of
    for name in code_of(packed):
        monkeypatch.setattr(
            kit, "source_of", lambda each, name=name: read(each) + b"\n" * (each == name)
        )
        assert graph_code(packed) != before, name


def code_of(model) -> list[str]:
    """The modules that graph_code looks at."""
    seen, read = [], kit.source_of
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kit, "source_of", lambda name: (seen.append(name), read(name))[1])
        graph_code(model)
    return seen


BUNDLED = [name for name, about in MODELS.items() if about.bundled and about.generates]


@pytest.mark.parametrize("name", BUNDLED)
def test_the_kits_that_come_along_are_of_the_weights_and_the_code(name):
    """Where this fails: python -m dln.export.packing NAME, and commit what it writes."""
    model = load_model(name)
    found = kit_of(model)
    assert found is not None, f"python -m dln.export.packing {name}"
    assert found.manifest["code"] == graph_code(model)
    assert kit_path(name).stat().st_size < 200_000


@pytest.mark.parametrize("name", BUNDLED)
def test_the_kits_give_the_files_that_were_proven(name, tmp_path):
    model = load_model(name)
    found = kit_of(model)
    assert found is not None
    for graph in model.model.graphs().values():
        entry = found.write(graph, tmp_path / "graph.onnx")
        assert entry is not None
        assert entry["parity"]["runs"] >= 3
    assert all(clip["max_level_difference"] <= 1 for clip in found.manifest["sampling"]["clips"])
