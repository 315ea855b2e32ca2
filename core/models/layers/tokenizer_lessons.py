"""The trainings of the image tokenizer: encoder and codes first, then the decoder again."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ...data import Source
from ...data.table import build_table
from ...media.clip import Clip
from ...training.events import OnEvent
from ...training.stage import Player, Stage
from .clustering import cluster_codes
from .lessons import held_back
from .pixels import noter, teller, to_frames
from .tokenizer import ImageTokenizer

if TYPE_CHECKING:
    from ...training.options import TrainOptions


FRAMES_PER_CLIP = 4


def frames_table(
    source: Source,
    size: int,
    cache: Path,
    workers: int,
    on_event: OnEvent,
    large: int | None = None,
):
    """A few frames of each clip with their foreground: (clips, 4, size, size, 4), uint8 RGBM.

    large: every second one is a part of the frame at this size.
    """
    return build_table(
        cache / "frames.bin",
        len(source),
        (FRAMES_PER_CLIP, size, size, 4),
        np.uint8,
        partial(_some_frames, source, size, large),
        workers=workers,
        on_progress=teller("frames", on_event),
        on_note=noter(on_event),
        key=f"{source.fingerprint()} {size}" + (f" {large}" if large else ""),
    )


def _some_frames(source: Source, size: int, large: int | None, clip: int) -> np.ndarray:
    rng = np.random.default_rng([clip, FRAMES_PER_CLIP])
    times = np.sort(rng.uniform(0, source.duration(clip), FRAMES_PER_CLIP))
    found = _masked(source, clip, times, size)
    if large:
        for number, frame in enumerate(_masked(source, clip, times[1::2], large)):
            top, left = rng.integers(large - size + 1, size=2)
            found[1 + 2 * number] = frame[top : top + size, left : left + size]
    return found


def _masked(source: Source, clip: int, times: np.ndarray, size: int) -> np.ndarray:
    """Frames and their foreground, all where it is not told: (T, size, size, 4)."""
    frames, mask = source.frames(clip, times, (size, size))
    if mask is None:
        mask = np.full(frames.shape[:-1], 255, np.uint8)
    return np.concatenate([frames, mask[..., None]], axis=-1)


class TokenizerObjective(nn.Module):
    """L1, squared error and commitment, with more weight on what moves in front."""

    foreground, squared = 3.0, 4.0

    def __init__(self, tokenizer: ImageTokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer

    def reconstruct(self, target: Tensor) -> tuple[Tensor, Tensor]:
        """target: (B, 3, H, W) -> what comes back, commitment loss."""
        return self.tokenizer(target)

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """batch["frames"]: uint8 (B, H, W, 4), RGB and foreground."""
        rgbm = batch["frames"].permute(0, 3, 1, 2).float() / 255
        target = rgbm[:, :3].contiguous(memory_format=torch.channels_last)
        made, commitment = self.reconstruct(target)
        error = made.float() - target
        weight = 1 + self.foreground * rgbm[:, 3:]
        weight = weight / weight.mean(dim=(1, 2, 3), keepdim=True)
        loss = (weight * error.abs()).mean() + self.squared * (weight * error.square()).mean()
        psnr = -10 * error.detach().square().mean().log10()
        return {"loss": loss + 0.25 * commitment, "commitment": commitment, "psnr": psnr}


class DecoderObjective(TokenizerObjective):
    """The same for the decoder alone: the codes are what they are.

    By now the actors are recognisable, so the whole picture counts more.
    """

    foreground, squared = 1.0, 16.0

    def reconstruct(self, target: Tensor) -> tuple[Tensor, Tensor]:
        """target: (B, 3, H, W) -> what comes back, no commitment."""
        tokenizer, grid = self.tokenizer, target.shape[-2] // 8
        with torch.no_grad():
            codes = tokenizer.vectors(tokenizer.encode(target), grid)
        return tokenizer.decoder(codes), target.new_zeros(())


class TokenizerStage(Stage):
    """Frames to codes and back (VQ-VAE with exponential-moving-average codes)."""

    name = "tokenizer"

    def __init__(self, model: Any, source: Source, options: TrainOptions) -> None:
        self.model, self.source, self.options = model, source, options
        self.modules = model.tokenizer
        self.modules.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.steps, self.batch = 10_500, 32
        self.players = [
            Player(
                "tokenizer",
                TokenizerObjective(model.tokenizer),
                list(model.tokenizer.parameters()),
                2e-3,
                weight_decay=0.01,
            )
        ]

    def prepare(self, cache: Path, on_event: OnEvent) -> None:
        config, workers = self.model.config, self.options.workers or 0
        # Codes of a larger picture, where the model has one, are practised as well.
        large = getattr(config, "fine_size", None)
        size = config.image_size
        self.table = frames_table(self.source, size, cache, workers, on_event, large)

    def __len__(self) -> int:
        return (len(self.table) - held_back(len(self.table))) * FRAMES_PER_CLIP

    def collate(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        clips, places = np.divmod(indices, FRAMES_PER_CLIP)
        return {"frames": torch.from_numpy(self.table[clips, places])}

    def example(self, count: int) -> dict[str, Tensor]:
        size = self.model.config.image_size
        return {"frames": torch.zeros(count, size, size, 4, dtype=torch.uint8)}

    def after_step(self, step: int, reduce) -> None:
        self.model.tokenizer.codebook.update(reduce)

    def evaluate(self) -> tuple[dict[str, float], list[Clip] | None]:
        """Peak signal-to-noise ratio on frames that did not teach, and how many codes they use."""
        rows = np.array(self.table[-max(1, held_back(len(self.table))) :][: self.some(64)])
        device = next(self.modules.parameters()).device
        rgbm = torch.from_numpy(rows).flatten(0, 1).movedim(-1, 1).to(device).float() / 255
        codes = torch.cat([self.model.tokenizer.encode(part) for part in rgbm[:, :3].split(64)])
        grid = self.model.config.grid
        made = torch.cat([self.model.tokenizer.decode(part, grid) for part in codes.split(64)])
        error = (made - rgbm[:, :3]).square()
        front = (rgbm[:, 3:] > 0.5).expand_as(error)
        psnr = {
            "psnr": float(-10 * error.mean().log10()),
            "psnr_foreground": float(-10 * error[front].mean().log10()),
            "codes_used": float(len(codes.unique())),
        }
        pairs = torch.stack([rgbm[:12, :3], made[:12]])
        return psnr, [Clip(to_frames(row), 1.0) for row in pairs]

    def finish(self) -> None:
        tokenizer = self.model.tokenizer
        tokenizer.clusters.copy_(cluster_codes(tokenizer.codebook.codes, tokenizer.config.clusters))


class DecoderStage(TokenizerStage):
    """The decoder again, from where it is, with the encoder and the codes at rest: what reads the
    codes profits without being trained anew."""

    name = "decoder"
    needs = ("tokenizer",)

    def __init__(self, model: Any, source: Source, options: TrainOptions) -> None:
        super().__init__(model, source, options)
        self.modules = model.tokenizer.decoder
        self.steps = 6600
        objective, trained = DecoderObjective(model.tokenizer), list(self.modules.parameters())
        self.players = [Player("decoder", objective, trained, 1e-3, weight_decay=0.01)]

    def after_step(self, step: int, reduce) -> None:
        """Nothing: the codes stay."""

    def finish(self) -> None:
        """Nothing: the clusters stay."""
