"""torch.compile on graphs: once for all sizes, or a sentence."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from dln.core.errors import MissingCapability, UsageError
from dln.core.models.graph import Graph, Range
from dln.export import bench_worker, compiled


def test_compiling_takes_a_compiler(monkeypatch):
    monkeypatch.setattr(compiled, "which", lambda name: None)
    loaded: Any = SimpleNamespace(model=SimpleNamespace(graphs=dict))
    with pytest.raises(MissingCapability, match="compiler"):
        bench_worker.create("torch-compile", loaded, "cpu", "fp32", print)
    with pytest.raises(UsageError, match="fp32"):
        bench_worker.create("torch-compile", loaded, "cpu", "fp16", print)


class Growing(nn.Module):
    """What a decoder's step does with a cache that grows."""

    def forward(self, x: torch.Tensor, bias: torch.Tensor, k: list[torch.Tensor]) -> Any:
        seen = torch.cat([*k, x], dim=1)
        return (torch.softmax(x @ seen.mT + bias, dim=-1) @ seen,)


def grown(batch: int, new: int, cached: int) -> dict[str, Any]:
    bias = torch.zeros(1, new, 1).expand(batch, new, 2 * cached + new)
    return {
        "x": torch.randn(batch, new, 3),
        "bias": bias,
        "k": list(torch.randn(2, batch, cached, 3)),
    }


def test_what_grows_is_compiled_once(monkeypatch: pytest.MonkeyPatch):
    """Caches of any length, views or not, one tensor twice, and sizes that happen to be equal; one
    more for steps of a single token."""
    made, whole = [], torch.compile

    def counting(module: nn.Module, **told: Any) -> Any:
        return whole(module, **told, backend=lambda traced, _: made.append(1) or traced.forward)

    monkeypatch.setattr(torch, "compile", counting)
    sizes = {name: Range(1, 2, 16) for name in ("batch", "new", "cached")}
    graph = Graph("step", Growing(), ("y",), grown, sizes)
    engine = compiled.CompiledEngine({"step": graph})
    for batch, new, cached in [
        (2, 2, 2),
        (2, 3, 5),
        (4, 7, 6),
        (3, 3, 3),
        *((2, 1, n) for n in range(2, 16)),
    ]:
        inputs = grown(batch, new, cached)
        twice = {**inputs, "k": [inputs["k"][0]] * 2}
        alone = {**inputs, "k": [part.clone() for part in inputs["k"]]}
        for given in (inputs, twice, alone):
            wanted = graph.module(**given)[0]
            torch.testing.assert_close(engine.run("step", **given)["y"], wanted)
    assert len(made) == 2
