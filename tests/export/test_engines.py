"""ONNX Runtime against PyTorch: the same numbers, no tensor mixed up, no device in silence."""

import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor

sys.path.append(str(Path(__file__).parent))
from toy_export import NAMES, Apply, exported, graph, loaded

from dln.core.errors import DlnError, MissingCapability, UsageError
from dln.core.models import engine as engine_module
from dln.core.models.cogvideo.sample import sample
from dln.core.models.engine import TorchEngine, threads_kept
from dln.core.models.graph import flatten
from dln.core.models.request import Request
from dln.core.threads import Load
from dln.export import engines
from dln.export.engines import OnnxEngine, engine_name, onnx_engine, pick_providers, trt_engine
from dln.export.onnx import write_onnx
from dln.export.parity import example
from dln.export.runtime import require_onnxruntime
from dln.export.wrapped import Listener

MODEL: Any = loaded().model
GRAPHS = MODEL.graphs()
TORCH = TorchEngine(GRAPHS)
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


@pytest.fixture(scope="module")
def engine() -> OnnxEngine:
    return onnx_engine(exported().folder, "cpu")


@pytest.fixture
def step(tmp_path) -> OnnxEngine:
    """y = 2 x + 1, for any number of rows."""
    write_onnx(graph(Apply(lambda x: 2 * x + 1)), tmp_path / "step.onnx")
    return OnnxEngine({"step": tmp_path / "step.onnx"}, "cpu")


def sizes_of(name: str) -> list[dict[str, int]]:
    """Growing, shrinking and again as at first, so that nothing is kept from an earlier run."""
    ranges = GRAPHS[name].sizes.items()
    small, large = ({n: getattr(r, end) for n, r in ranges} for end in ("smallest", "largest"))
    other = {n: min(r.largest, r.smallest + 3 + i) for i, (n, r) in enumerate(ranges)}
    return [small, large, other, small]


def close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert list(found) == list(expected)
    for name, want in expected.items():
        assert found[name].dtype == want.dtype
        torch.testing.assert_close(found[name], want, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_all_graphs_at_several_sizes(name, engine):
    for seed, sizes in enumerate(sizes_of(name)):
        inputs = example(GRAPHS[name], sizes, seed)
        close(engine.run(name, **inputs), TORCH.run(name, **inputs))


def test_inputs_changed_in_place_are_seen(step, engine):
    x = torch.zeros(3, 8)
    assert torch.equal(step.run("step", x=x)["y"], torch.ones(3, 8))
    x.fill_(2)
    assert torch.equal(step.run("step", x=x)["y"], torch.full((3, 8), 5.0))
    inputs = example(GRAPHS["image"], {"cached": 4}, seed=0)
    engine.run("image", **inputs)
    inputs["k"][1].mul_(-2)  # pyright: ignore
    inputs["tokens"].fill_(7)  # pyright: ignore
    close(engine.run("image", **inputs), TORCH.run("image", **inputs))


def test_in_place_also_where_the_runtime_needs_a_copy(step):
    """Columns of a wider tensor and halves are copied: again in every run."""
    wide = torch.zeros(3, 16)
    columns, halves = wide[:, ::2], torch.zeros(3, 8, dtype=torch.float64)
    for tensor in (columns, halves):
        assert torch.equal(step.run("step", x=tensor)["y"], torch.ones(3, 8))
        tensor.fill_(1)
        assert torch.equal(step.run("step", x=tensor)["y"], torch.full((3, 8), 3.0))


def test_outputs_belong_to_the_caller(step):
    first = step.run("step", x=torch.zeros(2, 8))["y"]
    second = step.run("step", x=torch.ones(2, 8))["y"]
    assert torch.equal(first, torch.ones(2, 8))
    second.zero_()
    assert torch.equal(step.run("step", x=torch.ones(2, 8))["y"], torch.full((2, 8), 3.0))
    assert torch.equal(first, torch.ones(2, 8))


def test_an_output_may_be_the_next_input(step):
    x = torch.zeros(4, 8)
    for _ in range(5):
        x = step.run("step", x=x)["y"]
    assert torch.equal(x, torch.full((4, 8), 2.0**5 - 1))


def test_inputs_that_are_not_contiguous(engine):
    inputs = example(GRAPHS["decode"], {"batch": 3}, seed=1)
    turned: Any = inputs["indices"].t().contiguous().t()  # pyright: ignore
    assert not turned.is_contiguous()
    close(engine.run("decode", indices=turned), TORCH.run("decode", **inputs))
    inputs = example(GRAPHS["image"], {"cached": 6}, seed=1)
    apart = inputs | {"k": [k.transpose(1, 2).contiguous().transpose(1, 2) for k in inputs["k"]]}
    assert not any(k.is_contiguous() for k in apart["k"])  # pyright: ignore
    close(engine.run("image", **apart), TORCH.run("image", **inputs))


def test_inputs_of_another_type_are_converted(engine):
    inputs = example(GRAPHS["decode"], {"batch": 2}, seed=1)
    small = {"indices": inputs["indices"].to(torch.int32)}  # pyright: ignore
    close(engine.run("decode", **small), TORCH.run("decode", **inputs))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda inputs: inputs.pop("places"), "places"),
        (lambda inputs: inputs.update(places=[inputs["places"]]), "places_0"),
        (lambda inputs: inputs["k"].pop(), "k_1"),
        (lambda inputs: inputs.update(spare=torch.zeros(1)), "spare"),
    ],
    ids=["missing", "misspelt", "a part is missing", "unknown"],
)
def test_inputs_that_do_not_fit_are_named(change, named, engine):
    inputs: dict[str, Any] = dict(GRAPHS["image"].inputs())
    change(inputs)
    with pytest.raises(DlnError, match=rf"graph 'image'.*\b{named}\b"):
        engine.run("image", **inputs)
    close(engine.run("image", **(i := GRAPHS["image"].inputs())), TORCH.run("image", **i))


def test_an_unknown_graph_is_named(engine):
    with pytest.raises(DlnError, match="no graph 'voice'"):
        engine.run("voice", x=torch.zeros(1))


@pytest.mark.parametrize("prompt", ["lion drinking", "a frog walks on the snow", "лев пьёт"])
def test_a_whole_clip_is_the_same(prompt, engine):
    """Every token that both loops hand to a graph; pixels to the last rounding."""
    runs = [Listener(each) for each in (TORCH, engine)]
    request = Request(prompt, seed=len(prompt))
    clips = [sample(run, MODEL, request, lambda *_: None).clip() for run in runs]
    assert sum(call.size for call in runs[0].heard) > 500
    assert all(map(np.array_equal, runs[0].heard, runs[1].heard))
    assert len(runs[0].heard) == len(runs[1].heard)
    levels = [clip.frames.astype(int) for clip in clips]
    assert levels[0].std() > 5
    assert np.abs(levels[0] - levels[1]).max() <= 1


def test_results_come_from_the_file(tmp_path):
    """No engine that quietly runs the model instead: other weights in the file, other results."""
    folder = exported().copy(tmp_path / "export")
    path = folder / "onnx" / "decode.onnx"
    model = onnx.load(str(path))
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = onnx.numpy_helper.to_array(tensor)
            tensor.CopyFrom(onnx.numpy_helper.from_array(2 * values, tensor.name))
    onnx.save(model, path)
    inputs = GRAPHS["decode"].inputs()
    found = OnnxEngine({"decode": path}, "cpu").run("decode", **inputs)["pixels"]
    assert (found - TORCH.run("decode", **inputs)["pixels"]).abs().max() > 0.1
    with pytest.raises(DlnError, match=r"decode\.onnx is not the file .* hash") as caught:
        onnx_engine(folder, "cpu")
    assert "--force" in (caught.value.hint or "")
    path.unlink()
    with pytest.raises(DlnError, match=r"decode\.onnx is missing"):
        onnx_engine(folder, "cpu")


def test_a_damaged_file_is_one_sentence(tmp_path):
    (tmp_path / "step.onnx").write_bytes(exported().file("decode").read_bytes()[:-300])
    engine = OnnxEngine({"step": tmp_path / "step.onnx"}, "cpu")
    with pytest.raises(DlnError, match=r"cannot load .*step\.onnx") as caught:
        engine.run("step", x=torch.zeros(2, 8))
    assert "\n" not in caught.value.message


def test_an_output_whose_size_no_input_has(tmp_path):
    """Twice the rows and themselves: as a joined cache has it."""
    write_onnx(graph(Apply(lambda x: torch.cat([x, 2 * x]))), tmp_path / "step.onnx")
    engine = OnnxEngine({"step": tmp_path / "step.onnx"}, "cpu")
    for count in (3, 5):
        x = torch.randn(count, 8)
        assert torch.equal(engine.run("step", x=x)["y"], torch.cat([x, 2 * x]))


def installed(monkeypatch, *names: str) -> None:
    """As if these packages were here and no other."""

    def version(name: str) -> str:
        if name not in names:
            raise metadata.PackageNotFoundError(name)
        return "1.30.0"

    monkeypatch.setattr(metadata, "version", version)


def test_two_runtimes_at_once_are_refused(monkeypatch, tmp_path):
    installed(monkeypatch, "onnxruntime", "onnxruntime-gpu")
    with pytest.raises(MissingCapability, match="onnxruntime and onnxruntime-gpu") as caught:
        OnnxEngine({}, "cpu")
    repair = "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu"
    assert caught.value.hint == repair


@pytest.mark.parametrize(
    ("names", "hint"),
    [
        ((), "pip install onnxruntime"),
        (("onnxruntime",), "pip uninstall -y onnxruntime && pip install onnxruntime"),
    ],
    ids=["missing", "broken"],
)
def test_a_runtime_that_does_not_load(names, hint, monkeypatch):
    installed(monkeypatch, *names)
    # What is left of the package after one of two has been uninstalled is an empty folder.
    broken = SimpleNamespace() if names else None
    monkeypatch.setitem(sys.modules, "onnxruntime", broken)
    with pytest.raises(MissingCapability, match="onnxruntime does not load") as caught:
        OnnxEngine({}, "cpu")
    assert caught.value.hint == hint


def gpu(monkeypatch, count: int = 2) -> None:
    """As if torch saw GPUs."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


def cuda(number: int) -> dict[str, int]:
    """What is asked of a GPU: float32 that is no TF32."""
    return {"device_id": number, "use_tf32": 0}


def test_which_providers_are_asked_for(monkeypatch):
    gpu(monkeypatch, count=0)
    assert pick_providers("auto", [CUDA, CPU]) == ("cpu", [CPU])
    with pytest.raises(MissingCapability, match="no device cuda"):
        pick_providers("cuda", [CUDA, CPU])
    gpu(monkeypatch)
    assert pick_providers("cpu", [CUDA, CPU]) == ("cpu", [CPU])
    assert pick_providers("auto", [CUDA, CPU]) == ("cuda:0", [(CUDA, cuda(0)), CPU])
    assert pick_providers("cuda:1", [CUDA, CPU]) == ("cuda:1", [(CUDA, cuda(1)), CPU])
    assert pick_providers("auto", [CPU]) == ("cpu", [CPU])
    with pytest.raises(MissingCapability, match="no CUDA provider") as caught:
        pick_providers("cuda", [CPU])
    assert "pip install onnxruntime-gpu" in (caught.value.hint or "")
    with pytest.raises(UsageError, match="tpu"):
        pick_providers("tpu", [CPU])


def on_broken_cuda(monkeypatch, tmp_path, device: str) -> OnnxEngine:
    """CUDA is asked for, and a session as it is without CUDA's libraries is obtained."""
    write_onnx(graph(Apply(lambda x: 2 * x + 1)), tmp_path / "step.onnx")
    monkeypatch.setattr(engine_module, "pick_device", lambda device: "cuda")
    runtime = require_onnxruntime()
    session = runtime.InferenceSession
    monkeypatch.setattr(runtime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(
        runtime, "InferenceSession", lambda path, options, providers: session(path, options, [CPU])
    )
    return OnnxEngine({"step": tmp_path / "step.onnx"}, device)


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_another_device_than_asked_for_is_an_error(device, monkeypatch, tmp_path):
    engine = on_broken_cuda(monkeypatch, tmp_path, device)
    with pytest.raises(MissingCapability, match=f"{CUDA} was asked for and {CPU} obtained"):
        engine.run("step", x=torch.zeros(2, 8))


def test_auto_takes_the_device_that_works(monkeypatch, tmp_path):
    engine = on_broken_cuda(monkeypatch, tmp_path, "auto")
    assert torch.equal(engine.run("step", x=torch.zeros(2, 8))["y"], torch.ones(2, 8))
    assert engine.device == "cpu"


@pytest.fixture
def sessions(monkeypatch, tmp_path):
    """What ONNX Runtime is asked for: the settings and the threads of each session."""
    made: list[tuple[dict[str, str], int]] = []

    class Options(SimpleNamespace):
        intra_op_num_threads = 0

        def __init__(self) -> None:
            super().__init__(told={})

        def add_session_config_entry(self, name: str, value: str) -> None:
            self.told[name] = value

    def session(path, options, providers) -> SimpleNamespace:
        made.append((options.told, options.intra_op_num_threads))
        return SimpleNamespace(get_providers=lambda: [CPU])

    fake = SimpleNamespace(
        get_available_providers=lambda: [CPU], SessionOptions=Options, InferenceSession=session
    )
    monkeypatch.setattr(engines, "require_onnxruntime", lambda: fake)
    monkeypatch.setattr(engines, "_Bound", lambda *_: lambda inputs: inputs)
    monkeypatch.setattr(engines, "_before", [])
    with threads_kept():
        torch.set_num_threads(4)
        yield made


def test_a_session_for_each_number_of_threads(sessions, monkeypatch, tmp_path):
    counts = iter([4, 4, 1, 4, 1])
    follower = SimpleNamespace(count=lambda: next(counts))
    monkeypatch.setattr(engines, "Threads", lambda usual, load, on_note: follower)
    engine = OnnxEngine({"step": tmp_path / "step.onnx"}, "cpu")
    engine.take_threads(Load(lambda: None))
    for _ in range(5):
        engine.run("step")
    assert [threads for _, threads in sessions] == [4, 1]
    assert torch.get_num_threads() == 1  # those of a session do the work


def test_threads_of_a_session_do_not_spin_and_are_as_many_in_a_second_engine(sessions, tmp_path):
    files = {"step": tmp_path / "step.onnx"}
    for _ in range(2):
        engine = OnnxEngine(files, "cpu")
        engine.take_threads()
        engine.run("step")
    assert sessions == [({"session.intra_op.allow_spinning": "0"}, 4)] * 2


def test_names_say_the_precision():
    names = [engine_name("onnx", precision) for precision in ("fp32", "fp16", "int8")]
    assert names == ["onnx", "onnx-fp16", "onnx-int8"]


def test_an_export_without_engines_has_none_for_tensorrt():
    with pytest.raises(MissingCapability, match="no TensorRT engines") as caught:
        trt_engine(exported().folder)
    assert caught.value.hint == "dln export --trt"


def test_parts_are_named_by_number():
    parts = flatten({"k": [torch.zeros(1), torch.ones(1)], "x": torch.zeros(2)})
    assert list(parts) == ["k_0", "k_1", "x"]
