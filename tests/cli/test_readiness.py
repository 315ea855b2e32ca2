"""`dln export --readiness` of files, folders and models: what is meant, and what is refused."""

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

sys.path.append(str(Path(__file__).parents[1] / "export"))
from toy_export import NAMES, Pair, exported, graph, weights  # pyright: ignore[reportMissingImports]

from dln.cli import readiness
from dln.export.onnx import BF16_OPSET

needs_rtx = pytest.mark.skipif(find_spec("tensorrt_rtx") is None, reason="needs tensorrt-rtx")


def relu(path: Path, size="n") -> Path:
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [size, 3]) for n in ("x", "y")]
    made = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", 20)]
    onnx.save(helper.make_model(made, opset_imports=opsets, ir_version=10), path)
    return path


@pytest.fixture
def there() -> Path:
    return exported().copy(Path("exports/toy-fp32"))


def findings(outcome) -> list[str]:
    return [f["message"] for f in outcome.json["findings"] if f["severity"] == "error"]


def test_capitals_are_no_matter(dln, tmp_path):
    relu(tmp_path / "STEP.ONNX")
    outcome = dln("export", "STEP.ONNX", "--readiness", "--json")
    assert (outcome.code, outcome.json["graphs"]) == (0, ["STEP"])


def test_every_file_of_a_folder_is_read(dln, tmp_path):
    for name in ("a", "b"):
        relu(tmp_path / f"{name}.onnx")
    assert dln("export", ".", "--readiness", "--json").json["graphs"] == ["a", "b"]


@pytest.mark.parametrize("place", ["exports/toy-fp32", "exports/toy-fp32/onnx"])
def test_an_export_is_read_without_its_model(place, dln, there):
    outcome = dln("export", place, "--readiness", "--json")
    assert (outcome.code, sorted(outcome.json["graphs"])) == (0, sorted(NAMES))
    outcome = dln("export", place, "--json")
    assert outcome.code == 2
    assert "no model" in outcome.json["error"]["message"]
    assert "--readiness" in outcome.json["error"]["hint"]


def test_an_export_that_is_not_whole_is_not_ready(dln, there):
    """A graph is gone, one is of nobody, the manifest is broken or gone, nothing is left."""
    of_the_model = "export", str(weights()), "--readiness", "--json"
    of_the_folder = "export", str(there), "--readiness", "--json"
    (there / "onnx" / "text.onnx").rename(there / "onnx" / "other.onnx")
    for asked in (of_the_model, of_the_folder):
        outcome = dln(*asked)
        assert (outcome.code, outcome.json["ready"]) == (1, False)
        assert [name in message for name, message in zip(
            ("no exports/toy-fp32/onnx/text.onnx", "does not name"), findings(outcome), strict=True
        )] == [True, True]  # fmt: skip
    (there / "manifest.json").write_text("{")
    assert "manifest.json" in findings(dln(*of_the_folder))[0]
    (there / "manifest.json").unlink()
    for asked in (of_the_model, of_the_folder):
        outcome = dln(*asked)
        assert outcome.code == 1
        assert "has no manifest.json" in findings(outcome)[0]
    for path in (there / "onnx").iterdir():
        path.unlink()
    for asked in (of_the_model, of_the_folder):
        assert (dln(*asked).code, dln(*asked).json["graphs"]) == (1, [])


def test_a_file_is_no_model(dln, tmp_path):
    relu(tmp_path / "step.onnx")
    outcome = dln("export", "step.onnx")
    assert outcome.code == 2
    assert "step.onnx is an ONNX file and no model" in outcome.err
    assert "dln export step.onnx --readiness" in outcome.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--trt", "--force"], "--trt and --force"),
        (["--onnx"], "--onnx"),
        (["--no-check"], "--no-check"),
        (["--dry-run"], "--dry-run"),
        (["--device", "cpu"], "--device"),
        (["--compute-capability", "89"], "--compute-capability"),
        (["--batch", "4"], "--batch"),
        (["--precision", "fp16", "--out", "x"], "--precision and --out"),
        (["--range", "x=1,2,3"], "--level 3"),
        (["--level", "3", "--range", "x=3,2,1"], "NAME=SMALLEST,TYPICAL,LARGEST"),
        (["--level", "3", "--range", "z=1,2,3"], "'z'"),
    ],
    ids=str,
)
def test_options_that_do_not_apply_are_refused(options, said, dln, tmp_path):
    relu(tmp_path / "step.onnx")
    outcome = dln("export", "step.onnx", "--readiness", *options)
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.err


@pytest.mark.parametrize("options", [["--level", "1"], ["--range", "x=1,2,3"]])
def test_options_of_readiness_are_of_nothing_else(options, dln):
    outcome = dln("export", str(weights()), *options)
    assert outcome.code == 2
    assert "--readiness" in outcome.err


@needs_rtx
def test_a_range_is_taken(dln, tmp_path):
    relu(tmp_path / "step.onnx")
    asked = "export", "step.onnx", "--readiness", "--level", "3", "--json"
    assert dln(*asked, "--range", "n=1,8,64").json["findings"] == []
    assert dln(*asked, "--range", "x:0=1,8,64").json["findings"] == []
    (assumed,) = dln(*asked).json["findings"]
    assert (assumed["severity"], "x:0" in assumed["message"]) == ("warning", True)


def test_bfloat16_is_read_in_the_opset_of_its_export(tmp_path):
    (path,) = readiness.written({"pair": graph(Pair())}, "bf16", tmp_path)
    opsets = {opset.domain: opset.version for opset in onnx.load(path).opset_import}
    assert opsets[""] == BF16_OPSET


def test_a_model_s_name_comes_before_a_folder_of_that_name(dln, there, tmp_path):
    """Also where a run's folder holds an ONNX file."""
    shutil.copytree(there, "cogvideo")
    assert dln("export", "--dry-run").code == 0
    assert not readiness.holds_graphs("cogvideo")
    run = weights().parent
    shutil.copytree(run, "run")
    shutil.copy(next((there / "onnx").iterdir()), "run")
    assert dln("export", "run", "--dry-run").code == 0
    assert readiness.holds_graphs(str(there))
    missing = dln("export", "nothing.onnx")
    assert (missing.code, "There is no file" in missing.err) == (2, True)
