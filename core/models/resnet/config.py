"""Sizes of residual networks (He et al. 2016, 1512.03385)."""

from dataclasses import dataclass

from ...errors import UsageError
from ..layers.classification import check_config


@dataclass(frozen=True)
class Config:
    """`blocks` in each stage, of `width` channels in the first and twice as many in each next.

    bottleneck: blocks of 1x1, 3x3, 1x1 whose output is four times as wide. stem: "imagenet" is
    7x7 with stride 2 and pooling, "small" 3x3 with stride 1. names: of the classes, where known.
    """

    image_size: int = 224
    classes: int = 1000
    names: tuple[str, ...] = ()
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    width: int = 64
    bottleneck: bool = False
    stem: str = "imagenet"
    smoothing: float = 0.1

    def __post_init__(self) -> None:
        check_config(self)
        if not self.blocks or min(self.blocks) < 1:
            raise UsageError(f"blocks must be positive counts, not {self.blocks}")
        if self.stem not in ("imagenet", "small"):
            raise UsageError(f"stem is imagenet or small, not {self.stem!r}")


PRESETS = {
    "mini": Config(16, 10, (), (1, 1, 1), 16, stem="small", smoothing=0.0),
    "resnet18": Config(),
    "resnet50": Config(blocks=(3, 4, 6, 3), bottleneck=True),
}
