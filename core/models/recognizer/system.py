"""The recognizer as a system."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from ..layers.classification import pixels_of
from ..system import System
from .about import ABOUT
from .config import PRESETS, Config, names_of
from .model import Model, moments
from .worlds import world_of

if TYPE_CHECKING:
    from ...data import Source
    from ...media.clip import Clip
    from ...training.options import TrainOptions
    from ...training.stage import Stage
    from ..graph import Value


class Recognizer(System):
    """It judges clips and makes none."""

    about, Config, PRESETS, Model = ABOUT, Config, PRESETS, Model

    def fitted(self, config: Config, source: Source) -> dict[str, Any]:
        """The names that the world's labels have; what is held is of one world alone, and its names
        are the preset's. UsageError for data without labels."""
        world = world_of(source)
        return {} if config.things else names_of(world)

    def stages(self, model: Model, source: Any, options: TrainOptions) -> list[Stage]:
        """The one training of the data's world, or of what is held in it. UsageError for data
        without labels, or of a part of a world."""
        from .props import PropsStage
        from .training import RecognizerStage
        from .vistas import VistasStage

        if model.config.things:
            return [PropsStage(model, source, options)]
        stage = {"menagerie": RecognizerStage, "vistas": VistasStage}[world_of(source)]
        return [stage(model, source, options)]

    def inspected(self, model: Model, clips: Sequence[Clip]) -> dict[str, dict[str, Value]]:
        """The moments of each clip."""
        frames = torch.stack([moments(clip, model.config) for clip in clips])
        return {"recognize": {"frames": frames}}

    def constants(self, model: Model) -> dict[str, Any]:
        """The classes in the order of each head's logits, and how a clip goes in: its frames at
        even moments, the first and the last among them."""
        names = {head: list(names) for head, names in model.config.classes.items()}
        return {"classes": names, "pixels": pixels_of("frames", "frame")}


SYSTEM = Recognizer()
