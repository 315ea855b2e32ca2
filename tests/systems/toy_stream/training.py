"""How the toy that streams is trained: frames at random moments, by their squared error."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dln.core.models.layers.lessons import lesson_rng
from dln.core.training.stage import Player, Stage

SIDES = 6, 8
MOMENTS = 3


class Painted(nn.Module):
    """Squared error of the frames."""

    def __init__(self, waves: nn.Module) -> None:
        super().__init__()
        self.waves = waves

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """frames: uint8 (B, T, H, W, 3), moments: (B, T), z: (B, latent) -> loss."""
        height, width = batch["frames"].shape[2:4]
        y, x = (torch.linspace(0, 1, n, device=batch["z"].device) for n in (height, width))
        (made,) = self.waves(batch["z"], batch["moments"], y, x)
        wanted = batch["frames"].flatten(0, 1).movedim(-1, 1).float() / 255
        return {"loss": (made - wanted).square().mean()}


class WavesStage(Stage):
    """Clips, each with a latent of its own."""

    name = "waves"

    def __init__(self, model: Any, source: Any, options: Any) -> None:
        self.source, self.seed, self.modules = source, options.seed or 0, model.waves
        self.steps, self.batch = 20, 4
        objective = Painted(model.waves)
        self.players = [Player("waves", objective, list(model.waves.parameters()), 1e-2)]

    def __len__(self) -> int:
        return len(self.source)

    def collate(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        frames, moments, latents = [], [], []
        for index in indices:
            rng = lesson_rng(self.seed, self.name, epoch, int(index))
            times = np.sort(rng.uniform(0, self.source.duration(int(index)), MOMENTS))
            frames.append(self.source.frames(int(index), times, SIDES)[0])
            moments.append(times.astype(np.float32))
            latents.append(rng.standard_normal(4, np.float32))
        stacked = {"frames": frames, "moments": moments, "z": latents}
        return {name: torch.from_numpy(np.stack(each)) for name, each in stacked.items()}

    def example(self, count: int) -> dict[str, Tensor]:
        frames = torch.zeros(count, MOMENTS, *SIDES, 3, dtype=torch.uint8)
        return {"frames": frames, "moments": torch.zeros(count, MOMENTS),
                "z": torch.zeros(count, 4)}  # fmt: skip
