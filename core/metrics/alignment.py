"""Do a model's clips show what their prompts ask for? A recognizer that ships with dln judges."""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.menagerie import caption, describe
from ..data.menagerie.source import Menagerie
from ..errors import UsageError
from ..generation.best import generate_best
from ..generation.generate import generate
from ..media.clip import Clip
from ..models.engine import Engine, pick_device
from ..models.package import Loaded
from ..models.recognizer.judge import JUDGED, load_judge
from ..models.request import Request
from ..progress import OnProgress
from .likeness import Likeness

PROMPT_SEED = 20_000  # the menagerie's seeds for prompts and for frames
FRAME_SEED = 10_000
FPS = 2.0  # of the real clips that are judged
MOST_CONFUSIONS = 20


def evaluate(
    loaded: Loaded,
    count: int = 200,
    seed: int = 0,
    held_out: bool | None = False,
    on_progress: OnProgress | None = None,
    settings: dict[str, Any] | None = None,
    device: str = "auto",
    engine: Engine | None = None,
    i3d: Path | None = None,
    best_of: int = 1,
) -> dict[str, Any]:
    """Generate `count` clips for drawn prompts and count how many show what was asked for.

    Clip i is made from seed i, or is the best of `best_of` that begin there; the recognizer then
    both ranks and judges. held_out: True for the pairs of actor and action that the
    menagerie keeps from training (every metric is then named held_out_...), False for the
    others, None for both. settings: those of a Request, such as guidance; engine: what runs the
    graphs. Accuracies come with 95 % Wilson intervals and are None where no prompt names the
    thing. How far the clips are from as many real ones is what `Likeness` finds, also on the
    features of `i3d`, the TorchScript file of a detector. A model with a tokenizer is measured on
    real frames too. UsageError for a model that takes no prompt or for a file that is no detector,
    MissingCapability where the recognizer's weights are not installed.
    """
    _require_text_to_video(loaded)
    report = on_progress or (lambda done, total, what: None)
    recognizer, outcomes, seconds = load_judge(), [], 0.0
    likeness = Likeness(i3d, pick_device(device) if i3d else "cpu")
    for number, prompt in enumerate(draw_prompts(count, seed, held_out)):
        began = time.perf_counter()
        request = Request(prompt, seed=number, **(settings or {}))
        options: Any = {"engine": engine, "device": device}
        if best_of > 1:
            clip = generate_best(loaded, request, best_of, **options).clip
        else:
            clip = generate(loaded, request, **options).clip
        seconds += time.perf_counter() - began
        seen = recognizer.model.names(likeness.add(clip))  # pyright: ignore
        outcomes.append((prompt, describe(prompt), _single(seen)))
        report(number + 1, count, "clips")
    found = score(outcomes) | {
        "count": count,
        "best_of": best_of,
        "seconds_per_clip": seconds / count,
        "recognizer_sha256": recognizer.sha256,
    }
    found |= likeness.against(Menagerie(count, FRAME_SEED + seed, held_out), report)
    if hasattr(loaded.model, "tokenizer"):
        found |= tokenizer_psnr(loaded, count, seed, held_out, on_progress)
    return prefixed(found, held_out)


def prefixed(found: dict[str, Any], held_out: bool | None) -> dict[str, Any]:
    """Metrics named held_out_... where they are of held-out pairs."""
    return {f"held_out_{key}": found[key] for key in found} if held_out else found


def _require_text_to_video(loaded: Loaded) -> None:
    spec = loaded.spec
    if not spec.generates:
        raise UsageError(f"{spec.name} makes no clips to judge", hint="dln evaluate cogvideo")
    if not spec.text:
        raise UsageError(f"{spec.name} takes no prompt, so nothing can be asked of its clips")


def draw_prompts(count: int, seed: int, held_out: bool | None) -> Iterator[str]:
    """`count` captions in English and in Russian, the same for the same seed."""
    source = Menagerie(count, PROMPT_SEED + seed, held_out)
    for index in range(count):
        yield caption(source.story(index), np.random.default_rng([PROMPT_SEED + seed, index]))


Outcome = tuple[str, dict[str, str | None], dict[str, str]]  # prompt, expected, seen


def score(outcomes: list[Outcome]) -> dict[str, Any]:
    """Accuracies with their intervals, over the prompts that name the thing, and the failures."""
    found: dict[str, Any] = {}
    for head in JUDGED:
        right = [seen[head] == asked[head] for _, asked, seen in outcomes if asked[head]]
        low, high = wilson(sum(right), len(right)) if right else (None, None)
        accuracy = sum(right) / len(right) if right else None
        found |= {f"{head}_accuracy": accuracy, f"{head}_low": low, f"{head}_high": high}
    wrong = (_confusion(*outcome) for outcome in outcomes)
    return found | {"confusions": [confusion for confusion in wrong if confusion][:MOST_CONFUSIONS]}


def _confusion(
    prompt: str, asked: dict[str, str | None], seen: dict[str, str]
) -> dict[str, str] | None:
    missed = [head for head in JUDGED if asked[head] and asked[head] != seen[head]]
    if not missed:
        return None
    expected = " ".join(str(asked[head]) for head in missed)
    return {"prompt": prompt, "expected": expected, "seen": " ".join(seen[h] for h in missed)}


def wilson(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval of a share; 95 % unless told. ValueError for no trials."""
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes in {trials} trials")
    share, spread = successes / trials, z * z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread * spread / 4) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def judge(clips: list[Clip]) -> dict[str, list[str]]:
    """The actor, action, scene and speed that the bundled recognizer sees in each clip.

    The action is "still" where nothing moves.

    Raises MissingCapability where its weights are not installed.
    """
    model: Any = load_judge().model
    parts = [model.recognize(clips[start : start + 64]) for start in range(0, len(clips), 64)]
    heads = model.config.classes
    return {head: [name for part in parts for name in part[head]] for head in heads}


def _single(found: dict[str, list[str]]) -> dict[str, str]:
    return {head: names[0] for head, names in found.items()}


def _real_clips(source: Menagerie, size: int) -> Iterator[tuple[int, Clip, np.ndarray]]:
    """(index, clip, foreground mask) of each story, two frames a second."""
    for index in range(len(source)):
        times = np.arange(0, source.duration(index) + 0.5 / FPS, 1 / FPS)
        frames, mask = source.frames(index, times, (size, size))
        yield index, Clip(frames, FPS), mask


def tokenizer_psnr(
    loaded: Loaded,
    count: int,
    seed: int = 0,
    held_out: bool | None = None,
    on_progress: OnProgress | None = None,
) -> dict[str, float]:
    """What is left of `count` unseen clips after the model's tokenizer: encoded and decoded.

    psnr_db: mean over frames of the peak signal-to-noise ratio; psnr_foreground_db: the same
    over the pixels of actor and props; reconstruction_..._accuracy: how often the judge still
    sees the true actor and action. held_out as in `evaluate`.
    """
    model: Any = loaded.model
    source = Menagerie(count, FRAME_SEED + seed, held_out)
    whole, front, right = [], [], {"actor": 0, "action": 0}
    for index, clip, mask in _real_clips(source, model.config.image_size):
        made = reconstruct(model, clip)
        error = np.square((made.astype(np.float32) - clip.frames) / 255)
        shown = mask[..., None] / 255
        whole += [decibels(e.mean()) for e in error]
        front += [
            decibels((e * m).sum() / (3 * m.sum())) for e, m in zip(error, shown, strict=True)
        ]
        seen, labels = _single(judge([Clip(made, clip.fps)])), source.labels(index)
        right = {head: right[head] + (seen[head] == labels[head]) for head in right}
        if on_progress:
            on_progress(index + 1, count, "reconstructions")
    accuracies = {f"reconstruction_{head}_accuracy": n / count for head, n in right.items()}
    psnr = {"psnr_db": float(np.mean(whole)), "psnr_foreground_db": float(np.mean(front))}
    return psnr | accuracies


def decibels(squared_error: float) -> float:
    """Peak signal-to-noise ratio of a mean squared error of values in [0, 1]; at most 100 dB."""
    return -10 * math.log10(max(float(squared_error), 1e-10))


@torch.inference_mode()
def reconstruct(model: Any, clip: Clip) -> np.ndarray:
    """The clip's frames through the model's tokenizer and back: uint8 (T, H, W, 3)."""
    device = next(model.parameters()).device
    pixels = torch.from_numpy(clip.frames).movedim(-1, 1).to(device).float() / 255
    made: Tensor = model.tokenizer.decode(model.tokenizer.encode(pixels), model.config.grid)
    return (made.movedim(1, -1) * 255).round().clamp(0, 255).byte().cpu().numpy()
