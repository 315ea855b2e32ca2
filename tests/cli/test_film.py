"""`dln film`: from subtitles and a song to a film, with models of a few thousand weights."""

import os
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import toy_export  # pyright: ignore[reportMissingImports]

from dln.core.generation import film
from dln.core.generation.film import Studio
from dln.core.generation.generate import generate
from dln.core.generation.shots import Script, line_seed, take_seed
from dln.core.media.clip import Clip
from dln.core.media.receipt import read_receipt
from dln.core.media.video import read_clip, write_clip
from dln.core.models.package import load_model
from dln.core.models.registry import MODELS, load
from dln.core.models.request import Request
from dln.core.text.subtitles import Line

STORY = """1
00:00:00,500 --> 00:00:01,500
lion drinking

2
00:00:02,000 --> 00:00:03,000
cat dancing
"""
RATE = 8000


@pytest.fixture(autouse=True)
def story(plain_terminal: None) -> Path:
    """The working folder holds a story and a model's weights."""
    Path("m.safetensors").symlink_to(toy_export.weights("video-diffusion"))
    Path("story.srt").write_text(STORY)
    return Path("story.srt")


def song(name: str = "song.wav", onset: float = 2.0, seconds: float = 5.0) -> str:
    """Silence, then a tone."""
    moment = np.arange(round(seconds * RATE)) / RATE
    samples = np.where(moment >= onset, 16_000 * np.sin(2 * np.pi * 500 * moment), 0)
    with wave.open(name, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.astype("<i2").tobytes())
    return name


def onset(path: str) -> float:
    with av.open(path) as container:
        for frame in container.decode(audio=0):
            samples: Any = frame.to_ndarray()
            loud = np.flatnonzero(np.abs(samples.reshape(-1, frame.samples)[0]) > 0.05)
            if len(loud):
                return frame.time + loud[0] / frame.sample_rate
    raise AssertionError("silent")


FILM = ("film", "story.srt", "-m", "m.safetensors")


@pytest.mark.parametrize("name", ["film.mp4", "film.webm"])
def test_the_whole_way(dln, name):
    made = dln(*FILM, "--audio", song(), "--out", name, "--json")
    assert made.code == 0, made.err
    told = made.json
    assert (told["path"], told["clips"], told["made_clips"]) == (name, 2, 2)
    lines = [(line["number"], line["prompt"], line["start_s"]) for line in told["lines"]]
    assert lines == [(1, "lion drinking", 0.5), (2, "cat dancing", 2.0)]
    second = told["lines"][1]["first_frame"] / told["fps"]
    assert second == pytest.approx(2.0, abs=0.5 / told["fps"])
    assert abs(onset(name) - 2.0) < 0.02
    clip = read_clip(name)
    assert (len(clip.frames), clip.fps) == (told["frames"], told["fps"])
    assert clip.duration == pytest.approx(told["film_s"])
    assert clip.frames.shape[1:3] == (384, 384)
    black = round(0.5 * told["fps"])
    assert clip.frames[: black - 1].max() < 20 < clip.frames[black + 1].max()
    assert not Path(f"{name}.parts").exists()
    assert dln("verify", name).out == f"{name}: equal to what its receipt makes, frame by frame.\n"


def test_the_path_alone_on_stdout_and_the_story_s_own_name(dln):
    made = dln(*FILM)
    assert (made.code, made.out, made.err) == (0, "story.mp4\n", "")
    with av.open("story.mp4") as container:
        assert not container.streams.audio
    assert dln(*FILM).code == 2
    assert dln(*FILM, "--seed", "1", "--force", "-q").out == "story.mp4\n"
    assert read_receipt("story.mp4")["seed"] == 1


def test_dry_run_makes_nothing(dln):
    before = sorted(os.listdir())
    told = dln(*FILM, "--fps", "10", "--dry-run", "--json").json
    assert told["dry_run"] is True
    assert [(line["first_frame"], line["frames"]) for line in told["lines"]] == [(5, 15), (20, 10)]
    assert (told["frames"], told["film_s"], told["fps"]) == (30, 3.0, 10.0)
    human = dln(*FILM, "--fps", "10", "--dry-run").out
    assert "2 lines, 30 frames at 10 a second, 3 s of film, 2 clips" in human
    assert "0:00:02.000  line 2, 10 frames" in human
    assert "would write story.mp4" in human
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("none.srt",), 2, "There is no file none.srt"),
        (("m.safetensors",), 2, "no text"),
        (("story.srt", "-m", "toy-gan"), 2, "toy-gan reads no prompts"),
        (("story.srt", "-m", "recognizer"), 2, "recognizer reads no prompts"),
        (("story.srt", "-m", "nothing"), 2, "no model, run or file named 'nothing'"),
        (("story.srt", "-o", "film.gif"), 2, "does not end with .mp4 or .webm"),
        (("story.srt", "-o", "folder/"), 2, "is a folder"),
        (("story.srt", "--audio", "none.mp3"), 2, "none.mp3"),
        (("story.srt", "--audio", "story.srt"), 2, "story.srt"),
        (("story.srt", "--size", "wide"), 2, "a size is WIDTHxHEIGHT"),
        (("story.srt", "--blend", "nan"), 2, "lines blend for"),
        (("story.srt", "--every", "0"), 2, "a picture comes every"),
        (("story.srt", "--set", "magic=1"), 2, "video-diffusion has no magic"),
        (("story.srt", "--set", "fps=1"), 2, "fps is no setting"),
        (("story.srt", "--fps", "0.1"), 2, "line 1 is shorter than a frame"),
        (("story.srt", "--engine", "trt"), 3, "T"),
        (("story.srt", "--encoding", "nope"), 2, "no encoding 'nope'"),
    ],
)
def test_mistakes(dln, args, code, words):
    before = sorted(os.listdir())
    model = () if "-m" in args else ("-m", "m.safetensors")
    found = dln("film", *args, *model)
    assert (found.code, found.out) == (code, "")
    assert words in found.err
    assert "Traceback" not in found.err
    assert dln("film", *args, *model, "--json").json["error"]["code"] == code
    assert sorted(os.listdir()) == before


def test_unknown_words_name_their_line(dln, story):
    story.write_text(STORY.replace("cat dancing", "cat dancin with xyzzy"))
    found = dln(*FILM)
    assert found.code == 2
    assert "line 2: the model does not know 'dancin', 'xyzzy'" in found.err
    assert "nearest: dancing" in found.err
    assert sorted(os.listdir()) == ["m.safetensors", "story.srt"]


LIGHT = """
import sys
from dln.cli.main import run
for model in ("cogvideo", "cogvdeo"):
    assert run(["film", "wrong.srt", "-m", model]) == 2
    assert "torch" not in sys.modules
"""


def test_what_is_wrong_is_told_without_torch():
    Path("wrong.srt").write_text(STORY.replace("cat", "xyzzy"))
    ran = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "line 2: the model does not know 'xyzzy'" in ran.stderr
    assert "Did you mean 'cogvideo'" in ran.stderr


def test_the_story_is_not_written_over(dln, story):
    story.rename("story.mp4")
    found = dln("film", "story.mp4", "-m", "m.safetensors", "--force")
    assert found.code == 2
    assert "story.mp4 is what the film is made of" in found.err
    assert Path("story.mp4").read_text() == STORY


def test_ctrl_c_keeps_what_is_finished(dln, monkeypatch):
    asked, stream = [], film.stream

    def once(*args: Any, **options: Any) -> Any:
        asked.append(args[1])
        if len(asked) == 2:
            raise KeyboardInterrupt
        return stream(*args, **options)

    monkeypatch.setattr(film, "stream", once)
    stopped = dln(*FILM)
    assert stopped.code == 130
    assert "1 of 2 clips are kept in story.mp4.parts" in stopped.err
    assert not Path("story.mp4").exists()
    again = dln(*FILM, "--json")
    assert again.json["made_clips"] == 1
    assert "1 of 2 clips are there already" in again.err
    assert len(asked) == 3


LONG = "".join(
    f"{n}\n00:00:{n:02},000 --> 00:00:{n + 1:02},000\n{words}\n\n"
    for n, words in enumerate(["lion drinking", "cat dancing", "dog sleeping", "cat drinking"] * 3)
)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_killed_in_the_middle_it_ends_the_same(dln, story):
    """Twelve lines with sound. Another process is killed once some of its clips are there."""
    story.write_text(LONG)
    line = [*FILM, "--size", "32x32", "--audio", song(), "--out", "film.mp4"]
    assert dln(*line).code == 0
    whole = Path("film.mp4").read_bytes()
    Path("film.mp4").unlink()
    run = [sys.executable, "-m", "dln.cli", *line]
    with subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while (
            len(list(Path().glob("film.mp4.parts/[0-9a-f]*.npy"))) < 3
            and time.monotonic() < deadline
        ):
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert not Path("film.mp4").exists()
    again = dln(*line, "--json")
    assert again.code == 0, again.err
    assert 0 < again.json["made_clips"] <= 9
    assert Path("film.mp4").read_bytes() == whole
    assert sorted(path for path in os.listdir() if "film" in path) == ["film.mp4"]


def test_a_line_s_clip_is_what_generate_makes_of_its_seed(tmp_path):
    """CogVideo's own clips, the second of a long line going on from the first one's last frame."""
    loaded = load_model(toy_export.weights("cogvideo"))
    script = Script([Line(1, 0, 5000, "lion drinking")], [line_seed(3, 1)], fps=8)
    studio = Studio(loaded, script, tmp_path / "parts", device="cpu")
    studio.shoot()
    found = np.concatenate(list(studio.projected()))
    first = generate(loaded, Request("lion drinking", line_seed(3, 1)), device="cpu").clip
    assert first.fps == 8
    np.testing.assert_array_equal(found[:33], first.frames)
    picture = str(write_clip(Clip(first.frames[-1:], 1.0), tmp_path / "last.png", scale=1))
    request = Request("lion drinking", take_seed(line_seed(3, 1), 1), image=picture)
    later = generate(loaded, request, device="cpu").clip
    np.testing.assert_array_equal(found[33:], later.frames[1:8])


@pytest.mark.parametrize("name", ["cogvideo", "video-diffusion"])
def test_what_a_model_says_of_its_clips_is_so(name):
    loaded = load_model(toy_export.weights(name))
    usual = load(MODELS[name]).usual(loaded.model.config)
    clip = generate(loaded, Request("lion drinking"), device="cpu").clip
    assert usual is not None
    assert (len(clip.frames), clip.fps) == (usual.frames, usual.fps)


def test_every_model_of_text_makes_films_or_pictures():
    for about in MODELS.values():
        system = load(about)
        known = system.usual(system.PRESETS[about.default_preset])
        assert about.gives == "picture" or (known is not None) == (about.text and about.generates)


def test_pictures_of_a_model_that_makes_no_clips(dln):
    """Each is drawn with a noise near that of the one before."""
    Path("n.safetensors").symlink_to(toy_export.weights("nuwa-infinity"))
    line = ("film", "story.srt", "-m", "n.safetensors", "--size", "16x16", "--fps", "4", "--json")
    told = dln(*line, "--every", "0.5").json
    assert (told["clips"], told["height_px"], told["fps"]) == (6, 16, 4.0)
    assert dln("verify", "story.mp4").code == 0
    assert read_receipt("story.mp4")["film"]["every_s"] == 0.5


def test_another_receipt_is_another_film(dln):
    assert dln(*FILM, "--size", "32x32").code == 0
    clip, receipt = read_clip("story.mp4"), read_receipt("story.mp4")
    lines = receipt["film"]["lines"]

    def verified(changed: dict[str, Any]) -> Any:
        write_clip(clip, "other.mp4", {**receipt, "film": receipt["film"] | changed}, 1, True)
        return dln("verify", "other.mp4")

    assert verified({"lines": [lines[0] | {"seed": 5}, lines[1]]}).code == 1
    assert verified({"lines": lines[:1]}).code == 1
    for damaged in ({"lines": lines[::-1]}, {"lines": []}, {"lines": [{}]}, {"blend_s": -1},
                    {"every_s": "x"}, {"lines": [lines[0] | {"start_ms": 10**30}]}):  # fmt: skip
        found = verified(damaged)
        assert (found.code, found.out) == (2, "")
    assert "Traceback" not in found.err


def test_config_file(dln):
    Path("mine.toml").write_text(
        'fps = 10\nsize = "32x32"\nblend = 0.25\nmodel = "m.safetensors"\n'
    )
    told = dln("film", "story.srt", "--config", "mine.toml", "--dry-run", "--json").json
    assert (told["frames"], told["fps"]) == (30, 10.0)
