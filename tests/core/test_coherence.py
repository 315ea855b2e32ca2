"""What long clips are measured by: the judge at both ends, and the seams."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dln.core.errors import UsageError
from dln.core.generation.generate import Generated
from dln.core.media.clip import Clip
from dln.core.metrics import clips
from dln.core.metrics import coherence as module
from dln.core.metrics.coherence import coherence, differences
from dln.core.models.package import Loaded
from dln.core.models.registry import MODELS, load
from dln.core.models.system import SystemModel
from dln.core.models.video_diffusion.config import PRESETS


def test_differences_by_hand():
    levels = np.array([0, 1, 2, 12, 13, 33, 34], dtype=np.uint8)
    frames = np.broadcast_to(levels[:, None, None, None], (7, 2, 2, 3))
    there, elsewhere = differences(frames, [3, 5])
    assert there == pytest.approx((10 + 20) / 2)
    assert elsewhere == pytest.approx(1)


def test_dark_after_bright_is_a_difference_too():
    frames = np.array([250, 5, 250], dtype=np.uint8).reshape(3, 1, 1, 1).repeat(3, axis=3)
    assert differences(frames, [1]) == (245, 245)


def test_seams_are_where_blocks_begin():
    model: Any = SimpleNamespace(config=PRESETS["tiny"])
    seams = load(MODELS["video-diffusion"]).seams
    assert seams(model, 32) == []
    assert seams(model, 33) == [32]
    assert seams(model, 64) == [32, 48]
    assert load(MODELS["cogvideo"]).seams(model, 64) == []


def fake(
    monkeypatch, ends: list[tuple[dict, dict]], seams: list[int], data: str = "menagerie"
) -> Loaded:
    """A model whose clips the judge sees so, and whose clips jump at the seam."""
    seen = iter(ends)
    frames = np.zeros((64, 2, 2, 3), dtype=np.uint8)
    frames[1::2] = 2
    frames[32:] += 100

    def made(loaded, request, **_):
        assert request.frames == 64
        return Generated(Clip(frames, 8.0), {})

    def judged(clips, world):
        assert world == data
        assert [len(clip.frames) for clip in clips] == [16, 16]
        first, last = next(seen)
        return {head: [first[head], last[head]] for head in first}

    monkeypatch.setattr(clips, "generate", made)
    monkeypatch.setattr(module, "judge", judged)
    system = SimpleNamespace(seams=lambda model, frames: seams)
    monkeypatch.setattr(module, "load", lambda about: system)
    card = {"data": {"name": data}}
    return Loaded(SystemModel(), MODELS["cogvideo"], card, "", Path("toy.safetensors"), False)


def test_a_clip_agrees_where_actor_and_scene_do(monkeypatch):
    lion, bear = ({"actor": actor, "scene": "beach"} for actor in ("lion", "bear"))
    loaded = fake(monkeypatch, [(lion, lion), (lion, bear), (bear, bear), (lion, lion)], [32])
    found = coherence(loaded, frames=64, count=4)
    assert (found["agreement"], found["actor_agreement"], found["scene_agreement"]) == (
        0.75, 0.75, 1.0,
    )  # fmt: skip
    assert found["agreement_low"] < 0.75 < found["agreement_high"]
    assert found["seam_ratio"] == pytest.approx(98 / 2)


def test_seams_need_no_recognizer(monkeypatch):
    """In another world than the recognizer's nothing is said of what the ends show."""
    pytest.importorskip("sklearn")
    found = coherence(fake(monkeypatch, [], [32], data="digits"), frames=64, count=2)
    assert found == {"seam_ratio": pytest.approx(98 / 2), "frames": 64, "count": 2}


def test_a_clip_in_one_piece_has_nothing_to_measure(monkeypatch):
    with pytest.raises(UsageError, match="one piece"):
        coherence(fake(monkeypatch, [], []))
    with pytest.raises(UsageError, match="one piece"):
        coherence(fake(monkeypatch, [], [8]), frames=31)
