"""Running engines, on a TensorRT that is played by ctypes: its GPU is this machine's memory."""

import ctypes
import sys
from collections.abc import Callable
from contextlib import nullcontext
from enum import Enum
from math import prod
from types import ModuleType, SimpleNamespace

import pytest
import torch

from dln.core.errors import DlnError, MissingCapability
from dln.export import tensorrt_engine
from dln.export.builder import Backend
from dln.export.tensorrt_engine import TensorRTEngine

TensorIOMode = Enum("TensorIOMode", "INPUT OUTPUT")
DataType = Enum("DataType", "FLOAT HALF INT64")
SIZES = {DataType.FLOAT: 4, DataType.HALF: 2, DataType.INT64: 8}
TYPES = {
    DataType.FLOAT: torch.float32,
    DataType.HALF: torch.float16,
    DataType.INT64: torch.int64,
}


def at(address, shape, kind):
    """The memory at an address as a tensor."""
    count = prod(shape)
    raw = (ctypes.c_char * (count * SIZES[kind])).from_address(address)
    return torch.frombuffer(raw, dtype=TYPES[kind], count=count).view(shape)


class FakeEngine:
    """doubled = 2 * x, of x's shape; shifted = x + places, in float16."""

    tensors = {  # noqa: RUF012
        "x": (TensorIOMode.INPUT, DataType.FLOAT),
        "places": (TensorIOMode.INPUT, DataType.INT64),
        "doubled": (TensorIOMode.OUTPUT, DataType.FLOAT),
        "shifted": (TensorIOMode.OUTPUT, DataType.HALF),
    }
    num_io_tensors = 4

    def __init__(self):
        self.contexts = []

    def get_tensor_name(self, index):
        return list(self.tensors)[index]

    def get_tensor_mode(self, name):
        return self.tensors[name][0]

    def get_tensor_dtype(self, name):
        return self.tensors[name][1]

    def create_runtime_config(self):
        return SimpleNamespace(cuda_graph_strategy=None)

    def create_execution_context(self, config=None):
        self.contexts.append(FakeContext(config))
        return self.contexts[-1]


class FakeContext:
    def __init__(self, config):
        self.config, self.shapes, self.addresses, self.launches = config, {}, {}, 0
        self.works, self.rows = True, 64

    def set_input_shape(self, name, shape):
        self.shapes[name] = shape
        return shape[0] <= self.rows

    def get_tensor_shape(self, name):
        return self.shapes.get(name, self.shapes["x"])

    def set_tensor_address(self, name, address):
        assert address
        assert address % tensorrt_engine.ALIGNMENT == 0 or name in ("doubled", "shifted")
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream_handle):
        assert stream_handle == 7
        self.launches += 1
        if self.works and prod(self.shapes["x"]):
            self.compute(dict(self.addresses), dict(self.shapes))
        return self.works

    @staticmethod
    def compute(addresses, shapes):
        x = at(addresses["x"], shapes["x"], DataType.FLOAT)
        places = at(addresses["places"], shapes["places"], DataType.INT64)
        at(addresses["doubled"], shapes["x"], DataType.FLOAT).copy_(2 * x)
        at(addresses["shifted"], shapes["x"], DataType.HALF).copy_(x + places)


class FakeStream:
    cuda_stream = 7

    def __init__(self, device=None):
        self.waits = 0

    def wait_stream(self, other):
        self.waits += 1


class FakeGraph:
    """A CUDA graph: what was launched while it was captured, on the addresses of then."""

    captured: Callable[[], None]

    def replay(self):
        self.captured()


class FakeCapture:
    context: FakeContext
    fails = False

    def __init__(self, graph, stream):
        self.graph = graph

    def __enter__(self):
        if type(self).fails:
            raise RuntimeError("operation not permitted when stream is capturing")
        context = type(self).context
        addresses, shapes = dict(context.addresses), dict(context.shapes)
        self.graph.captured = lambda: context.compute(addresses, shapes)

    def __exit__(self, *_):
        return False


@pytest.fixture
def trt(monkeypatch):
    """A tensorrt module and a torch.cuda to go with it. The last engine loaded is trt.engine."""
    module = ModuleType("tensorrt")
    module.engine = None  # pyright: ignore

    class Runtime:
        def __init__(self, log):
            pass

        def deserialize_cuda_engine(self, plan):
            module.engine = FakeEngine() if plan == b"plan" else None  # pyright: ignore
            return module.engine

    for name, value in {
        "TensorIOMode": TensorIOMode,
        "Runtime": Runtime,
        "Logger": type("Logger", (), {"ERROR": 1, "__init__": lambda self, level: None}),
    }.items():
        setattr(module, name, value)
    for name in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(tensorrt_engine, "ALIGNMENT", 16)
    FakeCapture.fails = False
    for name, value in {
        "is_available": lambda: True,
        "device": lambda device: nullcontext(),
        "stream": lambda stream: nullcontext(),
        "Stream": FakeStream,
        "current_stream": FakeStream,
        "CUDAGraph": FakeGraph,
        "graph": FakeCapture,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    return module


@pytest.fixture
def engine(trt, tmp_path):
    made = load(tmp_path)
    FakeCapture.context = trt.engine.contexts[0]
    return made


def load(folder, plan=b"plan", backend: Backend = "tensorrt"):
    path = folder / "step.engine"
    path.write_bytes(plan)
    return TensorRTEngine({"step": path}, backend, device="cpu")


def inputs(rows=3, start=0.0):
    return {"x": torch.arange(2.0 * rows).view(rows, 2) + start, "places": torch.full((rows, 2), 5)}


def test_inputs_and_outputs_are_bound_by_name(engine):
    given = inputs()
    found = engine.run("step", **dict(reversed(given.items())))
    assert list(found) == ["doubled", "shifted"]
    assert torch.equal(found["doubled"], 2 * given["x"])
    assert torch.equal(found["shifted"], (given["x"] + 5).half())


def test_inputs_take_the_types_and_the_layout_of_the_engine(engine):
    x = torch.arange(12.0, dtype=torch.float64).view(2, 6).t()
    places = torch.ones(6, 2, dtype=torch.int32)
    found = engine.run("step", x=x, places=places)
    assert found["doubled"].dtype == torch.float32
    assert torch.equal(found["doubled"], 2 * x.float())
    assert found["shifted"].dtype == torch.float16


def test_views_that_lie_askew_are_moved(engine):
    x = torch.arange(7.0)[1:].view(3, 2)
    assert x.data_ptr() % 16
    found = engine.run("step", x=x, places=torch.zeros(3, 2, dtype=torch.int64))
    assert torch.equal(found["doubled"], 2 * x)


def test_parts_of_a_sequence_are_inputs_of_their_own(engine):
    with pytest.raises(DlnError, match="other inputs than the model: places, x, x_0, x_1"):
        engine.run("step", x=[torch.zeros(1, 2), torch.zeros(1, 2)])


@pytest.mark.parametrize(
    ("given", "said"),
    [({**inputs(), "y": torch.zeros(1)}, "y"), ({"x": torch.zeros(1, 2)}, "places")],
)
def test_unknown_and_missing_inputs(given, said, engine):
    with pytest.raises(DlnError, match=f"engine of step has other inputs than the model: {said}$"):
        engine.run("step", **given)


def test_shapes_outside_the_ranges(engine):
    with pytest.raises(DlnError, match="step does not take 65 x 2 for x"):
        engine.run("step", **inputs(65))


def test_empty_inputs_have_an_address(engine):
    assert engine.run("step", **inputs(0))["doubled"].shape == (0, 2)


def test_a_launch_that_fails(engine, trt):
    trt.engine.contexts[0].works = False
    with pytest.raises(DlnError, match="failed to run step"):
        engine.run("step", **inputs())


def test_sizes_that_depend_on_the_data(engine, trt, monkeypatch):
    monkeypatch.setattr(FakeContext, "get_tensor_shape", lambda self, name: (-1, 2))
    with pytest.raises(DlnError, match="doubled of step depends on the data"):
        engine.run("step", **inputs())


def test_shapes_that_come_again_are_replayed(engine, trt):
    context = trt.engine.contexts[0]
    results = [engine.run("step", **inputs(start=start)) for start in (0.0, 10.0, 20.0)]
    # One plain launch, one before the capture, one while capturing; then none.
    assert context.launches == 3
    for start, found in zip((0.0, 10.0, 20.0), results, strict=True):
        assert torch.equal(found["doubled"], 2 * inputs(start=start)["x"])
    assert torch.equal(engine.run("step", **inputs(4))["doubled"], 2 * inputs(4)["x"])
    assert context.launches == 4


def test_outputs_belong_to_the_caller(engine):
    for _ in range(3):
        found = engine.run("step", **inputs())
        found["doubled"].fill_(-1)
        given = inputs()
        again = engine.run("step", **given)
        assert torch.equal(again["doubled"], 2 * given["x"])
        assert (found["doubled"] == -1).all()
        assert torch.equal(given["x"], inputs()["x"])


def test_where_capturing_fails_it_is_launched(engine, trt):
    FakeCapture.fails = True
    for start in (0.0, 1.0, 2.0):
        found = engine.run("step", **inputs(start=start))
        assert torch.equal(found["doubled"], 2 * inputs(start=start)["x"])
    # Three launches and the one before the capture, which is not tried twice.
    assert trt.engine.contexts[0].launches == 4


def test_large_inputs_are_not_copied_for_a_replay(engine, trt, monkeypatch):
    monkeypatch.setattr(tensorrt_engine, "MOST_COPIED", 8)
    for _ in range(3):
        engine.run("step", **inputs())
    assert trt.engine.contexts[0].launches == 3


def test_tensorrt_rtx_captures_by_itself(trt, tmp_path):
    trt.CudaGraphStrategy = SimpleNamespace(WHOLE_GRAPH_CAPTURE="whole")
    engine = load(tmp_path, backend="tensorrt_rtx")
    for _ in range(3):
        engine.run("step", **inputs())
    (context,) = trt.engine.contexts
    assert context.config.cuda_graph_strategy == "whole"
    assert context.launches == 3


def test_an_engine_for_another_machine(trt, tmp_path):
    with pytest.raises(MissingCapability, match=r"cannot load .*step\.engine here"):
        load(tmp_path, plan=b"other")


def test_an_engine_that_is_not_there(trt, tmp_path):
    with pytest.raises(MissingCapability, match="there is no engine") as caught:
        TensorRTEngine({"step": tmp_path / "step.engine"}, "tensorrt", device="cpu")
    assert caught.value.hint == "dln export --trt"


def test_a_library_that_is_not_there(trt, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(MissingCapability, match="cannot import TensorRT") as caught:
        load(tmp_path)
    assert "pip install" in (caught.value.hint or "")


def test_without_a_gpu_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MissingCapability, match="NVIDIA GPU") as caught:
        load(tmp_path)
    assert caught.value.hint == "dln generate --engine onnx"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_an_engine_built_here_agrees_with_torch(tmp_path):
    from onnx import TensorProto, helper, save

    from dln.export.tensorrt import BuildRequest, Profile, build, choose_backend

    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["rows", 8]) for n in "xy")
    graph = helper.make_graph([helper.make_node("Softmax", ["x"], ["y"])], "graph", [x], [y])
    path = tmp_path / "step.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), path)
    profile = Profile({"x": ((1, 8), (4, 8), (64, 8))})
    backend = choose_backend("cuda")
    build(BuildRequest(path, tmp_path / "step.engine", profile, backend))
    engine = TensorRTEngine({"step": tmp_path / "step.engine"}, backend)
    for rows in (1, 5, 5, 5, 64):
        given = torch.randn(rows, 8)
        found = engine.run("step", x=given)["y"].cpu()
        torch.testing.assert_close(found, given.softmax(-1), atol=1e-5, rtol=1e-5)
