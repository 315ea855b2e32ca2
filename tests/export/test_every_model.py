"""What every model in the registry promises about its export."""

import pytest
import torch

from dln.core.data import open_source
from dln.core.models.engine import TorchEngine
from dln.core.models.registry import MODELS, load
from dln.core.text.vocabulary import Vocabulary
from dln.export.engines import OnnxEngine
from dln.export.onnx import write_onnx
from dln.export.parity import Difference, example, shapes


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_graph_exports_and_agrees_at_shapes_that_were_not_traced(name, tmp_path):
    torch.manual_seed(0)
    module = load(MODELS[name])
    words = Vocabulary(open_source("menagerie", count=1).words())
    graphs = module.Model(module.PRESETS[MODELS[name].default_preset], words).graphs()
    files = {graph: tmp_path / f"{graph}.onnx" for graph in graphs}
    for graph, path in files.items():
        write_onnx(graphs[graph], path)
    torch_engine, onnx_engine = TorchEngine(graphs), OnnxEngine(files, "cpu")
    for graph in graphs.values():
        smallest, _, _, *untraced = shapes(graph)
        found = Difference()
        for sizes in (smallest, *untraced):
            inputs = example(graph, sizes, seed=0)
            expected = torch_engine.run(graph.name, **inputs)
            found.add(expected, onnx_engine.run(graph.name, **inputs))
        assert found.broken("fp32") is None, graph.name
