"""`dln models import`: weights of others become a file of ours, or a sentence."""

import os
import pickle
from pathlib import Path

import pytest

from ..core.snapshots import pickled, snapshot


@pytest.fixture(scope="module")
def theirs() -> bytes:
    return pickled(snapshot()[0])


class Evil:
    def __reduce__(self):
        return os.system, ("touch touched",)


OTHERS = {
    "empty": b"",
    "zeros": b"\x00" * 4096,
    "random": os.urandom(4096),
    "a zip": b"PK\x03\x04" + b"x" * 99,
    "the end of a zip": b"PK\x05\x06" + b"\xff" * 30,
    "hostile": pickle.dumps({"G_ema": Evil()}),
    "hostile as of old": pickle.dumps(Evil(), 0),
    "a list": pickle.dumps([1, 2]),
}


def test_a_file_of_ours_comes_of_it(dln, theirs):
    Path("sky.pkl").write_bytes(theirs)
    made = dln("models", "import", "sky.pkl", "--json")
    assert (made.code, made.json["path"], made.json["model"]) == (
        0, "sky.safetensors", "stylegan-v")  # fmt: skip
    assert made.json["config"]["side"] == 32
    assert made.json["card"]["published"]["file"] == "sky.pkl"
    shown = dln("models", "show", "sky.safetensors", "--json").json
    assert shown["card"] == made.json["card"]
    clip = dln("generate", "--model", "sky.safetensors", "--seed", "1", "--frames", "2",
               "--native", "--engine", "torch", "--out", "a.gif")  # fmt: skip
    assert (clip.code, Path("a.gif").exists()) == (0, True)


def test_nothing_is_overwritten(dln, theirs):
    Path("sky.pkl").write_bytes(theirs)
    Path("sky.safetensors").write_text("mine")
    refused = dln("models", "import", "sky.pkl")
    assert refused.code == 2
    assert "--force" in refused.err
    assert Path("sky.safetensors").read_text() == "mine"
    assert dln("models", "import", "sky.pkl", "--force", "-q").out == "sky.safetensors\n"


@pytest.mark.parametrize("name", ["sky.pkl", "sky", "sky.zip", "sky.exe"])
@pytest.mark.parametrize("data", OTHERS.values(), ids=OTHERS)
def test_anything_else_is_refused_in_one_sentence(dln, data, name):
    Path(name).write_bytes(data)
    refused = dln("models", "import", name, "--out", "new.safetensors")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.count("error:") == 1
    assert name in refused.err
    assert "Traceback" not in refused.err
    assert not Path("touched").exists()
    assert not Path("new.safetensors").exists()


def test_what_is_cut_off_is_refused(dln, theirs):
    for length in (1, 100, len(theirs) // 2, len(theirs) - 1):
        Path("sky.pkl").write_bytes(theirs[:length])
        refused = dln("models", "import", "sky.pkl")
        assert (refused.code, "cut off" in refused.err) == (2, True)


@pytest.mark.parametrize("name", ["nothing.pkl", ".", "/dev/zero", "a\x00b", "a" * 5000, ""])
def test_what_is_no_file_is_refused(dln, name):
    assert dln("models", "import", name, "--out", "new.safetensors").code == 2


def test_a_pickle_given_as_weights_is_not_opened(dln, theirs):
    """The hint is the line that makes weights of it."""
    Path("the sky.pkl").write_bytes(theirs)
    for words in (("generate", "--model", "the sky.pkl"), ("models", "show", "the sky.pkl")):
        refused = dln(*words)
        assert refused.code == 2
        assert "try: dln models import 'the sky.pkl'" in refused.err
