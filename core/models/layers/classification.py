"""What image classifiers share: the model around a network, its graph, and its training."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...data import Source, open_source
from ...data.images import Middles
from ...data.menagerie import ACTORS
from ...data.table import Table, build_table
from ...errors import UsageError
from ...media.picture import fitted
from ...training.events import Note, OnEvent
from ...training.stage import Player, Stage
from ..graph import Graph, Range, Value
from ..system import System, SystemModel
from .lessons import in_parts
from .pixels import noter, to_pixels

if TYPE_CHECKING:
    from ...media.clip import Clip
    from ...training.options import TrainOptions

FRESH = 2000  # clips that measure, where images are cut from clips
SHIFT = 1 / 8  # of the image's side, that training moves it by


class Classifier(SystemModel):
    """Images to the logits of classes, with the sizes and names of its configuration.

    config has classes (how many), names (of them, or ()), image_size and smoothing.
    """

    def __init__(self, network: nn.Module, config: Any) -> None:
        super().__init__()
        self.network, self.config = network, config

    @property
    def outputs(self) -> int:
        """Logits a sample."""
        return self.config.classes

    def forward(self, images: Tensor) -> Tensor:
        """images: (B, 3, H, W) in [0, 1] -> logits (B, classes)."""
        return self.network((images - 0.5) * 4)

    def graphs(self) -> dict[str, Graph]:
        """The one function of the model: "classify"."""
        graph = Graph("classify", _AsTuple(self), ("logits",), self._example,
                      {"batch": Range(1, 8, 64)})  # fmt: skip
        return {graph.name: graph}

    def _example(self, batch: int) -> dict[str, Value]:
        size = self.config.image_size
        return {"images": torch.rand(batch, 3, size, size)}


class ClassifierSystem(System):
    """What classifiers share: their classes are those of the data."""

    def fitted(self, config: Any, source: Source) -> dict[str, Any]:
        names = labelled(source).classes
        return {"classes": len(names), "names": names}

    def inspected(self, model: Classifier, clips: Sequence[Clip]) -> dict[str, dict[str, Value]]:
        """The picture in the middle of each clip."""
        size = model.config.image_size
        images = [fitted(clip.frames[len(clip.frames) // 2], (size, size)) for clip in clips]
        return {"classify": {"images": to_pixels(np.stack(images)).contiguous()}}

    def constants(self, model: Classifier) -> dict[str, Any]:
        """The classes in the order of the logits, and how a picture goes in."""
        return {"classes": {"logits": list(model.config.names)}, "pixels": pixels_of("images")}


def pixels_of(name: str, *first: str) -> dict[str, Any]:
    """An input of pictures as constants have it; first: its dimensions after the batch, if any."""
    axes = ["batch", *first, "channel", "row", "column"]
    return {"input": name, "range": [0, 1], "axes": axes}


class _AsTuple(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor]:
        return (self.model(images),)


def check_config(config: Any) -> None:
    """UsageError for names that are not one for each class."""
    if config.names and len(config.names) != config.classes:
        raise UsageError(f"{len(config.names)} names for {config.classes} classes")


def labelled(source: Source) -> Source:
    """The source as images of one class each. UsageError where it names none."""
    if source.classes:
        return source
    if (source.labels(0) or {}).get("actor") is None:
        raise UsageError(
            f"{source.name} does not say what its images show",
            "--data digits, menagerie, or a folder with a folder of images for each class",
        )
    return Middles(source, ACTORS)


def measuring(source: Source, data: str, seed: int) -> Source:
    """The images that never teach."""
    if source.classes:
        return labelled(open_source(data, held_out=True))
    return labelled(open_source(data, count=min(len(source), FRESH), seed=seed + 1))


class ClassifierObjective(nn.Module):
    """Cross-entropy of the class, and how often the largest logit is right."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Any]:
        """batch: images uint8 (B, 3, H, W), labels (B,)."""
        logits = self.model(batch["images"].float() / 255)
        smoothing = self.model.config.smoothing if self.training else 0.0
        loss = F.cross_entropy(logits.float(), batch["labels"], label_smoothing=smoothing)
        hits = (logits.detach().argmax(-1) == batch["labels"]).float().mean()
        return {"loss": loss, "logits": (logits,), "accuracy": hits}


class ClassifierStage(Stage):
    """Images to their classes, by SGD with momentum or as `player` says."""

    name = "classifier"

    def __init__(
        self, model: Classifier, source: Source, options: TrainOptions, **player: Any
    ) -> None:
        self.model, self.modules, self.seed = model, model, options.seed or 0
        self.options, self.source = options, labelled(source)
        if len(self.source.classes) != model.config.classes:
            raise UsageError(
                f"{source.name} has {len(self.source.classes)} classes, the model "
                f"{model.config.classes}",
                "leave --set classes out: the data say how many there are",
            )
        self.fresh = measuring(source, options.data or "menagerie", self.seed)
        self.steps, self.batch = 2000, 64
        self.outputs = model.outputs
        chosen = {"learning_rate": 0.05, "optimizer": "sgd", "weight_decay": 5e-4} | player
        own = list(model.network.parameters())
        self.players = [Player(self.name, ClassifierObjective(model), own, **chosen)]

    def prepare(self, cache: Path, on_event: OnEvent) -> None:
        on_event(Note(f"{len(self.source)} images to learn, {len(self.fresh)} to measure with"))
        workers = self.options.workers or 0
        build = partial(images_table, size=self._size, workers=workers, on_event=on_event)
        self.table = build(self.source, path=cache / "images.bin")
        self.fresh_table = build(self.fresh, path=cache / "fresh.bin")
        self.labels = label_array(self.source)
        self.fresh_labels = label_array(self.fresh)

    @property
    def _size(self) -> int:
        return self.model.config.image_size

    def __len__(self) -> int:
        return len(self.source)

    def collate(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        images = [
            self._moved(self.table[index], np.random.default_rng([self.seed, epoch, int(index)]))
            for index in indices
        ]
        labels = torch.from_numpy(self.labels[indices])
        return {"images": torch.from_numpy(np.stack(images)), "labels": labels}

    def example(self, count: int) -> dict[str, Tensor]:
        images = torch.zeros(count, 3, self._size, self._size, dtype=torch.uint8)
        return {"images": images, "labels": torch.zeros(count, dtype=torch.int64)}

    def _moved(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Shifted by up to an eighth of its side, and perhaps mirrored."""
        most = round(self._size * SHIFT)
        starts = rng.integers(-most, most + 1, 2)
        # Its edges go on beyond it. By numpy.pad this takes as long as a quarter of the step.
        rows, columns = (np.arange(s, s + self._size).clip(0, self._size - 1) for s in starts)
        cut = image[:, rows[:, None], columns]
        return cut[:, :, ::-1].copy() if self.source.flips and rng.random() < 0.5 else cut

    def evaluate(self) -> tuple[dict[str, float], list[Clip] | None]:
        """Accuracy and loss on the images that never teach."""
        device = next(self.modules.parameters()).device
        sums = {"accuracy": 0.0, "loss": 0.0}
        count = self.some(len(self.fresh))
        for rows in in_parts(np.arange(count), 256):
            images = torch.from_numpy(self.fresh_table[rows]).to(device)
            labels = torch.from_numpy(self.fresh_labels[rows]).to(device)
            found = self.players[0].objective({"images": images, "labels": labels})
            sums = {name: total + float(found[name]) * len(rows) for name, total in sums.items()}
        return {name: total / count for name, total in sums.items()}, None


def images_table(source: Source, size: int, path: Path, workers: int, on_event: OnEvent) -> Table:
    """Every image: uint8 (N, 3, size, size)."""
    return build_table(
        path,
        len(source),
        (3, size, size),
        np.uint8,
        partial(_row, source, size),
        workers=workers,
        on_note=noter(on_event),
        key=f"{source.fingerprint()} {size}",
    )


def _row(source: Source, size: int, index: int) -> np.ndarray:
    return np.moveaxis(source.image(index, (size, size)), -1, 0)


def label_array(source: Source) -> np.ndarray:
    """The class of every image: int64 (N,)."""
    return np.array([source.label(index) for index in range(len(source))], dtype=np.int64)
