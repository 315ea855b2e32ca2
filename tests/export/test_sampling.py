"""The model's own loop as a proof: what it is asked, by which door, and what it refuses."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torch import Tensor

sys.path.append(str(Path(__file__).parent))
from toy_export import loaded

from dln.core.generation import generate
from dln.core.models.about import INPUTS
from dln.core.models.engine import TorchEngine
from dln.core.models.graph import flatten
from dln.core.models.proof import Proof
from dln.core.models.registry import MODELS, load
from dln.export import sampling
from dln.export.parity import ParityError
from dln.export.precision import HalfEngine
from dln.export.sampling import (
    asked_of,
    calibrated_on,
    check_calls_again,
    check_sampling,
    record_calls,
)
from dln.export.wrapped import Recorder

SEARCHING = ("stylegan-v",)  # for a picture's latent, by gradients, which no proof may take


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
    assert [clip["error"] for clip in found["clips"]] == [0, 0, 0]
    proven = {prompt for prompt, _, _ in asked}
    asked.clear()
    record_calls(toy)
    assert [seed for _, seed, _ in asked] == list(range(1000, 1006))
    assert not proven & {prompt for prompt, _, _ in asked}


@pytest.mark.parametrize("name", [name for name in sorted(MODELS) if MODELS[name].generates])
def test_the_requests_of_every_generator_call_all_of_its_graphs(name):
    """On an engine without gradients, as exported ones are; with pictures where they are taken."""
    toy = loaded(name)
    graphs: Any = toy.model.graphs()  # pyright: ignore
    inner = TorchEngine(graphs)
    plain: Any = SimpleNamespace(name="plain", run=inner.run)
    called, asked = Recorder(plain, 1), []
    with asked_of(toy) as requests:
        for proof, request in requests:
            generate.generate(toy, request, engine=called)
            asked.append(proof)
            for picture in proof.pictures:
                assert Path(getattr(request, picture)).stat().st_size > 100
    assert called.calls.keys() == graphs.keys()
    assert len({proof.name for proof in asked}) == len(asked) > 1
    taken = {INPUTS[kind] for kind in toy.about.takes if kind.endswith("picture")}
    taken = set() if name in SEARCHING else taken
    assert {picture for proof in asked for picture in proof.pictures} == taken
    assert not any(Path(request.image or "-").exists() for _, request in requests)


def test_a_graph_that_no_request_calls_is_named(monkeypatch):
    toy = loaded()
    graphs: Any = toy.model.graphs()  # pyright: ignore
    found = check_sampling(toy, TorchEngine(graphs), "fp32")
    assert found["unproven"] == []
    assert [(each["name"], each["seed"]) for each in found["requests"]] == [
        ("default", 0), ("unguided", 1), ("from a picture", 2)]  # fmt: skip
    assert found["requests"][2]["pictures"] == ["image"]
    assert "image" not in found["requests"][2]["asked"]
    system = load(toy.about)
    monkeypatch.setattr(system, "proofs", lambda model: [Proof("short", {"frames": 1})])
    found = check_sampling(toy, TorchEngine(graphs), "fp32")
    assert found["unproven"] == ["encode", "interpolation"]
    assert found["clips"][0]["graphs"].keys() == {"text", "image", "keyframes", "decode"}
    halves = check_sampling(toy, HalfEngine(graphs, "bf16"), "bf16")
    assert halves["unproven"] == ["encode", "interpolation"]
    again = check_calls_again(toy, TorchEngine(graphs), "int8")
    assert again.keys() == graphs.keys()
    assert again["encode"]["runs"] == 8
    assert set(record_calls(toy)) == {"text", "image", "keyframes", "decode"}


@pytest.mark.parametrize("name", ["recognizer", "resnet", "vit"])
def test_a_model_that_judges_is_calibrated_on_rendered_clips(name):
    toy = loaded(name)
    graphs: Any = toy.model.graphs()  # pyright: ignore
    calls = record_calls(toy)
    assert calls.keys() == graphs.keys()
    for graph in graphs.values():
        inputs = flatten(graph.inputs(batch=2))
        means = set()
        for call in calls[graph.name]:
            assert {n: t.shape for n, t in call.items()} == {n: t.shape for n, t in inputs.items()}
            pixels = next(iter(call.values()))
            assert 0 <= pixels.min() < pixels.max() <= 1
            means.add(float(pixels.mean()))
        assert len(means) == len(calls[graph.name]) == 8
    assert calibrated_on(toy, True) == "rendered clips"
    assert check_calls_again(toy, TorchEngine(graphs), "int8").keys() == graphs.keys()


def test_the_loop_in_half_precision_is_measured_call_by_call():
    """On bf16 in PyTorch; one wrong graph of it is named."""
    toy = loaded()
    graphs: Any = toy.model.graphs()  # pyright: ignore

    class Off(HalfEngine):
        def run(self, graph: str, **inputs: Any) -> dict[str, Tensor]:
            found = super().run(graph, **inputs)
            return {name: 1.3 * t for name, t in found.items()} if graph == "keyframes" else found

    found = check_sampling(toy, HalfEngine(graphs, "bf16"), "bf16")
    assert set(found["calls"]) == set(graphs)
    assert found["calls"].pop("encode")["differing"] < 0.3  # codes, so no ratio
    assert all(20 < call["snr_db"] < 80 for call in found["calls"].values())
    assert found["calls"]["image"]["runs"] > 1
    assert found["unproven"] == []
    with pytest.raises(ParityError, match=r"graph 'keyframes' while sampling: .* dB below"):
        check_sampling(toy, Off(graphs, "bf16"), "bf16")
