"""NUWA-Infinity's trainings: its tokenizers, then the transformer, patch after patch.

2207.09814, section 3 and algorithm 1: an optimiser step after each patch, one of the four orders
drawn for each lesson. Codes are found once, before the transformer's first step.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from ...media.clip import Clip
from ...training.player import Player, Turn
from ...training.rates import Linear
from ...training.stage import Stage
from ..layers.captions import drawn_caption
from ..layers.lessons import held_back, in_parts, lesson_rng, measuring_rows
from .config import WAYS
from .decoder_training import DecoderStage
from .directions import split, straight
from .grids import filled
from .local import DIRECTIONS, around, turns
from .rendering import PatchObjective, PictureObjective, pieces
from .text import encode_captions
from .tokenizer_training import GuideStage, VqganStage, judge_of
from .views import Views, codes_table, views_table

if TYPE_CHECKING:
    from ...data import Source
    from ...training.events import OnEvent
    from ...training.options import TrainOptions
    from .model import Model

SMOOTHING, ONE_SHOT = 0.1, 0.15  # of the labels, as published: of many pictures, and of one
MEASURED = 64  # views
AT_ONCE = 16
SHOWN = 3  # pictures


class TransformerStage(Stage):
    """Captions and the patches nearby to a patch's codes."""

    name = "transformer"
    needs = ("vqgan",)
    steps, batch = 340, 8

    def __init__(self, model: Model, views: Views, options: TrainOptions) -> None:
        self.model, self.views, self.options = model, views, options
        self.source = views.source
        self.modules = model.transformer
        self.objective = PatchObjective(model.transformer, model.vqgan.codebook, self.smoothing)
        turn = Turn(self.objective, pieces=partial(pieces, model.config))
        if model.config.training.optimise == "picture":
            turn = Turn(PictureObjective(self.objective))
        own = list(self.modules.parameters())
        self.players = [
            Player(self.name, [turn], own, model.config.training.rate, weight_decay=0.01,
                   rate=Linear())
        ]  # fmt: skip

    @property
    def smoothing(self) -> float:
        told = self.model.config.training.smoothing
        if told is not None:
            return told
        return ONE_SHOT if len(self.source) == 1 else SMOOTHING

    def prepare(self, cache: Path, on_event: OnEvent) -> None:
        """The codes of every view, by the tokenizer as it is by now."""
        vqgan = self.model.vqgan
        weights = crc32(vqgan.codebook.codes.cpu().numpy().tobytes())
        pixels = views_table(self.views, cache, self.options.workers or 0, on_event)
        self.table = codes_table(self.views, pixels, vqgan, cache, f"{weights}", on_event)

    def __len__(self) -> int:
        return len(self.views) - held_back(len(self.views))

    def collate(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        lessons = [self._lesson(int(row), epoch) for row in indices]
        return {name: torch.cat([lesson[name] for lesson in lessons]) for name in lessons[0]}

    def _lesson(self, row: int, epoch: int) -> dict[str, Tensor]:
        """A part of a view that begins at any of its codes, and frames, in an order of its own."""
        rng = lesson_rng(self.options.seed, self.name, epoch, row)
        clip, patch = self.views.clip(row), self.model.config.patch
        frames, rows, columns = grid = self.views.lesson(clip)
        codes = self.views.codes(self.table, row)
        sides = frames, rows * patch, columns * patch
        first = [int(rng.integers(n - m + 1)) for n, m in zip(codes.shape, sides, strict=True)]
        part = codes[tuple(slice(n, n + m) for n, m in zip(first, sides, strict=True))]
        way = int(rng.integers(len(WAYS)))
        order = straight(WAYS[way], *grid)
        caption = drawn_caption(self.source, self.views.sample(row), rng)
        codes = part.astype(np.int64)
        patches = split(torch.from_numpy(codes)[None], patch, [order])
        found = {"patches": patches.int(), **self._told(caption, way, grid)}
        if self.model.config.local:
            beside = around(codes, turns(order, patch), self.model.config)
            cut = split(torch.from_numpy(beside), patch, [order] * DIRECTIONS)
            found["around"] = cut.movedim(0, -1)[None].int()
        return found

    def _told(self, caption: str | None, way: int, grid: tuple[int, int, int]) -> dict[str, Tensor]:
        """The order first, for the text begins with it."""
        config, reader = self.model.config, self.model.reader
        text, seen = encode_captions(config, reader, [caption], [WAYS[way]], grid[0] > 1)
        told = {"grid": torch.tensor([grid]), "order": torch.tensor([way])}
        return told | {"text": text, "seen": seen}

    def example(self, count: int) -> dict[str, Tensor]:
        pictures, _ = self.views.kinds
        grid = self.views.lesson(not pictures)
        shape = count, grid[0] * grid[1] * grid[2], self.model.config.tokens
        told = self._told(None, 0, grid)
        told = {name: torch.cat([tensor] * count) for name, tensor in told.items()}
        if self.model.config.local:
            told["around"] = torch.zeros(*shape, DIRECTIONS, dtype=torch.int32)
        return {"patches": torch.zeros(shape, dtype=torch.int32), **told}

    def evaluate(self) -> tuple[dict[str, float], list[Clip] | None]:
        """Nats a code of lessons that did not teach, of pictures and of clips."""
        objective = PictureObjective(
            PatchObjective(self.model.transformer, self.model.vqgan.codebook)
        )
        device, rows = next(self.modules.parameters()).device, self._measuring()
        found: dict[str, float] = {}
        for name, own in rows.items():
            losses = []
            for part in in_parts(own, AT_ONCE):
                batch = {k: v.to(device) for k, v in self.collate(part, 0).items()}
                losses += [float(objective(batch)["loss"])] * len(part)
            found[name] = float(np.mean(losses))
        return found, self.shown()

    def shown(self) -> list[Clip]:
        """Pictures of captions of the data, and a clip where clips are learnt."""
        from .sample import preview

        config, rng = self.model.config, np.random.default_rng(0)
        pictures, clips = self.views.kinds
        drawn = [False] * SHOWN * pictures + [True] * clips
        drawn = drawn[: self.some(len(drawn))]
        found = []
        for number, clip in enumerate(drawn):
            _, rows, columns = self.views.lesson(clip)
            size = rows * config.side, min(rows, columns) * config.side
            index = number * len(self.source) // len(drawn)
            prompt = self.source.caption(index, rng) if self.model.reader else ""
            found.append(preview(self.model, prompt, number, size, 2 if clip else None))
        return found

    def _measuring(self) -> dict[str, np.ndarray]:
        rows = measuring_rows(len(self.views), self.some(MEASURED), self.some(AT_ONCE))
        clips = np.array([self.views.clip(int(row)) for row in rows])
        parts = {"loss": rows[~clips], "loss_of_clips": rows[clips]}
        return {name: part for name, part in parts.items() if len(part)}


def stages(model: Model, source: Source, options: TrainOptions) -> list[Stage]:
    """The tokenizer, its decoder again, its guide where there are clips to learn from, the
    transformer."""
    views, judge = Views(filled(model.config, source), source), judge_of(model)
    tokenizers = [VqganStage, DecoderStage, *([GuideStage] if views.kinds[1] else [])]
    made = [make(model, views, options, judge) for make in tokenizers]
    return [*made, TransformerStage(model, views, options)]
