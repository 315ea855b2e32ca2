"""The benchmark's numbers against hand-worked ones, its processes killed, its report read."""

import os
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

sys.path.append(str(Path(__file__).parent))
from toy_export import weights

from dln.core.carbon.meter.meter import Energy
from dln.core.errors import DlnError, MissingCapability, UsageError
from dln.core.models.package import load_model
from dln.core.training.speed import matrix_rate
from dln.export import bench as bench_module
from dln.export import bench_energy, bench_process, bench_worker
from dln.export.bench import bench
from dln.export.bench_energy import metered
from dln.export.bench_limits import (
    Workload,
    blank,
    count,
    signature,
    streaming_rate,
    workload,
)
from dln.export.bench_process import run_worker
from dln.export.bench_report import CHART, PAGE, figure, markdown, write_report
from dln.export.bench_request import BenchRequest
from dln.export.bench_times import percentile, summarise
from dln.export.bench_worker import CountingEngine, TimingEngine, peak_resident


def raw(clips: list[float], **changes: Any) -> dict[str, Any]:
    """What a worker finds: 10 GFLOP/s and 2 GB/s; step takes 3/4 of a clip, decode 1/8."""
    return {
        "prompt": "lion drinking",
        "device": "cpu",
        "threads": 2,
        "load_1min": 0.5,
        "prepare_s": 0.1,
        "notes": [],
        "frames": 8,
        "clips_s": clips,
        "calls_s": {
            "step": [[clip / 4] * 3 for clip in clips],
            "decode": [[clip / 8] for clip in clips],
        },
        "work": {
            "step": {"shapes": [(2, 10**9, 10**9), (1, 10**10, 10**9)],
                     "streaming_bytes_per_s": 2e9},
            "decode": {"shapes": [(1, 5 * 10**9, 0)], "streaming_bytes_per_s": 4e9},
        },
        "matrix_flop_per_s": 1e10,
        "matrix_size": 1024,
        "matrix_dtype": "float32",
        "peak_memory_bytes": 3 * 2**20,
        "peak_gpu_memory_bytes": None,
        "energy": {"joules": 60.0, "source": "processor measured (RAPL)"},
        **changes,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([5, 1, 3, 2, 4], 20, 1.8), ([5, 1, 3, 2, 4], 95, 4.8), ([1, 2], 50, 1.5), ([7], 95, 7)],
)
def test_percentile(values, percent, expected):
    assert percentile(values, percent) == pytest.approx(expected)


def test_summary_by_hand():
    found = summarise("onnx", raw([8.0, 4.0, 8.0]), base_s=12.0)
    assert (found.clips, found.frames, found.clip_median_s) == (3, 8, 8.0)
    assert found.clip_p20_s == pytest.approx(5.6)
    assert found.clip_p95_s == 8.0
    assert found.frames_per_s == 1.0
    assert found.ratio_to_torch == 1.5
    assert (found.host_s, found.host_share) == (1.0, 0.125)
    assert found.peak_memory_mib == 3.0
    assert found.peak_gpu_memory_mib is None
    assert found.energy_per_clip_j == 20.0
    # At least 2 x 0.5 s of streaming and 1 s of products for the steps, 0.5 s for decode.
    assert found.limit_share == pytest.approx(2.5 / 8)


def test_graphs_by_hand():
    step, decode = summarise("onnx", raw([8.0, 4.0, 8.0]), base_s=None).graphs
    assert (step.calls_per_clip, step.call_median_ms) == (3, 2000.0)
    assert (step.clip_s, step.clip_share) == (6.0, 0.75)
    assert step.gflop_per_clip == 12.0
    assert step.read_mib_per_clip == pytest.approx(3e9 / 2**20)
    assert step.matrix_share == pytest.approx(12 / 10 / 6)
    assert step.streaming_share == pytest.approx(3 / 2 / 6)
    assert step.limit_share == pytest.approx(2 / 6)
    assert (decode.limit, decode.limit_share) == ("products", 0.5)
    slower = raw([8.0], matrix_flop_per_s=1e12)
    assert summarise("onnx", slower, None).graphs[0].limit == "streaming"
    assert summarise("onnx", slower, None).ratio_to_torch is None


class Doubler:
    name = "double"

    def run(self, graph: str, **inputs: Any) -> dict[str, Any]:
        return {"x": 2 * inputs["x"]}


def test_timing_engine_times_each_call():
    waits: list[int] = []
    engine = TimingEngine(Doubler(), lambda: waits.append(0))
    outputs = [engine.run(graph, x=torch.tensor(3.0))["x"] for graph in ("a", "b", "a")]
    assert engine.name == "double"
    assert outputs == [6, 6, 6]
    assert {graph: len(seconds) for graph, seconds in engine.seconds.items()} == {"a": 2, "b": 1}
    assert all(second > 0 for seconds in engine.seconds.values() for second in seconds)
    assert len(waits) == 6


def test_counting_engine_counts_shapes():
    engine = CountingEngine(Doubler())
    for size in (1, 1, 2):
        engine.run("a", x=torch.zeros(size), cache=[torch.zeros(size, 4)] * 3)
    assert sorted(engine.calls["a"].values()) == [1, 2]
    often = engine.calls["a"].most_common(1)[0][0]
    assert often == (("x", None, (1,), torch.float32), ("cache", 3, (1, 4), torch.float32))
    made = blank(often, "cpu")
    assert signature(made) == often


class Table(nn.Module):
    """An embedding, one linear map that is used, one that is not, a product with the cache."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(1000, 8)
        self.used, self.unused = nn.Linear(8, 16), nn.Linear(8, 500)

    def forward(self, tokens: torch.Tensor, cache: list[torch.Tensor]) -> tuple[torch.Tensor]:
        return (self.used(self.table(tokens)) @ cache[0],)


def test_work_of_a_call():
    inputs = {"tokens": torch.zeros(3, dtype=torch.long), "cache": [torch.zeros(16, 5)]}
    found = count(Table(), inputs)
    assert found.flop == 2 * 3 * 8 * 16 + 2 * 3 * 16 * 5
    assert found.read_bytes == 4 * (8 * 16 + 16 * 5)
    assert workload(Table(), Counter({signature(inputs): 7}), "cpu") == [(7, found)]
    assert workload(Table(), Counter({signature(inputs): 7}), "cpu")[0][1] == Workload(1248, 832)


def test_rates_are_positive(monkeypatch):
    monkeypatch.setattr("dln.core.training.speed.LEAST_S", 0.0)
    assert matrix_rate(16, "cpu", torch.float32, lambda: None) > 0
    assert streaming_rate(10, "cpu", lambda: None) > 0


def worker(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(bench_process, "COMMAND", (sys.executable, "-S", "-c", code))


KILLED = "import os, signal, sys; sys.stdin.read(); print('so far', file=sys.stderr, flush=True); "
ANSWER = "import json, sys; asked = json.load(sys.stdin); open(asked['result'], 'w').write({!r})"


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize(("name", "how"), [("SIGKILL", "was killed"), ("SIGSEGV", "crashed")])
def test_a_killed_worker_is_named(monkeypatch, name, how):
    worker(monkeypatch, f"{KILLED} os.kill(os.getpid(), signal.{name})")
    with pytest.raises(DlnError, match=rf"onnx {how} \({name}.*it said last: so far"):
        run_worker("onnx", BenchRequest())


def test_a_failed_worker_quotes_its_last_lines(monkeypatch):
    worker(monkeypatch, "raise ValueError('odd shape')")
    with pytest.raises(DlnError, match=r"trt ended with code 1.*ValueError: odd shape"):
        run_worker("trt", BenchRequest())


def test_a_slow_worker_is_stopped(monkeypatch):
    worker(monkeypatch, "import time; time.sleep(60)")
    start = time.monotonic()
    with pytest.raises(DlnError, match=r"torch took longer than 0\.5 s"):
        run_worker("torch", BenchRequest(limit_s=0.5))
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(("code", "kind"), [(1, DlnError), (2, UsageError), (3, MissingCapability)])
def test_a_worker_passes_its_error_on(monkeypatch, code, kind):
    answer = f'{{"error": {{"message": "no", "hint": "yes", "code": {code}}}}}'
    worker(monkeypatch, ANSWER.format(answer))
    with pytest.raises(DlnError) as met:
        run_worker("torch", BenchRequest())
    assert type(met.value) is kind
    assert (met.value.message, met.value.hint) == ("no", "yes")


def test_what_libraries_print_does_no_harm(monkeypatch):
    worker(monkeypatch, f"print('a banner'); {ANSWER.format('{}')}")
    assert run_worker("torch", BenchRequest()) == {}


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> dict[str, float | None]:
    """Seconds a clip of each engine, None for one that is not here; no worker runs."""
    table: dict[str, float | None] = {"torch": 4.0, "onnx": 2.0, "trt": None}

    def answer(engine: str, request: BenchRequest) -> dict[str, Any]:
        taken = table[engine]
        if taken is None:
            raise MissingCapability(f"{engine} is not installed", hint="pip install it")
        return raw([taken] * request.runs)

    monkeypatch.setattr(bench_module, "run_worker", answer)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.5, 0.5, 0.5), raising=False)
    return table


def test_ratios_are_to_torch_which_always_runs(seconds):
    found = bench(BenchRequest(engines=("onnx", "trt", "onnx")))
    assert [(one.name, one.asked, one.ratio_to_torch) for one in found.engines] == [
        ("onnx", True, 2.0),
        ("torch", False, 1.0),
    ]
    assert [asdict(gone) for gone in found.missing] == [
        {"engine": "trt", "reason": "trt is not installed", "hint": "pip install it"}
    ]
    assert found.warnings == ()
    assert found.machine["threads"] == 2
    assert found.data()["engines"][0]["clip_median_s"] == 2.0


def test_the_only_engine_is_missing(seconds):
    with pytest.raises(MissingCapability, match="trt is not installed"):
        bench(BenchRequest(engines=("trt",)))
    seconds["onnx"] = None
    with pytest.raises(MissingCapability):
        bench(BenchRequest(engines=("onnx", "trt")))


def test_load_above_the_cores_is_a_warning(seconds, monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (6.25, 1.0, 1.0), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    heard: list[str] = []
    found = bench(BenchRequest(), on_note=heard.append)
    assert tuple(heard) == found.warnings
    assert len(heard) == 2
    assert heard[0].startswith("the load was 6.25 on 4 cores before torch began")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert bench(BenchRequest()).warnings == ()


def test_a_system_without_load(seconds, monkeypatch):
    monkeypatch.delattr(os, "getloadavg", raising=False)
    found = bench(BenchRequest())
    assert found.machine["load_1min"] is None
    assert "load unknown" in markdown(found)


@pytest.mark.parametrize("wrong", [{"engines": ()}, {"runs": 0}, {"warmup": 0}, {"threads": 0}])
def test_what_cannot_be_measured(wrong):
    with pytest.raises(UsageError):
        BenchRequest(**wrong)


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.012345, "0.0123"), (12.34, "12.3"), (1234.5, "1,234")]
)
def test_figures(value, text):
    assert figure(value) == text


def test_report(seconds, tmp_path):
    found = bench(BenchRequest(engines=("torch", "onnx", "trt")))
    paths = write_report(tmp_path / "new" / "report", found)
    assert [path.name for path in paths] == [PAGE, CHART]
    assert sorted(path.name for path in paths[0].parent.iterdir()) == sorted([PAGE, CHART])
    page = paths[0].read_text(encoding="utf-8")
    assert "| onnx | 2 | 2 | 2 | 4 | 2.00 | 3 | 12 | 125 % |" in page
    assert "| decode | 1 | 500 | 500 | 500 | 12 % | 100 % | 0 % | 100 % | products |" in page
    assert "| sampling loop | - | - | - | - | 12 % | - | - | - | - |" in page
    assert "trt is not here: trt is not installed" in page
    assert "10 GFLOP/s in matrix products (1024 x 1024, float32), 2 to 4 GB/s" in page
    assert "Energy of onnx: processor measured (RAPL)." in page
    picture = paths[1].read_bytes()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert picture.endswith(b"IEND\xaeB`\x82")


class Meter:
    """A microwatt-hour of memory, and a processor that answers too late to have used any."""

    used: Energy = Energy(ram=1e-6)
    power: ClassVar = {"cpu": "measured (RAPL)", "gpu": "none", "ram": "estimated (its size)"}

    def __init__(self, scope: str) -> None:
        assert scope == "process"

    def close(self) -> Energy:
        return self.used


def test_energy_and_its_source(monkeypatch):
    monkeypatch.setattr(bench_energy, "Meter", Meter)
    with metered() as energy:
        pass
    assert energy.joules == pytest.approx(3.6)
    assert energy.source == "processor measured (RAPL), memory estimated (its size)"


def test_no_energy_is_said(monkeypatch):
    monkeypatch.setattr(bench_energy, "Meter", Meter)
    monkeypatch.setattr(Meter, "used", Energy())
    with metered() as energy:
        pass
    assert (energy.joules, energy.source) == (None, "not measured")


def test_peak_memory():
    peak = peak_resident()
    assert peak is None or 10 * 2**20 < peak < 2**45


def test_torch_for_real():
    asked = BenchRequest(model=str(weights()), engines=("torch",), runs=1, threads=1, limit_s=300)
    found = bench(asked)
    (one,) = found.engines
    assert (one.name, one.threads, one.device, one.frames) == ("torch", 1, "cpu", 33)
    assert one.ratio_to_torch == 1.0
    assert {"text", "image", "keyframes", "interpolation", "decode"} == {g.name for g in one.graphs}
    assert all(g.limit_share > 0 and g.call_p20_ms <= g.call_p95_ms for g in one.graphs)
    assert sum(g.clip_share for g in one.graphs) + one.host_share == pytest.approx(1)
    assert one.peak_memory_mib is None or one.peak_memory_mib > 100
    assert one.energy_source


@pytest.mark.parametrize("name", ["cogvideo", "nuwa-infinity", "video-diffusion"])
def test_what_is_shown_unless_told(name):
    """Every word of it is one that the model knows, and what is told is taken as it is."""
    reader: Any = (loaded := load_model(name)).model.reader
    assert (shown := bench_worker.prompt_of(loaded, None))
    assert reader.unknown(shown) == []
    assert bench_worker.prompt_of(loaded, "lion") == "lion"
