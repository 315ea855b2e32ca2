"""An export as a folder: what it records, how it goes on, what it leaves when it fails."""

import json
import os
import shutil
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.append(str(Path(__file__).parent))
from toy_export import NAMES, TOY, Pair, exported, graph, loaded, model_of

from dln.core.errors import DlnError, UsageError
from dln.core.files import sha256_file
from dln.export import bundle, keys, onnx, parity, wrapped
from dln.export.bundle import Export, ExportOptions
from dln.export.engines import onnx_engine
from dln.export.finished import Wanted, lacking
from dln.export.manifest import FILE, read_manifest, write_manifest
from dln.export.parity import ParityError

TWO = [graph(Pair(seed=0), "first"), graph(Pair(seed=1), "second")]
needs_rtx = pytest.mark.skipif(find_spec("tensorrt_rtx") is None, reason="needs tensorrt-rtx")


def export(out: Path, *graphs, model=None, tell=lambda stage: None, **options) -> Export:
    made = Export(model or model_of(*graphs or TWO), out, ExportOptions(**options), tell)
    made.run()
    return made


@pytest.fixture(autouse=True)
def traced_once(monkeypatch) -> None:
    """The same graph gives the same bytes (test_onnx): what was traced before is copied here."""
    exported()  # by the real write, before it is replaced
    write = onnx.write_onnx

    def again(made, path, *rest):
        if made.name in NAMES:
            TRACED[made.name] = exported().file(made.name).read_bytes()
        if made.name not in TRACED:
            write(made, path, *rest)
            TRACED[made.name] = path.read_bytes()
        path.write_bytes(TRACED[made.name])

    monkeypatch.setattr(onnx, "write_onnx", again)


TRACED: dict[str, bytes] = {}


def content(folder: Path) -> dict[str, str]:
    """The hash of every file."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}


@pytest.fixture
def folder(tmp_path) -> Path:
    """The whole toy, exported, to be changed."""
    return exported().copy(tmp_path / "export")


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """An export of two graphs, to be copied."""
    out = tmp_path_factory.mktemp("small") / "export"
    export(out)
    return out


@pytest.fixture
def out(small, tmp_path) -> Path:
    return Path(shutil.copytree(small, tmp_path / "export"))


def test_the_manifest_says_what_is_there(folder):
    manifest = read_manifest(folder)
    assert manifest["weights_sha256"] == loaded().sha256
    assert (manifest["model"], manifest["precision"]) == ("cogvideo", "fp32")
    assert list(manifest["graphs"]) == list(NAMES)
    assert {name for name in content(folder) if name.startswith("onnx/")} == {
        entry["file"] for entry in manifest["graphs"].values()
    }
    for name, entry in manifest["graphs"].items():
        assert entry["file"] == f"onnx/{name}.onnx"
        assert entry["sha256"] == sha256_file(folder / entry["file"])
        assert entry["bytes"] == (folder / entry["file"]).stat().st_size
        assert set(entry["weights"]) == {"float", "int64"}
        assert entry["parity"]["runs"] == 18
        assert entry["parity"]["error"] < 1e-4
        assert "ONNX Runtime on cpu" in entry["parity"]["executed"]
    image = manifest["graphs"]["image"]
    caches = {f"{kind}_{layer}": {"0": "batch", "2": "cached"}
              for kind in "kv" for layer in range(TOY.layers)}  # fmt: skip
    assert caches.items() <= image["axes"].items()
    assert image["sizes"]["cached"] == [0, TOY.text_length + 4, TOY.text_length + 4]
    assert {"python", "torch", "onnx", "dln"} <= set(manifest["versions"])
    clips = manifest["sampling"]["clips"]
    assert [clip["differing_integers"] for clip in clips] == [0, 0, 0]
    assert clips[0]["integers"] > 500
    assert all(clip["compared_calls"] == clip["calls"] > 15 for clip in clips)
    assert manifest["sampling"]["unproven"] == []
    assert all(0 < clip["error"] < 1e-4 for clip in clips)
    assert all(clip["max_level_difference"] <= 1 for clip in clips)


def test_the_report_holds_the_numbers(folder):
    report = (folder / "report.md").read_text()
    manifest = read_manifest(folder)
    for name, entry in manifest["graphs"].items():
        row = next(line for line in report.splitlines() if line.startswith(f"| {name} |"))
        assert f"{entry['parity']['error']:.2g}" in row
        assert f"{entry['weights']['float']} float" in row
        assert "batch 1 to" in row
        columns = report.splitlines()[4].count("|")
        assert row.count("|") == columns
    for prompt in manifest["sampling"]["prompts"]:
        assert repr(prompt) in report
    clip = manifest["sampling"]["clips"][0]
    assert (
        f"0 of {clip['integers']} integers differ, values by at most {clip['error']:.1e}" in report
    )
    assert manifest["weights_sha256"] in report


def test_a_second_run_does_nothing(folder):
    before, told = content(folder), []
    again = export(folder, model=loaded(), tell=told.append)
    assert (again.done, told) == ([], [])
    assert content(folder) == before


def test_only_what_is_missing_is_done(folder):
    manifest = read_manifest(folder)
    before = content(folder)
    del manifest["graphs"]["decode"]
    manifest["sampling"] = None
    write_manifest(folder, manifest)
    assert export(folder, model=loaded()).done == ["decode", "sampling"]
    after = content(folder)
    assert {n for n in before if before[n] != after[n]} <= {FILE, "report.md"}


def test_a_changed_file_is_refused_until_forced(out):
    path = out / "onnx" / "second.onnx"
    good = sha256_file(path)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(DlnError, match=r"second\.onnx is not the file") as caught:
        export(out)
    assert "--force" in (caught.value.hint or "")
    path.unlink()
    with pytest.raises(DlnError, match=r"second\.onnx is missing"):
        export(out)
    assert export(out, force=True).done == ["first", "second"]
    assert sha256_file(path) == good


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": model_of(*TWO, sha256="6" * 64)}, "export of weights_sha256 5555"),
        ({"precision": "int8"}, "export of precision fp32, not int8"),
    ],
    ids=["weights", "precision"],
)
def test_another_export_in_the_folder_stays(change, said, out):
    before = content(out)
    with pytest.raises(UsageError, match=said) as caught:
        export(out, **change)
    assert "--force" in (caught.value.hint or "")
    assert content(out) == before
    assert export(out, **change, force=True).done == ["first", "second"]


@pytest.mark.parametrize("manifest", ["", '{"name": "a web page"}', "// not even JSON"])
@pytest.mark.parametrize("force", [False, True])
def test_a_folder_of_somebody_else_is_left_alone(force, manifest, tmp_path):
    if manifest:
        (tmp_path / FILE).write_text(manifest)
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "mine.onnx").write_text("mine")
    (tmp_path / "thesis.txt").write_text("mine too")
    before = content(tmp_path)
    with pytest.raises(UsageError) as caught:
        export(tmp_path, force=force)
    assert "--out" in (caught.value.hint or "")
    assert content(tmp_path) == before


@pytest.mark.parametrize("text", ['{"schema": "dln-export-1"', '{"schema": "dln-export-1"}',
                                  '{"schema": "dln-export-1", "model": "cogvideo"}'])  # fmt: skip
def test_a_broken_manifest_is_replaced_only_when_forced(text, out):
    (out / FILE).write_text(text)
    with pytest.raises(UsageError, match=r"manifest\.json") as caught:
        export(out)
    assert "--force" in (caught.value.hint or "")
    assert (out / FILE).read_text() == text
    assert export(out, force=True).done == ["first", "second"]


@pytest.mark.parametrize("text", ["[]", "3", "\xff", '{"schema": 1}'])
def test_a_manifest_of_somebody_else(text, tmp_path):
    (tmp_path / FILE).write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"manifest\.json"):
        export(tmp_path, force=True)


def test_a_changed_version_is_done_again(out, monkeypatch):
    for place in (bundle, keys):
        monkeypatch.setattr(place, "versions", lambda model: {"python": "3.99"})
    made = export(out)
    assert made.done == ["first", "second"]
    assert made.manifest["versions"] == {"python": "3.99"}


def test_the_largest_batch_asks_for_a_proof_and_no_other_file(tmp_path):
    """A smaller batch than the proven one has nothing to add, a larger one a proof."""
    out = tmp_path / "export"
    made = export(out, model=only("decode"), batch=2)
    entry = made.manifest["graphs"]["decode"]
    own = entry["sizes"]["batch"]
    assert entry["parity"]["sizes"] == {"batch": [1, 2, 2]}
    assert max(int(words.split()[1]) for words in entry["parity"]["shapes"]) == 2
    assert export(out, model=only("decode"), batch=1).done == []
    written = sha256_file(out / entry["file"]), (out / entry["file"]).stat().st_mtime_ns
    larger = export(out, model=only("decode"), batch=own[2] + 3)
    assert larger.done == ["decode"]
    assert larger.manifest["graphs"]["decode"]["parity"]["sizes"]["batch"][2] == own[2] + 3
    assert export(out, model=only("decode")).done == []
    assert written == (sha256_file(out / entry["file"]), (out / entry["file"]).stat().st_mtime_ns)


def only(*names: str):
    """The toy with some of its graphs, which then makes no clips."""
    graphs: Any = loaded().model.graphs()  # pyright: ignore
    return model_of(*(graphs[name] for name in names))


def refuse(*_, **__):
    raise ParityError("graph 'x' at rows 4: error 0.5 above 1e-04")


def test_a_failed_proof_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(parity, "check_graph", refuse)
    with pytest.raises(ParityError, match="rows 4"):
        export(tmp_path / "deep" / "export")
    assert not (tmp_path / "deep" / "export").exists()


def test_a_failed_proof_leaves_what_was_proven(tmp_path, monkeypatch):
    check = parity.check_graph
    monkeypatch.setattr(
        parity, "check_graph", lambda g, *rest: refuse() if g.name == "second" else check(g, *rest)
    )
    with pytest.raises(ParityError):
        export(tmp_path / "export")
    assert list(content(tmp_path / "export")) == [FILE, "onnx/first.onnx", "report.md"]
    assert list(read_manifest(tmp_path / "export")["graphs"]) == ["first"]
    monkeypatch.undo()
    assert export(tmp_path / "export").done == ["second"]


def test_a_loop_that_differs_leaves_nothing_of_this_run(folder, monkeypatch, tmp_path):
    """All graphs pass and the clips do not: what this run wrote goes, what was there stays and
    counts as no proven loop."""
    manifest = read_manifest(folder)
    rest = {name: entry for name, entry in manifest["graphs"].items() if name != "decode"}
    write_manifest(folder, manifest | {"graphs": rest})
    before = content(folder)
    monkeypatch.setattr(wrapped, "compare_sampling", lambda *_: {"max_level_difference": 40})
    with pytest.raises(ParityError, match="differs by 40 levels"):
        export(folder, model=loaded())
    after = read_manifest(folder)
    assert (after["sampling"], list(after["graphs"])) == (None, list(rest))
    kept = {name: digest for name, digest in before.items() if "decode" not in name}
    assert {n: d for n, d in content(folder).items() if n.startswith("onnx/")} == {
        n: d for n, d in kept.items() if n.startswith("onnx/")
    }
    assert lacking(after, Wanted("cogvideo", loaded().sha256, "fp32"))
    with pytest.raises(ParityError):
        export(tmp_path / "new", model=loaded())
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("stage", ["first", "second"])
def test_ctrl_c_keeps_what_is_finished(stage, tmp_path):
    def stop(told: str) -> None:
        if stage in told:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(tmp_path / "export", tell=stop)
    rest = ["first", "second"] if stage == "first" else ["second"]
    assert export(tmp_path / "export").done == rest


def test_ctrl_c_in_the_loop_keeps_the_graphs(folder, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    write_manifest(folder, read_manifest(folder) | {"sampling": None})
    monkeypatch.setattr(bundle, "check_sampling", stop)
    with pytest.raises(KeyboardInterrupt):
        export(folder, model=loaded())
    monkeypatch.undo()
    assert export(folder, model=loaded()).done == ["sampling"]


def kill_while_writing(out: Path, graph: str) -> None:
    """A process that is killed with half a file of this graph on the disk."""
    pid = os.fork()
    if pid == 0:
        write = onnx.write_onnx

        def half(made, path, *rest):
            if made.name == graph:
                path.write_bytes(b"half")
                os.kill(os.getpid(), signal.SIGKILL)
            write(made, path, *rest)

        try:
            onnx.write_onnx = half
            export(out, check=False)
        finally:
            os._exit(1)
    assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])


@pytest.mark.skipif(os.name != "posix", reason="needs fork")
@pytest.mark.parametrize(("graph", "rest"), [("first", 2), ("second", 1)])
def test_killed_in_a_graph(graph, rest, tmp_path):
    out = tmp_path / "export"
    kill_while_writing(out, graph)
    assert len(export(out, check=False).done) == rest
    assert [name for name in content(out) if "half" in name or "draft" in name] == []
    assert not (out / ".draft").exists()
    onnx_engine(out, "cpu").run("second", x=torch.zeros(2, 8))


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "export").write_text("mine")
    with pytest.raises(UsageError, match="cannot write"):
        export(tmp_path / "export")
    assert (tmp_path / "export").read_text() == "mine"


@pytest.mark.parametrize("method", ["mkdir", "replace"])
def test_a_folder_that_cannot_be_written(method, tmp_path, monkeypatch):
    def denied(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, method, denied)
    with pytest.raises(UsageError, match=r"cannot write .*: permission denied"):
        export(tmp_path / "export", graph(Pair(), "new"))


def test_a_full_disk(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("onnx_ir.save", full)
    with pytest.raises(DlnError, match="disk full"):
        export(tmp_path / "export", graph(Pair(), "newer"))
    assert not (tmp_path / "export").exists()


def test_unchecked_is_said(tmp_path):
    made = export(tmp_path / "export", check=False)
    assert made.manifest["graphs"]["first"]["parity"] is None
    report = (tmp_path / "export" / "report.md").read_text()
    assert report.count("not checked") == 2
    assert "loop was not compared" in report
    assert export(tmp_path / "export").done == ["first", "second"]


def test_unchecked_drops_no_proof(folder):
    """What is there and proven stays so; what is written anew is no proven loop."""
    before = content(folder)
    assert export(folder, model=loaded(), check=False).done == []
    assert content(folder) == before
    manifest = read_manifest(folder)
    manifest["graphs"]["decode"]["key"] = "0" * 16
    write_manifest(folder, manifest)
    assert export(folder, model=loaded(), check=False).done == ["decode"]
    manifest = read_manifest(folder)
    assert (manifest["sampling"], manifest["graphs"]["decode"]["parity"]) == (None, None)
    assert manifest["graphs"]["encode"]["parity"]["runs"] == 18
    assert "loop was not compared" in (folder / "report.md").read_text()


HOSTILE = [
    ("graphs", "decode", "file", "../../../etc/passwd"),
    ("graphs", "decode", "file", "/etc/passwd"),
    ("graphs", "decode", "sha256", "f" * 63),
    ("graphs", "decode", "bytes", -1),
    ("graphs", "decode", "sizes", {"batch": [1, 2]}),
    ("graphs", "decode", "data", [{"file": "onnx/../x.onnx", "sha256": "0" * 64, "bytes": 1}]),
    ("graphs", "decode", "parity", {"runs": "many"}),
    ("graphs", "decode", "weights", ["float"]),
    ("graphs", "../decode", {}),
    ("precision", "/../../../../home/webapp"),
    ("model", "../cogvideo"),
    ("weights_sha256", 5),
    ("opset", 10**30),
    ("sampling", {"key": "0" * 16, "prompts": [], "clips": [1]}),
    ("engines", {"decode": {"file": "engines/decode.engine"}}),
    ("versions", {"torch": 2}),
    ("names", "decode"),
    ("schema", ["dln-export-2"]),
]


@pytest.mark.parametrize("change", HOSTILE, ids=lambda change: ".".join(map(str, change))[:40])
def test_a_manifest_of_other_types_is_refused_before_it_names_anything(change, folder):
    manifest = json.loads((folder / FILE).read_text())
    *place, key, value = change
    part: Any = manifest
    for word in place:
        part = part[word]
    part[key] = value or manifest["graphs"]["decode"]
    write_manifest(folder, manifest)
    before = content(folder)
    with pytest.raises(UsageError, match=r"manifest\.json"):
        export(folder, model=loaded())
    assert content(folder) == before
    with pytest.raises(UsageError):
        onnx_engine(folder, "cpu")


@needs_rtx
def test_engines_are_recorded_as_built_and_not_executed(out):
    if torch.cuda.is_available():
        pytest.skip("here they are executed")
    made = export(out, trt=True, capabilities=("89",))
    assert made.done == ["first.engine", "second.engine"]
    entry = made.manifest["engines"]["second"]
    assert entry["sha256"] == sha256_file(out / entry["file"])
    assert entry["compute_capabilities"] == ["89"]
    assert (entry["built"], entry["executed"], entry["parity"]) == (True, None, None)
    assert "no: built, not verified" in (out / "report.md").read_text()
    assert export(out, trt=True, capabilities=("89",)).done == []
    assert export(out).done == []


def test_the_manifest_is_one_object_of_json(folder):
    text = (folder / FILE).read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=lambda word: pytest.fail(word)) == read_manifest(folder)
