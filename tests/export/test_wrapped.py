"""Engines around engines: what they keep of a sampling loop, and how two loops are compared."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

sys.path.append(str(Path(__file__).parent))
from toy_export import Pair, graph

from dln.core.media.clip import Clip
from dln.core.models.engine import TorchEngine
from dln.export import wrapped
from dln.export.bench_worker import CountingEngine, TimingEngine
from dln.export.parity import ParityError
from dln.export.report import compared
from dln.export.wrapped import Listener, Recorder, Shadow, compare_sampling

WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "shadow": lambda engine: Shadow(engine, engine),
    "listener": Listener,
    "recorder": lambda engine: Recorder(engine, 9),
    "timing": TimingEngine,
    "counting": CountingEngine,
}


@pytest.mark.parametrize("kind", WRAPPERS)
def test_a_wrapped_engine_has_what_the_inner_one_has(kind):
    """Gradients, a device, a name: what PyTorch's engine has and another lacks."""
    made = graph(Pair())
    inner = TorchEngine({"step": made})
    outer = WRAPPERS[kind](inner)
    x, y = torch.randn(3, 8), {"y": made.module(torch.zeros(1, 8))[0]}
    assert (outer.name, outer.device) == ("torch", torch.device("cpu"))
    found, slope = outer.gradient("step", "x", lambda outputs: outputs["y"].square().sum(), x=x)
    leaf = x.clone().requires_grad_()
    made.module(leaf)[0].square().sum().backward()
    assert torch.equal(slope, leaf.grad)  # pyright: ignore
    assert set(found) == set(y)


@pytest.mark.parametrize("kind", WRAPPERS)
def test_a_wrapped_engine_lacks_what_the_inner_one_lacks(kind):
    outer = WRAPPERS[kind](SimpleNamespace(name="one", run=lambda graph, **_: {}))
    assert not hasattr(outer, "gradient")
    assert not hasattr(outer, "device")
    with pytest.raises(AttributeError, match="_hidden"):
        outer._hidden  # noqa: B018


class Changed:
    """An engine that gives what a function makes of the true outputs."""

    name = "changed"

    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        self.change, self.inner = change, TorchEngine({"step": graph(Pair())})

    def run(self, graph: str, **inputs: Any) -> dict[str, Tensor]:
        return {name: self.change(t) for name, t in self.inner.run(graph, **inputs).items()}


def test_a_shadow_measures_and_goes_on_with_the_reference():
    shadow = Shadow(TorchEngine({"step": graph(Pair())}), Changed(lambda y: y + 0.25))
    x = torch.randn(4, 8)
    with torch.no_grad():
        assert torch.equal(shadow.run("step", x=x)["y"], Pair()(x)[0])
    shadow.run("step", x=x[:2])
    assert shadow.found["step"].runs == 2
    assert shadow.found["step"].error > 0.05
    broken = Shadow(TorchEngine({"step": graph(Pair())}), Changed(lambda y: y[:1]))
    with pytest.raises(ParityError, match="graph 'step' while sampling: 'y' is"):
        broken.run("step", x=x)


class Scripted:
    """y = scores[call]; tokens drawn from it go into the next call."""

    name = "scripted"

    def __init__(self, *scores: float) -> None:
        self.scores, self.call = scores, 0

    def run(self, graph: str, **inputs: Any) -> dict[str, Tensor]:
        self.call += 1
        return {"y": torch.tensor([self.scores[self.call - 1]])}


def count_up(engine: Any) -> Clip:
    """Three calls of two tokens each: the rounded score and a zero. One pixel a call."""
    token, levels = torch.zeros(2, dtype=torch.long), []
    for _ in range(3):
        score = engine.run("step", tokens=token, noise=torch.rand(2))["y"]
        token = torch.tensor([round(float(score)), 0])
        levels.append(int(score * 10))
    return Clip(np.array(levels, np.uint8).reshape(3, 1, 1, 1).repeat(3, -1), 1.0)


def test_differing_integers_are_counted():
    found = compare_sampling(count_up, Scripted(3.0, 5.0, 7.0), Scripted(3.0, 5.6, 7.2))
    # The second score rounds to 6 for 5: one of the two tokens of the third call, which is not
    # compared then. Until there the worst is 0.6 of 5.
    assert (found["integers"], found["differing_integers"]) == (6, 1)
    assert (found["calls"], found["compared_calls"]) == (3, 2)
    assert found["error"] == pytest.approx(0.12)
    assert found["snr_db"] == pytest.approx(20 * np.log10(5 / 0.6), abs=0.01)
    assert found["max_level_difference"] == 6
    same = compare_sampling(count_up, Scripted(3.0, 5.0, 7.0), Scripted(3.0, 5.0, 7.0))
    assert (same["differing_integers"], same["max_level_difference"]) == (0, 0)
    assert (same["compared_calls"], same["error"], same["snr_db"]) == (3, 0, None)


def denoise(engine: Any) -> Clip:
    """Three calls without an integer, each of which goes on from the one before."""
    x = torch.zeros(2)
    for _ in range(3):
        x = x + engine.run("step", x=x)["y"]
    x = x.nan_to_num(0, 0, 0)
    return Clip((x[0] * 10).numpy().astype(np.uint8).reshape(1, 1, 1, 1).repeat(3, -1), 1.0)


def test_a_loop_without_integers_is_compared_by_its_values():
    found = compare_sampling(denoise, Scripted(1.0, 2.0, 4.0), Scripted(1.0, 2.5, 4.25))
    assert (found["integers"], found["differing_integers"]) == (0, 0)
    assert (found["calls"], found["compared_calls"]) == (3, 3)
    assert found["error"] == pytest.approx(0.5 / 2)  # of the second call; 0.25 of 4 in the third
    assert found["max_level_difference"] == 7
    words = compared([found])
    assert words == "values by at most 2.5e-01, pixels by at most 7 of 255"
    tokens = compare_sampling(count_up, Scripted(3.0, 5.0, 7.0), Scripted(3.0, 5.6, 7.2))
    assert compared([tokens, tokens]).startswith(
        "2 of 12 integers differ, values by at most 1.2e-0"
    )


def test_loops_of_other_lengths_and_shapes():
    """One more call is that many integers more that differ; another shape is no clip like it."""

    def some(engine: Any) -> Clip:
        for number in range(len(engine.scores)):
            engine.run("step", tokens=torch.tensor([number, 5]))
        return Clip(np.zeros((1, 1, 1, 3), np.uint8), 1.0)

    found = compare_sampling(some, Scripted(1.0, 1.0), Scripted(1.0, 1.0, 1.0))
    assert (found["differing_integers"], found["compared_calls"]) == (2, 2)

    def longer(engine: Any) -> Clip:
        return Clip(np.zeros((len(engine.scores), 1, 1, 3), np.uint8), 1.0)

    with pytest.raises(ParityError, match=r"a clip is \[2, 1, 1, 3\], not \[1, 1, 1, 3\]"):
        compare_sampling(longer, Scripted(1.0), Scripted(1.0, 1.0))


def test_values_that_are_none_are_refused_by_graph():
    with pytest.raises(ParityError, match=r"graph 'step' while sampling: 'y' holds 1 values"):
        compare_sampling(denoise, Scripted(1.0, 2.0, 4.0), Scripted(1.0, float("inf"), 4.0))


def test_levels_are_compared_without_wrapping():
    """0 and 255 are 255 apart, not one."""
    found = compare_sampling(count_up, Scripted(0.0, 0.0, 0.0), Scripted(0.0, 0.0, 25.5))
    assert found["max_level_difference"] == 255


def test_a_listener_hears_the_integers_and_passes_the_rest_on():
    engine = SimpleNamespace(name="one", run=lambda graph, **inputs: {"y": inputs["x"] + 1})
    listener = Listener(engine)  # pyright: ignore
    x = torch.zeros(2)
    parts = [torch.tensor([4, 5]), torch.tensor([6])]
    assert torch.equal(listener.run("step", x=x, tokens=parts)["y"], torch.ones(2))
    listener.run("step", x=x)
    assert [list(call) for call in listener.heard] == [[4, 5, 6], []]
    assert [(graph, list(made["y"])) for graph, made in listener.made] == [("step", [1, 1])] * 2


def test_a_listener_keeps_what_came_out_before_the_loop_changes_it(monkeypatch):
    """Outputs belong to the loop; of what does not fit the first calls are kept."""
    monkeypatch.setattr(wrapped, "MOST_KEPT", 3 * 8 + 4)
    engine = SimpleNamespace(name="one", run=lambda graph, **inputs: {"y": inputs["x"] + 1})
    listener = Listener(engine)  # pyright: ignore
    for _ in range(5):
        listener.run("step", x=torch.zeros(2))["y"].fill_(9)
    assert len(listener.heard) == 5
    assert [list(made["y"]) for _, made in listener.made] == [[1, 1]] * 3


def test_a_recorder_keeps_some_of_all_calls():
    recorder = Recorder(SimpleNamespace(name="one", run=lambda graph, **_: {}), most=60)  # pyright: ignore
    number = torch.zeros(1)
    for _ in range(1200):
        recorder.run("step", x=number, k=[number, number])
        number += 1
    for _ in range(3):
        recorder.run("rare", x=number)
    kept = recorder.calls["step"]
    assert len(kept) == 60
    assert len(recorder.calls["rare"]) == 3
    assert set(kept[0]) == {"x", "k_0", "k_1"}
    found = sorted({int(call["x"]) for call in kept})
    assert len(found) == 60
    # 15 in each quarter on average, with a standard deviation of 3.3.
    quarters = np.bincount([number // 300 for number in found], minlength=4)
    assert quarters.min() >= 5
    assert all(torch.equal(call["x"], call["k_0"]) for call in kept)
