"""`dln verify`: equal, different, without receipt, without weights."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import create_autospec

import numpy as np
import pytest

from dln.core.errors import UsageError
from dln.core.files import sha256_file
from dln.core.generation import generate
from dln.core.media.clip import Clip
from dln.core.media.receipt import make_receipt, read_receipt
from dln.core.media.stream import Stream
from dln.core.media.video import read_clip, write_clip
from dln.core.models import package
from dln.core.models.registry import MODELS
from dln.core.models.system import SystemModel
from dln.export import open as engines

ROWS, COLUMNS, COLOURS = np.ogrid[:16, :18, :3]
FRAMES = [20 * t + 9 * ROWS + 3 * COLUMNS * COLOURS for t in range(3)]
CLIP = Clip(np.stack(FRAMES).astype(np.uint8), 8.0)


class Graphless(SystemModel):
    def graphs(self):
        return {}


@pytest.fixture
def remake(monkeypatch):
    """What generate will give for a receipt; `requests` collects what it was asked."""
    made = SimpleNamespace(clip=CLIP, requests=[], sha256="a" * 64, engines=[])

    def load_model(name: str) -> package.Loaded:
        if name != "cogvideo":
            raise UsageError(f"no model {name}")
        about = MODELS["cogvideo"]
        return package.Loaded(Graphless(), about, {}, made.sha256, Path("a.safetensors"), True)

    def remade(loaded, request, *, engine, **options) -> generate.Streaming:
        made.requests.append(request)
        made.engines.append(engine)
        return generate.Streaming(Stream.of(made.clip), {})

    for module, name, function in (
        (package, "load_model", load_model),
        (generate, "stream", remade),
    ):
        checked = create_autospec(getattr(module, name), side_effect=function)
        monkeypatch.setattr(module, name, checked)
    return made


ASKED = dict(prompt="lion", seed=7, model="cogvideo", weights_sha256="a" * 64,
             engine="torch", settings={"frames": 3, "guidance": 2.0})  # fmt: skip


def receipt(**changes) -> dict:
    return make_receipt(**{**ASKED, **changes})


def written(name: str, scale: int | None = None, **changes) -> str:
    write_clip(CLIP, name, receipt=receipt(**changes), scale=scale)
    return name


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.webm", "a.png"])
@pytest.mark.parametrize("scale", [None, 1])
def test_equal(dln, remake, name, scale):
    outcome = dln("verify", written(name, scale))
    assert outcome.code == 0
    assert "equal" in outcome.out
    request = remake.requests[0]
    assert (request.prompt, request.seed, request.frames) == ("lion", 7, 3)
    assert [engine.name for engine in remake.engines] == ["torch"]


def test_the_receipt_s_engine_makes_it_again(dln, remake, monkeypatch):
    door = create_autospec(engines.open_engine, return_value="the engine")
    monkeypatch.setattr(engines, "open_engine", door)
    assert dln("verify", written("a.png", engine="onnx-int8")).code == 0
    assert remake.engines == ["the engine"]
    (name, _, device, precision), _ = door.call_args
    assert (name, device, precision) == ("onnx", "auto", "int8")
    outcome = dln("verify", written("b.png", engine="abacus"))
    assert outcome.code == 2
    assert "engine: input should be 'torch', 'onnx'" in outcome.err


def test_the_export_that_was_given_makes_it_again(dln, remake, monkeypatch, tmp_path):
    """From where it lay, which is said, or where the user says; else the weights' own."""
    door = create_autospec(engines.open_engine, return_value="the engine")
    monkeypatch.setattr(engines, "open_engine", door)
    (tmp_path / "clips").mkdir()
    clip = written(str(tmp_path / "clips" / "a.png"), engine="onnx", graphs="exports/mine")
    assert read_receipt(clip)["graphs"] == "exports/mine"

    def taken(*flags: str) -> tuple[Path | None, bool]:
        outcome = dln("verify", clip, *flags)
        assert outcome.code == 0
        return door.call_args.kwargs["folder"], "rests on the graphs in" in outcome.err

    # A stranger's folder that comes along with his clip is not looked for.
    (tmp_path / "clips" / "exports" / "mine").mkdir(parents=True)
    assert taken() == (None, False)
    Path("exports/mine").mkdir(parents=True)
    assert taken() == (Path("exports/mine"), True)
    assert taken("--graphs", "others") == (Path("others"), False)
    remake.clip = Clip(255 - CLIP.frames, 8.0)
    Path("exports/mine").rmdir()
    assert "exports/mine, which made the clip, is not here" in dln("verify", clip).err


def test_odd_sides_survive_the_encoder(dln, remake):
    remake.clip = Clip(CLIP.frames[:, :15, :17], 8.0)
    write_clip(remake.clip, "odd.mp4", receipt=receipt(), scale=1)
    assert dln("verify", "odd.mp4", "--json").json["equal"] is True


def test_different(dln, remake):
    frames = CLIP.frames.copy()
    frames[1:] = 255 - frames[1:]
    remake.clip = replace(CLIP, frames=frames)
    outcome = dln("verify", written("a.mp4", 1), "--json")
    assert outcome.code == 1
    assert outcome.json["equal"] is False
    assert outcome.json["first_difference_frame"] in (0, 1)
    assert outcome.json["max_difference"] > 100
    human = dln("verify", "a.mp4")
    assert human.code == 1
    assert "differs" in human.out
    assert dln("verify", "a.mp4", "-q").out == "differs\n"


@pytest.mark.parametrize("part", [np.s_[:2], np.s_[:, :8], np.s_[:, :, :10]])
def test_another_size(dln, remake, part):
    remake.clip = Clip(CLIP.frames[part], 8.0)
    outcome = dln("verify", written("a.mp4", 1))
    assert outcome.code == 1
    assert "differs" in outcome.out


def test_versions_that_changed_are_named(dln, remake):
    made_then = receipt()
    made_then["versions"]["numpy"] = "1.0"
    write_clip(CLIP, "a.mp4", receipt=made_then)
    assert "numpy" not in dln("verify", "a.mp4").err
    remake.clip = Clip(255 - CLIP.frames, 8.0)
    assert "made with numpy 1.0" in dln("verify", "a.mp4").err


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"weights_sha256": "b" * 64}, 3, "are others"),
        ({"model": "runs/gone"}, 3, "not here"),
        ({"weights_sha256": None}, 2, "weights_sha256"),
    ],
)
def test_receipts_that_cannot_be_followed(dln, remake, changes, code, words):
    outcome = dln("verify", written("a.mp4", **changes))
    assert (outcome.code, outcome.out) == (code, "")
    assert words in outcome.err
    assert dln("verify", "a.mp4", "--json").json["error"]["code"] == code
    assert remake.requests == []


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": "abc"}, {"seed": 3.5}, {"prompt": 5}, {"engine": ["x"]}, {"weights_sha256": 5},
        {"settings": "x"}, {"settings": {"frames": "a"}}, {"settings": {"frames": True}},
        {"settings": {"size": 5}}, {"settings": {"size": [1, 2, 3]}}, {"settings": {"fps": "x"}},
        {"settings": {"fps": 1e-9}}, {"settings": {"label": 3}}, {"inputs": "abc"},
        {"inputs": {"settings": "abc"}}, {"inputs": {"image": "abc"}},
    ],
    ids=str,
)  # fmt: skip
def test_damaged_receipts(dln, remake, changes):
    write_clip(CLIP, "a.png", receipt={**receipt(), **changes})
    outcome = dln("verify", "a.png")
    assert (outcome.code, outcome.out) == (2, "")
    assert "Traceback" not in outcome.err
    assert remake.requests == []


@pytest.mark.parametrize(("frames", "code"), [(10**6, 1), (2, 1), (10**8, 2), (10**4000, 2)])
def test_frames_that_the_file_does_not_have(dln, remake, frames, code):
    """Told from the receipt and the file, before anything is loaded."""
    outcome = dln("verify", written("a.mp4", settings={"frames": frames}, model="not here"))
    assert outcome.code == code
    assert "frame" in outcome.out + outcome.err
    assert remake.requests == []


@pytest.mark.parametrize("shape", [(1, 17), (17, 1)])
def test_frames_of_one_row(dln, remake, shape):
    remake.clip = Clip(np.full((3, *shape, 3), 90, np.uint8), 8.0)
    write_clip(remake.clip, "thin.mp4", receipt=receipt(), scale=1)
    assert dln("verify", "thin.mp4").code == 0


def test_a_picture_lies_where_it_was_or_beside_the_clip(dln, remake, tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    picture = folder / "pic.png"
    write_clip(CLIP, picture)
    inputs = {"image": sha256_file(picture)}
    path = written(str(folder / "a.mp4"), settings={"image": "pic.png"}, inputs=inputs)
    assert dln("verify", path).code == 0
    assert remake.requests[0].image == str(picture)
    write_clip(Clip(255 - CLIP.frames, 8.0), picture, overwrite=True)
    outcome = dln("verify", path)
    assert outcome.code == 3
    assert "pic.png" in outcome.err


def test_weights_that_moved(dln, remake):
    path = written("a.mp4", model="runs/gone")
    assert dln("verify", path, "--model", "cogvideo").code == 0


def test_another_kind_of_receipt(dln, remake):
    write_clip(CLIP, "a.mp4", receipt={**receipt(), "schema": "dln-receipt-9"})
    outcome = dln("verify", "a.mp4")
    assert outcome.code == 2
    assert "dln-receipt-9" in outcome.err


def test_no_receipt(dln, remake, tmp_path):
    write_clip(CLIP, "a.mp4")
    (tmp_path / "b.mp4").write_bytes(b"no video at all")
    for name in ("a.mp4", "b.mp4", "gone.mp4"):
        outcome = dln("verify", name)
        assert (outcome.code, outcome.out) == (2, "")
        assert name in outcome.err
        assert dln("verify", name, "--json").json["error"]["code"] == 2


def test_what_generate_wrote_is_equal(dln, core):
    """The whole way, with the few weights of a toy: other pixels where the seed is another."""
    path = dln("generate", "lion", "-s", "3", "--frames", "2", "-q").out.strip()
    assert dln("verify", path).code == 0
    strange = {**read_receipt(path), "settings": {"magic": 1}}
    write_clip(read_clip(path), "strange.mp4", receipt=strange, scale=1)
    refused = dln("verify", "strange.mp4")
    assert refused.code == 2
    assert "cogvideo has no magic" in refused.err
    other = {**read_receipt(path), "seed": 4}
    write_clip(read_clip(path), "other.mp4", receipt=other, scale=1)
    assert dln("verify", "other.mp4", "-q").out == "differs\n"
