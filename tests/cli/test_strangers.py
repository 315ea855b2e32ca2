"""Files and words of strangers at the command line: a sentence and an exit code, nothing harmed."""

import hashlib
import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dln.cli.options import Precision
from dln.core.errors import DlnError
from dln.core.media.clip import Clip
from dln.core.media.receipt import make_receipt, receipt_of
from dln.core.media.video import write_clip
from dln.core.models.package import load_model
from dln.core.models.request import Request
from dln.export.engines import engine_name

CLIP = Clip(np.zeros((2, 16, 16, 3), np.uint8), 8.0)
ESCAPES = ("\x1b", "\x9b", "\0", "\u202e", "\ud800", "\udcff")
PAGES = ("/proc/self/mem", "/proc/kmsg", "/dev/zero")  # files that are none, or never end
HOSTILE = [
    {"engine": "onnx-/../../../../{victim}"},
    {"engine": "trt-../{victim}"},
    {"engine": "onnx-int8\n"},
    {"engine": ["onnx"]},
    {"model": "{victim}"},
    {"model": "../../../../../../../../{victim}/config.toml"},
    {"model": "\x1b[2J" + "a" * 3000},
    {"model": "a\0b"},
    {"weights_sha256": "../{victim}"},
    {"settings": {"image": "{victim}/config.toml"}, "inputs": {"image": "{victim}"}},
    {"settings": {"image": "{victim}/config.toml"}, "inputs": {"../{victim}": "0" * 64}},
    *({"settings": {"image": page}, "inputs": {"image": "0" * 64}} for page in PAGES),
    *({"model": page} for page in PAGES),
    {"settings": {"frames": 10**8}},
    {"settings": {"frames": "{victim}"}},
    {"settings": {"size": [10**9, 10**9]}},
    {"settings": [["deep"] * 9]},
    {"settings": {"guidance": 2}},
    {"seed": -1},
    {"seed": 10**400},
    {"versions": {"dln": {"{victim}": []}}},
    {"prompt": "\ud800"},
]


def named(value: Any, victim: Path) -> Any:
    return json.loads(json.dumps(value).replace("{victim}", str(victim)))


def tree(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below with its bytes and times."""
    return {
        str(path): (path.read_bytes() if path.is_file() else b"", path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize("suffix", [".gif", ".png", ".mp4", ".webm"])
def test_a_hostile_clip_changes_no_file(dln, toy_weights, tmp_path, monkeypatch, suffix):
    """The victims look like what dln itself makes and clears away: a run, an export, a cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    weights = toy_weights("toy-gan")
    victim = tmp_path / "home" / "webapp"
    for name in ("config.toml", "manifest.json", "report.md", "onnx/a.onnx", "engines/.a-1.engine"):
        (victim / name).parent.mkdir(parents=True, exist_ok=True)
        (victim / name).write_text("precious")
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    honest = make_receipt(prompt=None, seed=1, model=str(weights), weights_sha256=sha256,
                          engine="torch", settings={"frames": 2})  # fmt: skip
    clips = []
    for number, changes in enumerate(HOSTILE):
        receipt = {**honest, **named(changes, victim)}
        clips.append(tmp_path / f"{number}{suffix}")
        write_clip(CLIP, clips[-1], receipt, scale=1)
    load_model(weights)  # whose hash is noted in the cache
    before = tree(tmp_path)
    for clip, changes in zip(clips, HOSTILE, strict=True):
        outcome = dln("verify", str(clip))
        assert (outcome.code, outcome.out) in ((2, ""), (3, "")), changes
        assert outcome.err.startswith("error: ")
        assert not any(mark in outcome.err for mark in ESCAPES)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("precision", Precision)
def test_each_engine_that_there_is_may_be_named(tmp_path, precision):
    for engine in ("onnx", "trt"):
        name = engine_name(engine, precision)
        receipt = make_receipt(prompt="a", seed=0, model="m", weights_sha256="0" * 64,
                               engine=name, settings={})  # fmt: skip
        path = write_clip(CLIP, tmp_path / f"{name}.png", receipt)
        assert receipt_of(path).engine == name


def test_a_receipt_of_an_older_dln_is_still_read(tmp_path):
    """Keys that this one does not know, none that it has gained."""
    assert Request.of("lion", 0, {"top_p": None}) == Request("lion", 0)
    old = {"schema": "dln-receipt-1", "prompt": "lion", "seed": 5, "model": "cogvideo",
           "weights_sha256": "a" * 64, "engine": "torch",
           "settings": {"frames": 9, "top_p": None, "size": [8, 8]}, "machine": "cpu",
           "best_of": {"candidates": 4, "winner": 2, "seed": 1, "score": -0.5},
           "versions": {"dln": "0.0.1"}}  # fmt: skip
    found = receipt_of(write_clip(CLIP, tmp_path / "old.gif", old))
    assert (found.seed, found.inputs, found.settings["size"]) == (5, {}, [8, 8])


def bomb(name: str) -> bytes:
    """A picture of 60,000 x 60,000 pixels in a few bytes."""
    if name.endswith(".gif"):
        screen = struct.pack("<HHBBB", 60_000, 60_000, 0x80, 0, 0) + bytes(6)
        frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
        return b"GIF89a" + screen + b"!\xfe\x0e" + b'{"schema":"x"}' + b"\0" + frame + b";"
    chunk = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    whole = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + whole + b"\0\0\0\0IEND\xaeB`\x82"


@pytest.mark.parametrize("name", ["bomb.gif", "bomb.png"])
def test_a_picture_of_too_many_pixels(dln, toy_weights, name):
    Path(name).write_bytes(bomb(name))
    assert dln("verify", name).code == 2
    outcome = dln("generate", "lion", "--image", name, "--frames", "2")
    assert outcome.code == 2
    assert name in outcome.err


Change = Callable[[dict[str, Any]], Any]
HEADERS: dict[str, Change] = {
    "a million blocks": lambda h: h["config"].update(depth=10**6),
    "1,000 blocks": lambda h: h["config"].update(depth=1000),
    "giant widths": lambda h: h["config"].update(width=65_536),
    "wider": lambda h: h["config"].update(width=128),
    "a width of zero": lambda h: h["config"].update(width=0),
    "heads of none": lambda h: h["config"].update(heads=-3),
    "a word for a number": lambda h: h["config"].update(width="16"),
    "a list for a number": lambda h: h["config"].update(width=[16]),
    "a number for names": lambda h: h["config"].update(names=5),
    "names of many kinds": lambda h: h["config"].update(names=["a", 1, None]),
    "infinity": lambda h: h["config"].update(smoothing=1e400),
    "no configuration": lambda h: h.update(config=[]),
    "no vocabulary": lambda h: h.update(vocabulary="lion"),
    "a vocabulary of numbers": lambda h: h.update(vocabulary=[1, 2]),
    "a card that is none": lambda h: h.update(card="vit"),
    "no model": lambda h: h.update(card={}),
    "a model that is none": lambda h: h.update(card={"model": ["vit"]}),
    "escapes for a model": lambda h: h.update(card={"model": "\x1b[31m\u202e" * 999}),
    "another model": lambda h: h.update(card={"model": "toy-gan"}),
    "another format": lambda h: h.update(format="dln-model-9"),
    "deep": lambda h: h.update(card=json.loads("[" * 500 + "]" * 500)),
}


def rewritten(weights: Path, out: Path, change: Change) -> Path:
    data = weights.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    told = json.loads(header["__metadata__"]["dln"])
    change(told)
    header["__metadata__"]["dln"] = json.dumps(told)
    text = json.dumps(header).encode()
    out.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])
    return out


@pytest.mark.parametrize("case", HEADERS)
def test_weights_whose_header_lies(dln, toy_weights, tmp_path, case):
    path = rewritten(toy_weights("vit"), tmp_path / "w.safetensors", HEADERS[case])
    with pytest.raises(DlnError) as told:
        load_model(path)
    assert len(str(told.value)) < 1000
    outcome = dln("generate", "lion", "--model", str(path))
    assert outcome.code in (1, 2)
    assert not any(mark in outcome.err for mark in ESCAPES)


@pytest.mark.parametrize("size", [0, 3, 2**63, 10**10])
def test_weights_whose_header_has_another_length(dln, toy_weights, size):
    data = toy_weights("toy-gan").read_bytes()
    Path("w.safetensors").write_bytes(size.to_bytes(8, "little") + data[8:])
    outcome = dln("generate", "--model", "w.safetensors")
    assert outcome.code == 1
    assert "w.safetensors is damaged" in outcome.err


WORDS = [
    (["lion", "--seed", "9" * 5000], 2), (["lion", "--seed", "-1"], 2),
    (["lion", "--seed", str(2**64)], 2), (["lion", "--fps", "nan"], 2),
    (["lion", "--fps", "inf"], 2), (["lion", "--guidance", "nan"], 2),
    (["lion", "--guidance", "1e308"], 2), (["lion", "--frames", "100000000"], 2),
    (["lion", "--count", "1000000000"], 2), (["lion", "--set", "clusters=1e3"], 2),
    (["lion", "--set", "top_p=inf"], 2), (["lion", "--set", "top_p=1979-05-27"], 2),
    (["lion", "--set", "a" + ".a" * 10_000 + "=1"], 2), (["lion", "--set", "x=" + "[" * 9999], 2),
    (["lion", "--model", "a" * 300], 2), (["lion", "--model", "a\0b"], 2),
    (["lion", "--model", "/dev/zero"], 2), (["lion", "--image", "/dev/zero"], 2),
    (["lion", "--image", "a" * 300 + ".png"], 2), (["lion", "--out", "a" * 300 + ".mp4"], 2),
    (["lion", "--out", "a/" * 3000 + "b.mp4"], 2), (["lion", "--out", "\udcff.mp4"], 2),
    (["lion", "--out", "a\0b.mp4"], 2), (["lion", "--out", "/dev/null/"], 2),
    (["lion", "--config", "/dev/zero"], 2), (["lion", "--config", "."], 2),
    (["lion", "--config", "a" * 300], 2), (["\ud800"], 2), (["lion \udcff"], 2), (["\0"], 2),
    ([""], 2), ([" \t\n"], 2), (["!?"], 2), (["\x1b[31m"], 2), (["x " * 600_000], 2),
    (["\u202eنوع"], 2), (["--best-of", "2", "abracadabra"], 2),
]  # fmt: skip


@pytest.mark.parametrize(("words", "code"), WORDS, ids=[str(i) for i in range(len(WORDS))])
def test_words_that_cannot_be_followed(dln, words, code):
    outcome = dln("generate", *words)
    assert (outcome.code, outcome.out) == (code, "")
    assert "error: " in outcome.err
    assert len(outcome.err) < 5000
    assert not any(mark in outcome.err for mark in ESCAPES)
    assert dln("generate", *words, "--json").json["error"]["code"] == code
    assert not os.listdir()


CONFIGS = [
    b"frames = " + b"9" * 5000, b"frames = [1]", b"frames = {a = 1}", b"frames = 1979-05-27",
    b"fps = inf", b"fps = nan", b'prompt = ["lion"]', b'out = "a\\u0000b.mp4"',
    b"set = {top_p = inf}", b"set = {a = 1979-05-27}", b"set = [[1]]", b"x = " + b"[" * 5000,
    b"\xff\xfe", b"frames", b"json = 5", b"quiet = 1979-05-27", b"\xef\xbb\xbf", b"seed = -5",
]  # fmt: skip


@pytest.mark.parametrize("text", CONFIGS, ids=[str(i) for i in range(len(CONFIGS))])
def test_a_configuration_that_cannot_be_followed(dln, text):
    Path("c.toml").write_bytes(text)
    outcome = dln("generate", "lion", "--config", "c.toml")
    assert (outcome.code, outcome.out) == (2, "")
    assert "error: " in outcome.err
    assert os.listdir() == ["c.toml"]


def test_bytes_that_are_no_utf8_reach_no_stream():
    """In a process of its own, with real streams and a real argument."""
    command = [os.fsencode(sys.executable), b"-m", b"dln.cli", b"generate", b"\xff\x1b[31m"]
    for more in ([], [b"--json"]):
        done = subprocess.run([*command, *more], capture_output=True, check=False)
        text = (done.stdout + done.stderr).decode()
        assert done.returncode == 2
        assert "Traceback" not in text
        assert "\x1b" not in text


@pytest.mark.parametrize("rank", ["abc", "", "1.5", "-1", "9" * 5000, "00"])
def test_only_a_rank_above_0_is_silent(dln, monkeypatch, rank):
    monkeypatch.setenv("RANK", rank)
    assert ("error: " in dln("generate", "").err) == (rank != "9" * 5000)


def test_what_names_say_is_not_obeyed(dln):
    """A name with a terminal's orders in it, on both streams, as text and as JSON."""
    name = "a\x1b]0;owned\x07\u202e.mp4"
    write_clip(CLIP, name, {"schema": "dln-receipt-1"}, scale=1)
    outcome = dln("verify", name)
    assert r"a\x1b]0;owned\x07\u202e.mp4" in outcome.err
    told = dln("verify", name, "--json")
    assert name in told.json["error"]["message"]
    assert not any(mark in told.out + outcome.err for mark in ESCAPES)
