"""Video Diffusion's sampling loop: the base from noise, block after block, then its frames larger.

Written against `engine.run`, and `engine.gradient` where new frames follow given ones. All noise
is drawn on the host from the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ...errors import MissingCapability, UsageError
from ...media.clip import Clip
from ...media.picture import picture
from ...media.stream import Stream
from ...progress import OnProgress, counted
from ..arrays import Array, on_host, run, tensors
from ..engine import Differentiable, Engine, TorchEngine
from ..layers.pixels import to_frames, to_numbers
from ..request import Request
from .about import Sampling
from .captions import encode_captions
from .guidance import reconstruction, replacement
from .samplers import (
    Denoise,
    Noise,
    Sampler,
    alpha_sigma,
    ancestral,
    ddim,
    dpm_solver,
    log_snrs,
)
from .windows import shrunk

if TYPE_CHECKING:
    from torch import Tensor

    from .config import Config
    from .model import Model

STEPS = 12  # of the base where it has no distilled twin
# The log-SNR of the given frames under the noise that is laid over them: of the schedule at time
# 0.05, in float32.
AUGMENTATION = 5.083136081695557


@dataclass(frozen=True)
class Known:
    """Frames that are there already: x (1, F, 3, H, W) in [-1, 1], given: (F,) bool."""

    x: np.ndarray
    given: np.ndarray

    def shrunk(self, size: int, rate: int) -> Known:
        """The same at fewer pixels, every `rate`-th frame."""
        frames = shrunk(to_frames((self.x[0, ::rate] + 1) / 2), size)
        return Known(2 * to_numbers(frames)[None] - 1, self.given[::rate])


@dataclass
class Loop:
    """What the parts of the loop share."""

    engine: Engine
    model: Model
    rng: np.random.Generator
    tell: Callable[[], None] = lambda: None
    settings: Sampling = field(default_factory=Sampling)

    def noise(self, *shape: int) -> np.ndarray:
        """Standard normals from the host."""
        return self.rng.standard_normal(shape, dtype=np.float32)

    def read(self, prompt: str, later: bool = False) -> dict[str, Array]:
        """The vectors of a caption, (1, C) each; later: of a clip that goes on."""
        config, reader = self.model.config, self.model.reader
        return run(self.engine, "text", **encode_captions(config, reader, [prompt], [later]))

    @property
    def fast(self) -> bool:
        """Whether the distilled twin serves what was asked."""
        own, asked = self.model.config.fast_steps, self.settings
        free = asked.guidance is None and asked.sampler is None
        return own > 0 and free and asked.steps in (None, own)

    @property
    def steps(self) -> int:
        """Steps of the base, where its twin does not serve."""
        return self.settings.steps or STEPS

    @property
    def weight(self) -> float:
        """Of reconstruction guidance; 0 is the replacement method."""
        return pull(self.model.config, self.settings)

    @property
    def solve(self) -> Sampler:
        """The base's sampler, where its twin does not serve."""
        asked = self.settings
        if asked.sampler == "ancestral":
            return partial(ancestral, gamma=asked.variance, delta=asked.corrector)
        return ddim if asked.sampler == "ddim" else dpm_solver

    def base(self, text: dict[str, Array], known: Known | None = None) -> np.ndarray:
        """A caption's vectors -> frames (1, F, 3, h, w) in [-1, 1], around those that are known."""
        config = self.model.config
        shape = 1, config.frames, 3, config.base.image_size, config.base.image_size
        if self.fast and known is None:
            times = log_snrs(config.fast_steps, config.base.shift)
            run = self.runner("fast", text=text["fast_text"])
            return ddim(self.seen(run), self.noise(*shape), times, self.noise_like(*shape))
        asked = self.settings.guidance
        guidance = config.guidance if asked is None else asked
        run = self.runner("base", text=text["base_text"], guidance=np.array([guidance], np.float32))
        denoise = self.seen(run) if known is None else self.around(run, known)
        times = log_snrs(self.steps, config.base.shift)
        return self.solve(denoise, self.noise(*shape), times, self.noise_like(*shape))

    def finer(
        self, frames: np.ndarray, text: dict[str, Array], known: Known | None = None
    ) -> np.ndarray:
        """frames: (1, F, 3, h, w) -> (1, rate F, 3, H, W), in [-1, 1]."""
        config = self.model.config
        shape = 1, config.clip_frames, 3, config.upsample.image_size, config.upsample.image_size
        alpha, sigma = alpha_sigma(AUGMENTATION)
        given = alpha * frames + sigma * self.noise(*frames.shape)
        level = np.array([AUGMENTATION], np.float32)
        run = self.runner("upsample", text=text["upsample_text"], given=given, given_log_snr=level)
        denoise = self.seen(run)
        if known is not None:  # the small frames say so much that no pull is needed
            denoise = replacement(denoise, known.x, known.given)
        times = log_snrs(config.upsample_steps, config.upsample.shift)
        return dpm_solver(denoise, self.noise(*shape), times, self.noise_like(*shape))

    def runner(self, graph: str, **inputs: Array) -> Evaluation:
        return Evaluation(self.engine, graph, inputs)

    def noise_like(self, *shape: int) -> Noise:
        return partial(self.noise, *shape)

    def seen(self, run: Evaluation) -> Denoise:
        """A step of a graph as the samplers call it, with its range of pixels kept."""

        def denoise(z: np.ndarray, log_snr: float) -> np.ndarray:
            x = run(z, log_snr)
            self.tell()
            return x.clip(-1, 1)

        return denoise

    def around(self, run: Evaluation, known: Known) -> Denoise:
        """A step that keeps the known frames and fits the others to them."""
        if self.weight == 0:
            return replacement(self.seen(run), known.x, known.given)
        pulled = reconstruction(run.pulled, known.x, known.given, self.weight)

        def denoise(z: np.ndarray, log_snr: float) -> np.ndarray:
            x = pulled(z, log_snr)
            self.tell()
            return x.clip(-1, 1)

        return denoise


@dataclass(frozen=True)
class Evaluation:
    """One graph with everything but the noisy frames."""

    engine: Engine
    graph: str
    inputs: dict[str, Array]

    def __call__(self, z: np.ndarray, log_snr: float) -> np.ndarray:
        """The clean frames seen in z."""
        at = np.array([log_snr], np.float32)
        return on_host(run(self.engine, self.graph, z=z, log_snr=at, **self.inputs)["x"])

    def pulled(
        self, z: np.ndarray, log_snr: float, loss: Callable[[Tensor], Tensor]
    ) -> tuple[np.ndarray, np.ndarray]:
        """The clean frames, and the gradient of loss(them) for z."""
        assert isinstance(self.engine, Differentiable)
        at = np.array([log_snr], np.float32)
        inputs = tensors({"z": z, "log_snr": at, **self.inputs})
        outputs, slope = self.engine.gradient(
            self.graph, "z", lambda found: loss(found["x"]), **inputs
        )
        return on_host(outputs["x"]), on_host(slope)


def pull(config: Config, settings: Sampling) -> float:
    """The weight of reconstruction guidance."""
    asked = settings.reconstruction
    return config.reconstruction if asked is None else asked


def check(config: Config, request: Request, engine: str, gradients: bool) -> None:
    """UsageError for a last frame of a clip that is cut or goes on, MissingCapability where new
    frames are to be fitted to given ones and `engine` cannot."""
    frames = config.clip_frames if request.frames is None else request.frames
    if request.last_image and frames != config.clip_frames:
        raise UsageError(
            f"a clip that ends with a picture has {config.clip_frames} frames, not {frames}",
            hint="leave --frames out",
        )
    follows = request.image or request.last_image or frames > config.clip_frames
    if follows and not gradients and pull(config, Sampling(**request.settings)) != 0:
        raise MissingCapability(
            f"frames that follow given ones take gradients, which {engine} does not compute",
            hint="--engine torch, or --reconstruction 0 for the replacement method",
        )


def sample(engine: Engine, model: Model, request: Request, on_progress: OnProgress) -> Stream:
    """A clip for the prompt: its first `frames`, or more of them, block after block."""
    config, size = model.config, model.config.upsample.image_size
    frames = config.clip_frames if request.frames is None else request.frames
    rng, settings = np.random.default_rng(request.seed), Sampling(**request.settings)
    loop = Loop(engine, model, rng, settings=settings)
    check(config, request, engine.name, isinstance(engine, Differentiable))
    opening = pictured(model, request)
    loop.tell = counted(on_progress, evaluations(loop, frames, opening is not None), "steps")
    blocks = clip_blocks(loop, request.prompt, frames, opening)
    pixels = (to_frames((block[0] + 1) / 2) for block in blocks)
    return Stream(pixels, request.fps or config.clip_fps, (size, size), frames)


def clip_blocks(
    loop: Loop, prompt: str, frames: int, opening: Known | None = None
) -> Iterator[np.ndarray]:
    """`frames` frames of the clip in blocks (1, n, 3, H, W), in [-1, 1].

    Each further block shares half of its frames with what is there. The frames after a block's
    last saw one side of their moment alone: the next block makes them anew.
    """
    config = loop.model.config
    text, size, rate = loop.read(prompt), config.base.image_size, config.upsample.rate
    low = loop.base(text, opening.shrunk(size, rate) if opening else None)
    high = loop.finer(low, text, opening)
    overlap, again = config.frames // 2, rate - 1
    shared = overlap * rate - again
    text = loop.read(prompt, later=True) if frames > config.clip_frames else text
    while frames > high.shape[1]:
        yield high[:, : high.shape[1] - again]
        frames -= high.shape[1] - again
        block = loop.base(text, continuing(low, overlap, config.frames))
        given = continuing(high[:, : high.shape[1] - again], shared, config.clip_frames)
        low, high = block, loop.finer(block, text, given)[:, shared:]
    yield high[:, :frames]


def seams(model: Model, frames: int) -> list[int]:
    """The frames of a clip at which a block goes on from the one before."""
    config = model.config
    added = (config.frames - config.frames // 2) * config.upsample.rate
    return list(range(config.clip_frames, frames, added))


def continuing(frames: np.ndarray, overlap: int, length: int) -> Known:
    """The last `overlap` of (1, N, 3, H, W) as the first of a new block of `length`."""
    last = frames[:, -overlap:]
    blank = np.zeros((1, length - overlap, *last.shape[2:]), np.float32)
    return Known(np.concatenate([last, blank], axis=1), np.arange(length) < overlap)


def pictured(model: Model, request: Request) -> Known | None:
    """Pictures' files as the first and the last frame of a clip, at the cascade's full size."""
    config = model.config
    frames, size, rate = config.clip_frames, config.upsample.image_size, config.upsample.rate
    x, given = np.zeros((1, frames, 3, size, size), np.float32), np.zeros(frames, dtype=bool)
    # The base's last frame stands for the last `rate` of the clip.
    ends = (request.image, slice(0, 1)), (request.last_image, slice(frames - rate, frames))
    for path, places in ends:
        if path:
            x[0, places], given[places] = 2 * to_numbers(picture(path, (size, size))) - 1, True
    return Known(x, given) if given.any() else None


def evaluations(loop: Loop, frames: int, opened: bool) -> int:
    """Network evaluations of a clip, those of the super-resolution included."""
    config = loop.model.config
    first = config.fast_steps if loop.fast and not opened else loop.steps
    later = len(seams(loop.model, frames)) * (loop.steps + config.upsample_steps)
    return first + config.upsample_steps + later


def preview(model: Model, prompt: str, fast: bool = False) -> Clip:
    """What the base in training, or its distilled twin, makes of a prompt."""
    engine = TorchEngine(model.graphs(), str(next(model.parameters()).device))
    settings = Sampling() if fast else Sampling(steps=STEPS)
    loop = Loop(engine, model, np.random.default_rng(0), settings=settings)
    low = loop.base(loop.read(prompt))
    return Clip(to_frames((low[0] + 1) / 2), model.config.fps)


def restored(model: Model, caption: str, small: np.ndarray) -> Clip:
    """small: (F, 3, h, w) in [0, 1] -> what the super-resolution in training makes of it."""
    engine = TorchEngine(model.graphs(), str(next(model.parameters()).device))
    loop = Loop(engine, model, np.random.default_rng(0))
    high = loop.finer(2 * small[None] - 1, loop.read(caption))
    return Clip(to_frames((high[0] + 1) / 2), model.config.clip_fps)
