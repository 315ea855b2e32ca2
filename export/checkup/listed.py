"""Which checks there are, in the order in which they are made: the cheap ones first."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from dln.core.errors import UsageError, closest
from dln.core.models.about import About
from dln.core.models.registry import MODELS

GPU = "gpu"
CLIPS = ("mp4", "webm", "gif")
ENGINES = ("onnx", "trt", "torch-compile")


@dataclass(frozen=True)
class Check:
    """One of them. task: "file:function" of this room, "" for what only the caller can look at;
    given: what it is called with; after: the checks without which it makes no sense; limit_s:
    seconds after which it is taken to hang, or to be slow where `instead` names what has no hurry.
    """

    name: str
    what: str
    task: str
    given: Mapping[str, Any] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    limit_s: float = 120.0
    instead: str | None = None


def every_check() -> list[Check]:
    """All of them; what this machine lacks is found out by trying."""
    return [*machine(), *files(), *trainings(), *graphs(), *speeds()]


def machine() -> Iterator[Check]:
    yield Check(GPU, "each GPU multiplies matrices as the CPU does", "gpu:products")
    yield Check("power-nvml", "NVIDIA's own energy counter goes up", "power:nvml")
    yield Check("power-rapl", "the processor's own energy counter goes up", "power:rapl")
    yield Check("power-meter", "codecarbon tells watts, and where it has them from", "power:meter")
    yield Check("pictures", "the terminal is sent a picture as it draws them", "")


def files() -> Iterator[Check]:
    for suffix in CLIPS:
        yield Check(f"codec-{suffix}", f"every frame of a {suffix} is read back at its own moment",
                    "codecs:written", {"suffix": suffix})  # fmt: skip


def trainings() -> Iterator[Check]:
    on_cpu, on_gpu = {"device": "cpu"}, {"device": "cuda"}
    resumed = "killed between two checkpoints and resumed: the same bits"
    yield Check("train-cpu", "convolutions and attention learn", "training:learnt", on_cpu)
    yield Check("train-cuda", "they begin as on the CPU and learn, in fp32 and in the GPU's own "
                "precision", "training:learnt", on_gpu, (GPU, "train-cpu"))  # fmt: skip
    if sys.platform == "darwin":
        yield Check("train-mps", "they begin as on the CPU and learn", "training:learnt",
                    {"device": "mps"}, ("train-cpu",))  # fmt: skip
    yield Check("resume-cpu", resumed, "resuming:resumed", on_cpu)
    yield Check("resume-cuda", resumed, "resuming:resumed", on_gpu, (GPU,))
    yield Check("processes", "two processes (gloo) learn what one learns", "launched:together",
                on_cpu)  # fmt: skip
    yield Check("gpus", "several GPUs (nccl) learn what one learns", "launched:together", on_gpu,
                (GPU,))  # fmt: skip


def graphs() -> Iterator[Check]:
    calls = "every call of the sampling loops as in torch, on the provider asked for"
    yield Check("onnx-cpu", calls, "onnx:computed", {"device": "cpu"}, limit_s=180)
    yield Check("onnx-cuda", calls, "onnx:computed", {"device": "cuda"}, (GPU,), limit_s=180)
    yield Check("rtx-build", "TensorRT-RTX builds engines", "trt:rtx_build")
    yield Check("rtx-run", "they compute what torch computes", "trt:rtx_run",
                after=(GPU, "rtx-build"))  # fmt: skip
    yield Check("tensorrt", "TensorRT builds engines that compute what torch computes",
                "trt:tensorrt", after=(GPU,), limit_s=180)  # fmt: skip
    yield Check("cuda-graphs", "graphs captured once compute what launches compute",
                "torch_graphs:cuda_graphs", after=(GPU,))  # fmt: skip
    yield Check("compile-cpu", "torch.compile computes what eager torch computes",
                "torch_graphs:compiled", {"device": "cpu"})  # fmt: skip
    yield Check("compile-cuda", "torch.compile computes what eager torch computes",
                "torch_graphs:compiled", {"device": "cuda"}, (GPU,))  # fmt: skip


def speeds() -> Iterator[Check]:
    """What compiles or builds comes last."""
    yield from (speed(about.name, "torch") for about in generators())
    yield from (speed(about.name, engine) for engine in ENGINES for about in generators())


def speed(model: str, engine: str) -> Check:
    base = speed_name(model, "torch")
    what = "seconds a clip" if engine == "torch" else "clips as fast as eager torch's, times"
    after = () if engine == "torch" else (base,)
    after += (GPU,) if engine == "trt" else ()
    return Check(speed_name(model, engine), what, "speed:timed", {"model": model, "engine": engine},
                 after, limit_s=75, instead=f"dln bench {model} --engine {engine}")  # fmt: skip


def speed_name(model: str, engine: str) -> str:
    return f"speed-{model}-{engine}"


def generators() -> list[About]:
    """The models that make clips or pictures and come with weights."""
    return [about for about in MODELS.values() if about.generates and about.bundled]


def chosen(patterns: Sequence[str], all_of_them: Sequence[Check]) -> list[Check]:
    """Those that a pattern as of a shell names, and what they rest on; all where there is none.
    UsageError for a pattern that names none."""
    names = [check.name for check in all_of_them]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UsageError(f"there is no check {pattern!r}.{closest(pattern, names)}",
                             "dln guide doctor")  # fmt: skip
    wanted = {n for n in names if not patterns or any(fnmatchcase(n, p) for p in patterns)}
    for check in reversed(all_of_them):  # what one rests on comes before it
        wanted |= set(check.after) if check.name in wanted else set()
    return [check for check in all_of_them if check.name in wanted]
