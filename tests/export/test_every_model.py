"""What every model in the registry promises about its export."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from micro import VARIANTS
from toy_export import exported, loaded

from dln.core.models.engine import TorchEngine
from dln.core.models.registry import MODELS
from dln.export.engines import OnnxEngine
from dln.export.manifest import read_manifest
from dln.export.onnx import tracing_sizes
from dln.export.parity import Difference, example

NAMES = [*sorted(MODELS), *VARIANTS]


@pytest.mark.parametrize("name", NAMES)
def test_every_graph_exports_and_agrees_at_shapes_that_were_not_traced(name):
    graphs: Any = loaded(name).model.graphs()  # pyright: ignore
    done = exported(name)
    assert done.code == 0, done.printed
    torch_engine = TorchEngine(graphs)
    onnx_engine = OnnxEngine({graph: done.file(graph) for graph in graphs}, "cpu")
    for graph in graphs.values():
        traced, found = tracing_sizes(graph), Difference()
        for part in (0, 1 / 3, 2 / 3, 1):
            sizes = {n: r.smallest + round(part * (r.largest - r.smallest))
                     for n, r in graph.sizes.items()}  # fmt: skip
            if not graph.sizes or sizes != traced:
                inputs = example(graph, sizes, seed=7)
                expected = torch_engine.run(graph.name, **inputs)
                found.add(expected, onnx_engine.run(graph.name, **inputs))
        assert found.broken("fp32") is None, graph.name
        assert found.runs >= 3, graph.name


@pytest.mark.parametrize("name", NAMES)
def test_the_loop_of_every_generator_is_compared(name):
    record = read_manifest(exported(name).folder)["sampling"]
    if not loaded(name).about.generates:
        assert record is None
        return
    assert len(record["clips"]) == len(record["prompts"]) == len(record["requests"]) > 1
    assert record["unproven"] == []
    for clip in record["clips"]:
        assert clip["compared_calls"] == clip["calls"] >= 1
        assert clip["error"] < 1e-3
        assert clip["differing_integers"] == 0
        assert clip["max_level_difference"] <= 1
