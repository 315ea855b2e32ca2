"""The training stages of the toy systems, on pictures of one colour that a seed draws."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

sys.path.append(str(Path(__file__).parents[1] / "systems"))
from toy_gan.networks import Discriminator, Generator  # pyright: ignore[reportMissingImports]
from toy_gan.training import ToyGanStage  # pyright: ignore[reportMissingImports]
from toy_pieces.network import Network  # pyright: ignore[reportMissingImports]
from toy_pieces.training import PiecesStage  # pyright: ignore[reportMissingImports]

OPTIONS = SimpleNamespace(seed=0)


class Colours:
    """Clips whose pixels share a hue and grow brighter from top to bottom."""

    def __init__(self, count: int = 20) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def frames(
        self, index: int, times: np.ndarray, size: tuple[int, int]
    ) -> tuple[np.ndarray, None]:
        """times: (T,) -> (T, height, width, 3) uint8, no mask."""
        colour = np.random.default_rng(index).integers(50, 200, 3)
        ramp = np.linspace(0.5, 1.2, size[0])[:, None, None]
        rows = np.broadcast_to(colour * ramp, (len(times), *size, 3))
        return (rows + 5 * times[:, None, None, None]).astype(np.uint8), None


def toy_gan(device: str = "cpu") -> ToyGanStage:
    torch.manual_seed(0)
    with torch.device(device):
        model = SimpleNamespace(generator=Generator(), discriminator=Discriminator())
    return ToyGanStage(model, Colours(), OPTIONS)


def toy_pieces(device: str = "cpu") -> PiecesStage:
    torch.manual_seed(0)
    with torch.device(device):
        model = SimpleNamespace(network=Network())
    return PiecesStage(model, Colours(), OPTIONS)
