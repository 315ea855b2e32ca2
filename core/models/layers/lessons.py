"""What trainings on rows of a table share: rows that measure, a lesson's numbers, Muon's share."""

from collections.abc import Iterable
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import nn

HELD_BACK = 0.02  # share of the clips that measure instead of teach


def held_back(rows: int) -> int:
    """How many of a table's rows, the last ones, measure instead of teach; none of a single one."""
    return max(1, round(rows * HELD_BACK)) if rows > 1 else 0


def measuring_rows(rows: int, most: int, else_most: int) -> np.ndarray:
    """The first `most` of those held back; where none are, `else_most` of those that teach."""
    held = np.arange(rows - held_back(rows), rows)[:most]
    return held if len(held) else np.arange(rows)[:else_most]


def in_parts(rows: np.ndarray, most: int) -> list[np.ndarray]:
    """(N,) in order, in as few parts as hold `most` each."""
    return np.array_split(rows, max(1, -(-len(rows) // most)))


@torch.no_grad()
def measured(stage: Any, parts: Iterable[np.ndarray]) -> dict[str, float]:
    """What the objective of a stage says of these samples, each name's mean; logits left out."""
    device = next(stage.modules.parameters()).device
    found: dict[str, list[float]] = {}
    for part in parts:
        batch = {k: v.to(device) for k, v in stage.collate(part, 0).items()}
        for name, value in stage.objective(batch).items():
            if name != "logits":
                found.setdefault(name, []).extend([float(value)] * len(part))
    return {name: float(np.mean(values)) for name, values in found.items()}


def lesson_rng(seed: int | None, stage: str, epoch: int, row: int) -> np.random.Generator:
    """The numbers that one lesson draws: a function of seed, stage, epoch and row."""
    return np.random.default_rng([seed or 0, crc32(stage.encode()), epoch, row])


def matrices(modules: Iterable[nn.Module]) -> list[nn.Parameter]:
    """The weights of linear maps and the kernels among these modules, which Muon moves."""
    return [m.weight for m in modules if isinstance(m, nn.Linear | nn.Conv2d)]  # pyright: ignore
