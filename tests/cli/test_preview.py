"""Playing a clip: every picture over the one before, and the cursor always back."""

import numpy as np
import pytest

from dln.cli import preview
from dln.core.media.clip import Clip


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(preview.time, "sleep", lambda seconds: None)


CLIP = Clip(np.zeros((3, 8, 8, 3), np.uint8), 8.0)


def test_pictures_lie_over_each_other(capsys):
    preview.play(CLIP, loops=2)
    shown = capsys.readouterr().out
    rows = preview.drawn(CLIP)[0].count("\n")
    assert rows > 0
    assert shown.count(f"\x1b[{rows}A\r") == 5
    assert shown.startswith(preview.HIDE_CURSOR)
    assert shown.endswith(preview.SHOW_CURSOR)


def test_ctrl_c_ends_the_showing_and_frees_the_cursor(capsys, monkeypatch):
    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(preview.time, "sleep", interrupt)
    preview.play(CLIP)
    assert capsys.readouterr().out.endswith(preview.SHOW_CURSOR)


def test_no_preview_off_a_terminal(dln, core):
    assert not preview.can_play()
    outcome = dln("generate", "lion", "-s", "1", "--preview")
    assert outcome.out == "lion-1.mp4\n"
    assert "no preview" in outcome.err


def test_a_preview_that_fails_costs_nothing(dln, core, monkeypatch):
    def broken(clip, loops):
        raise OSError("an odd terminal")

    monkeypatch.setattr(preview, "can_play", lambda: True)
    monkeypatch.setattr(preview, "play", broken)
    outcome = dln("generate", "lion", "-s", "1")
    assert (outcome.code, outcome.out) == (0, "lion-1.mp4\n")
    assert "an odd terminal" in outcome.err


@pytest.mark.parametrize("flag", ["--json", "--quiet", "--no-preview"])
def test_programs_see_no_pictures(dln, core, monkeypatch, flag):
    monkeypatch.setattr(preview, "can_play", lambda: True)
    monkeypatch.setattr(preview, "play", lambda clip, loops: pytest.fail("played"))
    assert dln("generate", "lion", "-s", "1", flag).err == ""


@pytest.mark.parametrize(("aspect", "size"), [(1.0, (80, 24)), (4.0, (80, 24)), (0.1, (10, 3))])
def test_a_picture_fits_its_terminal(aspect, size):
    columns = preview.columns_for(aspect, *size)
    assert 1 <= columns <= min(size[0], preview.MAX_COLUMNS)
    assert columns / 2 / aspect <= max(size[1] - 2, 5)
