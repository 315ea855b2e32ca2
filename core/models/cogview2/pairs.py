"""From clips to codes: of a few frames of each, and of the same frames three times as large."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import torch

from ...data import Source
from ...data.table import Table, build_table
from ...training.events import OnEvent
from ..layers.pixels import noter, teller, to_pixels
from ..layers.tokenizer import ImageTokenizer
from .config import Config

STILLS = 4  # frames of a clip


def still_times(source: Source, clip: int) -> np.ndarray:
    """When they are, (STILLS,) seconds."""
    rng = np.random.default_rng([clip, STILLS])
    return np.sort(rng.uniform(0, source.duration(clip), STILLS))


@dataclass(frozen=True)
class Codes:
    """How a clip becomes a row of codes, (STILLS, N), or (STILLS, N + 9 N) with `large`, the coarse
    ones first."""

    source: Source
    config: Config
    tokenizer: ImageTokenizer
    large: bool

    def table(self, cache: Path, workers: int, on_event: OnEvent) -> Table:
        """All of them: (clips, STILLS, codes)."""
        config = self.config
        length = config.frame_length + config.fine_length * self.large
        comparison = config.tokenizer.comparison
        weights = crc32(self.tokenizer.codebook.codes.cpu().numpy().tobytes())
        name = "pairs" if self.large else "stills"
        return build_table(
            cache / f"{name}.bin",
            len(self.source),
            (STILLS, length),
            np.uint16 if config.codes <= 1 << 16 else np.int32,
            self,
            workers=workers,
            on_progress=teller(name, on_event),
            on_note=noter(on_event),
            key=f"{self.source.fingerprint()} {config.image_size} {weights} {comparison}",
        )

    def __call__(self, clip: int) -> np.ndarray:
        sizes = (self.config.image_size, self.config.fine_size)[: 1 + self.large]
        return np.concatenate([self._encoded(clip, size) for size in sizes], axis=1)

    def _encoded(self, clip: int, size: int) -> np.ndarray:
        frames, _ = self.source.frames(clip, still_times(self.source, clip), (size, size))
        tokenizer = self.tokenizer.eval()
        device = next(tokenizer.parameters()).device
        pixels = to_pixels(frames).to(device, memory_format=torch.channels_last)
        with torch.inference_mode():  # in float32, as whoever has a picture encodes it
            return tokenizer.encode(pixels).cpu().numpy()
