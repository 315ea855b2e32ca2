"""Where StyleGAN-V's lessons come from: clips drawn once, and motion that begins smooth."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dln.core.data import table
from dln.core.data.vistas.source import Vistas
from dln.core.errors import UsageError
from dln.core.models.stylegan_v.config import Config
from dln.core.models.stylegan_v.lessons import Lessons
from dln.core.models.stylegan_v.moments import fitted
from dln.core.models.stylegan_v.motion import MotionEncoder
from dln.core.models.stylegan_v.system import SYSTEM
from dln.core.runs.start import extended
from dln.core.training.events import Event, Note, silent

from .toy_videos import SMALL, Named, Videos

ROWS = np.array([2, 0, 1])


def lessons_of(source: Vistas, **sizes: Any) -> Lessons:
    named: dict[str, Any] = SMALL | {"fps": 4.0} | sizes
    config = Config(**named)
    return Lessons(config, source, seed=3, name="adversarial")


def test_frames_that_were_drawn_once_are_those_of_the_clips(tmp_path: Path):
    source = Vistas("still", count=3)
    fresh, kept = lessons_of(source), lessons_of(source)
    kept.prepare(tmp_path, 0, silent)
    assert kept.table is not None
    assert kept.table.shape == (3, 16, 32, 32, 3), "twice the longest span of 8 frames"
    expected, found = fresh.batch(ROWS, 1), kept.batch(ROWS, 1)
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name
    for row, times, frames in zip(ROWS, found["times"], found["real"], strict=True):
        drawn = source.told_for(4.0).frames(int(row), times.numpy() / 4, (32, 32))[0]
        assert np.array_equal(frames.numpy(), drawn)


def test_without_room_on_the_disk_they_are_drawn_whenever_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(table, "LARGEST_SHARE", 0.0)
    told: list[Event] = []
    source = Vistas("still", count=2)
    fresh, kept = lessons_of(source), lessons_of(source)
    kept.prepare(tmp_path, 0, told.append)
    assert kept.table is None
    assert any(isinstance(event, Note) and "GB that are free" in event.text for event in told)
    rows = np.array([1, 0])
    assert torch.equal(kept.batch(rows, 0)["real"], fresh.batch(rows, 0)["real"])


def test_only_what_is_drawn_is_limited_and_kept(tmp_path: Path):
    assert len(lessons_of(Vistas("still", count=9), clips=4)) == 4
    files = Lessons(Config(**SMALL, clips=1), Named(5), seed=0, name="videos")
    files.prepare(tmp_path, 0, silent)
    assert (len(files), files.table, list(tmp_path.iterdir())) == (5, None, [])


def test_clips_of_a_world_without_end_are_long_enough_for_any_span():
    assert fitted(Config(fps=4.0), Vistas("still", count=2))["longest_span"] == 32
    assert fitted(Config(), Vistas("still", count=2))["longest_span"] == 32


@pytest.mark.parametrize("latent", [64, 7])
def test_motion_begins_smooth_and_turns_one_way(latent: int):
    """Neighbouring anchors are alike, and each pair of channels circles more one way than back;
    time told backwards, it circles the other way."""
    torch.manual_seed(0)
    encoder = MotionEncoder(Config(latent=latent, waves=4))
    with torch.no_grad():
        codes = encoder.codes(torch.randn(1, 2000, latent))[0].double().T
        white = torch.randn(1, 2000, latent)
        for layer in encoder.conv:
            layer.get_parameter("weight").normal_(std=100)
        published = encoder.codes(white)[0].double().T

    def alike(codes: torch.Tensor) -> float:
        apart = codes - codes.mean(1, keepdim=True)
        return float((apart[:, 1:] * apart[:, :-1]).sum() / apart.square().sum())

    def turning(codes: torch.Tensor) -> float:
        apart = (codes - codes.mean(1, keepdim=True))[: latent // 2 * 2]
        pairs = torch.complex(apart[0::2], apart[1::2])
        steps = pairs[:, 1:] * pairs[:, :-1].conj()
        return float((steps.imag > 0).double().mean())

    assert alike(codes) > 0.9
    assert abs(alike(published)) < 0.1
    forward = turning(codes)
    assert abs(forward - 0.5) > 0.2
    assert turning(codes.flip(1)) == pytest.approx(1 - forward, abs=0.02)
    assert abs(turning(published) - 0.5) < 0.1


def test_what_hangs_on_no_size_may_be_learnt_otherwise_than_it_was():
    start = Videos(source=Named()).model
    source = Named()
    later = extended(SYSTEM, start, {"gamma": 0.5, "augment_target": 1.0, "clips": 9}, source)
    assert (later.config.gamma, later.config.augment_target, later.config.clips) == (0.5, 1.0, 9)
    for name, tensor in start.state_dict().items():
        assert torch.equal(later.state_dict()[name], tensor), name
    with pytest.raises(UsageError, match="another waves"):
        extended(SYSTEM, start, {"waves": 5}, source)


def test_slow_data_are_shown_smoothly():
    assert [Config(fps=fps).shown for fps in (25.0, 23.976, 12.0, 8.0, 4.0, 1.0)] == [
        25.0, 23.976, 24.0, 24.0, 20.0, 20.0
    ]  # fmt: skip
