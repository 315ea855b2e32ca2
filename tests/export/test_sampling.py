"""The model's own loop as a proof: what it is asked, by which door, and what it refuses."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

sys.path.append(str(Path(__file__).parent))
from toy_export import loaded

from dln.core.generation import generate
from dln.core.models.engine import TorchEngine
from dln.export import sampling
from dln.export.parity import ParityError
from dln.export.precision import HalfEngine
from dln.export.sampling import check_sampling, record_calls


def test_prompts_are_what_the_model_can_read():
    toy = loaded()
    drawn = sampling.prompts_for(toy, 3)
    assert len(set(drawn)) == 3
    assert not any(toy.model.reader.unknown(prompt) for prompt in drawn)  # pyright: ignore
    toy.model.reader.words[:] = ["alpha", "beta"]  # pyright: ignore
    toy.model.reader._index = {"alpha": 0, "beta": 1}  # pyright: ignore
    assert set(" ".join(sampling.prompts_for(toy, 3)).split()) == {"alpha", "beta"}
    toy.model.reader.words[:] = ["the", "a", "alpha"]  # pyright: ignore
    assert sampling.prompts_for(toy, 2) == ["alpha", "alpha"]  # the others name nothing
    mute = replace(toy, about=replace(toy.about, takes=()))
    assert sampling.prompts_for(mute, 2) == ["", ""]


def test_every_loop_goes_through_the_one_door(monkeypatch):
    asked, real = [], generate.generate

    def door(model: Any, request: Any, **options: Any) -> Any:
        asked.append((request.prompt, request.seed, options["engine"].name))
        return real(model, request, **options)

    monkeypatch.setattr(generate, "generate", door)
    toy = loaded()
    found = check_sampling(toy, TorchEngine(toy.model.graphs()), "fp32")  # pyright: ignore
    assert asked == [(prompt, seed, "torch") for seed, prompt in enumerate(found["prompts"])
                     for _ in range(2)]  # fmt: skip
    assert [clip["error"] for clip in found["clips"]] == [0, 0]
    asked.clear()
    record_calls(toy)
    assert [seed for _, seed, _ in asked] == [1000, 1001, 1002, 1003]


def test_the_loop_in_half_precision_is_measured_call_by_call():
    """On bf16 in PyTorch; one wrong graph of it is named."""
    toy = loaded()
    graphs: Any = toy.model.graphs()  # pyright: ignore

    class Off(HalfEngine):
        def run(self, graph: str, **inputs: Any) -> dict[str, Tensor]:
            found = super().run(graph, **inputs)
            return {name: 1.3 * t for name, t in found.items()} if graph == "keyframes" else found

    found = check_sampling(toy, HalfEngine(graphs, "bf16"), "bf16")
    assert set(found["calls"]) == {"text", "image", "keyframes", "interpolation", "decode"}
    assert all(20 < call["snr_db"] < 80 for call in found["calls"].values())
    assert all(call["runs"] > 1 for call in found["calls"].values())
    with pytest.raises(ParityError, match=r"graph 'keyframes' while sampling: .* dB below"):
        check_sampling(toy, Off(graphs, "bf16"), "bf16")
