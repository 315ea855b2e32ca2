"""`dln export` and what runs its files, on a small model: the console's side of it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.append(str(Path(__file__).parents[1] / "export"))
from toy_export import (  # pyright: ignore[reportMissingImports]
    NAMES,
    Pair,
    exported,
    graph,
    loaded,
    weights,
)

from dln.cli.clips import Engine, Runner
from dln.cli.options import Precision
from dln.core.errors import DlnError, MissingCapability
from dln.core.files import sha256_file
from dln.core.media.receipt import read_receipt
from dln.core.media.video import read_clip
from dln.export import bundle, tensorrt
from dln.export.engines import OnnxEngine
from dln.export.finished import finished
from dln.export.keys import engine_key
from dln.export.manifest import read_manifest, write_manifest
from dln.export.onnx import write_onnx
from dln.export.parity import ParityError
from dln.export.report import write_report

PROMPT = "lion drinking"
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without GPU")


@pytest.fixture(autouse=True)
def own_exports(monkeypatch, tmp_path_factory) -> Path:
    """A cache of the test's own; the threads of this process stay as they are."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.setattr(OnnxEngine, "take_threads", lambda engine, *_: None)
    return folder / "dln" / "exports"


@pytest.fixture
def there() -> Path:
    """The toy's export where `dln generate` looks for it."""
    return exported().copy(Path("exports/toy-fp32"))


def test_one_object_says_what_was_made_and_proven():
    """The first export, as all tests share it."""
    done = exported()
    assert done.code == 0
    found = json.loads(done.printed)
    assert found["command"] == "export"
    assert found["path"] == str(done.folder)
    assert found["done"] == [*NAMES, "sampling"]
    assert found["manifest"] == read_manifest(done.folder)
    assert {p.name for p in done.folder.iterdir()} == {"onnx", "manifest.json", "report.md"}


def test_a_second_export_has_nothing_to_do(dln, there):
    """Without --out: exports/, named after the folder of the weights."""
    outcome = dln("export", str(weights()))
    assert outcome.code == 0
    assert "nothing to do" in outcome.err
    assert "18 runs" in outcome.out
    assert "integers differ, values by" in " ".join(outcome.out.split())
    assert outcome.out.splitlines()[-1] == str(there)
    assert dln("export", str(weights()), "-q").out == f"{there}\n"


def test_a_second_export_needs_no_torch(there):
    code = "import sys; from dln.cli.main import run; code = run(sys.argv[1:]); "
    code += "assert 'torch' not in sys.modules; sys.exit(code)"
    asked = [sys.executable, "-c", code, "export", str(weights()), "--json"]
    done = subprocess.run(asked, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["done"], found["path"]) == ([], str(there))
    assert found["manifest"] == read_manifest(there)


def test_an_export_that_lacks_something_is_gone_on_with(dln, there):
    """A graph that is not proven, a loop that is not, another batch, weights of another model."""
    manifest = read_manifest(there)
    text = manifest["graphs"]["text"]
    for changed in (
        {"sampling": None},
        {"graphs": manifest["graphs"] | {"text": text | {"key": "0" * 16}}},
        {"graphs": manifest["graphs"] | {"text": text | {"parity": None}}},
        {"graphs": {name: entry for name, entry in manifest["graphs"].items() if name != "text"}},
    ):
        write_manifest(there, manifest | changed)
        assert finished(str(weights()), "fp32", None, None) is None
    write_manifest(there, manifest)
    assert finished(str(weights()), "fp32", None, None) == (there, manifest)
    assert finished(str(weights()), "fp32", 300, None) is None
    assert finished(str(weights()), "fp16", None, None) is None
    assert finished("recognizer", "fp32", None, there) is None
    assert finished(str(weights()), "fp32", None, Path("elsewhere")) is None
    (there / "onnx" / "text.onnx").write_bytes(b"other")
    with pytest.raises(DlnError, match="text"):
        finished(str(weights()), "fp32", None, None)


def test_engines_that_are_there_are_part_of_it(dln, there, monkeypatch):
    manifest = read_manifest(there)
    asked = str(weights()), "fp32", None, None
    assert finished(*asked, ("80", "89")) is None
    (there / "engines").mkdir()
    for name, entry in manifest["graphs"].items():
        path = there / "engines" / f"{name}.engine"
        path.write_bytes(name.encode())
        key = engine_key("cogvideo", entry["sha256"], "tensorrt_rtx", ("80", "89"), None,
                         entry["sizes"])  # fmt: skip
        manifest["engines"][name] = {
            "file": f"engines/{name}.engine", "sha256": sha256_file(path), "key": key,
            "bytes": len(name), "executed": None, "backend": "tensorrt_rtx", "version": "1",
            "compute_capabilities": ["80", "89"], "seconds": 1.5,
        }  # fmt: skip
    write_manifest(there, manifest)
    assert finished(*asked, ("80", "89")) is None  # its report is of before
    write_report(there, manifest)
    assert finished(*asked, ("80", "89")) == (there, manifest)
    assert finished(*asked, ("80",)) is None
    monkeypatch.setattr("dln.export.finished.gpu_in_sight", lambda: False)
    words = "export", str(weights()), "--trt", "--compute-capability", "8.0,sm_89"
    outcome = dln(*words)
    assert outcome.code == 0
    assert "nothing to do" in outcome.err
    assert "built, not executed here" in outcome.out
    (there / "engines" / "text.engine").write_bytes(b"other")
    with pytest.raises(DlnError, match="text"):
        finished(*asked, ("80", "89"))


def test_a_dry_run_writes_nothing(dln, tmp_path):
    asked = "export", str(weights()), "--trt", "--precision", "fp16", "--compute-capability", "8.9"
    outcome = dln(*asked, "--dry-run", "--json")
    assert outcome.code == 0
    assert outcome.json["dry_run"] is True
    assert outcome.json["path"] == "exports/toy-fp16"
    assert outcome.json["precision"] == "fp16"
    assert outcome.json["graphs"] == list(NAMES)
    if outcome.json["backend"] == "tensorrt_rtx":
        assert outcome.json["capabilities"] == ["89"]
    assert "exports/toy-fp16/onnx/image.onnx" in dln(*asked, "--dry-run").out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--onnx", "--trt"], "--onnx and --trt"),
        (["--precision", "fp8"], "fp16"),
        (["--precision", "f16"], "fp16"),
        (["--compute-capability", "89"], "--trt"),
        (["--trt", "--compute-capability", "fast"], "fast"),
        (["--trt", "--compute-capability", "80,90"], "90"),
        (["--batch", "0"], "batch"),
        (["--level", "4", "--readiness"], "level"),
        (["--device", "tpu"], "tpu"),
    ],
    ids=" ".join,
)
def test_wrong_usage(options, said, dln, tmp_path, monkeypatch):
    monkeypatch.setattr(tensorrt, "choose_backend", lambda device: "tensorrt_rtx")
    outcome = dln("export", str(weights()), *options)
    assert outcome.code == 2
    assert said in outcome.err
    assert "Traceback" not in outcome.err
    assert outcome.out == ""
    again = dln("export", str(weights()), *options, "--json")
    assert (again.code, again.json["error"]["code"]) == (2, 2)
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_not_there(dln):
    outcome = dln("export", "runs/nothing", "--json")
    assert outcome.code == 2
    assert "runs/nothing" in outcome.json["error"]["message"]


def test_files_of_others_are_not_written_over(dln, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    outcome = dln("export", str(weights()), "--out", "mine", "--force")
    assert outcome.code == 2
    assert "holds other files" in outcome.err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_failed_proof_is_exit_code_1(dln, there, monkeypatch):
    def refuse(*_):
        raise ParityError("sampling 'x' differs by 40 levels")

    write_manifest(there, read_manifest(there) | {"sampling": None})
    monkeypatch.setattr(bundle, "check_sampling", refuse)
    outcome = dln("export", str(weights()), "--json")
    assert outcome.code == 1
    assert outcome.json["error"]["message"] == "sampling 'x' differs by 40 levels"
    assert read_manifest(there)["sampling"] is None


def test_readiness_without_nvidia_s_parser(dln, there):
    """Level 1 reads the files that are there, and leaves them alone."""
    before = sha256_file(there / "manifest.json")
    outcome = dln("export", str(weights()), "--readiness", "--level", "1", "--json")
    found = outcome.json
    assert (outcome.code, found["ready"], found["level"]) == (0, True, 1)
    assert sorted(found["graphs"]) == sorted(NAMES)
    assert [finding for finding in found["findings"] if finding["severity"] == "error"] == []
    assert sha256_file(there / "manifest.json") == before


def test_readiness_of_a_file_names_what_stops_it(dln, tmp_path):
    write_onnx(graph(Draw()), tmp_path / "step.onnx")
    outcome = dln("export", "step.onnx", "--readiness", "--json")
    assert (outcome.code, outcome.json["ready"]) == (1, False)
    (error,) = [f for f in outcome.json["findings"] if f["severity"] == "error"]
    assert (error["graph"], error["operator"]) == ("step", "Multinomial")
    assert error["hint"]
    human = dln("export", "step.onnx", "--readiness")
    assert human.code == 1
    assert "1 errors" in human.out
    missing = dln("export", "nothing.onnx", "--readiness")
    assert missing.code == 2
    assert "nothing.onnx" in missing.err


class Draw(Pair):
    """Tokens drawn in the graph, which TensorRT does not know."""

    def forward(self, x):
        return (torch.multinomial(super().forward(x)[0].softmax(-1), 1),)


def generated(dln, name: str, *options: str):
    """A clip without loss in its file."""
    asked = "generate", PROMPT, "--model", str(weights()), "--seed", "1", "--out", name, "--native"
    outcome = dln(*asked, "--json", *options)
    assert outcome.code == 0, outcome.err
    return outcome, read_clip(name).frames.astype(int), read_receipt(name)


def test_onnx_makes_the_clip_that_torch_makes(dln, there, own_exports):
    _, ours, receipt = generated(dln, "torch.png", "--engine", "torch")
    outcome, theirs, other = generated(dln, "onnx.png", "--engine", "onnx")
    assert ours.shape == theirs.shape
    assert ours.std() > 5
    assert np.abs(ours - theirs).max() <= 1
    assert (receipt["engine"], other["engine"]) == ("torch", "onnx")
    assert receipt["weights_sha256"] == other["weights_sha256"]
    assert outcome.json["precision"] == "fp32"
    verified = dln("verify", "onnx.png", "--json")
    assert (verified.code, verified.json["equal"]) == (0, True)
    assert not own_exports.exists()


def test_the_engine_really_runs(dln, there, monkeypatch):
    asked = []
    run = OnnxEngine.run

    def listen(engine, graph, **inputs):
        asked.append(graph)
        return run(engine, graph, **inputs)

    monkeypatch.setattr(OnnxEngine, "run", listen)
    generated(dln, "onnx.png", "--engine", "onnx", "--graphs", str(there))
    assert set(asked) == {"text", "image", "keyframes", "interpolation", "decode"}


@pytest.fixture
def exports(monkeypatch) -> list[Path]:
    """Exports are copied, not computed; the folders they were asked for."""
    folders, once = [], exported()

    class Copied:
        def __init__(self, loaded, out, options, tell):
            assert options.renew
            self.out = out

        def run(self):
            folders.append(self.out)
            shutil.rmtree(self.out, ignore_errors=True)
            once.copy(self.out)

    monkeypatch.setattr(bundle, "Export", Copied)
    return folders


def test_the_cache_is_filled_once(dln, exports, own_exports):
    first, _, _ = generated(dln, "a.png", "--engine", "onnx")
    assert "exporting cogvideo once" in first.err
    second, _, _ = generated(dln, "b.png", "--engine", "onnx")
    assert "exporting" not in second.err
    (folder,) = exports
    assert folder.parent == own_exports
    assert not Path("exports").exists()


def test_an_interrupted_export_is_not_run(dln, exports, there):
    """A manifest without some of the graphs, as a killed export leaves it."""
    manifest = read_manifest(there)
    del manifest["graphs"]["decode"]
    write_manifest(there, manifest)
    generated(dln, "a.png", "--engine", "onnx")
    assert len(exports) == 1


def test_a_swapped_file_is_not_run(dln, there):
    (there / "onnx" / "image.onnx").write_bytes((there / "onnx" / "text.onnx").read_bytes())
    outcome = dln("generate", PROMPT, "--model", str(weights()), "--engine", "onnx", "--json")
    assert outcome.code == 1
    assert "image.onnx" in outcome.json["error"]["message"]
    assert "--force" in outcome.json["error"]["hint"]
    assert list(Path().glob("*.mp4")) == []


def test_an_export_of_other_weights_is_not_run(dln, there):
    write_manifest(there, read_manifest(there) | {"weights_sha256": "0" * 64})
    asked = "generate", PROMPT, "--model", str(weights()), "--engine", "onnx", "--graphs"
    outcome = dln(*asked, str(there))
    assert outcome.code == 2
    assert "other weights" in outcome.err
    assert dln(*asked, "nowhere").code == 2


def test_an_export_in_another_precision_is_not_run(dln, there):
    asked = "generate", PROMPT, "--model", str(weights()), "--engine", "onnx", "--graphs"
    outcome = dln(*asked, str(there), "--precision", "int8")
    assert outcome.code == 2
    assert "is in fp32, not int8" in outcome.err
    assert "--precision fp32" in outcome.err


@without_gpu
def test_tensorrt_without_a_gpu(dln):
    asked = "generate", PROMPT, "--model", str(weights()), "--engine", "trt"
    outcome = dln(*asked)
    assert outcome.code == 3
    assert "GPU" in outcome.err
    assert "--engine onnx" in outcome.err
    assert dln(*asked, "--json").json["error"]["code"] == 3


@pytest.mark.parametrize(
    "options", [["--precision", "int8"], ["--graphs", "exports/toy-fp32", "--engine", "torch"]]
)
def test_precision_and_graphs_are_of_exports(options, dln):
    outcome = dln("generate", PROMPT, "--model", str(weights()), *options)
    assert outcome.code == 2
    assert "--engine onnx" in outcome.err


def test_verify_of_an_export(dln, there):
    outcome = dln("verify", str(there), "--model", str(weights()), "--json")
    assert (outcome.code, outcome.json["equal"]) == (0, True)
    (there / "onnx" / "text.onnx").write_bytes(b"other")
    changed = dln("verify", str(there), "--model", str(weights()))
    assert changed.code == 1
    assert "text.onnx" in changed.err


def test_a_clip_says_what_made_it_unless_told(dln, there):
    """ONNX Runtime, as the graphs are there; and it is made again by the same."""
    asked = "generate", PROMPT, "--model", str(weights()), "-s", "7", "--frames", "2", "--json"
    found = dln(*asked, "--out", "a.mp4").json
    assert found["engine"] == read_receipt("a.mp4")["engine"] == "onnx"
    assert dln("verify", "a.mp4").code == 0
    found = dln(*asked, "--out", "b.mp4", "--engine", "torch").json
    assert found["engine"] == read_receipt("b.mp4")["engine"] == "torch"
    assert dln(*asked, "--out", "c.mp4", "--dry-run").json["engine"] == "auto"


def test_a_film_too(dln, there):
    Path("story.srt").write_text("1\n00:00:00,000 --> 00:00:00,500\nlion drinking\n")
    found = dln("film", "story.srt", "--model", str(weights()), "--json").json
    assert found["engine"] == read_receipt("story.mp4")["engine"] == "onnx"


def test_what_takes_gradients_runs_on_pytorch(there):
    def refuse(engine: str, gradients: bool) -> None:
        if not gradients:
            raise MissingCapability(f"{engine} computes none")

    runner = Runner(Engine.auto, Precision.fp32, None, "cpu")
    assert runner.open(loaded()).name == "onnx"
    assert runner.open(loaded(), refuse).name == "torch"
