"""A CogView2 of a few thousand weights, each of which changes what comes out."""

import sys
from functools import cache
from pathlib import Path

import torch

sys.path.append(str(Path(__file__).parents[1]))
from micro import MICRO, enlivened  # pyright: ignore[reportMissingImports]

from dln.core.models.cogview2.model import Model
from dln.core.models.engine import TorchEngine
from dln.core.models.registry import MODELS, load
from dln.core.runs.build import resolve_config
from dln.core.text.vocabulary import Vocabulary

WORDS = ("lion", "drinking", "cat", "on", "grass")


@cache
def toy(image_size: int = 32) -> Model:
    """Of 4 x 4 codes, 12 x 12 in the large picture."""
    torch.manual_seed(0)
    grid = image_size // 8
    sizes = {**MICRO["cogview2"], "image_size": image_size, "positions": 9 + grid * grid}
    about = MODELS["cogview2"]
    model = Model(resolve_config(load(about), "tiny", sizes), Vocabulary(WORDS))
    enlivened(model)
    return model.eval()


@cache
def engine(image_size: int = 32) -> TorchEngine:
    return TorchEngine(toy(image_size).graphs())
