"""LongVideoGAN by commands: two published files, any minute, a clip made large, refusals."""

from pathlib import Path

import pytest

from ..core.snapshots import pickled
from ..core.test_published_long_video_gan import SMALL, theirs


@pytest.fixture(scope="module")
def pair() -> tuple[bytes, ...]:
    return tuple(pickled(each) for each in theirs()[0])


@pytest.fixture
def ride(dln, pair) -> str:
    """Weights in the working folder."""
    for name, data in zip(("low.pkl", "super.pkl"), pair, strict=True):
        Path(name).write_bytes(data)
    made = dln("models", "import", "low.pkl", "--with", "super.pkl", "--out", "ride.safetensors")
    assert made.code == 0
    return "ride.safetensors"


def test_from_two_files_to_a_clip_and_a_larger_one(dln, ride):
    line = ("generate", "--model", ride, "--seed", "3", "--native", "--json")
    made = dln(*line, "--frames", "5", "--set", "start=600", "--set", "upsample=false",
               "--out", "small.mp4").json  # fmt: skip
    clip = made["clips"][0]
    assert (clip["frames"], clip["height_px"]) == (5, SMALL.low_height)
    made = dln(*line, "--video", "small.mp4", "--count", "2", "--grid", "--out", "a.mp4").json
    clip = made["clips"][0]
    assert (clip["frames"], clip["height_px"], clip["width_px"]) == (
        5, SMALL.height, 2 * SMALL.width)  # fmt: skip
    assert [dln("verify", name).code for name in ("small.mp4", "a.mp4")] == [0, 0]
    Path("small.mp4").write_bytes(Path("a.mp4").read_bytes())
    gone = dln("verify", "a.mp4")
    assert gone.code == 3
    assert "small.mp4, from which the clip was made, is not here, or another one" in gone.err


def test_one_of_two_files(dln, pair):
    Path("low.pkl").write_bytes(pair[0])
    refused = dln("models", "import", "low.pkl")
    assert refused.code == 2
    assert "two files, and this is the generator of small frames alone" in refused.err
    assert "--with" in refused.err
    Path("garbage.pkl").write_bytes(b"\x80\x04" + bytes(99))
    refused = dln("models", "import", "low.pkl", "--with", "garbage.pkl")
    assert (refused.code, refused.err.count("error:")) == (2, 1)
    assert "garbage.pkl" in refused.err


@pytest.mark.parametrize(
    ("model", "words", "said"),
    [
        ("toy-gan", ("--video", "a.mp4"), "takes no video"),
        (None, ("--video", "none.mp4"), "There is no file none.mp4"),
        (None, ("--video", "low.pkl"), "low.pkl cannot be read"),
        (None, ("--image", "a.png"), "takes no picture"),
        (None, ("--set", "start=-1"), "start is at least 0"),
        (None, ("--set", "upsample=perhaps"), "upsample is true or false"),
        (None, ("--set", "video=a.mp4"), "video is no setting"),
    ],
)
def test_what_is_refused_in_one_sentence(dln, ride, model, words, said):
    refused = dln("generate", "--model", model or ride, "--out", "a.mp4", *words)
    assert (refused.code, refused.err.count("error:")) == (2, 1)
    assert said in refused.err
    assert not Path("a.mp4").exists()
