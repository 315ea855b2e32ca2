"""What NUWA-Infinity's lessons are cut out of: grids that the data decide, and views."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dln.core.data import Source, open_source
from dln.core.errors import UsageError
from dln.core.models.nuwa_infinity.config import PRESETS
from dln.core.models.nuwa_infinity.grids import fitted
from dln.core.models.nuwa_infinity.views import Views, cut_out
from dln.core.training.options import TrainOptions
from dln.core.training.run import Run

from .toy_nuwa import SYSTEM, Kept, stages, toy
from .toy_systems import Colours

NewRun = Callable[..., Run]
RNG = np.random.default_rng(0)


def grids(source: Source, preset: str = "tiny", **told: Any) -> dict[str, Any]:
    config = PRESETS[preset]
    return fitted(replace(config, training=replace(config.training, **told)), source)


def test_the_data_decide_how_lessons_are_cut():
    """48 patches of 64 pixels at the most."""
    pictures = {"rows": 4, "columns": 12}
    assert grids(open_source("vistas,camera=panorama"))["training"] == pictures
    clips = {"clip_rows": 4, "clip_columns": 4}
    assert grids(open_source("vistas,camera=still"))["training"] == pictures | clips
    flat = grids(open_source("vistas,camera=still"), rows=3)["training"]
    assert (flat["rows"], flat["columns"], flat["clip_rows"], flat["clip_columns"]) == (3, 15, 3, 5)
    assert grids(Kept((427, 640)))["training"] == {"rows": 6, "columns": 8}
    assert grids(Kept((1000, 1000)))["training"] == {"rows": 6, "columns": 8}
    assert grids(Kept((100, 200)))["training"] == {"rows": 1, "columns": 3}
    assert grids(Kept((1, 1)))["training"] == {"rows": 1, "columns": 1}
    assert grids(Kept((256, 66270)), columns=5)["training"] == {"rows": 4, "columns": 5}
    mixed = grids(Kept((130, 130), (640, 640), (640, 640), moving=1))["training"]
    assert mixed == {"clip_rows": 2, "clip_columns": 2, "rows": 3, "columns": 4}
    assert mixed["rows"] * mixed["columns"] == 3 * 2 * 2


def test_what_does_not_fit_together_is_said():
    with pytest.raises(UsageError, match="at most 4,096 patches, not 1,000,000"):
        grids(Kept((9, 9)), rows=1000, columns=1000)
    with pytest.raises(UsageError, match="48 patches has not as many in 50"):
        grids(open_source("vistas,camera=panorama"), rows=50)
    with pytest.raises(UsageError, match="5 x 7 patches have not the 30 of the clips"):
        grids(open_source("vistas,camera=still"), rows=5, columns=7)


def test_a_published_encoder_reads_nothing_where_nothing_is_told():
    assert grids(Kept((2048, 4096)), "large")["text_length"] == 0
    assert "text_length" not in grids(Kept((2048, 4096), words=("lake",)), "large")
    assert "text_length" not in grids(Kept((2048, 4096)))


@pytest.mark.parametrize(("moving", "share", "clips"), [(0, 0.5, 0), (4, 0.5, 2), (4, 1, 4),
                                                       (4, 0, 0), (2, 0.5, 2)])  # fmt: skip
def test_which_views_are_clips(moving: int, share: float, clips: int):
    """Half of what moves are pictures, where there are no others."""
    source = Kept(*[(8, 16)] * 4, moving=moving)
    views = Views(toy(source, views=4, clips=share).config, source)
    assert sum(views.clip(number) for number in range(len(views))) == clips
    assert views.kinds == (clips < 4, clips > 0)


def test_there_are_views_enough():
    assert len(Views(toy(Kept((9, 9)), views=9).config, Kept((9, 9)))) == 9
    assert len(Views(toy(Kept((9, 9)), views=999).config, Kept((9, 9)))) == 256
    many = Kept(*[(9, 9)] * 20)
    assert len(Views(toy(many).config, many)) == 20, "each sample has one"
    views = Views(toy(Colours()).config, Colours())
    assert len(views) == 8
    assert [views.sample(n) for n in range(8)] == [0, 2, 5, 7, 10, 12, 15, 17]


def test_parts_of_pictures_at_several_scales():
    """Colours tell where a pixel was."""
    rng, scales = np.random.default_rng(0), []
    for _ in range(40):
        part = cut_out(Kept((120, 200)), 0, np.zeros(1), (16, 32), 3.0, rng).astype(float)
        assert part.shape == (1, 16, 32, 3)
        down, across = part[0, -1, 0, 0] - part[0, 0, 0, 0], part[0, 0, -1, 1] - part[0, 0, 0, 1]
        assert down / 15 == pytest.approx(across / 31, abs=0.15), "as wide as it is"
        scales.append(across / 31)
    assert 2.08 < min(scales) < 2.5
    assert 5.5 < max(scales) < 6.3
    tops = {int(cut_out(Kept((20, 32)), 0, np.zeros(1), (16, 32), 9.0, rng)[0, 0, 0, 0])
            for _ in range(40)}  # fmt: skip
    assert tops == {0, 1, 2, 3, 4}, "no pixel is ever made larger"


def test_a_picture_smaller_than_a_lesson_is_made_larger():
    assert (cut_out(Kept((1, 1)), 0, np.zeros(1), (8, 40), 2.0, RNG) == 0).all()
    part = cut_out(Kept((4, 10)), 0, np.zeros(1), (8, 20), 2.0, RNG)
    assert part[0, -1, -1].tolist() == [3, 9, 0]


def test_views_keep_what_the_data_show():
    source = Kept((8, 10), (8, 10), moving=1)
    stage = stages(source, views=2, patches=4)["vqgan"]
    views = stage.views
    clip, picture = (np.array(views.pixels(stage.table, number)) for number in range(2))
    assert (clip.shape, picture.shape) == ((3, 8, 8, 3), (1, 8, 16, 3))
    apart = np.diff(clip[:, 0, 0, 2].astype(int))
    assert apart.tolist() == [20, 20], "at 5 frames a second"
    drawn = stages(Colours())["vqgan"]
    row = next(n for n in range(8) if not drawn.views.clip(n))
    shown = Colours().frames(drawn.views.sample(row), np.array([0.5]), (8, 40))[0]
    assert np.array_equal(drawn.views.pixels(drawn.table, row), shown)


def test_weights_that_know_pictures_go_on_to_clips():
    """The grids that they were not told are filled in; what does not fit with them is said."""
    still = Kept(*[(8, 16)] * 4)
    moving = Kept(*[(8, 16)] * 4, moving=4)
    model = toy(still, views=4)
    assert model.config.training.clip_rows is None
    names = [stage.name for stage in SYSTEM.stages(model, moving, TrainOptions())]
    assert names == ["vqgan", "decoder", "guide", "transformer"]
    views = stages(moving, model)["transformer"].views
    assert views.lesson(True) == (2, 1, 1)
    assert views.lesson(False) == (1, 1, 2)
