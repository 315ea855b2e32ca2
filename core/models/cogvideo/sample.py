"""CogVideo's sampling loop: first frame, key frames, then interpolation, level after level.

Written against `engine.run` alone. All randomness is one stream of uniform numbers drawn on the
host from the seed, so every engine samples the same tokens up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
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
from ..layers.prompt import encode_texts, shift
from ..request import Request
from . import masks
from .about import Sampling
from .cache import Windows
from .config import Config
from .enlarge import BLOCK, enlarged, given, is_large
from .enlarge import check as check_large

if TYPE_CHECKING:
    from ..engine import Engine
    from .model import Model


ITSELF = np.zeros((1, 1), np.float32)  # what a single new token sees of itself


@dataclass
class Loop:
    """What the parts of the loop share."""

    engine: Engine
    config: Config
    draw: Draw
    tell: Callable[[], None]
    visible: dict[str, masks.Visibility] = field(init=False)

    def __post_init__(self) -> None:
        config = self.config
        self.visible = {
            "keyframes": masks.sequential(config.grid, config.frames),
            "interpolation": masks.interpolating(config.grid, config.frames, config.window),
        }

    def choose(self, logits: Array, guidance: float, top: int) -> np.ndarray:
        """logits: (B or 2 B, 1, K), the second half unconditional -> codes (B,)."""
        code = self.draw(logits[:, -1], guidance, top)
        self.tell()
        return code


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


def whole_frame(text: dict[str, Array], owner: str, length: int) -> Windows:
    """The caches of a channel in which a token sees all of its own frame."""
    region = np.zeros((1, length), np.int64)
    return Windows(text[f"{owner}_k"], text[f"{owner}_v"], on_host(text["padding"]), region)


class ClipRun:
    """One pass of a two-channel graph over the frames of a window, with both caches."""

    def __init__(self, loop: Loop, graph: str, text: dict[str, Array], guidance: float) -> None:
        self.loop, self.graph, self.guidance = loop, graph, guidance
        self.text, self.padding = text, on_host(text["padding"])
        self.visible = loop.visible[graph]
        self.spatial = whole_frame(text, "image", loop.config.frame_length)
        k, v = text[f"{graph}_k"], text[f"{graph}_v"]
        # Where the window is the whole frame, even and odd layers see the same.
        kinds = self.visible.regions()[: 1 if self.visible.whole else 2]
        self.temporal = Windows(k, v, self.padding, kinds)
        self.places = np.zeros(0, np.int64)

    def read(self, frames: dict[int, np.ndarray], within: np.ndarray) -> None:
        """Take given frames in, first of all and all at once. frames[slot]: (B, N) codes;
        within: (N, N) mask."""
        taken_in = given_tokens if self.graph == "interpolation" else shift
        tokens = np.concatenate([taken_in(self.loop.config, c) for c in frames.values()], axis=1)
        places = np.concatenate([self.places_of(slot) for slot in frames])
        count, copies = len(places), len(self.padding) // len(tokens)
        bias = self.padding[:, None].repeat(count, 1)
        out = run(
            self.loop.engine,
            self.graph,
            tokens=np.tile(tokens, (copies, 1)),
            places=places,
            spatial_bias=bias,
            spatial_own=apart(within, len(frames)),
            temporal_bias=[bias, bias],
            temporal_own=self.visible.dense[:, places][:, :, places],
            spatial_k=list(self.text["image_k"]),
            spatial_v=list(self.text["image_v"]),
            temporal_k=list(self.text[f"{self.graph}_k"]),
            temporal_v=list(self.text[f"{self.graph}_v"]),
        )
        # Where windows are small, room for all that comes costs less than growing for each frame.
        ahead = 0 if self.visible.whole else self.loop.config.frames - len(frames)
        self.temporal.add_frames(out["temporal_k"], out["temporal_v"], ahead)

    def places_of(self, slot: int) -> np.ndarray:
        """Places of the tokens of one frame."""
        length = self.loop.config.frame_length
        return np.arange(slot * length, (slot + 1) * length)

    def begin(self, slot: int) -> None:
        """Get ready for the tokens of a new frame, which comes after all that is known."""
        self.places = self.places_of(slot)
        self.spatial.clear()
        self.spatial.begin()
        self.temporal.begin()

    def step(self, token: np.ndarray, number: int) -> Array:
        """Token (B, 1) `number` of the frame begun -> logits (B, 1, K)."""
        spatial_k, spatial_v, (spatial_bias,) = self.spatial.look(number)
        temporal_k, temporal_v, temporal_bias = self.temporal.look(number)
        out = run(
            self.loop.engine,
            self.graph,
            tokens=np.tile(token, (len(self.padding) // len(token), 1)),
            places=self.places[number : number + 1],
            spatial_bias=spatial_bias,
            spatial_own=ITSELF,
            temporal_bias=[temporal_bias[0], temporal_bias[-1]],
            temporal_own=ITSELF[None].repeat(2, 0),
            spatial_k=spatial_k,
            spatial_v=spatial_v,
            temporal_k=temporal_k,
            temporal_v=temporal_v,
        )
        self.spatial.add(number, out["spatial_k"], out["spatial_v"])
        self.temporal.add(number, out["temporal_k"], out["temporal_v"])
        return out["logits"]

    def write(self, slot: int, batch: int) -> np.ndarray:
        """Generate frame `slot` token by token: (B, N)."""
        config, top = self.loop.config, self.loop.draw.sampling.clusters
        self.begin(slot)
        token = np.full((batch, 1), config.symbol("<start_of_image>"))
        codes = []
        for number in range(config.frame_length):
            codes.append(self.loop.choose(self.step(token, number), self.guidance, top))
            token = codes[-1][:, None]
        return np.stack(codes, axis=1)


def apart(within: np.ndarray, frames: int) -> np.ndarray:
    """What the tokens of frames, one after the other, see of each other: within: (N, N), of their
    own; nothing of the others' -> (frames N, frames N)."""
    length = len(within)
    found = np.full((frames * length, frames * length), masks.HIDDEN)
    for start in range(0, len(found), length):
        found[start : start + length, start : start + length] = within
    return found


def given_tokens(config: Config, codes: Array) -> Array:
    """(..., N) codes of frames that interpolation is given -> the input tokens."""
    return codes if config.given == "placed" else shift(config, codes)


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
