"""A gallery in use: its lines make the clips again, and a browser shows it without an error."""

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dln.cli.called import split
from dln.cli.clips import sampler_settings
from dln.core.media.receipt import Receipt, read_receipt
from dln.core.study.gallery.again import lines_of_clip
from dln.core.training.run import Run

from .browser import browser, found
from .gallery_pages import filled, page_of


def options_of(line: str) -> dict[str, Any]:
    """What the command itself understands of a line."""
    context, args = split(shlex.split(line)[1:])
    command: Any = context.command
    return command.make_context(context.info_name, args, parent=context.parent).params


@settings(max_examples=60, deadline=None)
@given(
    prompt=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]) | st.just(" "),
                   min_size=1).filter(str.strip),
    seed=st.integers(0, 2**31 - 1),
    size=st.none() | st.tuples(st.integers(1, 9999), st.integers(1, 9999)),
    guidance=st.none() | st.floats(0, 100),
    word=st.none() | st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1),
    engine=st.sampled_from(["torch", "onnx", "onnx-int8", "trt-fp16"]),
    grid=st.none() | st.integers(2, 9),
)  # fmt: skip
def test_the_line_says_what_the_receipt_says(prompt, seed, size, guidance, word, engine, grid):
    asked = {"size": size and list(size), "guidance": guidance, "word": word, "frames": 3,
             "extend": {"left": 4, "up": 2}}  # fmt: skip
    told = Receipt(seed, "runs/a b", "a" * 64, engine, asked, prompt, grid=grid)
    (_, check), (_, line) = lines_of_clip(Path("some where/-a.gif"), told)
    assert shlex.split(check) == ["dln", "verify", "some where/-a.gif"]
    found = options_of(line)
    assert (found["prompt"], found["seed"], found["model"]) == (prompt, seed, "runs/a b")
    assert (found["out"], found["frames"]) == ("some where/-a-again.gif", 3)
    assert found["size"] == (size and f"{size[1]}x{size[0]}")
    assert found["extend"] == "left=4,up=2"
    assert "-".join(filter(None, [found["engine"], found["precision"]])).removesuffix("-fp32") == (
        engine)  # fmt: skip
    assert (found["count"], found["grid"]) == ((grid, True) if grid else (1, False))
    own = {name: value for name, value in (("guidance", guidance), ("word", word))
           if value is not None}  # fmt: skip
    assert sampler_settings(found["settings"]) == own


def test_no_line_is_offered_that_would_not_be_what_it_looks_like():
    for prompt in ("a\nrm -rf x", "a\x1b[31mb", "a\u202eb"):
        told = Receipt(1, "m", "a" * 64, "torch", {}, prompt)
        assert [what for what, _ in lines_of_clip(Path("a.mp4"), told)] == ["check it"]
    assert lines_of_clip(Path("a\nb.mp4"), Receipt(1, "m", "a" * 64, "torch", {}, "x")) == []
    large = Receipt(2**40, "m", "a" * 64, "torch", {}, "x")
    assert [what for what, _ in lines_of_clip(Path("a.mp4"), large)] == ["check it"]


def test_the_line_makes_the_clip_again(dln, toy_weights: Callable[[str], Path]):
    """Generated, shown, and its line run: the same receipt and the same file."""
    shutil.copy(toy_weights("toy-gan"), "toy.safetensors")
    made = dln("generate", "--model", "toy.safetensors", "-s", "5", "--frames", "3", "--fps", "4",
               "--set", "truncation=0.5", "--out", "mine.gif", "--no-preview")  # fmt: skip
    assert made.code == 0, made.err
    _, page = page_of(dln, "mine.gif")
    (line,) = (each for each in page.texts["code"] if each.startswith("dln generate"))
    again = dln(*shlex.split(line)[1:], "--no-preview")
    assert again.code == 0, again.err
    assert read_receipt("mine-again.gif") == read_receipt("mine.gif")
    assert Path("mine-again.gif").read_bytes() == Path("mine.gif").read_bytes()


@pytest.mark.skipif(found() is None, reason="needs Chromium or Chrome")
def test_a_browser_shows_it_without_a_word_or_a_question(dln, tmp_path):
    filled(tmp_path / "clips")
    run = Run.create("runs/mine", {"model": "toy-gan"})
    for step in (10, 20, 30):
        run.log({"stage": "base", "step": step, "loss": 1 / step})
    page_of(dln, "clips", "runs")
    page = Path("gallery.html").absolute()
    with browser(tmp_path / "profile") as tab:
        for width in (1280, 390):
            tab.visit(page, width, dark=width < 1000)
            assert tab.run("document.documentElement.scrollWidth") == width
        assert tab.run("document.querySelectorAll('.clip').length") == 9
        assert tab.run(PLAYED) == [16, True]
        assert tab.run(ENLARGED) == [True, "Enlarge"]
        assert tab.run(SOUGHT) == ["1 of 9", ["лев №2"]]
        assert tab.said == []
        assert tab.asked == [page.as_uri()] * 2


PLAYED = """new Promise((told) => {
  const video = document.querySelector('video');
  video.addEventListener('timeupdate', () => told([video.videoWidth, video.controls]));
  document.querySelector('.play').click();
})"""
ENLARGED = """(() => {
  const opener = document.querySelector('.enlarge'), stage = document.getElementById('stage');
  opener.focus();
  opener.click();
  const shown = stage.open && Boolean(stage.querySelector('video'));
  stage.querySelector('[data-move="0"]').click();
  return [shown && !stage.open, document.activeElement.getAttribute('aria-label').split(':')[0]];
})()"""
SOUGHT = """(() => {
  const find = document.getElementById('find');
  find.words.value = '№2';
  find.words.dispatchEvent(new Event('input', {bubbles: true}));
  const left = [...document.querySelectorAll('.clip:not([hidden]) h3')].map((h) => h.textContent);
  return [find.querySelector('output').textContent, left];
})()"""
