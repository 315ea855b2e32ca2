"""CogVideo's trainings: tokenizer, decoder, image, key frames, interpolation; where frames become
large, image as CogView2 learns it, and both of its super-resolutions after the clips.

Each later stage leaves what the earlier ones made as it is: the transformer reads the
tokenizer's codes, and a channel trains beside a frozen backbone (2205.15868, section 3).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...data import Source
from ...media.clip import Clip
from ...training.events import OnEvent
from ...training.stage import Player, Stage
from ..cogview2 import lessons
from ..cogview2.training import CogLMObjective, DirectStage, IterativeStage
from ..layers.captions import drawn_caption, shown_prompts
from ..layers.lessons import (
    held_back,
    in_parts,
    lesson_rng,
    matrices,
    measured,
    measuring_rows,
)
from ..layers.prompt import encode_texts, shift
from ..layers.tokenizer_lessons import DecoderStage, TokenizerStage
from . import masks
from .config import DURATIONS, Config
from .rollout import given_tokens
from .sample import preview
from .transformer import Backbone, Channel, clip_logits
from .windows import STEP, codes_table, cut_windows

if TYPE_CHECKING:
    from ...training.options import TrainOptions
    from .model import Model

LEARNING_RATE = 2e-3
SEEN_RATES = {2.0: 0.4, 1.0: 0.3, 0.5: 0.3}  # interpolation: how often each level is practised


class SequenceObjective(nn.Module):
    """Cross-entropy of the image codes of chosen frames."""

    def __init__(self, backbone: Backbone, channel: Channel | None, mask: str | None) -> None:
        super().__init__()
        self.backbone, self.channel, self.mask = backbone, channel, mask

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Any]:
        """batch: text and seen (B, S), codes (B, F, N) -> mean nats per predicted code."""
        config, codes = self.backbone.config, batch["codes"].long()
        logits = clip_logits(
            self.backbone,
            self.channel,
            batch["text"],
            batch["seen"],
            taken_in(config, self.mask, codes),
            visibility(config, self.mask, codes.device),
            codes_beside(codes, self.channel.stage) if self.channel else None,
        )
        chosen = scored(self.mask)
        logits, codes = logits[:, chosen], codes[:, chosen]
        loss = F.cross_entropy(logits.flatten(0, 2).float(), codes.flatten())
        return {"loss": loss, "logits": (logits,)}


def taken_in(config: Config, mask: str | None, codes: Tensor) -> Tensor:
    """(B, F, N) codes -> the input tokens of a stage."""
    tokens = shift(config, codes)
    if mask == "interpolating":
        tokens[:, masks.GIVEN] = given_tokens(config, codes[:, masks.GIVEN])
    return tokens


def scored(mask: str | None) -> slice:
    """The frames whose codes a stage learns to predict."""
    frames = {"sequential": slice(1, None), "interpolating": slice(1, None, 2)}
    return frames.get(mask or "", slice(None))


def codes_beside(codes: Tensor, stage: str) -> Tensor:
    """codes: (..., F, N) of a window -> those in the same place of the frames beside each that the
    stage draws, NOTHING for the others: (..., F, N, 1 or 2)."""
    beside = masks.BESIDE[stage]
    count = len(next(iter(beside.values())))
    found = codes[..., None].repeat_interleave(count, -1).fill_(masks.NOTHING)
    for frame, others in beside.items():
        for number, other in enumerate(others):
            found[..., frame, :, number] = codes[..., other, :]
    return found


def visibility(config: Config, mask: str | None, device: torch.device) -> masks.Visibility | None:
    """The masks of a stage by name."""
    if mask is None:
        return None
    if mask == "sequential":
        return masks.sequential(config.grid, config.frames, device)
    return masks.interpolating(config.grid, config.frames, config.window, device)


class SequenceStage(Stage):
    """What the three transformer stages share: codes, captions, cross-entropy."""

    mask: str | None = None

    def __init__(self, model: Model, source: Source, options: TrainOptions) -> None:
        self.model, self.source, self.options = model, source, options
        self.windows = cut_windows(source, model.config.durations)
        self.channel = self.own_channel()
        self.modules: nn.Module = self.channel or model.image
        frames = len(range(model.config.frames if self.mask else 1)[scored(self.mask)])
        self.outputs = frames * model.config.grid**2 * model.config.codes
        self.objective = self.loss()
        self.players = [
            Player(
                self.name,
                self.objective,
                list(self.modules.parameters()),
                LEARNING_RATE,
                weight_decay=0.01,
                muon=matrices(self.modules.modules()),  # embeddings are left to AdamW
            )
        ]

    def own_channel(self) -> Channel | None:
        """The channel that this stage trains beside the frozen backbone, if any."""
        return None

    def loss(self) -> nn.Module:
        """What it is trained by."""
        return SequenceObjective(self.model.image, self.channel, self.mask)

    def prepare(self, cache: Path, on_event: OnEvent) -> None:
        """The codes; a channel starts as the backbone, which is complete by now."""
        model = self.model
        if self.channel is not None and not self.options.start_from:
            self.channel.start_from(model.image)
        codebook = model.tokenizer.codebook.codes.cpu().numpy().tobytes()
        self.table = codes_table(
            self.source,
            self.windows,
            model.tokenizer,
            model.config.image_size,
            cache,
            key=f"{crc32(codebook)} {model.config.tokenizer.comparison}",
            workers=self.options.workers or 0,
            on_event=on_event,
        )

    def __len__(self) -> int:
        return len(self.table) - held_back(len(self.table))

    def sample(self, row: int, rng: np.random.Generator) -> tuple[str, np.ndarray]:
        """One example: the frame-rate symbol and the points of the grid to take."""
        raise NotImplementedError

    def collate(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        texts, codes = [], []
        for row in indices:
            rng = lesson_rng(self.options.seed, self.name, epoch, int(row))
            rate, points = self.sample(int(row), rng)
            texts.append((rate, drawn_caption(self.source, self.windows[row].clip, rng)))
            codes.append(self.table[row, points])
        text, seen = map(
            torch.from_numpy, encode_texts(self.model.config, self.model.reader, texts)
        )
        # uint16 is no index type in torch; int32 is half the size of int64.
        return {"text": text, "seen": seen, "codes": torch.from_numpy(np.int32(np.stack(codes)))}

    def example(self, count: int) -> dict[str, Tensor]:
        config = self.model.config
        text, seen = map(
            torch.from_numpy, encode_texts(config, self.model.reader, [("<still>", None)] * count)
        )
        shape = count, config.frames if self.mask else 1, config.frame_length
        return {"text": text, "seen": seen, "codes": torch.zeros(shape, dtype=torch.int32)}

    def evaluate(self) -> tuple[dict[str, float], list[Clip] | None]:
        """Loss on the windows that did not teach, and clips of a few prompts."""
        rows = measuring_rows(len(self.table), self.some(128), self.some(16))
        return measured(self, in_parts(rows, 16)), self.shown()

    def shown(self) -> list[Clip] | None:
        """Clips for the contact sheet: the first prompts of the data, seed 0."""
        prompts = shown_prompts(self.source, self.model.reader)
        shown = prompts[: self.some(len(prompts))]
        return [preview(self.model, text, self.name) for text in shown]


class ImageStage(SequenceStage):
    """Text to one frame: half of the frames open a clip, half come from anywhere in it."""

    name = "image"
    needs = ("tokenizer",)
    steps, batch = 2400, 32

    def sample(self, row: int, rng: np.random.Generator) -> tuple[str, np.ndarray]:
        window = self.windows[row]
        if rng.random() < 0.5:
            return f"<{window.duration}s>", np.array([0])
        return "<still>", rng.integers(0, window.last + 1, 1)


class PicturesStage(ImageStage):
    """CogView2's lessons on the same frames: masked regions, captions and text with holes too."""

    steps = 4800

    def __init__(self, model: Model, source: Source, options: TrainOptions) -> None:
        super().__init__(model, source, options)
        self.outputs = (1 + model.config.frame_length) * model.config.codes

    def loss(self) -> nn.Module:
        return CogLMObjective(self.model.pictures)

    def collate(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        config, reader, made = self.model.config.pictures, self.model.reader, []
        for row in indices:
            rng = lesson_rng(self.options.seed, self.name, epoch, int(row))
            rate, points = self.sample(int(row), rng)
            codes, clip = np.asarray(self.table[row, points], np.int32)[0], self.windows[row].clip
            made.append(lessons.drawn(config, reader, self.source, clip, codes, rng, rate))
        return lessons.stacked(made)._asdict()

    def example(self, count: int) -> dict[str, Tensor]:
        return lessons.example(self.model.config.pictures, self.model.reader, count)


class KeyframesStage(SequenceStage):
    """Five key frames in sequence; the first is the backbone's, the others are learned."""

    name = "keyframes"
    needs = ("tokenizer", "image")
    mask = "sequential"
    steps, batch = 2750, 8

    def own_channel(self) -> Channel:
        return self.model.keyframes

    def sample(self, row: int, rng: np.random.Generator) -> tuple[str, np.ndarray]:
        window = self.windows[row]
        return f"<{window.duration}s>", np.arange(5) * (window.last // 4)


class InterpolationStage(SequenceStage):
    """Two new frames between three given ones, at every frame rate above the key frames'."""

    name = "interpolation"
    needs = ("tokenizer", "image")
    mask = "interpolating"
    steps, batch = 2900, 8

    def own_channel(self) -> Channel:
        return self.model.interpolation

    def sample(self, row: int, rng: np.random.Generator) -> tuple[str, np.ndarray]:
        """A level, then one of the windows that recursive interpolation meets at that level."""
        window = self.windows[row]
        levels = [d for d in DURATIONS if d < window.duration] or [window.duration]
        weights = np.array([SEEN_RATES.get(level, 0.3) for level in levels])
        duration = levels[rng.choice(len(levels), p=weights / weights.sum())]
        stride = round(duration / 4 / STEP)
        last = (window.last - 4 * stride) // (2 * stride)
        return f"<{duration}s>", (2 * rng.integers(0, last + 1) + np.arange(5)) * stride


def stages(model: Model, source: Source, options: TrainOptions) -> list[Stage]:
    """The trainings in order. Super-resolution comes last: it reads the tokenizer and the backbone
    alone, nothing reads it, and small clips can be looked at before it has begun."""
    large = model.config.large is not None
    pictures: Any = model.pictures if large else model
    frames = (TokenizerStage, DecoderStage)
    clips = (PicturesStage if large else ImageStage, KeyframesStage, InterpolationStage)
    more = (DirectStage, IterativeStage) if large else ()
    return [
        *(make(pictures, source, options) for make in frames),
        *(make(model, source, options) for make in clips),
        *(make(pictures, source, options) for make in more),
    ]
