"""CogView2's trainings: tokenizer, decoder, image (CogLM), direct, iterative super-resolution.

Each later stage leaves what the earlier ones made as it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...data import Source
from ...media.clip import Clip
from ...training.events import OnEvent
from ...training.stage import Player, Stage
from ..layers.captions import drawn_caption, shown_prompts
from ..layers.lessons import (
    held_back,
    in_parts,
    lesson_rng,
    matrices,
    measured,
    measuring_rows,
)
from ..layers.prompt import encode_texts
from ..layers.tokenizer_lessons import DecoderStage, TokenizerStage
from . import lessons
from .coglm import Sequences, logits
from .pairs import STILLS, Codes
from .sharpness import sharpness

if TYPE_CHECKING:
    from ...training.options import TrainOptions
    from .config import Config
    from .model import Model

RATES = {"image": 2e-3, "direct": 1e-3, "iterative": 2e-3}
RATIOS = (0.2, 0.4, 0.6, 0.8, 0.9)  # of fine codes that are asked for (2204.14217, section 3.3)
MEASURED, AT_ONCE = 64, 16  # clips


class CodesStage(Stage):
    """What the three transformer stages share: codes, captions, cross-entropy."""

    large = True
    needs = ("tokenizer", "image")
    objective: nn.Module

    def __init__(self, model: Model, source: Source, options: TrainOptions) -> None:
        self.model, self.source, self.options = model, source, options
        self.modules = self.own()
        self.objective = self.loss()
        self.players = [
            Player(
                self.name,
                self.objective,
                list(self.modules.parameters()),
                RATES[self.name],
                weight_decay=0.01,
                muon=matrices(self.modules.modules()),  # embeddings are left to AdamW
            )
        ]

    def own(self) -> nn.Module:
        """What is trained."""
        return getattr(self.model, self.name)

    def loss(self) -> nn.Module:
        """What it is trained by."""
        raise TypeError(f"{type(self).__name__} has no loss")

    def prepare(self, cache: Path, on_event: OnEvent) -> None:
        """The codes, by the tokenizer as it is by now."""
        model = self.model
        made = Codes(self.source, model.config, model.tokenizer, self.large)
        self.table = made.table(cache, self.options.workers or 0, on_event)

    def __len__(self) -> int:
        return (len(self.table) - held_back(len(self.table))) * STILLS

    def collate(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        drawn = [lesson_rng(self.options.seed, self.name, epoch, int(row)) for row in indices]
        clips, stills = np.divmod(indices, STILLS)
        codes = np.asarray(self.table[clips, stills], np.int32)
        return self.lessons(clips, codes, drawn)

    def lessons(
        self, clips: np.ndarray, codes: np.ndarray, drawn: list[np.random.Generator]
    ) -> dict[str, Tensor]:
        """clips: (B,), codes: (B, ...), and each one's random numbers -> a batch."""
        raise TypeError(f"{type(self).__name__} has no lessons")

    def evaluate(self) -> tuple[dict[str, float], list[Clip] | None]:
        """Loss on the clips that did not teach, and pictures of a few prompts."""
        rows = measuring_rows(len(self.table), MEASURED, AT_ONCE)
        return measured(self, [part * STILLS for part in in_parts(rows, AT_ONCE)]), self.shown()

    def shown(self) -> list[Clip]:
        """Pictures for the contact sheet: the first prompts of the data, seed 0."""
        from .sample import preview

        prompts = shown_prompts(self.source, self.model.reader)
        return [preview(self.model, text, self.name) for text in prompts]


class CogLMObjective(nn.Module):
    """Cross-entropy of the codes and words that lessons ask for."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.backbone = model.image

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Any]:
        """batch: `Sequences` by name -> mean nats of what is scored; of codes and words alone."""
        told = Sequences(*(batch[name] for name in Sequences._fields))
        words, codes = logits(self.backbone, told)
        texts, first = words.shape[1], self.backbone.config.codes
        of_words = _nats(words, told.labels[:, :texts] - first, told.scored[:, :texts])
        of_codes = _nats(codes, told.labels[:, texts:], told.scored[:, texts:])
        counts = told.scored[:, :texts].sum(), told.scored[:, texts:].sum()
        loss = (of_words + of_codes) / (counts[0] + counts[1]).clamp(min=1)
        each = {"words": of_words / counts[0].clamp(min=1),
                "codes": of_codes / counts[1].clamp(min=1)}  # fmt: skip
        return {"loss": loss, **{k: v.detach() for k, v in each.items()}, "logits": (codes,)}


def _nats(scores: Tensor, labels: Tensor, scored: Tensor) -> Tensor:
    """scores: (B, T, K), labels, scored: (B, T) -> the sum over what is scored."""
    wanted = torch.where(scored, labels.long(), -100)
    return F.cross_entropy(scores.flatten(0, 1).float(), wanted.flatten(), reduction="sum")


class ImageStage(CodesStage):
    """CogLM: text to image, masked regions, captions, infilling of text."""

    name = "image"
    needs = ("tokenizer",)
    large = False
    steps, batch = 4800, 32

    def __init__(self, model: Model, source: Source, options: TrainOptions) -> None:
        super().__init__(model, source, options)
        self.outputs = (1 + model.config.frame_length) * model.config.codes

    def loss(self) -> nn.Module:
        return CogLMObjective(self.model)

    def lessons(
        self, clips: np.ndarray, codes: np.ndarray, drawn: list[np.random.Generator]
    ) -> dict[str, Tensor]:
        config, reader = self.model.config, self.model.reader
        made = [lessons.drawn(config, reader, self.source, int(clip), row, rng)
                for clip, row, rng in zip(clips, codes, drawn, strict=True)]  # fmt: skip
        return lessons.stacked(made)._asdict()

    def example(self, count: int) -> dict[str, Tensor]:
        return lessons.example(self.model.config, self.model.reader, count)


class SuperStage(CodesStage):
    """What both super-resolutions share."""

    steps, batch = 3000, 8

    def __init__(self, model: Model, source: Source, options: TrainOptions) -> None:
        super().__init__(model, source, options)
        self.outputs = model.outputs

    def prepare(self, cache: Path, on_event: OnEvent) -> None:
        """The codes; it starts as the backbone, which is complete by now, where sizes allow."""
        super().prepare(cache, on_event)
        if not self.options.start_from:
            self.modules.start_from(self.model.image)  # pyright: ignore

    def prompts(
        self, config: Config, clips: np.ndarray, drawn: list[np.random.Generator]
    ) -> dict[str, Tensor]:
        """Captions of the clips, one in ten left out, as text and seen (B, S)."""
        captions = [drawn_caption(self.source, int(clip), rng)
                    for clip, rng in zip(clips, drawn, strict=True)]  # fmt: skip
        text, seen = map(
            torch.from_numpy,
            encode_texts(config, self.model.reader, [("<still>", c) for c in captions]),
        )
        return {"text": text, "seen": seen}


class DirectObjective(nn.Module):
    """Cross-entropy of all fine codes."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.backbone, self.direct = model.image, model.direct

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Any]:
        """batch: text, seen (B, S), coarse (B, N), fine (B, M) -> mean nats of a code."""
        told = batch["text"], batch["seen"], batch["coarse"].long()
        scores = self.direct(self.backbone, *told)
        loss = F.cross_entropy(scores.flatten(0, 1).float(), batch["fine"].long().flatten())
        return {"loss": loss, "logits": (scores,)}


class DirectStage(SuperStage):
    """All fine codes from the coarse ones, beside the frozen backbone."""

    name = "direct"

    def loss(self) -> nn.Module:
        return DirectObjective(self.model)

    def lessons(
        self, clips: np.ndarray, codes: np.ndarray, drawn: list[np.random.Generator]
    ) -> dict[str, Tensor]:
        told, length = self.prompts(self.model.config, clips, drawn), self.model.config.frame_length
        coarse, fine = (torch.from_numpy(part.copy())
                        for part in (codes[:, :length], codes[:, length:]))  # fmt: skip
        return {**told, "coarse": coarse, "fine": fine}

    def example(self, count: int) -> dict[str, Tensor]:
        config = self.model.config
        text, seen = map(
            torch.from_numpy, encode_texts(config, self.model.reader, [("<still>", None)] * count)
        )
        coarse, fine = (torch.zeros(count, length, dtype=torch.int32)
                        for length in (config.frame_length, config.fine_length))  # fmt: skip
        return {"text": text, "seen": seen, "coarse": coarse, "fine": fine}

    def evaluate(self) -> tuple[dict[str, float], list[Clip] | None]:
        """Besides, how near the large pictures come to true ones, in dB, and how near the small
        ones enlarged bicubically do."""
        found, shown = super().evaluate()
        return found | sharpness(self.model, self.source, len(self.table)), shown


class IterativeObjective(nn.Module):
    """Cross-entropy of the fine codes that are asked for."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.iterative = model.iterative
        self.opening = model.config.symbol("<start_of_image>")

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Any]:
        """batch: text, seen (B, S), fine (B, M), asked bool (B, M) -> mean nats of a code."""
        fine, asked = batch["fine"].long(), batch["asked"]
        codes = torch.where(asked, self.opening, fine)
        scores = self.iterative(batch["text"], batch["seen"], codes)
        return {"loss": _nats(scores, fine, asked) / asked.sum().clamp(min=1), "logits": (scores,)}


class IterativeStage(SuperStage):
    """Some fine codes from those around them, a transformer of its own."""

    name = "iterative"

    def loss(self) -> nn.Module:
        return IterativeObjective(self.model)

    def lessons(
        self, clips: np.ndarray, codes: np.ndarray, drawn: list[np.random.Generator]
    ) -> dict[str, Tensor]:
        config = self.model.config.refiner
        told = self.prompts(config, clips, drawn)
        fine = torch.from_numpy(codes[:, config.frame_length :].copy())
        asked = np.stack([rng.random(fine.shape[1]) < rng.choice(RATIOS) for rng in drawn])
        return {**told, "fine": fine, "asked": torch.from_numpy(asked)}

    def example(self, count: int) -> dict[str, Tensor]:
        config = self.model.config.refiner
        text, seen = map(
            torch.from_numpy, encode_texts(config, self.model.reader, [("<still>", None)] * count)
        )
        fine = torch.zeros(count, config.fine_length, dtype=torch.int32)
        return {"text": text, "seen": seen, "fine": fine, "asked": fine == 0}


STAGES = (TokenizerStage, DecoderStage, ImageStage, DirectStage, IterativeStage)
