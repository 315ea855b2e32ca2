"""Each check's verdict on machines that are well, lack something, or compute something else."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dln.core.errors import DlnError, MissingCapability
from dln.core.media.clip import Clip
from dln.core.models.engine import TorchEngine
from dln.core.models.graph import Value
from dln.core.models.package import load_model
from dln.core.models.registry import find
from dln.export.builder import BuildError
from dln.export.checkup import (
    codecs,
    gpu,
    launched,
    lesson,
    onnx,
    power,
    resuming,
    speed,
    torch_graphs,
    training,
    trt,
)
from dln.export.checkup.outcome import Found, Job
from dln.export.engines import OnnxEngine
from dln.export.onnx import write_onnx
from dln.export.parity import Difference, ParityError
from dln.export.tensorrt import Built
from dln.export.wrapped import Wrapped

JOB = Job(Path())


class Off(Wrapped):
    """An engine that adds to what it should compute."""

    def __init__(self, engine: Any, by: float) -> None:
        super().__init__(engine)
        self._by = by

    def run(self, graph: str, **inputs: Value) -> dict[str, Tensor]:
        return {n: t + self._by for n, t in self._engine.run(graph, **inputs).items()}


# the GPU


def fake_torch(built: str | None, *names: str) -> ModuleType:
    torch = ModuleType("torch")
    cuda = {"is_available": lambda: bool(names), "device_count": lambda: len(names),
            "get_device_name": names.__getitem__}  # fmt: skip
    vars(torch).update(version=SimpleNamespace(cuda=built), cuda=SimpleNamespace(**cuda))
    return torch


@pytest.mark.parametrize(
    ("built", "card", "why", "hint"),
    [
        (None, False, "torch is CPU only, and no NVIDIA GPU is in sight", "a machine with one"),
        (None, True, "torch is CPU only", "a CUDA build of torch"),
        ("13.0", True, "torch is built for CUDA 13.0; no GPU answers", "nvidia-smi"),
        ("13.0", False, "no NVIDIA GPU is in sight", "a machine with one"),
    ],
)
def test_why_there_is_no_gpu(monkeypatch, built, card, why, hint):
    monkeypatch.setitem(sys.modules, "torch", fake_torch(built))
    monkeypatch.setattr(gpu, "gpu_in_sight", lambda: card)
    with pytest.raises(MissingCapability, match=why) as caught:
        gpu.products(JOB)
    assert (caught.value.hint or "").startswith(hint)


def test_gpus_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", fake_torch("13.0", "A", "B"))
    assert gpu.names() == ["A", "B"]


# trainings


def test_a_loss_that_falls_is_learning():
    assert training.falling([0.7, 0.4, 0.2], "resnet on cpu") == [0.7, 0.4, 0.2]


@pytest.mark.parametrize(
    ("losses", "told"),
    [([0.7, float("nan"), 0.1], "no numbers"), ([], "no numbers"),
     ([0.7, 0.7, 0.69], "does not learn"), ([0.7, 0.2, 0.9], "does not learn")],
)  # fmt: skip
def test_a_loss_that_does_not_fall_is_a_failure(losses, told):
    with pytest.raises(DlnError, match=told):
        training.falling(losses, "resnet on cuda")


def test_a_device_must_begin_as_the_cpu(monkeypatch, tmp_path):
    asked: list[lesson.Lesson] = []

    def learn(each: lesson.Lesson) -> list[float]:
        asked.append(each)
        return [0.7, 0.1]

    monkeypatch.setattr(training, "learn", learn)
    before = {name: {"losses": [0.7001, 0.1]} for name in lesson.SIZES}
    job = Job(tmp_path, {training.BASE: before})
    found = training.learnt(job, "cuda")
    assert found.numbers.keys() == lesson.SIZES.keys()
    assert [each.precision for each in asked] == ["fp32", None] * len(before)
    before["vit"]["losses"][0] = 0.75
    with pytest.raises(DlnError, match=r"vit on cuda: the first loss is 0\.7, on the CPU 0\.75"):
        training.learnt(job, "cuda")


def run_in(folder: Path, weights: dict[str, Tensor], *rows: dict[str, Any]) -> Path:
    from safetensors.torch import save_file

    folder.mkdir()
    save_file(weights, folder / "model.safetensors")
    (folder / "stats.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@pytest.mark.parametrize(
    ("weight", "row", "told"),
    [
        (1.0, {"step": 20, "loss": 0.5, "seconds": 9.0}, None),
        (1.0 + 2**-20, {"step": 20, "loss": 0.5}, r"1 of 2 tensors differ, by 9.5e-07 at most"),
        (1.0, {"step": 20, "loss": 0.5000001}, "the log has other lines"),
    ],
)
def test_one_bit_is_seen(tmp_path, weight, row, told):
    same = torch.arange(3.0)
    one = run_in(tmp_path / "a", {"w": torch.tensor([1.0]), "v": same},
                 {"step": 20, "loss": 0.5, "seconds": 1.0, "samples_per_s": 3.0})  # fmt: skip
    other = run_in(tmp_path / "b", {"w": torch.tensor([weight]), "v": same.clone()}, row)
    assert resuming.differing(one, other) == told


@pytest.mark.parametrize(
    ("code", "told"),
    [("", "came to its end"), ("raise SystemExit(3)", "ended with code 3 before it kept")],
)
def test_a_kill_that_was_none_is_a_failure(monkeypatch, tmp_path, code, told):
    monkeypatch.setattr(resuming, "command", lambda lesson: [sys.executable, "-c", code])
    with pytest.raises(DlnError, match=told):
        resuming.killed(lesson.Lesson("resnet", "", str(tmp_path)))


@pytest.mark.parametrize(("again", "told"), [(None, "^resumed: 1 of"), ("1 of", "already")])
def test_other_bits_are_told_apart_from_a_device_that_never_repeats(
    monkeypatch, tmp_path, again, told
):
    found = iter(["1 of 9 tensors differ", again])
    monkeypatch.setattr(resuming, "differing", lambda one, other: next(found))
    monkeypatch.setattr(resuming, "learn", lambda lesson: [])
    monkeypatch.setattr(resuming, "killed", lambda lesson: None)
    with pytest.raises(DlnError, match=told):
        resuming.resumed(Job(tmp_path), "cuda")


def test_losses_of_several_are_held_against_one():
    assert launched.apart([1.0, 2.0], [1.0, 2.0 + 2e-5]) == pytest.approx(1e-5)
    for found in ([1.0, 2.01], [1.0], [1.0, float("nan")]):
        with pytest.raises(DlnError):
            launched.apart([1.0, 2.0], found)


def test_one_gpu_is_not_several(monkeypatch):
    for count, most in ((2, 2), (16, launched.MOST)):
        monkeypatch.setattr(torch.cuda, "device_count", lambda count=count: count)
        assert launched.gpus() == most
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(MissingCapability, match="one GPU is here"):
        launched.gpus()


def test_a_process_that_fails_ends_those_that_wait_for_it():
    words = ("import time; time.sleep(60)", "raise SystemExit(3)")
    processes = [subprocess.Popen([sys.executable, "-c", each]) for each in words]
    with pytest.raises(DlnError, match="process 1 of 2 ended with code 3"):
        launched.wait(processes)
    assert processes[0].wait(30) != 0


# ONNX Runtime


@pytest.fixture(scope="module")
def toy(toy_weights) -> Any:
    return load_model(toy_weights("toy-gan"))


@pytest.fixture(scope="module")
def files(toy, tmp_path_factory) -> dict[str, Path]:
    """Its graphs as ONNX."""
    folder = tmp_path_factory.mktemp("onnx")
    for name, graph in toy.model.graphs().items():
        write_onnx(graph, folder / f"{name}.onnx")
    return {path.stem: path for path in folder.glob("*.onnx")}


def test_an_engine_whose_file_was_changed_is_caught(monkeypatch, toy, files, tmp_path):
    """A real engine of ONNX Runtime; then one in which a single weight matrix is 2 % larger."""
    import onnx as library
    from onnx import numpy_helper

    engine = OnnxEngine(files, "cpu")
    monkeypatch.setattr(onnx, "generators", lambda: [find("toy-gan")])
    monkeypatch.setattr(onnx, "load_model", lambda name: toy)
    monkeypatch.setattr(onnx, "exported", lambda loaded: tmp_path)
    monkeypatch.setattr(onnx, "on_provider", lambda folder, device: engine)
    found = onnx.computed(JOB, "cpu")
    assert found.value.startswith("CPUExecutionProvider asked for and got; toy-gan")
    assert found.numbers["toy-gan"]["snr_db"] > 100
    with pytest.raises(DlnError, match="CUDAExecutionProvider was asked for and graph"):
        onnx.computed(JOB, "cuda")

    model = library.load(str(next(iter(files.values()))))
    weight = max(model.graph.initializer, key=lambda each: len(each.raw_data))
    larger = numpy_helper.to_array(weight) * np.float32(1.02)
    weight.CopyFrom(numpy_helper.from_array(larger, weight.name))
    broken = {name: tmp_path / path.name for name, path in files.items()}
    library.save(model, str(next(iter(broken.values()))))
    with pytest.raises(ParityError, match=r"toy-gan's graph '.*': .* dB, and 65 are float32's"):
        onnx.held(toy, OnnxEngine(broken, "cpu"))


def test_another_integer_is_none_of_float32():
    onnx.close("x", Difference(1, 1e-6, 110.0))
    with pytest.raises(ParityError, match=r"10\.0% of the integers differ"):
        onnx.close("x", Difference(1, 0.0, 110.0, differing=0.1))


def test_a_provider_that_does_not_load_says_which_library(monkeypatch, tmp_path):
    """A file that is no library stands for one that lacks another."""
    place = tmp_path / "capi"
    place.mkdir()
    (place / "libonnxruntime_providers_cuda.so").write_bytes(b"no library at all")
    runtime = SimpleNamespace(__file__=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(onnx, "require_onnxruntime", lambda: runtime)
    session = SimpleNamespace(get_providers=lambda: ["CPUExecutionProvider"])
    engine = SimpleNamespace(session=lambda graph: session)
    monkeypatch.setattr(onnx, "onnx_engine", lambda folder, device: engine)
    monkeypatch.setattr(onnx, "read_manifest", lambda folder: {"graphs": {"step": {}}})
    assert onnx.on_provider(tmp_path, "cpu") is engine
    with pytest.raises(MissingCapability, match=r"not obtained: .*providers_cuda") as caught:
        onnx.on_provider(tmp_path, "cuda")
    assert caught.value.hint == onnx.CUDA_LIBRARIES


# TensorRT


@pytest.fixture
def built(monkeypatch, toy, tmp_path) -> Any:
    """Engines that were built; what runs them stands in for a GPU."""

    def stand_in(request: Any) -> Built:
        request.engine.parent.mkdir(exist_ok=True)
        return Built(request.engine, "", 1.5, Path(), request.backend, "11.0", ("90",), 7)

    monkeypatch.setattr(trt, "generators", lambda: [find("toy-gan")])
    monkeypatch.setattr(trt, "load_model", lambda name: toy)
    monkeypatch.setattr(trt, "exported", lambda loaded: tmp_path)
    monkeypatch.setattr(trt, "read_manifest", lambda folder: {"graphs": {"synthesis": {}}})
    monkeypatch.setattr(trt, "check_file", lambda folder, entry: tmp_path / "a.onnx")
    monkeypatch.setattr(trt, "build", stand_in)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 9))
    return Job(tmp_path)


@pytest.mark.parametrize("backend", ["tensorrt", "tensorrt_rtx"])
def test_an_engine_that_computes_something_else_is_caught(monkeypatch, built, toy, backend):
    def tried(by: float) -> Found:
        engine = Off(TorchEngine(toy.model.graphs()), by)
        monkeypatch.setattr(trt, "running", lambda files, backend: engine)
        return trt.tensorrt(built) if backend == "tensorrt" else trt.rtx_run(built)

    assert "toy-gan" in tried(0.0).value
    with pytest.raises(ParityError):
        tried(0.01)


def test_engines_are_built_for_this_gpu_too(monkeypatch, built):
    assert trt.rtx_build(built).value == "TensorRT-RTX 11.0: 1 engines for 90 in 1.5 s"
    assert trt.rtx_targets() == ("80", "86", "89", "120")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    assert trt.rtx_targets() == ("80", "86", "89", "120", "75")


def test_a_gpu_that_rtx_does_not_know_lacks_tensorrt(monkeypatch, built):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    assert trt.rtx_targets() == ("80", "86", "89", "120")
    with pytest.raises(MissingCapability, match="nothing for this GPU, 90") as caught:
        trt.rtx_run(built)
    assert "TensorRT" in (caught.value.hint or "")


def test_a_build_that_fails_leaves_its_log(monkeypatch, built, capsys):
    def refuse(request: Any) -> Built:
        request.engine.parent.mkdir(exist_ok=True)
        request.engine.with_name(request.engine.name + ".log").write_text("no such kernel")
        raise BuildError("TensorRT-RTX crashed (SIGSEGV)", "the log is gone soon")

    monkeypatch.setattr(trt, "build", refuse)
    with pytest.raises(DlnError, match="crashed") as caught:
        trt.rtx_build(built)
    assert caught.value.hint is None
    assert "no such kernel" in capsys.readouterr().err


# torch's own


def test_a_compiler_that_changes_numbers_is_caught(monkeypatch, toy, tmp_path):
    graph = next(iter(toy.model.graphs().values()))
    monkeypatch.setattr(torch_graphs, "smallest", lambda: iter([(toy, graph)]))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")

    def tried(by: float) -> Found:
        engine = Off(TorchEngine(toy.model.graphs()), by)
        monkeypatch.setattr(torch_graphs, "whole", lambda loaded, device, precision: engine)
        return torch_graphs.compiled(Job(tmp_path), "cpu")

    assert tried(0.0).numbers == {"error": 0.0}
    with pytest.raises(ParityError, match="compiled: "):
        tried(0.01)
    monkeypatch.setattr(torch_graphs, "find_spec", lambda name: None)
    with pytest.raises(MissingCapability, match="Triton"):
        torch_graphs.compiled(Job(tmp_path), "cuda")


def test_a_graph_that_cannot_be_captured_is_named(monkeypatch, toy):
    answers: list[Any] = []

    def replayed(graph: Any) -> Difference:
        if isinstance(answers[0], Exception):
            raise answers[0]
        return answers[0]

    monkeypatch.setattr(torch_graphs, "generators", lambda: [find("toy-gan")])
    monkeypatch.setattr(torch_graphs, "load_model", lambda name: toy)
    monkeypatch.setattr(torch_graphs, "replayed", replayed)
    answers[:] = [Difference(2, 1e-7, 120.0)]
    assert torch_graphs.cuda_graphs(JOB).value == "1 graphs captured and replayed, error 1.0e-07"
    answers[:] = [RuntimeError("operation not permitted when stream is capturing")]
    with pytest.raises(DlnError, match="no graph can be captured: operation not permitted"):
        torch_graphs.cuda_graphs(JOB)
    answers[:] = [Difference(2, 0.1, 20.0)]
    with pytest.raises(ParityError, match=r"replayed: 20\.0 dB"):
        torch_graphs.cuda_graphs(JOB)


def test_a_ratio_is_to_torch_of_the_same_machine(monkeypatch, toy):
    clips = {"clips_s": [0.5, 0.2, 0.4], "frames": 8}
    monkeypatch.setattr(speed, "load_model", lambda name: toy)
    monkeypatch.setattr(speed, "create", lambda *asked: TorchEngine(toy.model.graphs()))
    monkeypatch.setattr(speed, "time_clips", lambda *asked: clips)
    base = speed.timed(JOB, "toy-gan", "torch")
    assert base.value == "0.40 s a clip of 8 frames on cpu"
    before = {"speed-toy-gan-torch": {"clip_s": 1.0}}
    found = speed.timed(Job(Path(), before), "toy-gan", "onnx")
    assert found.value == "2.50 x torch: 0.40 s a clip of 8 frames on cpu"
    assert found.numbers["ratio_to_torch"] == 2.5


# power


@pytest.fixture
def soon(monkeypatch) -> None:
    monkeypatch.setattr(power, "WATCHED_S", 0.02)
    monkeypatch.setattr(power, "BUSY_S", 0.0)


def counters(folder: Path, *joules: float) -> Path:
    for number, each in enumerate(joules):
        for name in (f"intel-rapl:{number}", f"intel-rapl:{number}:0"):  # a package, a part of it
            (folder / name).mkdir(parents=True)
            (folder / name / "energy_uj").write_text(f"{each * 1e6:.0f}\n")
            (folder / name / "max_energy_range_uj").write_text("262143328850\n")
    return folder


def test_rapl_is_missing_or_stands_still_or_counts(monkeypatch, soon, tmp_path):
    with pytest.raises(MissingCapability, match="no energy counter"):
        power.rapl(JOB, tmp_path)
    place = counters(tmp_path, 3.0, 262143.0)
    with pytest.raises(DlnError, match="tells 0 W"):
        power.rapl(JOB, place)

    def later(seconds: float) -> None:
        """Both packages have used a joule; the second one's counter has begun anew."""
        (place / "intel-rapl:0" / "energy_uj").write_text("4000000")
        (place / "intel-rapl:1" / "energy_uj").write_text("671150")

    clock = iter([10.0, 10.5])
    monkeypatch.setattr(power.time, "sleep", later)
    monkeypatch.setattr(power.time, "perf_counter", lambda: next(clock))
    assert power.rapl(JOB, place).value == "package 0 2 W, package 1 2 W"


def test_rapl_of_root_alone_says_the_line(monkeypatch, soon, tmp_path):
    def closed(path: Path, *args: Any, **named: Any) -> str:
        raise PermissionError(13, "Permission denied")

    place = counters(tmp_path, 3.0)
    monkeypatch.setattr(Path, "read_text", closed)
    with pytest.raises(MissingCapability, match="root alone") as caught:
        power.rapl(JOB, place)
    assert caught.value.hint == power.READABLE


class NVMLError(Exception):
    pass


def nvidia(*millijoules: int) -> ModuleType:
    """A library with one GPU whose counter is read so; without numbers, one without a driver."""
    library, readings = ModuleType("pynvml"), iter(millijoules)

    def begin() -> None:
        if not millijoules:
            raise NVMLError("Driver Not Loaded")

    vars(library).update(NVMLError=NVMLError, nvmlInit=begin, nvmlDeviceGetCount=lambda: 1,
                         nvmlDeviceGetHandleByIndex=lambda number: number,
                         nvmlDeviceGetTotalEnergyConsumption=lambda _: next(readings))  # fmt: skip
    return library


def test_nvml_is_missing_or_stands_still_or_counts(monkeypatch, soon):
    monkeypatch.setitem(sys.modules, "pynvml", nvidia())
    with pytest.raises(MissingCapability, match="Driver Not Loaded"):
        power.nvml(JOB)
    monkeypatch.setitem(sys.modules, "pynvml", nvidia(5000, 5000))
    with pytest.raises(DlnError, match="tells 0 W"):
        power.nvml(JOB)
    monkeypatch.setitem(sys.modules, "pynvml", nvidia(5000, 7000))
    (watts,) = power.nvml(JOB).numbers["watts"]
    assert 2 / watts >= power.WATCHED_S
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(MissingCapability, match="not installed"):
        power.nvml(JOB)


def test_the_meter_tells_or_says_why_not(monkeypatch, soon):
    from dln.core.carbon.meter.meter import Energy

    class Fake:
        power = {"cpu": "measured (RAPL)", "gpu": "none", "ram": "estimated (its size)"}  # noqa: RUF012
        problem, age, energy = "codecarbon's meter does not answer", 36.0, None

        def __init__(self, scope: str) -> None: ...

        def close(self) -> Energy | None:
            return self.energy

    monkeypatch.setattr(power, "Meter", Fake)
    with pytest.raises(DlnError, match="does not answer"):
        power.meter(JOB)
    Fake.energy = Energy(cpu=3e-4, ram=1e-4)  # pyright: ignore
    assert power.meter(JOB).value == (
        "40 W: processor measured (RAPL), GPU none, memory estimated (its size)"
    )
    Fake.energy = Energy(cpu=300.0)  # pyright: ignore
    with pytest.raises(DlnError, match=r"3e\+07 W"):
        power.meter(JOB)


# clips


def test_frames_tell_their_numbers():
    frames = codecs.numbered().frames
    assert [codecs.number_of(frame) for frame in frames] == list(range(codecs.FRAMES))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda clip: replace(clip, frames=clip.frames[:-1]), "23 frames, in order, of 24: .* 23"),
        (lambda clip: replace(clip, frames=clip.frames[[0, 1, 1, *range(3, 24)]]), "number 2$"),
        (lambda clip: replace(clip, frames=clip.frames[[1, 0, *range(2, 24)]]), "number 0$"),
        (lambda clip: replace(clip, fps=7.9), "read back at 7.9"),
        (lambda clip: replace(clip, frames=clip.frames - (clip.frames > 30) * np.uint8(30)),
         "30 of 255 levels off"),
    ],
)  # fmt: skip
def test_another_frame_rate_or_colour_is_seen(monkeypatch, tmp_path, change, told):
    changed: Clip = change(codecs.numbered())
    monkeypatch.setattr(codecs, "read_clip", lambda path: changed)
    with pytest.raises(DlnError, match=told):
        codecs.written(Job(tmp_path), "gif")


def test_what_is_sought_must_be_the_frame_of_that_moment(monkeypatch, tmp_path):
    late = codecs.read_frames

    def behind(path: Path, times: Any, size: tuple[int, int]) -> np.ndarray:
        return late(path, np.asarray(times) - 1 / codecs.FPS, size)

    monkeypatch.setattr(codecs, "read_frames", behind)
    with pytest.raises(DlnError, match=r"24 frames, sought, of 24: .* number 1$"):
        codecs.written(Job(tmp_path), "gif")


def test_an_encoder_that_is_not_there_is_missing(monkeypatch, tmp_path):
    from av.codec.codec import UnknownCodecError

    def refuse(*args: Any, **named: Any) -> None:
        raise UnknownCodecError("libx264")

    monkeypatch.setattr(codecs, "write_clip", refuse)
    with pytest.raises(MissingCapability, match="cannot write mp4: libx264"):
        codecs.written(Job(tmp_path), "mp4")
