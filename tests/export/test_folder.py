"""The folder of an export: one at a time, never stuck, and nothing of anybody else's is touched."""

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1])]
import kill_exports  # pyright: ignore[reportMissingImports]
from kill_exports import content, copied, ended, started  # pyright: ignore[reportMissingImports]
from toy_export import exported, loaded, model_of

from dln.core.errors import DlnError, UsageError
from dln.core.generation.generate import stream
from dln.core.models.request import Request
from dln.export import onnx, open
from dln.export.bundle import Export, ExportOptions
from dln.export.manifest import FILE, read_manifest, write_manifest
from dln.export.open import open_engine
from dln.export.parity import ParityError

posix = pytest.mark.skipif(os.name != "posix", reason="needs fork")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A finished export of two graphs."""
    out = tmp_path_factory.mktemp("whole") / "export"
    kill_exports.export(out)
    return out


@pytest.fixture
def by_copying(whole, monkeypatch) -> None:
    """Files are copied instead of traced."""
    monkeypatch.setattr(onnx, "write_onnx", copied(whole))


def die_at(out: Path, number: int) -> None:
    """An export that is killed as it is about to change something in its folder for the n-th
    time."""
    left = [number]

    def watch(event: str, args: tuple) -> None:
        changes = event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree")
        opened = (
            event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        )
        if (changes or opened) and str(out) in str(args[0]):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    kill_exports.export(out)


@posix
def test_killed_at_every_step_a_folder_ends_as_undisturbed(whole, by_copying, tmp_path):
    expected = content(whole)
    for number in range(200):
        out = tmp_path / str(number)
        code = ended(started(lambda out=out, number=number: die_at(out, number)))
        if code == 0:
            break
        assert code == -signal.SIGKILL
        kill_exports.export(out)
        assert content(out) == expected, number
    assert 20 < number < 199


@posix
def test_two_at_once_both_find_it_whole(whole, by_copying):
    found = kill_exports.pairs(3, whole)
    assert found == {"[0, 0]": 3, "equal": 3}


def test_what_a_killed_first_write_left_is_no_other_file(whole, by_copying, tmp_path):
    for name in (".dln-abcd1234-manifest.json", ".dln-abcd_234-report.md", ".dln.lock"):
        (tmp_path / name).write_text("{")
    (tmp_path / ".dln-draft-abcd1234").mkdir()
    (tmp_path / ".dln-draft-abcd1234" / "first.onnx").write_text("half")
    kill_exports.export(tmp_path)
    assert content(tmp_path) == content(whole)


@pytest.mark.parametrize(
    "name", [".dln-mine-manifest.json", ".draft-my_notes", ".env", "first.onnx"]
)
def test_any_other_file_is_somebody_else_s(name, by_copying, tmp_path):
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match="holds other files"):
        kill_exports.export(tmp_path)
    assert content(tmp_path).keys() == {name}


FOREIGN = {
    "a web app": {"manifest.json": '{"name": "webapp"}', ".draft-my_notes/a.txt": "thesis",
                  "engines/.draft-abcdefgh/b": "mine", ".lock": "4711", "onnx/mine.onnx": "mine"},
    "a viewer of exports": {"manifest.json": '{"name": "dln-export-viewer"}', "report.md": "mine",
                            "onnx/my_model.onnx": "mine"},
    "notes": {".draft-my_notes/a.txt": "thesis"},
    "a lock": {".lock": "4711"},
}  # fmt: skip


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_folder_stays_as_it_is(name, force, by_copying, tmp_path):
    for file, text in FOREIGN[name].items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    before = content(tmp_path)
    options = ExportOptions(force=force, renew=True, check=False)
    with pytest.raises(UsageError, match=r"--out|holds other files|not written by an export"):
        Export(model_of(*kill_exports.GRAPHS), tmp_path, options, print).run()
    assert content(tmp_path) == before


def test_nothing_is_written_through_a_link(whole, by_copying, tmp_path):
    out, far = Path(shutil.copytree(whole, tmp_path / "export")), tmp_path / "far"
    shutil.move(out / "onnx", far)
    (out / "onnx").symlink_to(far)
    before, manifest = content(far), read_manifest(out)
    manifest["graphs"]["first"]["key"] = "0" * 16
    write_manifest(out, manifest)
    with pytest.raises(UsageError, match="is a link"):
        kill_exports.export(out)
    assert content(far) == before


def test_a_graph_that_fails_its_proof_later_goes(whole, tmp_path, monkeypatch):
    out = Path(shutil.copytree(whole, tmp_path / "export"))
    manifest = read_manifest(out)
    manifest["graphs"]["first"]["parity"] = None
    write_manifest(out, manifest)
    monkeypatch.setattr("dln.export.parity.check_graph", differs)
    with pytest.raises(ParityError):
        kill_exports.export(out)
    assert list(read_manifest(out)["graphs"]) == ["second"]
    assert not (out / "onnx" / "first.onnx").exists()


def differs(*_):
    raise ParityError("error 0.5 above 1e-04")


def test_a_manifest_has_a_size_and_names_are_utf8(whole, by_copying, tmp_path):
    out = Path(shutil.copytree(whole, tmp_path / "export"))
    (out / FILE).write_text('{"schema": "dln-export-2", "x": [' + "[]," * 2_000_000 + "[]]}")
    with pytest.raises(UsageError, match="more than"):
        read_manifest(out)
    for name in ("a" * 300, "q\udcff"):
        with pytest.raises(DlnError):
            kill_exports.export(tmp_path / name)


def test_force_removes_what_exports_wrote_and_nothing_else(whole, by_copying, tmp_path):
    out, far = Path(shutil.copytree(whole, tmp_path / "export")), tmp_path / "far"
    far.mkdir()
    (far / "third.engine").write_text("mine")
    (out / "engines").symlink_to(far)
    (out / "onnx" / "notes.txt").write_text("mine")
    (out / "thesis.md").write_text("mine")
    (out / "onnx" / "old.onnx").write_text("of an export before")
    made = Export(model_of(*kill_exports.GRAPHS), out, ExportOptions(force=True), lambda _: None)
    made.run()
    assert made.done == ["first", "second"]
    assert content(far).keys() == {"third.engine"}
    mine = content(out).keys() - content(whole).keys()
    assert mine - {"engines/third.engine"} == {"onnx/notes.txt", "thesis.md"}
    assert content(out).items() >= content(whole).items()


def test_force_on_a_disk_that_takes_no_change_is_a_sentence(whole, tmp_path, monkeypatch):
    out = Path(shutil.copytree(whole, tmp_path / "export"))

    def denied(path, *_, **__):
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "unlink", denied)
    with pytest.raises(UsageError, match="permission denied"):
        Export(model_of(*kill_exports.GRAPHS), out, ExportOptions(force=True), print).run()


@pytest.fixture
def kept(tmp_path, monkeypatch) -> Path:
    """The user's cache with the toy's export; the working folder is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return exported().copy(open.kept_folder(loaded(), "fp32"))


def age(folder: Path, **changes) -> None:
    write_manifest(folder, {**read_manifest(folder), **changes})


def used(notes: list[str]) -> None:
    engine = open_engine("onnx", loaded(), "cpu", on_note=notes.append)
    assert engine.run("text", **loaded().model.graphs()["text"].inputs())


@pytest.fixture
def no_tracing(monkeypatch) -> list[Path]:
    """Where the cache is filled, by copying."""
    filled, once = [], exported()

    class Copied:
        def __init__(self, model, out, options, tell):
            assert options.renew
            self.out = out

        def run(self):
            filled.append(self.out)
            shutil.rmtree(self.out)
            once.copy(self.out)

    monkeypatch.setattr("dln.export.bundle.Export", Copied)
    monkeypatch.setattr("dln.export.engines.OnnxEngine.take_threads", lambda engine, *_: None)
    return filled


def test_a_cache_that_is_whole_is_used(kept, no_tracing):
    used(notes := [])
    assert (notes, no_tracing) == ([], [])


def test_a_cache_of_an_older_form_or_other_versions_or_damaged_is_written_again(kept, no_tracing):
    def damage() -> None:
        (kept / "onnx" / "decode.onnx").write_bytes(b"half")

    def older() -> None:
        (kept / FILE).write_text('{"schema": "dln-export-1"}')

    def other() -> None:
        graphs = read_manifest(kept)["graphs"]
        age(kept, graphs=graphs | {"text": graphs["text"] | {"key": "0" * 16}})

    for number, change in enumerate((damage, older, other), start=1):
        change()
        used([])
        assert no_tracing == [kept] * number


def test_a_stale_export_in_the_working_folder_is_named_and_not_used(kept, no_tracing, tmp_path):
    there = exported().copy(tmp_path / "exports" / "toy-fp32")
    graphs = read_manifest(there)["graphs"]
    age(there, graphs=graphs | {"text": graphs["text"] | {"key": "0" * 16}})
    used(notes := [])
    assert "exports/toy-fp32 is not used: graph 'text' was written by other code" in notes[0]
    assert no_tracing == []
    engine = open_engine("onnx", loaded(), "cpu", on_note=notes.append, folder=there)
    assert "other versions" in notes[1]
    assert stream(loaded(), Request("lion"), engine=engine).receipt["graphs"] == str(there)


def test_a_precision_is_a_word_of_the_list(tmp_path):
    with pytest.raises(UsageError, match="fp32, fp16"):
        Export(loaded(), tmp_path, ExportOptions(precision="/../../home"), print)
    with pytest.raises(DlnError):
        open_engine("onnx", loaded(), "cpu", precision="/../../../home/webapp")
    assert list(tmp_path.iterdir()) == []


def test_a_renewed_export_goes_on_with_what_is_whole(whole, by_copying, tmp_path):
    """A copy to be run: one damaged file is written again, the others stay."""
    out = Path(shutil.copytree(whole, tmp_path / "export"))
    (out / "onnx" / "second.onnx").write_bytes(b"half")
    made = Export(model_of(*kill_exports.GRAPHS), out, ExportOptions(renew=True), lambda _: None)
    made.run()
    assert made.done == ["second"]
    assert content(out) == content(whole)
