"""Engines are really built here, without a GPU; a builder that fails leaves a clear sentence."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from dln.core.errors import DlnError, MissingCapability, UsageError
from dln.core.files import sha256_file
from dln.core.installed import install_line
from dln.core.models.graph import Graph, Range
from dln.export import build_worker
from dln.export.builder import BuildError
from dln.export.tensorrt import (
    DEFAULT_CAPABILITIES,
    BuildRequest,
    Profile,
    build,
    capabilities,
    choose_backend,
    profile_of,
)

needs_rtx = pytest.mark.skipif(find_spec("tensorrt_rtx") is None, reason="needs tensorrt-rtx")
posix = pytest.mark.skipif(os.name != "posix", reason="needs signals")
VARIES = Profile({"x": ((1, 8), (4, 8), (64, 8))})
node = helper.make_node


def save(path, nodes, opset=20, rows: int | str = "rows"):
    """x (rows, 8) and constant weights w (8, 8) to y."""
    weights = numpy_helper.from_array(np.random.default_rng(0).random((8, 8), np.float32), "w")
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [rows, 8]) for n in "xy")
    graph = helper.make_graph(nodes, "graph", [x], [y], [weights])
    opsets = [helper.make_opsetid("", opset)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return path


@pytest.fixture
def graph(tmp_path) -> Path:
    """A linear map and a softmax over any number of rows."""
    return save(
        tmp_path / "step.onnx",
        [node("MatMul", ["x", "w"], ["m"], "map"), node("Softmax", ["m"], ["y"], "soft")],
    )


def request(onnx_path: Path, profile: Profile = VARIES, **more) -> BuildRequest:
    engine = onnx_path.parent / "engines" / "step.engine"
    return BuildRequest(onnx_path, engine, profile, more.pop("backend", "tensorrt_rtx"), **more)


def left_over(asked: BuildRequest) -> list[str]:
    """What a build left beside the engine and its log."""
    kept = (asked.engine.name, asked.engine.name + ".log")
    return [path.name for path in asked.engine.parent.iterdir() if path.name not in kept]


def worker(code: str) -> list[str]:
    """A worker that reads the request and then does something else."""
    start = "import json, os, signal, subprocess, sys, time; request = json.load(sys.stdin); "
    return [sys.executable, "-c", start + code]


def faulty(**fault) -> list[str]:
    """A worker that answers with one fault."""
    return worker(f"print(json.dumps({{'version': '1', 'faults': [{fault!r}]}}))")


def refused(asked: BuildRequest, command=None) -> BuildError:
    """The error of a build that must fail, with nothing left but the log that it names."""
    with pytest.raises(BuildError) as caught:
        build(asked, *([command] if command else []))
    assert not asked.engine.exists()
    assert left_over(asked) == []
    log = asked.engine.with_name("step.engine.log")
    assert log.exists()
    assert str(log) in (caught.value.hint or "")
    assert "step" in caught.value.message
    return caught.value


@needs_rtx
def test_an_engine_is_built_without_a_gpu(graph):
    asked = request(graph)
    built = build(asked)
    assert (built.engine, built.backend) == (asked.engine, "tensorrt_rtx")
    assert built.bytes == asked.engine.stat().st_size > 10_000
    assert built.sha256 == sha256_file(asked.engine)
    assert built.version[0].isdigit()
    assert built.seconds > 0
    assert "Opset version" in built.log.read_text()
    assert left_over(asked) == []


@needs_rtx
def test_one_engine_holds_all_capabilities(graph):
    built = build(request(graph))
    assert built.capabilities == DEFAULT_CAPABILITIES
    # How TensorRT-RTX lists in an engine what it was compiled for.
    assert b"accelerators={sm80 sm86 sm89 sm120 }" in built.engine.read_bytes()
    only = build(request(graph, capabilities=("8.9",)))
    assert only.capabilities == ("89",)
    assert b"accelerators={sm89 }" in only.engine.read_bytes()


@needs_rtx
def test_float32_is_not_tf32():
    trt = pytest.importorskip("tensorrt_rtx")
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    assert builder.create_builder_config().get_flag(trt.BuilderFlag.TF32)
    config = build_worker._configure(trt, builder, {"shapes": {}, "capabilities": []})
    assert not config.get_flag(trt.BuilderFlag.TF32)


@needs_rtx
def test_an_unsupported_operator_is_named_and_the_old_engine_stays(graph):
    asked = request(graph)
    before = build(asked)
    save(graph, [node("Neg", ["x"], ["n"]), node("Bernoulli", ["n"], ["y"], "draw")])
    with pytest.raises(BuildError, match=r"cannot read step: node 'draw' \(Bernoulli\)") as caught:
        build(asked)
    assert [(f.node, f.operator) for f in caught.value.faults] == [("draw", "Bernoulli")]
    assert sha256_file(asked.engine) == before.sha256
    assert left_over(asked) == []


@needs_rtx
@pytest.mark.parametrize(
    ("rows", "shapes", "said"),
    [
        (4, {"x": ((1, 8), (4, 8), (64, 8))}, "dimension 0 of input 'x' is fixed at 4"),
        ("rows", {}, "input 'x' varies and no range was given"),
        ("rows", {"x": ((1,), (4,), (64,))}, "input 'x' has 2 dimensions, its range 1"),
        (4, {"z": ((1, 8), (4, 8), (64, 8))}, "there is no input 'z'"),
    ],
)
def test_ranges_that_do_not_fit_the_graph(rows, shapes, said, tmp_path):
    path = save(tmp_path / "step.onnx", [node("Relu", ["x"], ["y"])], rows=rows)
    assert said in refused(request(path, Profile(shapes))).message


@needs_rtx
def test_what_the_builder_cannot_do_is_its_first_error(graph):
    # Turing has no float32 matrix products; the parser does not know for which GPU it reads.
    error = refused(request(graph, capabilities=("75",)))
    assert "cannot build step" in error.message
    assert "SM75" in error.message
    assert len(error.message) < 400


@needs_rtx
def test_a_graph_that_really_crashes_the_builder(tmp_path):
    attention = node("Attention", ["m", "m", "m"], ["a"], q_num_heads=2, kv_num_heads=2)
    shape = numpy_helper.from_array(np.array([1, 4, 8]), "shape")
    back = numpy_helper.from_array(np.array([4, 8]), "back")
    chain = [
        node("MatMul", ["x", "w"], ["p"]),
        node("Constant", [], ["shape"], value=shape),
        node("Constant", [], ["back"], value=back),
        node("Reshape", ["p", "shape"], ["m"]),
        attention,
        node("Reshape", ["a", "back"], ["y"]),
    ]
    path = save(tmp_path / "step.onnx", chain, opset=23, rows=4)
    # Version 1.7.1 ends with a segmentation fault; a later one may say no.
    assert "TensorRT-RTX" in refused(request(path, Profile())).message


@posix
@pytest.mark.parametrize(
    ("name", "said"),
    [("SIGSEGV", "crashed"), ("SIGABRT", "crashed"), ("SIGKILL", "killed"), ("SIGTERM", "killed")],
)
def test_a_builder_that_dies_half_way(name, said, graph):
    half = "open(request['engine'], 'wb').write(b'half'); print('last words', file=sys.stderr); "
    error = refused(request(graph), worker(half + f"os.kill(os.getpid(), signal.{name})"))
    assert said in error.message
    assert name in error.message
    log = graph.parent / "engines" / "step.engine.log"
    assert "last words" in log.read_text()


@pytest.mark.parametrize(("code", "said"), [(7, "ended with code 7"), (0, "without an answer")])
def test_a_builder_that_just_ends(code, said, graph):
    assert said in refused(request(graph), worker(f"sys.exit({code})")).message


def alive(pid: int) -> bool:
    """Whether the process runs; one that ended and was not collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ends(pid: int) -> bool:
    limit = time.monotonic() + 5
    while alive(pid) and time.monotonic() < limit:
        time.sleep(0.01)
    return not alive(pid)


# A worker with a child of its own: both must end.
SLEEPER = (
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
    "open(request['onnx'] + '.pids', 'w').write(f'{os.getpid()} {child.pid}'); time.sleep(60)"
)
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@linux
def test_a_builder_that_takes_too_long(graph):
    start = time.monotonic()
    error = refused(request(graph, timeout_s=1.5), worker(SLEEPER))
    assert "longer than 1.5 s" in error.message
    assert time.monotonic() - start < 20
    pids = Path(f"{graph}.pids").read_text().split()
    assert all(ends(int(pid)) for pid in pids)


@linux
def test_ctrl_c_ends_the_builder_too(graph):
    def interrupt(*_):
        raise KeyboardInterrupt

    asked = request(graph)
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1.5)
    try:
        with pytest.raises(KeyboardInterrupt):
            build(asked, worker(SLEEPER))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    pids = Path(f"{graph}.pids").read_text().split()
    assert all(ends(int(pid)) for pid in pids)
    assert not asked.engine.exists()
    assert left_over(asked) == []


@linux
def test_the_worker_ends_by_itself_where_nobody_waits_for_it():
    code = (
        "import time; from dln.export import build_worker as w; w._GRACE_S = 0; "
        "w._work = lambda *_: time.sleep(60); w.main()"
    )
    question = json.dumps({"backend": "json", "timeout_s": 1, "parent": os.getpid()})
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], input=question, text=True, check=False)
    assert done.returncode == -signal.SIGALRM
    assert time.monotonic() - start < 20


@linux
def test_a_killed_parent_leaves_no_builder(graph):
    """The worker says who it is and sleeps; it ends with the process that asked it."""
    pids = graph.with_suffix(".pid")
    sleeper = (
        "import os, time; from pathlib import Path; from dln.export import build_worker as w; "
        "w._library = lambda name: __import__('json'); "
        f"w._work = lambda *_: (Path({str(pids)!r}).write_text(str(os.getpid())), time.sleep(60)); "
        "w.main()"
    )
    asks = (
        "import sys; from pathlib import Path; from dln.export.builder import ask; "
        f"ask([sys.executable, '-c', {sleeper!r}], {{'backend': 'tensorrt_rtx', 'timeout_s': 99, "
        f"'onnx': {str(graph)!r}}}, Path({str(graph.with_suffix('.log'))!r}))"
    )
    parent = subprocess.Popen([sys.executable, "-c", asks])
    limit = time.monotonic() + 60
    while not (pids.is_file() and pids.read_text()) and time.monotonic() < limit:
        time.sleep(0.02)
    assert alive(int(pids.read_text()))
    parent.kill()
    parent.wait()
    assert ends(int(pids.read_text()))


def test_a_full_disk_is_said_as_everywhere(graph):
    asked = request(graph)
    with pytest.raises(DlnError, match=r"disk full while writing .*step\.engine") as caught:
        build(asked, faulty(stage="write", message="No space left", errno=errno.ENOSPC))
    assert not isinstance(caught.value, BuildError)
    assert left_over(asked) == []


def test_a_backend_that_cannot_be_imported(graph):
    with pytest.raises(MissingCapability, match="libnvinfer") as caught:
        build(request(graph), faulty(stage="import", message="libnvinfer.so: not found"))
    assert caught.value.hint == "pip install tensorrt-rtx"


def test_a_place_that_is_no_folder(graph):
    (graph.parent / "engines").write_text("a file")
    with pytest.raises(UsageError, match="cannot write"):
        build(request(graph))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only(graph):
    asked = request(graph)
    asked.engine.parent.mkdir(mode=0o500)
    with pytest.raises(UsageError, match="permission denied"):
        build(asked)


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs /sys")
def test_a_file_system_that_takes_no_files(graph):
    # Root may not write there either.
    with pytest.raises(UsageError, match="cannot write /sys/kernel"):
        build(BuildRequest(graph, Path("/sys/kernel/step.engine"), VARIES, "tensorrt_rtx"))


def test_a_graph_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match=r"there is no file .*gone\.onnx"):
        build(request(tmp_path / "gone.onnx"))


def test_spellings_of_capabilities():
    assert capabilities(["8.6", "SM89", "sm_120", " 86 "]) == ("86", "89", "120")


@pytest.mark.parametrize("name", ["70", "8", "ada", ""])
def test_an_unknown_capability_lists_the_known_ones(name):
    with pytest.raises(UsageError, match="75, 80, 86, 89, 120, 121"):
        capabilities(["89", name])


def test_hopper_needs_the_other_tensorrt(graph):
    with pytest.raises(UsageError, match="'90'") as caught:
        build(request(graph, capabilities=("9.0",)))
    assert install_line("tensorrt") in (caught.value.hint or "")


def importable(monkeypatch, **there):
    for name, found in there.items():
        monkeypatch.setitem(sys.modules, name, ModuleType(name) if found else None)


@pytest.mark.parametrize(
    ("device", "full", "rtx", "chosen"),
    [
        ("cuda:1", True, True, "tensorrt"),
        ("cuda", False, True, "tensorrt_rtx"),
        ("cpu", True, True, "tensorrt_rtx"),
    ],
)
def test_the_backend_follows_the_device(device, full, rtx, chosen, monkeypatch):
    importable(monkeypatch, tensorrt=full, tensorrt_rtx=rtx)
    assert choose_backend(device) == chosen


@pytest.mark.parametrize(("device", "line"), [("cpu", "tensorrt-rtx"), ("cuda", "[tensorrt]")])
def test_no_backend_says_what_to_install(device, line, monkeypatch):
    importable(monkeypatch, tensorrt=False, tensorrt_rtx=False)
    with pytest.raises(MissingCapability) as caught:
        choose_backend(device)
    assert line in (caught.value.hint or "")


def test_the_profile_of_a_graph_covers_its_ranges():
    def example(batch, cached):
        parts = [torch.zeros(batch, 4 + cached, 3) for _ in range(2)]
        return {"x": torch.zeros(batch, 7), "fixed": torch.zeros(5), "cache": parts}

    sizes = {"batch": Range(1, 2, 16), "cached": Range(0, 9, 90)}
    found = profile_of(Graph("step", torch.nn.Identity(), ("y",), example, sizes))
    caches = ((1, 4, 3), (2, 13, 3), (16, 94, 3))
    rows = ((1, 7), (2, 7), (16, 7))
    assert found.shapes == {"x": rows, "cache_0": caches, "cache_1": caches}
    assert found.axes() == {"x": [0], "cache_0": [0, 1], "cache_1": [0, 1]}


@pytest.fixture
def as_if_on_a_gpu(monkeypatch, tmp_path):
    """TensorRT-RTX under TensorRT's name: the two have one interface for building."""
    alias = "import sys, tensorrt_rtx; sys.modules[__name__] = tensorrt_rtx; print('a banner')"
    (tmp_path / "tensorrt.py").write_text(alias)
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))


@needs_rtx
def test_tensorrt_builds_through_the_same_code(graph, as_if_on_a_gpu, tmp_path):
    cache = tmp_path / "timing.cache"
    cache.write_bytes(b"of another version")
    built = build(request(graph, backend="tensorrt", timing_cache=cache))
    assert (built.backend, built.capabilities) == ("tensorrt", ("90",))
    assert built.bytes > 10_000
    assert cache.read_bytes() != b"of another version"
    assert "a banner" in built.log.read_text()


def test_tensorrt_takes_no_capabilities(graph, as_if_on_a_gpu):
    with pytest.raises(UsageError, match="takes no compute capability"):
        build(request(graph, backend="tensorrt", capabilities=("89",)))


def test_tensorrt_needs_a_gpu(graph, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MissingCapability, match="GPU"):
        build(request(graph, backend="tensorrt"))
