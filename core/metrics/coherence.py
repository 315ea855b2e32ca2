"""Do long clips stay what they began as? Judged at both ends, and measured where blocks meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UsageError
from ..media.clip import Clip
from ..models.engine import Engine
from ..models.registry import load
from ..progress import OnProgress, unheard
from .alignment import KNOWN, judge, share
from .clips import make, prefixed
from .world import world_of

if TYPE_CHECKING:
    from ..models.package import Loaded

ENDS = 16  # frames at the beginning and at the end that are held against each other


def coherence(
    loaded: Loaded,
    frames: int = 64,
    count: int = 50,
    seed: int = 0,
    held_out: bool = False,
    settings: dict[str, Any] | None = None,
    device: str = "auto",
    engine: Engine | None = None,
    on_progress: OnProgress | None = None,
    data: str | None = None,
) -> dict[str, Any]:
    """Generate `count` clips of `frames` frames and look where their blocks meet.

    seam_ratio: the mean difference between the frames on both sides of a seam over that between all
    other neighbours. In a world that a recognizer knows, agreement: the share of clips in whose
    first and last ENDS frames it sees the same (`Known.lasting`), with a 95 % Wilson interval.
    Clips, prompts, data, settings and held_out as in `clips.evaluate`. UsageError for a model whose
    clips have no seams at that length.
    """
    world, report = world_of(loaded, data), on_progress or unheard
    places = load(loaded.about).seams(loaded.model, frames)
    if not places or frames < 2 * ENDS:
        raise UsageError(
            f"{loaded.about.name} makes {frames} frames in one piece: nothing meets there",
            "--frames 64, with a model that goes on from its own clips",
        )
    same: dict[str, list[bool]] = {}
    at_seams, inside = [], []
    prompts = world.prompts(world.real(count, seed, held_out), count, seed, held_out)
    clips = make(loaded, prompts, {**(settings or {}), "frames": frames},
                 engine=engine, device=device)  # fmt: skip
    for number, (_, made) in enumerate(clips):
        if world.known:
            seen = ends(made.clip, world.known)
            for head in KNOWN[world.known].lasting:
                same.setdefault(head, []).append(seen[head][0] == seen[head][1])
        seams, others = differences(made.clip.frames, places)
        at_seams.append(seams)
        inside.append(others)
        report(number + 1, count, "clips")
    found = (agreement(same) if world.known else {}) | {
        "seam_ratio": float(np.mean(at_seams) / np.mean(inside)),
        "frames": frames,
        "count": count,
    }
    return prefixed(found, held_out)


def ends(clip: Clip, world: str) -> dict[str, list[str]]:
    """What the world's recognizer sees in the first and in the last ENDS frames, head by head."""
    parts = (clip.frames[:ENDS], clip.frames[-ENDS:])
    return judge([Clip(part, clip.fps) for part in parts], world)


def agreement(same: dict[str, list[bool]]) -> dict[str, Any]:
    """same: of each clip, whether both ends show the same, head by head."""
    both = [all(each) for each in zip(*same.values(), strict=True)]
    return share("agreement", both) | {
        f"{head}_agreement": float(np.mean(same[head])) for head in same
    }


def differences(frames: np.ndarray, seams: list[int]) -> tuple[float, float]:
    """uint8 (T, H, W, 3) and the places at which blocks begin -> mean absolute difference to the
    frame before, there and everywhere else."""
    steps = np.abs(np.diff(frames.astype(np.int16), axis=0)).mean(axis=(1, 2, 3))
    there = np.isin(np.arange(1, len(frames)), seams)
    return float(steps[there].mean()), float(steps[~there].mean())
