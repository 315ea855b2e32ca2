"""`dln verify`: equal, different, without receipt, without weights."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from dln.core.errors import UsageError
from dln.core.media.clip import Clip
from dln.core.media.receipt import make_receipt
from dln.core.media.video import write_clip

ROWS, COLUMNS, COLOURS = np.ogrid[:16, :18, :3]
FRAMES = [20 * t + 9 * ROWS + 3 * COLUMNS * COLOURS for t in range(3)]
CLIP = Clip(np.stack(FRAMES).astype(np.uint8), 8.0)


@pytest.fixture
def remake(monkeypatch):
    """What generate will give for a receipt; `requests` collects what it was asked."""
    import dln.core.generation.generate
    import dln.core.models.package

    made = SimpleNamespace(clip=CLIP, requests=[], sha256="a" * 64, engines=[])

    def load_model(name: str) -> SimpleNamespace:
        if name != "cogvideo":
            raise UsageError(f"no model {name}")
        return SimpleNamespace(sha256=made.sha256)

    def generate(loaded, request, *, engine, device, on_progress):
        made.requests.append(request)
        made.engines.append(engine)
        return SimpleNamespace(clip=made.clip)

    monkeypatch.setattr(dln.core.models.package, "load_model", load_model)
    monkeypatch.setattr(dln.core.generation.generate, "generate", generate)
    return made


def receipt(**changes) -> dict:
    asked = dict(prompt="lion", seed=7, model="cogvideo", weights_sha256="a" * 64,
                 engine="torch", settings={"frames": 3, "guidance": 2.0})  # fmt: skip
    return make_receipt(**{**asked, **changes})


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
    assert (request.prompt, request.seed, request.frames, request.guidance) == ("lion", 7, 3, 2.0)
    assert remake.engines == [None]


def test_the_receipt_s_engine_makes_it_again(dln, remake, monkeypatch):
    asked = []

    def open_engine(*names):
        asked.append(names)
        return "the engine"

    monkeypatch.setattr("dln.export.open.open_engine", open_engine)
    assert dln("verify", written("a.png", engine="onnx-int8")).code == 0
    assert remake.engines == ["the engine"]
    (name, _, device, precision, _), *_ = asked
    assert (name, device, precision) == ("onnx", "auto", "int8")
    outcome = dln("verify", written("b.png", engine="abacus"))
    assert outcome.code == 2
    assert "abacus" in outcome.err


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
        ({"settings": {"magic": 1}}, 2, "magic"),
        ({"weights_sha256": None}, 2, "weights_sha256"),
    ],
)
def test_receipts_that_cannot_be_followed(dln, remake, changes, code, words):
    outcome = dln("verify", written("a.mp4", **changes))
    assert (outcome.code, outcome.out) == (code, "")
    assert words in outcome.err
    assert dln("verify", "a.mp4", "--json").json["error"]["code"] == code
    assert remake.requests == []


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
