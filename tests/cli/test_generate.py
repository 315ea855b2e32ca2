"""`dln generate`: names, places, seeds, and what is said about them."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dln.cli.places import MAX_SLUG_BYTES, check_writable, slug
from dln.core.errors import UsageError
from dln.core.media.receipt import read_receipt


def test_the_path_alone_on_stdout(dln, core):
    outcome = dln("generate", "Lion, drinking!", "--seed", "7")
    assert (outcome.code, outcome.out, outcome.err) == (0, "lion-drinking-7.mp4\n", "")
    assert read_receipt("lion-drinking-7.mp4")["seed"] == 7


def test_a_drawn_seed_is_printed(dln, core):
    outcome = dln("generate", "lion drinking")
    seed = core.requests[0].seed
    assert 0 <= seed < 2**31
    assert f"note: seed {seed}" in outcome.err
    assert outcome.out == f"lion-drinking-{seed}.mp4\n"


def test_json(dln, core):
    asked = ("-s", "3", "-n", "2", "--frames", "5", "--fps", "8")
    outcome = dln("generate", "lion xyzzy", *asked, "--json")
    paths = ["lion-xyzzy-3.mp4", "lion-xyzzy-4.mp4"]
    assert [clip["path"] for clip in outcome.json["clips"]] == paths
    assert [clip["seed"] for clip in outcome.json["clips"]] == [3, 4]
    first = outcome.json["clips"][0]
    assert (first["frames"], first["height_px"], first["fps"]) == (5, 16, 8.0)
    assert first["sample_s"] > 0
    assert outcome.json["command"] == "generate"
    (note,) = outcome.json["notes"]
    assert "'xyzzy'" in note
    assert note in outcome.err


def test_quiet_says_the_paths_only(dln, core):
    outcome = dln("generate", "lion xyzzy", "-q", "-s", "1", "--count", "2")
    assert (outcome.out, outcome.err) == ("lion-xyzzy-1.mp4\nlion-xyzzy-2.mp4\n", "")


def test_verbose_says_how_long_it_took(dln, core):
    told = dln("generate", "lion", "-s", "1", "-v").err
    assert re.search(r"^seed 1: .*sample \d+\.\d\d s", told, re.MULTILINE)


def test_settings_reach_the_model_and_only_those_given(dln, core):
    flags = ("--frames", "5", "--guidance", "2.5", "--temperature", "0")
    (path,) = dln("generate", "lion", *flags, "-q").out.splitlines()
    settings = read_receipt(path)["settings"]
    assert settings == {"frames": 5, "guidance": 2.5, "temperature": 0.0}
    refused = dln("generate", "lion", "--last-image", "lion.png")
    assert refused.code == 2
    assert "cogvideo takes no last picture" in refused.err


@pytest.mark.parametrize("name", ["frames", "fps", "size", "image", "last_image", "label"])
def test_what_has_a_flag_is_no_setting(dln, core, name):
    refused = dln("generate", "lion", "--set", f"{name}=abc", "--dry-run")
    assert (refused.code, refused.out) == (2, "")
    assert f"{name} is no setting" in refused.err
    assert f"--{'class' if name == 'label' else name.replace('_', '-')}" in refused.err
    assert dln("evaluate", "cogvideo", "--set", f"{name}=abc").code == 2


def test_best_of(dln, core):
    """The winner's clip is written; its own seed is in the receipt and in the object."""
    outcome = dln("generate", "lion", "-s", "5", "--best-of", "3", "--json", "-v")
    (clip,) = outcome.json["clips"]
    scores = [each["score"] for each in clip["candidates"]]
    winner = scores.index(max(scores))
    seed = clip["candidates"][winner]["seed"]
    assert (clip["path"], clip["seed"], clip["winner"]) == ("lion-5.mp4", seed, winner)
    assert (clip["candidates"][0]["seed"], len(scores)) == (5, 3)
    assert read_receipt("lion-5.mp4")["seed"] == seed
    assert f"candidate {winner}, seed {seed}: score {max(scores):.3f}, kept" in outcome.err
    assert dln("generate", "lion", "--best-of", "1", "-s", "1").code == 0
    assert dln("generate", "lion", "--best-of", "0").code == 2


def test_native_keeps_the_pixels(dln, core):
    from dln.core.media.video import read_clip

    dln("generate", "lion", "--native", "--out", "native.mp4")
    dln("generate", "lion", "--out", "large.mp4")
    assert read_clip("native.mp4").frames.shape[1] == 16
    assert read_clip("large.mp4").frames.shape[1] > 16


@pytest.mark.parametrize(
    ("out", "count", "paths"),
    [
        ("clip.png", 1, ["clip.png"]),
        ("new/deep/clip.webm", 1, ["new/deep/clip.webm"]),
        ("clips/", 1, ["clips/lion-5.mp4"]),
        ("clips", 2, ["clips/lion-5.mp4", "clips/lion-6.mp4"]),
        (".", 1, ["lion-5.mp4"]),
    ],
)
def test_out(dln, core, out, count, paths):
    outcome = dln("generate", "lion", "-s", "5", "--out", out, "--count", str(count))
    assert outcome.out.splitlines() == paths
    assert all(Path(path).stat().st_size > 0 for path in paths)


def test_a_name_that_no_disk_takes(dln, core):
    outcome = dln("generate", "lion", "--out", "a" * 300 + ".mp4")
    assert (outcome.code, outcome.out) == (2, "")
    assert "255 bytes" in outcome.err
    assert core.requests == []


def test_nothing_is_overwritten_without_force(dln, core):
    Path("lion-1.mp4").write_text("mine")
    outcome = dln("generate", "lion", "-s", "0", "-n", "2")
    assert outcome.code == 2
    assert "lion-1.mp4 is there already" in outcome.err
    assert "--force" in outcome.err
    assert core.requests == []
    assert Path("lion-1.mp4").read_text() == "mine"
    assert dln("generate", "lion", "-s", "1", "--force").code == 0
    assert Path("lion-1.mp4").read_bytes() != b"mine"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "cogvideo needs a prompt"),
        ([""], "cogvideo needs a prompt"),
        (["  \t"], "cogvideo needs a prompt"),
        (["lion", "--model", "toy-gan"], "toy-gan reads no prompt"),
        (["lion", "--model", "recognizer"], "makes no clips"),
        (["--model", "recognizer"], "makes no clips"),
        (["lion", "--model", "nothing"], "nothing"),
        (["lion", "--out", "clip"], "must end with"),
        (["lion", "--out", "clip.avi"], "must end with"),
        (["lion", "--out", "clip.mp4", "--count", "2"], "--count asks for 2"),
        (["lion", "--out", "file/clip.mp4"], "cannot write into"),
        (["lion", "--out", "/dev/null/clips/"], "cannot write into"),
        (["lion", "--seed", str(2**31)], "too large"),
        (["lion", "--seed", str(2**31 - 1), "--count", "2"], "too large"),
        (["lion", "--count", "0"], "--count"),
        (["lion", "--fps", "0"], "--fps"),
        (["lion", "--top-p", "2"], "--top-p"),
    ],
)
def test_mistakes(dln, core, args, words):
    Path("file").touch()
    outcome = dln("generate", *args)
    assert (outcome.code, outcome.out) == (2, "")
    assert words in outcome.err
    assert core.requests == []
    as_json = dln("generate", *args, "--json")
    assert as_json.code == as_json.json["error"]["code"] == 2
    assert words in as_json.json["error"]["message"]


def test_the_missing_prompt_comes_with_an_example(dln, core):
    assert 'try: dln generate "lion drinking"' in dln("generate").err


def test_a_missing_engine(dln, core):
    outcome = dln("generate", "lion", "--engine", "trt")
    assert outcome.code == 3
    assert "trt" in outcome.err or "TensorRT" in outcome.err


def test_no_prompt_for_a_model_without_text(dln, core):
    assert dln("generate", "-m", "toy-gan", "-s", "2").out == "toy-gan-2.mp4\n"
    assert read_receipt("toy-gan-2.mp4")["prompt"] is None


def test_dry_run_makes_nothing(dln, core):
    outcome = dln("generate", "lion", "-s", "2", "--frames", "9", "--dry-run", "--json")
    assert outcome.json["dry_run"] is True
    assert outcome.json["paths"] == ["lion-2.mp4"]
    assert outcome.json["frames"] == 9
    assert "would write lion-2.mp4" in dln("generate", "lion", "-s", "2", "--dry-run").out
    assert core.requests == []
    assert not Path("lion-2.mp4").exists()


def test_config_file(dln, core):
    Path("mine.toml").write_text('frames = 2\nseed = 4\n"top-p" = 0.5\nprompt = "cat"\n')
    assert dln("generate", "--config", "mine.toml").out == "cat-4.mp4\n"
    assert dln("generate", "dog", "--seed", "5", "--config", "mine.toml").out == "dog-5.mp4\n"
    for path in ("cat-4.mp4", "dog-5.mp4"):
        assert read_receipt(path)["settings"] == {"frames": 2, "top_p": 0.5}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("frame = 6", "'frame'"),
        ("config = 'x'", "'config'"),
        ("one = 1\ntwo = 2", "'one', 'two'"),
        ("frames = 0", "--frames"),
        ("frames = 'many'", "--frames"),
        ("frames = ", "not a TOML file"),
        ("\x00", "not a TOML file"),
    ],
)
def test_config_mistakes(dln, core, text, words):
    Path("mine.toml").write_text(text)
    outcome = dln("generate", "lion", "--config", "mine.toml", "--json")
    assert outcome.code == 2
    assert words in outcome.json["error"]["message"]


@given(st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_slugs_are_file_names(text):
    name = slug(text)
    assert len(name.encode()) <= MAX_SLUG_BYTES
    assert not set(name) & set('/\\:*?"<>|. \t\n\0')
    assert not name.startswith("-")
    assert not name.endswith("-")
    assert "--" not in name
    assert slug(name) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("lion drinking", "lion-drinking"),
        ("  A LION,\tdrinking!! ", "a-lion-drinking"),
        ("Лев пьёт воду", "лев-пьёт-воду"),
        ("../../etc/passwd", "etc-passwd"),
        ("हिन्दी", "हिन्दी"),
        ("🦁", ""),
    ],
)
def test_slugs(text, name):
    assert slug(text) == name


@pytest.mark.parametrize("flags", [[], ["--dry-run"]])
def test_a_prompt_without_letters_names_nothing(dln, core, flags):
    refused = dln("generate", "🦁", *flags)
    assert refused.code == 2
    assert "knows nothing in '🦁'" in refused.err


def test_check_writable_makes_nothing(tmp_path):
    check_writable(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match="cannot write"):
        check_writable(Path("/dev/null/x"))
