"""The stages of Video Diffusion: the base on clips and independent images, the super-resolution."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...data import Source
from ...media.clip import Clip
from ...training.events import OnEvent
from ...training.stage import Player, Stage
from ..layers.captions import drawn_caption, shown_prompts
from ..layers.lessons import held_back, in_parts, lesson_rng, matrices, measuring_rows
from ..layers.pixels import to_numbers
from ..layers.strips import strips_table
from .captions import encode_captions
from .network import UNet
from .schedule import cosine_log_snr, noised, spread, target_from
from .windows import shrunk

if TYPE_CHECKING:
    from ...training.options import TrainOptions
    from .denoiser import Denoiser
    from .model import Model

LEARNING_RATE = 2e-3
LATER = 0.4  # share of the windows that do not open their clip
MOST_AUGMENTATION = 0.4  # latest time of the noise on the given frames
LEAST_NOISE = 0.1  # variance below which an error of x weighs no more


class DiffusionObjective(nn.Module):
    """Squared error of what the U-Net predicts, at times drawn evenly over the batch."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """batch: frames uint8 (B, F, H, W, 3), words and seen (B, 1 + I, S)."""
        x = centred(batch["frames"])
        loss = self.errors(x, batch["words"], batch["seen"], even_times(len(x), x.device))
        return {"loss": loss.mean()}

    def errors(self, x: Tensor, words: Tensor, seen: Tensor, t: Tensor) -> Tensor:
        """x: (B, F, 3, H, W) in [-1, 1], t: (B,) -> mean squared error of each clip, (B,)."""
        config, unet = self.denoiser.config, self.denoiser.unet
        log_snr = cosine_log_snr(t, config.shift)
        eps, ratio = torch.randn_like(x), spread(log_snr, x)
        z = noised(x, eps, ratio)
        text = self.denoiser.read(words, seen)
        target = target_from(config.target, x, eps, ratio)
        found = unet(z, log_snr, text, *self.given(x))
        errors = (found.float() - target).square().flatten(1).mean(1)
        if config.target == "x":  # weighs as an error of v does (2202.00512, section 4)
            return errors / (-log_snr).sigmoid().clamp(min=LEAST_NOISE)
        return errors

    def given(self, x: Tensor) -> tuple[Tensor, Tensor] | tuple[()]:
        """What a super-resolution reads: the base's frames, small and under noise, and their
        log-SNR."""
        if not self.denoiser.unet.given_patch:
            return ()
        t = MOST_AUGMENTATION * torch.rand(len(x), device=x.device)
        log_snr = cosine_log_snr(t)
        x = x[:, :: self.denoiser.unet.rate]
        small = F.avg_pool2d(x.flatten(0, 1), self.denoiser.unet.scale)
        small = small.unflatten(0, x.shape[:2])
        return noised(small, torch.randn_like(small), spread(log_snr, small)), log_snr


def centred(frames: Tensor) -> Tensor:
    """uint8 (..., H, W, 3) -> float (..., 3, H, W) in [-1, 1]."""
    return frames.movedim(-1, -3).float() / 127.5 - 1


def even_times(count: int, device: torch.device) -> Tensor:
    """Times in [0, 1), one in each of `count` equal parts (2107.00630, appendix I.1)."""
    first = torch.rand((), device=device)
    return (first + torch.arange(count, device=device) / count) % 1


def inner(unet: UNet) -> list[nn.Module]:
    """All layers but those where noise, text and pixels come in or go out."""
    ends = {unet.stem, unet.head, *unet.condition.children()} - {unet.condition.mlp}
    return [module for module in unet.modules() if module not in ends]


class DiffusionStage(Stage):
    """What both stages share: windows of clips with captions drawn anew, images appended."""

    images = 0
    rate = 1  # frames it sees for each of the base's
    crop = 0

    def __init__(self, model: Model, source: Source, options: TrainOptions) -> None:
        self.model, self.options = model, options
        config = model.config
        self.count = config.frames * self.rate
        self.strip = 2 * config.frames
        self.source = source.told_for(self.strip / config.fps)  # long enough to go on
        self.denoiser = self.own()
        self.modules = self.denoiser
        self.objective = DiffusionObjective(self.denoiser)
        self.players = [
            Player(
                self.name,
                self.objective,
                list(self.denoiser.parameters()),
                LEARNING_RATE,
                betas=(0.9, 0.99),
                muon=matrices(inner(self.denoiser.unet)),
            )
        ]

    def own(self) -> Denoiser:
        """The network that this stage trains."""
        raise NotImplementedError

    def prepare(self, cache: Path, on_event: OnEvent) -> None:
        config = self.model.config
        self.table = strips_table(
            self.source,
            config.clips,
            self.strip * self.rate,
            config.fps * self.rate,
            self.denoiser.config.image_size,
            cache,
            self.options.workers or 0,
            on_event,
        )

    def __len__(self) -> int:
        return len(self.table) - held_back(len(self.table))

    def collate(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        frames, captions, later = [], [], []
        for row in indices:
            rng = lesson_rng(self.options.seed, self.name, epoch, int(row))
            rows, places = self.window(int(row), rng)
            frames.append(self.cropped(self.table[rows, places], rng))
            clips = rows[self.count - 1 :]  # the last frame's is the clip's own
            captions += [drawn_caption(self.source, int(clip), rng) for clip in clips]
            later += [bool(places[0]), *[False] * self.images]
        texts = encode_captions(self.model.config, self.model.reader, captions, later)
        shape = len(indices), 1 + self.images
        return {"frames": torch.from_numpy(np.stack(frames))} | {
            name: torch.as_tensor(rows).unflatten(0, shape) for name, rows in texts.items()
        }

    def example(self, count: int) -> dict[str, Tensor]:
        config, size = self.model.config, self.crop or self.denoiser.config.image_size
        shape = count, 1 + self.images, config.text_length
        frames = count, self.count + self.images, size, size, 3
        seen = torch.zeros(shape, dtype=torch.long)
        words = torch.zeros(*shape, config.hidden) if config.encoder else seen
        return {"frames": torch.zeros(frames, dtype=torch.uint8), "words": words, "seen": seen}

    def window(self, row: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Rows and places in the table: a clip's frames in order, then images from anywhere."""
        last = self.strip - self.model.config.frames
        start = int(rng.integers(1, last + 1)) if rng.random() < LATER else 0
        others = rng.integers(0, len(self), self.images)
        moments = rng.integers(0, self.strip, self.images)
        own = start * self.rate + np.arange(self.count)
        return np.append([row] * self.count, others), np.append(own, moments * self.rate)

    def cropped(self, frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(F, H, W, 3) -> a square of `crop` pixels, where the given frames have pixels too."""
        if not self.crop:
            return frames
        scale = self.denoiser.unet.scale
        top, left = scale * rng.integers(0, (frames.shape[1] - self.crop) // scale + 1, 2)
        return frames[:, top : top + self.crop, left : left + self.crop]

    def evaluate(self) -> tuple[dict[str, float], list[Clip] | None]:
        """Loss on clips that did not teach, in bands of the noise, and clips of a few prompts."""
        rows = measuring_rows(len(self.table), self.some(48), self.some(8))
        device = next(self.denoiser.parameters()).device
        times = (np.arange(len(rows)) + 0.5) / len(rows)
        errors = []
        for part in in_parts(np.arange(len(rows)), 8):
            batch = {k: v.to(device) for k, v in self.collate(rows[part], 0).items()}
            x = centred(batch["frames"])
            t = torch.from_numpy(times[part]).float().to(device)
            errors += self.objective.errors(x, batch["words"], batch["seen"], t).tolist()
        bands = zip(("low", "middle", "high"), np.array_split(errors, 3), strict=True)
        metrics = {name: float(np.mean(band)) for name, band in bands if len(band)}
        return {"loss": float(np.mean(errors))} | metrics, self.shown()

    def prompts(self) -> list[str]:
        """What the contact sheet shows."""
        prompts = shown_prompts(self.source, self.model.reader)
        return prompts[: self.some(len(prompts))]

    def shown(self) -> list[Clip]:
        """Clips for the contact sheet."""
        raise NotImplementedError


class BaseStage(DiffusionStage):
    """Text to a small clip, jointly on clips and on independent images."""

    name = "base"
    steps, batch = 4500, 8

    def __init__(self, model: Model, source: Source, options: TrainOptions) -> None:
        self.images = model.config.images
        super().__init__(model, source, options)

    def own(self) -> Denoiser:
        return self.model.base

    def shown(self) -> list[Clip]:
        from .sample import preview

        return [preview(self.model, text) for text in self.prompts()]


class UpsampleStage(DiffusionStage):
    """Small clips to large ones of more frames, under noise that hides the base's faults."""

    name = "upsample"
    needs = ()
    steps, batch = 1500, 16

    def __init__(self, model: Model, source: Source, options: TrainOptions) -> None:
        self.rate, self.crop = model.config.upsample.rate, model.config.upsample.crop
        super().__init__(model, source, options)

    def own(self) -> Denoiser:
        return self.model.upsample

    def shown(self) -> list[Clip]:
        """Held-back clips: small, made large again, as they were."""
        from .sample import restored

        rows = range(len(self.table) - min(self.some(2), len(self.table)), len(self.table))
        clips = []
        for row in rows:
            frames = np.array(self.table[row, : self.count])
            caption = self.source.caption(row, np.random.default_rng(row))
            small = shrunk(frames[:: self.rate], self.model.config.base.image_size)
            made = restored(self.model, caption, to_numbers(small))
            clips += [Clip(frames, self.model.config.clip_fps), made]
        return clips
