"""Do long clips stay what they began as? Judged at both ends, and measured where blocks meet."""

from typing import Any

import numpy as np

from ..errors import UsageError
from ..generation.generate import generate
from ..media.clip import Clip
from ..models.engine import Engine
from ..models.package import Loaded
from ..models.registry import load
from ..models.request import Request
from ..progress import OnProgress
from .alignment import draw_prompts, judge, prefixed, wilson

ENDS = 16  # frames at the beginning and at the end that are held against each other
HEADS = ("actor", "scene")


def coherence(
    loaded: Loaded,
    frames: int = 64,
    count: int = 50,
    seed: int = 0,
    held_out: bool | None = False,
    settings: dict[str, Any] | None = None,
    device: str = "auto",
    engine: Engine | None = None,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Generate `count` clips of `frames` frames and compare their first and last ENDS.

    agreement: the share of clips at both ends of which the recognizer sees the same actor and
    scene, with a 95 % Wilson interval; seam_ratio: the mean difference between the frames on both
    sides of a seam over that between all other neighbours. Clips, prompts, settings and held_out as
    in `alignment.evaluate`. UsageError for a model whose clips have no seams at that length.
    """
    places = load(loaded.spec).seams(loaded.model, frames)
    if not places or frames < 2 * ENDS:
        raise UsageError(
            f"{loaded.spec.name} makes {frames} frames in one piece: nothing meets there",
            "--frames 64, with a model that goes on from its own clips",
        )
    same: dict[str, list[bool]] = {head: [] for head in HEADS}
    at_seams, inside = [], []
    for number, prompt in enumerate(draw_prompts(count, seed, held_out)):
        request = Request.of(prompt, number, {"frames": frames, **(settings or {})})
        clip = generate(loaded, request, engine=engine, device=device).clip
        ends = [Clip(part, clip.fps) for part in (clip.frames[:ENDS], clip.frames[-ENDS:])]
        seen = judge(ends)
        for head in HEADS:
            same[head].append(seen[head][0] == seen[head][1])
        seams, others = differences(clip.frames, places)
        at_seams.append(seams)
        inside.append(others)
        if on_progress:
            on_progress(number + 1, count, "clips")
    both = sum(map(all, zip(*same.values(), strict=True)))
    low, high = wilson(both, count)
    found = {
        "agreement": both / count,
        "agreement_low": low,
        "agreement_high": high,
        **{f"{head}_agreement": float(np.mean(same[head])) for head in HEADS},
        "seam_ratio": float(np.mean(at_seams) / np.mean(inside)),
        "frames": frames,
        "count": count,
    }
    return prefixed(found, held_out)


def differences(frames: np.ndarray, seams: list[int]) -> tuple[float, float]:
    """uint8 (T, H, W, 3) and the places at which blocks begin -> mean absolute difference to the
    frame before, there and everywhere else."""
    steps = np.abs(np.diff(frames.astype(np.int16), axis=0)).mean(axis=(1, 2, 3))
    there = np.isin(np.arange(1, len(frames)), seams)
    return float(steps[there].mean()), float(steps[~there].mean())
