"""The training on vistas: place, season, weather, time of day and hour of single pictures.

All cameras teach, for a judge that never saw a river would call it a lake; the one that the data
name has half of the lessons. A country that is painted once is looked at all day and all night.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...training.stage import Player, Stage
from ..layers.lessons import in_parts
from .augment import MILD, augment
from .pictures import Picture, Pictures, all_day, as_filmed, cameras
from .training import RecognizerObjective, hours_off

if TYPE_CHECKING:
    from ...data.vistas.source import Vistas
    from ...media.clip import Clip
    from ...training.events import OnEvent
    from ...training.options import TrainOptions
    from .model import Model

COUNTRIES = 8000  # for the camera that the data name
FRESH = 1000  # of it, held out: they measure and never teach
MOMENTS = 8  # of each country


class VistasStage(Stage):
    """Pictures to names and hours."""

    name = "recognizer"

    def __init__(self, model: Model, source: Vistas, options: TrainOptions) -> None:
        self.model, self.options, self.seed = model, options, options.seed or 0
        self.lands = cameras(source, COUNTRIES, self.seed, held_out=False)
        self.fresh = cameras(source, FRESH, self.seed, held_out=True)
        self.modules = model
        self.steps, self.batch = 8000, 128
        self.outputs = model.outputs
        objective = RecognizerObjective(model.network)
        own = list(model.network.parameters())
        self.players = [Player(self.name, objective, own, 2e-3, weight_decay=0.02)]

    def prepare(self, cache: Path, on_event: OnEvent) -> None:
        config, workers = self.model.config, self.options.workers or 0
        seen = partial(all_day, MOMENTS)
        self.pictures = Pictures(self.lands, seen, config, cache / "lands.bin", workers, on_event)
        self.exams = Pictures(self.fresh, as_filmed, config, cache / "exams.bin", workers, on_event)

    def __len__(self) -> int:
        return sum(map(len, self.lands)) * MOMENTS

    def collate(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        return to_batch([self._worn(self.pictures[int(index)], epoch, int(index))
                         for index in indices])  # fmt: skip

    def _worn(self, picture: Picture, *lesson: int) -> Picture:
        rng = np.random.default_rng([self.seed, *lesson])
        return picture._replace(pixels=augment(picture.pixels[None], rng, MILD)[0])

    def example(self, count: int) -> dict[str, Tensor]:
        config = self.model.config
        pixels = np.zeros((3, config.image_size, config.image_size), np.uint8)
        return to_batch([Picture(pixels, np.zeros(len(config.heads) - 1, np.int64), 0.0)] * count)

    def evaluate(self) -> tuple[dict[str, float], list[Clip] | None]:
        """How often each head is right on held-out countries, and by how many hours the hour is
        off, in the median: in the middle of clips of the camera that the data name, clean (with the
        mean of the heads, and the hours in each weather) and worn; at any of their moments, where
        the time of day may just be changing; and with the other cameras."""
        places = np.arange(len(self.exams)).reshape(-1, 2)
        parts = np.split(places, np.cumsum([len(source) for source in self.fresh])[:-1])
        parts = [part[: self.some(len(part))] for part in parts]
        own = parts[0]
        right, off = self._answers(own[:, 0])
        found = {"accuracy": float(right.mean())} | self._told("", right, off)
        weathers = self.exams.labels[: len(own), 0, self.model.config.heads.index("weather")]
        for number, weather in enumerate(self.model.config.weathers):
            if (weathers == number).any():
                found[f"{weather}_hours_off"] = float(np.median(off[weathers == number]))
        found |= self._told("worn_", *self._answers(own[:, 0], worn=True))
        found |= self._told("any_moment_", *self._answers(own[:, 1]))
        for source, part in zip(self.fresh[1:], parts[1:], strict=True):
            found |= self._told(f"{source.camera}_", *self._answers(part[:, 0]))
        return found, None

    def _told(self, prefix: str, right: np.ndarray, off: np.ndarray) -> dict[str, float]:
        shares = zip(self.model.config.heads[:-1], right.mean(axis=0), strict=True)
        found = {f"{prefix}{head}_accuracy": float(share) for head, share in shares}
        return found | {f"{prefix}hours_off": float(np.median(off))}

    def _answers(self, numbers: np.ndarray, worn: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Of so many of the exams, whether each head but the hour's is right (N, heads), and how
        many hours that is off (N,)."""
        device, right, off = next(self.modules.parameters()).device, [], []
        for part in in_parts(numbers, 256):
            asked = [self.exams[int(n)] for n in part]
            if worn:
                asked = [
                    self._worn(picture, int(n)) for picture, n in zip(asked, part, strict=True)
                ]
            batch = {name: tensor.to(device) for name, tensor in to_batch(asked).items()}
            logits = self.model.network(batch["frames"].float() / 255)
            off.append(hours_off(logits.pop("hour").float(), batch["hours"]).cpu().numpy())
            seen = torch.stack([scores.argmax(-1) for scores in logits.values()], dim=1)
            right.append((seen == batch["labels"]).cpu().numpy())
        return np.concatenate(right), np.concatenate(off)


def to_batch(pictures: list[Picture]) -> dict[str, Tensor]:
    """frames (B, 1, 3, S, S), labels (B, heads but the hour), hours (B,)."""
    pixels, labels, hours = zip(*pictures, strict=True)
    return {
        "frames": torch.from_numpy(np.stack(pixels)[:, None]),
        "labels": torch.from_numpy(np.stack(labels)),
        "hours": torch.tensor(hours, dtype=torch.float32),
    }
