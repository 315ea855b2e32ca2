"""A request by which a model's exports are proven, calibrated and verified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Proof:
    """What to ask of the sampling loop; prompt, seed and pictures are of who asks.

    name: in words, for reports. asked: what else, as `Request.of` takes it; small sizes and few
    steps where they call the same graphs. pictures: which are given, of image and last_image.
    """

    name: str = "default"
    asked: Mapping[str, Any] = field(default_factory=dict)
    pictures: tuple[str, ...] = ()
