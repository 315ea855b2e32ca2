"""Large frames of a clip: what stays where nothing changes, whatever else does."""

import sys
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
import torch

sys.path.append(str(Path(__file__).parents[1]))
from micro import large_cogvideo  # pyright: ignore[reportMissingImports]

from dln.core.models.cogvideo import enlarge
from dln.core.models.cogvideo.model import Model
from dln.core.models.cogview2.still import Still
from dln.core.models.engine import TorchEngine
from dln.core.models.request import Request

GRID, FINE = 4, 12


def brute_stays(coarse: np.ndarray, around: int) -> np.ndarray:
    """(T, 144): place by place, whether the coarse code of every fine one within `around` is as
    before."""
    frames = coarse.reshape(-1, GRID, GRID)
    found = np.zeros((len(frames), FINE, FINE), bool)
    for t in range(1, len(frames)):
        for y in range(FINE):
            for x in range(FINE):
                near = [(r // 3, c // 3) for r in range(FINE) for c in range(FINE)
                        if abs(r - y) <= around and abs(c - x) <= around]  # fmt: skip
                found[t, y, x] = all(frames[t, r, c] == frames[t - 1, r, c] for r, c in near)
    return found.reshape(len(frames), -1)


def moving(seed: int, frames: int = 7) -> np.ndarray:
    """(T, 16) codes, about one in eight another than before."""
    rng, codes = np.random.default_rng(seed), []
    for _ in range(frames):
        fresh, last = rng.integers(50, size=16), codes[-1] if codes else None
        codes.append(fresh if last is None else np.where(rng.random(16) < 0.12, fresh, last))
    return np.stack(codes)


def parts(codes: np.ndarray, blocks: list[int]) -> list[np.ndarray]:
    return np.split(codes, np.cumsum(blocks)[:-1])


@pytest.mark.parametrize("around", [0, 1, 2, 4])
@pytest.mark.parametrize("blocks", [[7], [1, 3, 3], [4, 3]])
def test_what_stays_is_what_has_no_change_around(around, blocks):
    """Against a search place by place, however the frames are cut into blocks."""
    coarse = moving(seed=around)
    still, found = Still(GRID, around), []
    for part in parts(coarse, blocks):
        still.look(part)
        found.append(still.stays)
    assert np.array_equal(np.concatenate(found), brute_stays(coarse, around))


@pytest.mark.parametrize("blocks", [[7], [2, 2, 3]])
def test_each_draw_keeps_its_own_codes(blocks):
    """Two draws a block: what stays is the frame before after the same draw, frame by frame."""
    coarse = moving(seed=5)
    draws = np.random.default_rng(0).integers(50, size=(2, 7, FINE * FINE))
    still, found = Still(GRID, 1), ([], [])
    for number, part in enumerate(parts(coarse, blocks)):
        start = sum(blocks[:number])
        still.look(part)
        for draw in (0, 1):
            found[draw].append(still(draws[draw, start : start + len(part)]))
    stays = brute_stays(coarse, 1)
    for draw in (0, 1):
        wanted = [draws[draw, 0]]
        for t in range(1, 7):
            wanted.append(np.where(stays[t], wanted[-1], draws[draw, t]))
        assert np.array_equal(np.concatenate(found[draw]), np.stack(wanted))


@pytest.fixture(scope="module")
def model() -> Model:
    """Of 4 x 4 coarse codes, every weight of which changes what comes out."""
    return large_cogvideo()


class Watched(TorchEngine):
    """Keeps the fine codes that are shown, and how many pictures each call was about."""

    def __init__(self, model: Model) -> None:
        super().__init__(model.graphs())
        self.shown: list[torch.Tensor] = []
        self.computed: list[int] = []

    def run(self, graph: str, **inputs: Any) -> Any:
        if graph == "decode_large":
            self.shown.append(inputs["indices"])
        else:
            self.computed.append(len(inputs["text"]))
        return super().run(graph, **inputs)


class Restless(Watched):
    """Scores that are all others as soon as one code anywhere in a frame is another: the worst that
    attention over all of a frame can do."""

    def run(self, graph: str, **inputs: Any) -> Any:
        out = super().run(graph, **inputs)
        if graph in ("direct", "iterative"):
            rows = inputs["coarse" if graph == "direct" else "codes"]
            out["logits"] = torch.stack([self.scores(row) for row in rows])
        return out

    def scores(self, row: torch.Tensor) -> torch.Tensor:
        rng = torch.Generator().manual_seed(crc32(row.numpy().tobytes()))
        return 3 * torch.randn(FINE * FINE, 50, generator=rng)


def fine_codes(
    engine: Watched, model: Model, coarse: np.ndarray, blocks: list[int], **asked: Any
) -> np.ndarray:
    engine.shown.clear()
    for _ in enlarge.enlarged(engine, model, Request.of("lion drinking", 3, asked),
                              parts(coarse, blocks)):  # fmt: skip
        pass
    return torch.cat(engine.shown).numpy()


@pytest.mark.parametrize("make", [Watched, Restless])
@pytest.mark.parametrize("refine", [True, False])
@pytest.mark.parametrize("around", [0, 1])
def test_where_nothing_changes_fine_codes_are_the_same_to_the_bit(model, refine, around, make):
    """After all draws, through all blocks; elsewhere most of restless ones change."""
    coarse = moving(seed=2)
    fine = fine_codes(make(model), model, coarse, [3, 4], refine=refine, still=around)
    stays = brute_stays(coarse, around)[1:]
    assert stays.any()
    same = fine[1:] == fine[:-1]
    assert same[stays].all()
    assert make is Watched or same[~stays].mean() < 0.5


def test_without_that_the_same_codes_flicker(model):
    """Drawn alone, with the same numbers, frames with a change elsewhere differ where nothing
    changed too."""
    coarse, engine = moving(seed=2), Restless(model)
    alone = np.concatenate([fine_codes(engine, model, row[None], [1]) for row in coarse])
    stays = brute_stays(coarse, 1)[1:]
    assert (alone[1:] == alone[:-1])[stays].mean() < 0.5


def test_a_frame_that_comes_again_costs_nothing(model):
    """And all of it stays."""
    engine, coarse = Watched(model), moving(seed=4, frames=1).repeat(5, 0)
    fine = fine_codes(engine, model, coarse, [2, 3])
    assert engine.computed == [1] * 7
    assert (fine == fine[0]).all()


def test_frames_hang_on_what_came_before_and_not_on_blocks(model):
    coarse, engine = moving(seed=6), Restless(model)
    whole = fine_codes(engine, model, coarse, [7])
    assert np.array_equal(whole, fine_codes(engine, model, coarse, [1, 2, 4]))
    assert np.array_equal(whole[:3], fine_codes(engine, model, coarse[:3], [3]))
