"""dln bench on the command line: tables, one object, a report, and mistakes before any minute."""

import os
from typing import Any
from unittest.mock import create_autospec

import pytest

from dln.core.errors import DlnError, MissingCapability
from dln.core.progress import OnProgress
from dln.core.study import ablation, study
from dln.export import bench
from dln.export.bench_request import BenchRequest
from dln.export.beside import race
from dln.export.beside.rows import Absent, Row

REQUESTS: list[tuple[str, BenchRequest]] = []


def answer(engine: str, request: BenchRequest) -> dict[str, Any]:
    """A worker's answer: torch takes 3 s a clip, onnx 1.5 s."""
    REQUESTS.append((engine, request))
    if engine == "trt":
        raise MissingCapability("trt is not installed", hint="pip install it")
    clip = 3.0 if engine == "torch" else 1.5
    return {
        "prompt": request.prompt or "lion drinking",
        "device": "cpu", "threads": 1, "prepare_s": 0.0, "notes": ["written anew"], "frames": 33,
        "clips_s": [clip] * request.runs, "calls_s": {"step": [[clip / 2]] * request.runs},
        "work": {"step": {"shapes": [(1, 10**9, 10**6)], "streaming_bytes_per_s": 1e9}},
        "matrix_flop_per_s": 1e10, "matrix_size": 1024, "matrix_dtype": "float32",
        "peak_memory_bytes": 2**29, "peak_gpu_memory_bytes": None,
        "energy": {"joules": None, "source": "not measured"},
    }  # fmt: skip


def studied(request: study.Comparison, on_progress: OnProgress | None = None) -> study.Study:
    """A study of arms made up: each method's minimum is flatter than the one's before."""
    arms = [
        study.Arm(method, seed, 0.9, 10.0, 0.0, 0.1, 40.0 - 10 * place, 1.0)
        for seed in range(request.seeds)
        for place, method in enumerate(request.methods)
    ]
    return study.Study(request, tuple(arms))


def varied(request: ablation.Ablation, on_progress: OnProgress) -> ablation.Ablated:
    """Variants that are all alike."""
    arms = [ablation.Arm(variant, 0, 4.5, None, 60.0, 1.0, 10.0, 2.0)
            for variant in request.variants]  # fmt: skip
    return ablation.Ablated(request, tuple(arms))


def raced(asked: race.Race, on_progress: OnProgress) -> race.Raced:
    """Two rows, and one that is not here."""
    times = (2.0, 1.9, 2.1, 500.0, 1.0, 1.0, 1.0), (3.0, 2.9, 3.1, 333.3, 1.5, 1.4, 1.6)
    rows = [Row("tokens", name, "6 layers", "token", own, 10**6, *each)
            for name, own, each in zip(("cogvideo (torch)", "GPT-2"), (True, False), times,
                                       strict=True)]  # fmt: skip
    absent = [Absent("tokens", "GPT-3", "it cannot be imported", "pip install it")]
    about = {
        "cpu": "a chip",
        "cores": 2,
        "threads": 2,
        "device": "cpu",
        "torch": "2",
        "load_1min": 0,
    }
    return race.Raced(about, asked.rounds, rows, absent)


@pytest.fixture(autouse=True)
def workers(monkeypatch: pytest.MonkeyPatch) -> Any:
    REQUESTS.clear()
    worker = create_autospec(bench.run_worker, side_effect=answer)
    monkeypatch.setattr(bench, "run_worker", worker)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0), raising=False)
    return worker


def test_json(dln):
    found = dln("bench", "--runs", "2", "--json").json
    assert found["command"] == "bench"
    assert (found["model"], found["prompt"], found["runs"]) == ("cogvideo", "lion drinking", 2)
    assert {"cpu", "cores", "threads", "torch", "load_1min"} <= set(found["machine"])
    torch, onnx = found["engines"]
    assert (torch["name"], torch["ratio_to_torch"]) == ("torch", 1.0)
    assert (onnx["name"], onnx["ratio_to_torch"]) == ("onnx", 2.0)
    assert onnx["clip_p20_s"] == onnx["clip_median_s"] == onnx["clip_p95_s"] == 1.5
    assert onnx["frames_per_s"] == 22.0
    assert onnx["peak_memory_mib"] == 512.0
    assert onnx["energy_per_clip_j"] is None
    assert onnx["energy_source"] == "not measured"
    assert onnx["matrix_gflop_per_s"] == 10.0
    (step,) = onnx["graphs"]
    assert (step["name"], step["calls_per_clip"], step["call_median_ms"]) == ("step", 1, 750.0)
    assert step["clip_share"] == 0.5
    assert step["matrix_share"] == pytest.approx(0.1 / 0.75)
    assert found["missing"] == found["warnings"] == found["report"] == []


def test_tables(dln):
    outcome = dln("bench", "--engine", "onnx", "--engine", "trt")
    assert outcome.code == 0
    assert "22" in outcome.out
    assert "not measured" in outcome.out
    assert "sampling loop" in outcome.out
    assert "torch was measured as the base of the ratios" in outcome.out
    assert "onnx: written anew" in outcome.out
    assert "note: trt is not here: trt is not installed" in outcome.err
    assert dln("bench", "-q").out == "torch 3\nonnx 1.5\n"


def test_what_is_asked_for(dln, tmp_path):
    (tmp_path / "bench.toml").write_text('engine = ["onnx"]\nruns = 9\nthreads = 3\n')
    asked = ["mine", "--config", "bench.toml", "--runs", "4", "--precision", "fp16", "-s", "7"]
    assert dln("bench", *asked, "--device", "cpu", "--limit", "60").code == 0
    assert [engine for engine, _ in REQUESTS] == ["onnx", "torch"]
    assert REQUESTS[0][1] == BenchRequest(
        "mine", ("onnx",), runs=4, threads=3, precision="fp16", seed=7, device="cpu", limit_s=60.0
    )


def test_load_is_warned_of(dln, monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (99.0, 0.0, 0.0), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    outcome = dln("bench", "--engine", "torch", "--json")
    assert outcome.err.startswith("note: the load was 99.00 on 2 cores before torch began")
    assert len(outcome.json["warnings"]) == 1


def test_report(dln, tmp_path):
    found = dln("bench", "--out", "report", "--json").json
    assert found["report"] == ["report/report.md", "report/bench.png"]
    assert "| onnx | 1.5 |" in (tmp_path / "report" / "report.md").read_text()
    REQUESTS.clear()
    outcome = dln("bench", "--out", "report")
    assert outcome.code == 2
    assert "--force" in outcome.err
    assert REQUESTS == []
    assert dln("bench", "--out", "report", "--force").code == 0


def test_the_only_engine_is_missing(dln):
    outcome = dln("bench", "--engine", "trt", "--json")
    assert outcome.code == 3
    error = {"message": "trt is not installed", "hint": "pip install it", "code": 3}
    assert outcome.json == {"command": "bench", "error": error}


def test_a_dead_worker(dln, workers):
    workers.side_effect = DlnError("the process of torch was ended by SIGKILL")
    outcome = dln("bench")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == "error: the process of torch was ended by SIGKILL\n"


@pytest.mark.parametrize(
    "wrong",
    [
        ["--engine", "abacus"],
        ["--runs", "0"],
        ["--warmup", "0"],
        ["--threads", "0"],
        ["--precision", "fp12"],
        ["--device", "tpu"],
        ["--out", "/dev/null/x"],
    ],
)
def test_mistakes(dln, wrong):
    outcome = dln("bench", *wrong)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error: ")
    assert REQUESTS == []


def test_methods_against_each_other(dln, monkeypatch: pytest.MonkeyPatch):
    """The study's request is what was asked; its numbers come back as table, object and lines."""
    compare = create_autospec(study.study, side_effect=studied)
    monkeypatch.setattr(study, "study", compare)
    flags = ["resnet", "--against", "sgd, saf", "--data", "digits", "--seeds", "2", "--epochs", "3",
             "--lr", "0.1", "--sharpness", "start=2"]  # fmt: skip
    found = dln("bench", *flags, "--out", "study", "--json").json
    request = compare.call_args_list[0].args[0]
    assert (request.model, request.data, request.methods) == ("resnet", "digits", ("sgd", "saf"))
    assert (request.seeds, request.epochs, request.lr) == (2, 3, 0.1)
    assert request.settings.start == 2
    assert [row["flatter"] for row in found["rows"]] == [0, 2]
    assert found["report"] == ["study/study.md", "study/study.png", "study/study.json"]
    assert dln("bench", *flags, "--out", "study").code == 2
    assert dln("bench", *flags, "-q").out == "sgd 0.9000 40\nsaf 0.9000 30\n"
    assert "2 of 2" in dln("bench", *flags).out


def test_variants_against_each_other(dln, monkeypatch: pytest.MonkeyPatch):
    compare = create_autospec(ablation.ablation, side_effect=varied)
    monkeypatch.setattr(ablation, "ablation", compare)
    flags = ["nuwa-infinity", "--against", "default,no-pool", "--epochs", "3", "--lr", "0.1"]
    found = dln("bench", *flags, "--out", "variants", "--json").json
    request = compare.call_args_list[0].args[0]
    assert (request.variants, request.data) == (("default", "no-pool"), None)
    assert (request.seeds, request.epochs, request.lr) == (1, 3, 0.1)
    assert [row["loss"] for row in found["rows"]] == [4.5, 4.5]
    assert found["report"] == ["variants/study.md", "variants/study.json"]
    assert dln("bench", *flags, "-q").out == ("default 4.5 - 60 1 10 2\nno-pool 4.5 - 60 1 10 2\n")
    for wrong in ([*flags, "--out", "variants"], [*flags, "--sharpness", "start=2"]):
        assert dln("bench", *wrong).code == 2


def test_a_method_that_there_is_not(dln):
    outcome = dln("bench", "resnet", "--against", "sgd,saff")
    assert outcome.code == 2
    assert "no method 'saff'" in outcome.err


def test_generators_beside_others(dln, monkeypatch: pytest.MonkeyPatch):
    compare = create_autospec(race.race, side_effect=raced)
    monkeypatch.setattr(race, "race", compare)
    flags = ["--beside", "--runs", "9", "--threads", "2"]
    answer = dln("bench", *flags, "--json").json
    assert compare.call_args.args[0] == race.Race(("torch", "onnx"), 9, 2, "auto")
    assert [each["ratio"] for each in answer["rows"]] == [1.0, 1.5]
    assert answer["absent"][0]["hint"] == "pip install it"
    outcome = dln("bench", "--beside")
    assert compare.call_args.args[0] == race.Race()
    assert "1.40 to 1.60" in outcome.out
    assert "not here" in outcome.out
    assert "note: GPT-3 is not here: it cannot be imported; pip install it" in outcome.err
    assert dln("bench", "--beside", "-q").out == "cogvideo (torch)\ttoken\t2\nGPT-2\ttoken\t3\n"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (["cogvideo"], "takes no model"),
        (["--out", "report"], "takes no --out"),
        (["--prompt", "lion"], "takes no --prompt"),
        (["--precision", "fp16"], "takes no --precision"),
        (["--against", "all"], "takes no --against"),
        (["--runs", "5"], "6 rounds at least"),
        (["--engine", "trt"], "not of trt"),
    ],
)
def test_what_beside_has_no_use_for(dln, wrong, words):
    outcome = dln("bench", "--beside", *wrong)
    assert (outcome.code, outcome.out) == (2, "")
    assert words in outcome.err
