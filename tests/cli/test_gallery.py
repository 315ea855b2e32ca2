"""`dln gallery`: a page that is whole, says what it was given, obeys nobody and asks nobody."""

import base64
import hashlib
import os
import re
import shlex
import shutil
import tracemalloc
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import av
import numpy as np
import pytest
from PIL import Image

from dln.core.media.clip import Clip
from dln.core.media.video import write_clip
from dln.core.study.gallery import contents

from .gallery_pages import CLIP, FRAMES, HOSTILE, NAMED, Page, filled, page_of


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    return filled(tmp_path / "clips")


def test_a_page_is_whole_and_refers_to_nothing(dln, clips):
    told, page = page_of(dln, "clips")
    assert (told["path"], told["in_page"], told["linked"]) == ("gallery.html", 6, 0)
    assert told["bytes"] == Path("gallery.html").stat().st_size
    assert all(each.startswith(("data:", "#")) for each in page.addresses())
    assert all(image["alt"].strip() for image in page.of("img"))
    assert all(video["aria-label"].strip() for video in page.of("video"))
    assert {video["preload"] for video in page.of("video")} == {"none"}
    ids = [each["id"] for _, each in page.tags if "id" in each]
    assert len(set(ids)) == len(ids)
    assert {each["href"][1:] for each in page.of("a")} <= set(ids)
    assert page.of("html") == [{"lang": "en"}]
    assert len(page.of("h1")) == 1
    assert "url(" not in page.text
    assert "@import" not in page.text


def test_the_page_holds_the_very_files(dln, clips):
    _, page = page_of(dln, "clips")
    own = {path.name: path.read_bytes() for path in clips.iterdir()}
    assert page.held("video/mp4") == [own["0.mp4"], own[NAMED], own["hostile.mp4"]]
    assert page.held("video/webm") == [own["1.webm"]]
    assert page.held("image/gif") == [own["2.gif"]]
    assert page.held("image/png") == [own["3.png"]]
    for first in page.held("image/jpeg"):
        with Image.open(BytesIO(first)) as poster:
            assert poster.size == (16, 16)


def test_strangers_words_are_text(dln, clips):
    _, page = page_of(dln, "clips")
    assert [HOSTILE in page.texts["h3"], NAMED in page.texts["h3"]] == [True, True]
    assert len(page.of("script")) == 1
    assert not [name for _, told in page.tags for name in told if name.startswith("on")]
    assert {"data-model": HOSTILE, "class": "clip"} in page.of("article")
    assert not any("example.org" in each for each in page.addresses())


def test_only_the_pages_own_script_and_style_are_allowed(dln, clips):
    """The policy's hashes are those of what stands there, by hashlib."""
    _, page = page_of(dln, "clips")
    (policy,) = [each["content"] for each in page.of("meta")
                 if each.get("http-equiv") == "Content-Security-Policy"]  # fmt: skip
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    for tag, name in (("script", "script-src"), ("style", "style-src")):
        digest = hashlib.sha256(page.texts[tag][0].encode()).digest()
        assert rules[name] == f"'sha256-{base64.b64encode(digest).decode()}'"
    assert rules["default-src"] == "'none'"
    assert not [told for _, told in page.tags if "style" in told]


def test_what_made_a_clip_stands_under_it(dln, clips):
    _, page = page_of(dln, "clips")
    said = dict(zip(page.texts["dt"], page.texts["dd"], strict=True))
    for name, value in {"seed": "7", "engine": "torch", "guidance": "2.5", "frames": "5",
                        "weights": "SHA-256 aaaaaaaaaaaa…"}.items():  # fmt: skip
        assert said[name] == value
    assert f"dln verify {shlex.quote(f'clips/{NAMED}')}" not in page.texts["code"]  # has no receipt
    assert "dln verify clips/0.mp4" in page.texts["code"]
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", page.words)
    assert page.texts["p"].count("no receipt") == 1


def test_damaged_files_have_a_sentence_each(dln, clips):
    told, page = page_of(dln, "clips")
    reasons = {each["path"]: each["reason"] for each in told["damaged"]}
    assert reasons.keys() == {f"clips/{name}" for name in ("cut.mp4", "empty.gif", "words.png")}
    assert "it ends after" in reasons["clips/cut.mp4"]
    for reason in reasons.values():
        assert reason in page.texts["p"]
    plain = dln("gallery", "clips", "--force")
    assert (plain.code, plain.out) == (0, "gallery.html\n")
    assert plain.err.count("note: ") == 3
    assert dln("gallery", "clips", "--force", "--quiet").err == ""


def beside(page: Page) -> list[str]:
    """The files that a page refers to, as names."""
    return [unquote(each) for each in page.addresses() if not each.startswith(("data:", "#"))]


def test_a_small_page_refers_to_the_files(dln, clips):
    """From wherever it lies; whatever characters their names have."""
    odd = clips / "a#b?c%20 d:é.mp4"
    shutil.copy(clips / "0.mp4", odd)
    Path("pages/deep").mkdir(parents=True)
    whole = dln("gallery", "clips", "--json").json
    told, page = page_of(dln, "clips", "--link", "--out", "pages/deep/small.html")
    assert (told["in_page"], told["linked"]) == (0, 7)
    assert told["bytes"] < whole["bytes"]
    files = [Path("pages/deep") / name for name in beside(page)]
    assert all(path.is_file() for path in files)
    assert odd.resolve() in [path.resolve() for path in files]
    assert not [
        each for each in page.addresses() if each.startswith(("data:video", "data:image/png"))
    ]
    assert "What is shown is linked, not in this page" in page.words


def test_a_page_has_limits_and_says_so(dln, tmp_path, monkeypatch):
    """Two small files fit in, a large one and those after the room is used are linked, and those
    after the last that is shown are named."""
    folder = tmp_path / "many"
    folder.mkdir()
    small = write_clip(CLIP, tmp_path / "small.png", scale=1).stat().st_size
    noise = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    for number in range(7):
        clip = Clip(noise, 1.0) if number == 1 else CLIP
        write_clip(clip, folder / f"{number}.png", scale=1)
    monkeypatch.setattr(contents, "MOST_FILE", 2 * small)
    monkeypatch.setattr(contents, "MOST_HELD", 2 * small)
    monkeypatch.setattr(contents, "MOST_SHOWN", 5)
    monkeypatch.setattr("dln.core.study.gallery.page.MOST_SHOWN", 5)
    told, page = page_of(dln, "many")
    assert (told["in_page"], told["linked"], told["named"]) == (2, 3, 2)
    assert beside(page) == [f"many/{name}.png" for name in (1, 3, 4, 5, 6)]
    assert "The first 5 are shown, the other 2 are named." in page.words
    assert "3 files are linked, not in this page" in page.words


def test_memory_does_not_grow_with_the_clips(tmp_path):
    from dln.core.study.gallery.page import write

    folder = tmp_path / "noise"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (1, 160, 160, 3), np.uint8)
    first = write_clip(Clip(noise, 1.0), folder / "0.png", scale=1)
    for number in range(1, 40):
        os.link(first, folder / f"{number}.png")
    write(tmp_path / "warm.html", contents.gather([first]))

    def peak(count: int) -> tuple[int, int]:
        chosen = [folder / f"{number}.png" for number in range(count)]
        tracemalloc.start()
        told = write(tmp_path / "page.html", contents.gather(chosen))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most, told.size

    (few, small), (many, large) = peak(4), peak(40)
    assert large - small > 36 * first.stat().st_size
    assert many - few < (large - small) / 20


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nothing"], "There is no file or folder nothing"),
        (["empty"], 'dln generate "lion drinking" --out empty/'),
        (["above"], "dln gallery above/below"),
        (["notes.txt"], "notes.txt is no mp4, webm, gif or png"),
        (["clips", "--out", "page.htm"], "page.htm does not end with .html"),
        (["clips", "nothing"], "There is no file or folder nothing"),
    ],
)
def test_what_makes_no_page(dln, clips, args, said):
    Path("empty").mkdir()
    Path("above/below").mkdir(parents=True)
    shutil.copy(clips / "0.mp4", "above/below/a.mp4")
    Path("notes.txt").touch()
    refused = dln("gallery", *args)
    assert (refused.code, refused.out) == (2, "")
    assert said in " ".join(refused.err.split())
    assert not list(Path().glob("*.htm*"))


def test_nothing_is_overwritten_unless_asked(dln, clips):
    Path("gallery.html").write_text("mine")
    assert dln("gallery", "clips").code == 2
    assert Path("gallery.html").read_text() == "mine"
    assert dln("gallery", "clips", "--force").code == 0
    assert Page(Path("gallery.html")).of("video")


def test_files_and_folders_are_sections_each_once(dln, clips, monkeypatch):
    told, page = page_of(dln, "clips", "clips/", "clips/3.png", "clips/3.png")
    assert page.texts["h2"] == ["clips", "the files named"]
    assert told["in_page"] == 7
    monkeypatch.chdir(clips)
    told, page = page_of(dln)
    assert (told["in_page"], page.texts["h1"]) == (6, ["clips"])


def test_codecs_that_browsers_do_not_play_are_named(dln, tmp_path):
    folder = tmp_path / "old"
    folder.mkdir()
    for name, codec, pixels in (("a.mp4", "mpeg4", "yuv420p"), ("b.mp4", "libx264", "yuv444p")):
        with av.open(str(folder / name), "w") as container:
            track: Any = container.add_stream(codec, rate=8)
            track.width, track.height, track.pix_fmt = 16, 16, pixels
            for frame in FRAMES:
                container.mux(track.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(track.encode(None))
    told, page = page_of(dln, "old")
    assert (told["in_page"], told["linked"], told["damaged"]) == (1, 1, [])
    assert "No browser plays MPEG-4 part 2 in mp4." in page.texts["p"]
    assert "Some browsers do not play H.264 in mp4 with the pixels of yuv444p." in page.texts["p"]
    assert len(page.of("video")) == 1
    line = next(each for each in page.texts["code"] if each.startswith("python -c"))
    exec(shlex.split(line)[2])  # what the page offers makes one that is played
    assert page_of(dln, "old/a-h264.mp4")[1].texts["p"].count("No browser plays") == 0
