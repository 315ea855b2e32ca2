"""How sharp is the minimum that a training ended in, on the loss and the data that it had?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ..data import open_source
from ..errors import UsageError
from ..models.layers.lessons import in_parts
from ..models.registry import load
from ..progress import OnProgress
from ..training.events import silent
from ..training.options import TrainOptions
from .curvature import Batch, Surface, loss_slice, measure

if TYPE_CHECKING:
    from ..models.package import Loaded
    from ..training.player import Turn
    from ..training.stage import Stage

PIECE = 64  # samples in one pass

Slice = tuple[np.ndarray, np.ndarray]  # positions and losses


class WholeBatch(nn.Module):
    """A turn's loss of a batch: the mean over its pieces, one after the other."""

    def __init__(self, turn: Turn) -> None:
        super().__init__()
        self.objective, self.cut = turn.objective, turn.cut

    def forward(self, batch: Batch) -> Batch:
        """As the turn's objective."""
        losses = [self.objective(piece)["loss"] for piece in self.cut(batch)]
        return {"loss": torch.stack(losses).mean()}


def surface_of(stage: Stage, count: int, device: torch.device | str = "cpu") -> Surface:
    """The loss of the stage's first player on its first `count` samples, as epoch 0 shows them."""
    player = stage.players[0]
    loss = WholeBatch(player.turns[0])
    return Surface(loss, player.parameters, probe(stage, count, device))


def probe(stage: Stage, count: int, device: torch.device | str) -> list[Batch]:
    rows = np.arange(min(count, len(stage)))
    parts = in_parts(rows, PIECE)
    return [{k: v.to(device) for k, v in stage.collate(part, 0).items()} for part in parts]


def evaluate(
    loaded: Loaded,
    count: int = 200,
    seed: int = 0,
    device: str = "cpu",
    on_progress: OnProgress | None = None,
) -> tuple[dict[str, float], dict[str, Slice]]:
    """What `sharpness.measure` finds at the weights, and a slice of the loss, stage by stage.

    The data are those that the card names, `count` samples of them. Where the training had several
    stages, each metric begins with its stage's name. UsageError where the card does not say what
    the weights learned from, or that is not here.
    """
    recipe = loaded.card.get("recipe", {})
    if "data" not in recipe:
        raise UsageError(f"{loaded.path} does not say what it was trained on")
    metrics: dict[str, float] = {}
    slices: dict[str, Slice] = {}
    torch.manual_seed(seed)
    loaded.model.to(device)
    with TemporaryDirectory(prefix="dln-minimum-") as folder:
        stages = list(prepared(loaded, recipe, count, Path(folder)))
        for stage in stages:
            surface = surface_of(stage, count, device)
            prefix = f"{stage.name}_" if len(stages) > 1 else ""
            found = measure(surface, seed=seed)
            metrics |= {f"{prefix}{name}": value for name, value in found.items()}
            slices[stage.name] = loss_slice(surface, seed=seed)
            if on_progress:
                on_progress(len(slices), len(stages), "stages")
    return metrics, slices


def prepared(loaded: Loaded, recipe: dict[str, Any], count: int, folder: Path) -> Iterator[Stage]:
    """The model's stages on `count` samples of its data."""
    seed = recipe.get("seed", 0)
    source = open_source(recipe["data"], count=count, seed=seed, wordless=True)
    # starting from weights, no stage begins anew
    start = str(loaded.path)
    options = TrainOptions(data=recipe["data"], seed=seed, precision="fp32", start_from=start)
    for stage in load(loaded.about).stages(loaded.model, source, options):
        stage.prepare(folder / stage.name, silent)
        yield stage
