"""What its trainings share, and that on the menagerie: names of degraded clips."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...data import Source, open_source
from ...data.table import build_table
from ...errors import UsageError
from ...training.events import Note, OnEvent
from ...training.stage import Player, Stage
from ..layers.lessons import in_parts
from ..layers.pixels import noter
from .augment import augment
from .config import STILL, Config
from .model import hours_of, left_of

if TYPE_CHECKING:
    from ...media.clip import Clip
    from ...training.options import TrainOptions
    from .model import Model

CLIPS = 6000
FRESH_CLIPS = 600  # of another seed: they measure and never teach
SMOOTHING = 0.05
FROZEN = 0.12  # share of the lessons in which one moment fills the clip
UNKNOWN = -100  # a label that no loss counts


class RecognizerObjective(nn.Module):
    """The mean of the heads' cross-entropies, and how often each is right."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Any]:
        """batch: frames uint8 (B, T, 3, H, W), labels int64 (B, heads) in the order of the heads
        but those of the hour and of what is left; hours (B,), 0 to 24, where there is one; left
        (B,), 0 to 1, where there is one, less than 0 where nothing is held.

        A label may be UNKNOWN, though not those of a whole batch.
        """
        logits = self.network(batch["frames"].float() / 255)
        named = [head for head in logits if head not in ("hour", "left")]
        losses, right = [], {}
        for head, target in zip(named, batch["labels"].T, strict=True):
            scores = logits[head].float()
            losses.append(
                F.cross_entropy(scores, target, label_smoothing=SMOOTHING, ignore_index=UNKNOWN)
            )
            hits = (scores.detach().argmax(-1) == target).sum()
            right[head] = hits / (target != UNKNOWN).sum().clamp(min=1)
        if "hour" in logits:
            scores = logits["hour"].float()
            losses.append(F.cross_entropy(scores, around(batch["hours"], scores.shape[-1])))
            right["hours_off"] = hours_off(scores.detach(), batch["hours"]).mean()
        if "left" in logits:
            scores, known = logits["left"].float(), batch["left"] >= 0
            target = beside(batch["left"].clamp(min=0), scores.shape[-1])
            each = F.cross_entropy(scores, target, reduction="none") * known
            losses.append(each.sum() / known.sum().clamp(min=1))
            off = (left_of(scores.detach().log_softmax(-1)) - batch["left"]).abs() * known
            right["left_off"] = off.sum() / known.sum().clamp(min=1)
        return {
            "loss": torch.stack(losses).mean(),
            "logits": tuple(logits.values()),
            **right,
        }


def around(hours: Tensor, parts: int) -> Tensor:
    """(B,) hours of the day -> (B, parts): shared by the two parts whose middles they lie between,
    so that the mean of many is no rounded one."""
    place = hours.float() * (parts / 24)
    after = place - place.floor()
    first = place.floor().long() % parts
    shares = torch.zeros(len(hours), parts, device=hours.device)
    shares.scatter_(1, first[:, None], 1 - after[:, None])
    return shares.scatter_add_(1, (first[:, None] + 1) % parts, after[:, None])


def beside(shares: Tensor, parts: int) -> Tensor:
    """(B,) from 0 to 1 -> (B, parts): shared by the two of so many equal steps that it lies
    between."""
    place = shares.float() * (parts - 1)
    first = place.floor().clamp(max=parts - 2)
    after = place - first
    found = torch.zeros(len(shares), parts, device=shares.device)
    found.scatter_(1, first.long()[:, None], 1 - after[:, None])
    return found.scatter_add_(1, first.long()[:, None] + 1, after[:, None])


def hours_off(scores: Tensor, hours: Tensor) -> Tensor:
    """Logits (B, parts) and the true hours (B,) -> how far they are apart (B,), at most 12."""
    return ((hours_of(scores.log_softmax(-1)) - hours + 12) % 24 - 12).abs()


class RecognizerStage(Stage):
    """Frames to names. The menagerie is opened anew with every pair of actor and action."""

    name = "recognizer"

    def __init__(self, model: Model, source: Source, options: TrainOptions) -> None:
        self.model, self.options, self.seed = model, options, options.seed or 0
        self.source, self.fresh = sources(source, self.seed)
        self.modules = model
        self.steps, self.batch = 1500, 64
        self.outputs = model.outputs
        objective = RecognizerObjective(model.network)
        own = list(model.network.parameters())
        self.players = [Player(self.name, objective, own, 2e-3, weight_decay=0.02)]

    def prepare(self, cache: Path, on_event: OnEvent) -> None:
        config, workers = self.model.config, self.options.workers or 0
        self.table = clips_table(self.source, config, cache / "clips.bin", workers, on_event)
        self.fresh_table = clips_table(self.fresh, config, cache / "fresh.bin", workers, on_event)
        self.labels = label_rows(self.source, config)
        self.fresh_labels = label_rows(self.fresh, config)

    def __len__(self) -> int:
        return len(self.table)

    def collate(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        lessons = []
        for index in indices:
            rng = np.random.default_rng([self.seed, epoch, int(index)])
            frames, labels = self.table[index], self.labels[index]
            if rng.random() < FROZEN:
                frames, labels = self.freeze(frames, labels, rng)
            lessons.append((augment(frames, rng), labels))
        return to_batch(lessons)

    def example(self, count: int) -> dict[str, Tensor]:
        size = self.model.config.image_size
        frames = torch.zeros(count, self.model.config.frames, 3, size, size, dtype=torch.uint8)
        labels = torch.zeros(count, len(self.model.config.heads), dtype=torch.int64)
        return {"frames": frames, "labels": labels}

    def freeze(
        self, frames: np.ndarray, labels: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """One moment for the whole clip, and the labels of that: still, at no speed."""
        moment = rng.integers(len(frames))
        still = self.model.config.actions.index(STILL)
        return frames[[moment] * len(frames)], np.array([labels[0], still, labels[2], UNKNOWN])

    def evaluate(self) -> tuple[dict[str, float], list[Clip] | None]:
        """How often each head is right on clips that did not teach: clean (and their mean),
        degraded, frozen."""
        found = {}
        for kind in ("clean", "degraded", "frozen"):
            scores = self._measure(kind)
            if kind == "clean":
                found["accuracy"] = sum(scores.values()) / len(self.model.config.heads)
            prefix = "" if kind == "clean" else f"{kind}_"
            found |= {f"{prefix}{head}_accuracy": scores[head] for head in self.model.config.heads}
        del found["frozen_speed_accuracy"]
        return found, None

    def _measure(self, kind: str) -> dict[str, float]:
        device = next(self.modules.parameters()).device
        sums = dict.fromkeys(self.model.config.heads, 0.0)
        count = self.some(len(self.fresh))
        for part in in_parts(np.arange(count), 64):
            batch = to_batch([self._exam(int(row), kind) for row in part])
            scores = self.players[0].objective({name: t.to(device) for name, t in batch.items()})
            sums = {head: sums[head] + float(scores[head]) * len(part) for head in sums}
        return {head: total / count for head, total in sums.items()}

    def _exam(self, row: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([self.seed, row])
        frames, labels = self.fresh_table[row], self.fresh_labels[row]
        if kind == "frozen":
            frames, labels = self.freeze(frames, labels, rng)
        return frames if kind == "clean" else augment(frames, rng), labels


def to_batch(lessons: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, Tensor]:
    """Frames (T, 3, H, W) and labels (4,) of each, stacked."""
    frames, labels = zip(*lessons, strict=True)
    return {
        "frames": torch.from_numpy(np.stack(frames)),
        "labels": torch.from_numpy(np.stack(labels)),
    }


def sources(source: Source, seed: int) -> tuple[Source, Source]:
    """What teaches and what measures: every pair of actor and action, from two seeds."""
    teaching = open_source("menagerie", count=min(len(source), CLIPS), seed=seed, held_out=None)
    fresh = min(len(source), FRESH_CLIPS)
    return teaching, open_source("menagerie", count=fresh, seed=seed + 1, held_out=None)


def clips_table(source: Source, config: Config, path: Path, workers: int, on_event: OnEvent):
    """Evenly spaced frames of every clip: uint8 (clips, T, 3, H, W)."""
    on_event(Note(f"{len(source)} clips for the recognizer"))
    return build_table(
        path,
        len(source),
        (config.frames, 3, config.image_size, config.image_size),
        np.uint8,
        partial(even_frames, source, config.frames, config.image_size),
        workers=workers,
        on_note=noter(on_event),
        key=f"{source.fingerprint()} {config.frames} {config.image_size}",
    )


def even_frames(source: Source, count: int, size: int, clip: int) -> np.ndarray:
    """`count` frames from the first moment to the last: uint8 (T, 3, size, size)."""
    frames, _ = source.frames(clip, np.linspace(0, source.duration(clip), count), (size, size))
    return np.moveaxis(frames, -1, 1)


def label_rows(source: Source, config: Config) -> np.ndarray:
    """The classes of every clip: int64 (clips, 4). UsageError where there are none."""
    rows = []
    for clip in range(len(source)):
        labels = source.labels(clip) or {}
        try:
            rows.append([names.index(labels[head]) for head, names in config.classes.items()])
        except (KeyError, ValueError) as error:
            raise UsageError(
                f"clip {clip} of {source.name} has no label that the recognizer knows"
            ) from error
    return np.array(rows)
