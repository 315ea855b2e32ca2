"""CogVideo's sampling loop: first frame, key frames, then interpolation, level after level.

Written against `engine.run` alone. All randomness is one stream of uniform numbers drawn on the
host from the seed, so every engine samples the same tokens up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ...errors import UsageError
from ...media.clip import Clip
from ...media.picture import picture
from ...media.steady import steady
from ...media.stream import Stream
from ...progress import OnProgress, counted
from ..arrays import Array, on_host, run
from ..engine import TorchEngine
from ..layers.draw import Draw
from ..layers.pixels import to_frames, to_numbers, to_pixels
from ..layers.prompt import encode_texts
from ..request import Request
from . import masks
from .about import Sampling
from .config import Config
from .enlarge import BLOCK, enlarged, given, is_large
from .enlarge import check as check_large
from .rollout import ITSELF, ClipRun, Loop, whole_frame

if TYPE_CHECKING:
    from ..engine import Engine
    from .model import Model


def guided(texts: list[tuple[str, str | None]], guidance: float) -> list[tuple[str, str | None]]:
    """The texts, followed by their unconditional twins where guidance needs them."""
    return texts if guidance == 1 else texts + [(rate, None) for rate, _ in texts]


def first_frame(loop: Loop, text: dict[str, Array], guidance: float) -> np.ndarray:
    """One frame from the backbone alone: (1, N)."""
    length, copies = loop.config.frame_length, len(text["padding"])
    windows = whole_frame(text, "image", length)
    windows.begin()
    places, top = np.arange(length), loop.draw.sampling.first_clusters
    token = np.full((copies, 1), loop.config.symbol("<start_of_image>"))
    codes = []
    for number in range(length):
        k, v, (bias,) = windows.look(number)
        place = places[number : number + 1]
        seen = {"bias": bias, "own": ITSELF, "k": k, "v": v}
        out = run(loop.engine, "image", tokens=token, places=place, **seen)
        windows.add(number, out["k"], out["v"])
        codes.append(loop.choose(out["logits"], guidance, top))
        token = codes[-1][:, None].repeat(copies, 0)
    return np.stack(codes, axis=1)


def key_frames(loop: Loop, texts: Callable, first: np.ndarray, guidance: float) -> np.ndarray:
    """The first frame (1, N) and the others at the lowest frame rate: (F, N)."""
    run = ClipRun(loop, "keyframes", texts(guidance), guidance)
    run.read({0: first}, loop.visible["keyframes"].within[0])
    return np.concatenate([first, *(run.write(slot, 1) for slot in range(1, loop.config.frames))])


def interpolate(loop: Loop, texts: Callable, known: np.ndarray, guidance: float) -> np.ndarray:
    """known: (F, N) at equal distances, F odd -> (2 F - 1, N); all windows of a level at once."""
    starts = range(0, len(known) - 2, 2)
    given = {2 * k: np.stack([known[s + k] for s in starts]) for k in range(3)}
    run = ClipRun(loop, "interpolation", texts(guidance, len(starts)), guidance)
    run.read(given, loop.visible["interpolation"].within[0])
    new = {slot: run.write(slot, len(starts)) for slot in masks.NEW}
    frames = [known[0]]
    for number, start in enumerate(starts):
        frames += [new[1][number], known[start + 1], new[3][number], known[start + 2]]
    return np.stack(frames)


def levels_for(frames: int) -> int:
    """How many interpolations make at least `frames` out of five key frames."""
    return max(0, (frames - 2).bit_length() - 2)


def check(config: Config, request: Request) -> None:
    """UsageError for a request that weights of this configuration cannot fulfil."""
    check_large(config, request)
    if request.video is None:
        frames_of(config, request)


def frames_of(config: Config, request: Request) -> int:
    """How many a clip gets. UsageError for more than there are after every interpolation."""
    frames = config.most_frames if request.frames is None else request.frames
    if frames > config.most_frames:
        raise UsageError(f"cogvideo makes at most {config.most_frames} frames, not {frames}")
    return frames


def sample(engine: Engine, model: Model, request: Request, on_progress: OnProgress) -> Stream:
    """A clip for the prompt: five key frames and what lies between them, or its first `frames`;
    where a clip is given, that one made large. A picture that is asked for is encoded: the key
    frames go on from it. UsageError as of `check`."""
    config = model.config
    check(config, request)
    if request.video is not None:
        clip = steady(request.video)
        frames, fps = request.frames or clip.count, request.fps or clip.fps
        return large(engine, model, request, given(engine, config, clip, frames), frames, fps,
                     on_progress)  # fmt: skip
    frames = frames_of(config, request)
    levels = levels_for(frames)
    first = encoded(engine, model, request.image) if request.image else None
    total = config.frame_length * (5 - bool(request.image) + 2 * levels)
    loop = start_loop(engine, model, request, counted(on_progress, total, "tokens"))
    words = partial(_texts, engine, model, request.prompt)
    codes = clip_codes(loop, words, levels, first)
    fps = request.fps or 4 * 2**levels / config.clip_seconds
    if is_large(config, request):
        blocks = (codes[:frames][at : at + BLOCK] for at in range(0, frames, BLOCK))
        return large(engine, model, request, blocks, frames, fps, on_progress)
    pixels = run(engine, "decode", indices=codes)["pixels"]
    return Stream.of(Clip(to_frames(pixels)[:frames], fps))


def large(
    engine: Engine,
    model: Model,
    request: Request,
    codes: Iterable[np.ndarray],
    frames: int,
    fps: float,
    on_progress: OnProgress,
) -> Stream:
    """The large frames of these codes, (T, N) each."""
    tell = counted(on_progress, frames, "large frames")

    def passing() -> Iterator[np.ndarray]:
        for block in enlarged(engine, model, request, codes):
            for _ in block:
                tell()
            yield block

    return Stream(passing(), fps, (model.config.pictures.fine_size,) * 2, frames)


def encoded(engine: Engine, model: Model, image: str) -> np.ndarray:
    """The codes (1, N) of a picture's file."""
    size = model.config.image_size
    pixels = to_numbers(picture(image, (size, size)))
    return on_host(run(engine, "encode", frames=pixels[None])["indices"])


def clip_codes(
    loop: Loop, words: Callable, levels: int | None, first: np.ndarray | None = None
) -> np.ndarray:
    """The codes of a clip (F, N): the first frame, the key frames, `levels` interpolations.

    words: the text's keys and values, from its frame rate and guidance. levels: None stops after
    the first frame. first: the codes of one that is given, (1, N).
    """
    durations, guidance = loop.config.durations, loop.draw.sampling.guidance
    if first is None:
        first = first_frame(loop, words(durations[0], guidance), guidance)
    if levels is None:
        return first
    codes = key_frames(loop, partial(words, durations[0]), first, guidance)
    for duration in durations[1 : levels + 1]:
        codes = interpolate(loop, partial(words, duration), codes, 1.0)
    return codes


def start_loop(engine: Engine, model: Model, request: Request, tell: Callable[[], None]) -> Loop:
    """The loop of one request, with the model's own settings where it leaves them open."""
    sampling = Sampling(**request.settings)
    rng = np.random.default_rng(request.seed)
    return Loop(engine, model.config, Draw(model.tokenizer.clusters, sampling, rng), tell)


def _texts(
    engine: Engine, model: Model, prompt: str, seconds: float, guidance: float, copies: int = 1
):
    """The text's keys and values at one frame rate, for `copies` windows and their twins."""
    texts: list[tuple[str, str | None]] = [(f"<{seconds}s>", prompt)] * copies
    text, seen = encode_texts(model.config, model.reader, guided(texts, guidance))
    return run(engine, "text", text=text, seen=seen)


def rates(config: Config) -> list[float]:
    """Frames a second that each interpolation is given: of a window's five frames, every second."""
    return [2 / seconds for seconds in config.durations[1:]]


def between(
    engine: Engine, model: Model, request: Request, known: np.ndarray, fps: float
) -> np.ndarray:
    """One interpolation of frames uint8 (F, H, W, 3), F odd, at one of `rates`: the new ones."""
    loop = start_loop(engine, model, request, lambda: None)
    pixels = to_numbers(known)
    codes = [on_host(run(engine, "encode", frames=frame[None])["indices"]) for frame in pixels]
    words = partial(_texts, engine, model, request.prompt, 2 / fps)
    new = interpolate(loop, words, np.concatenate(codes), 1.0)[1::2]
    return to_frames(run(engine, "decode", indices=new)["pixels"])


def reconstructed(model: Model, frames: np.ndarray) -> np.ndarray:
    """uint8 (T, H, W, 3) through the tokenizer and back."""
    import torch

    device = next(model.parameters()).device
    with torch.inference_mode():
        codes = model.tokenizer.encode(to_pixels(frames).to(device))
        return to_frames(model.tokenizer.decode(codes, model.config.grid))


def preview(model: Model, prompt: str, stage: str) -> Clip:
    """What a model in training makes of a prompt with the stages that are trained by then."""
    engine = TorchEngine(model.graphs(), str(next(model.parameters()).device))
    loop = start_loop(engine, model, Request(prompt), lambda: None)
    levels = {"image": None, "keyframes": 0, "interpolation": 1}[stage]
    codes = clip_codes(loop, partial(_texts, engine, model, prompt), levels)
    return Clip(to_frames(run(engine, "decode", indices=codes)["pixels"]), 1.0)
