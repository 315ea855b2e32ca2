"""Sizes of residual networks (He et al. 2016, 1512.03385)."""

from dataclasses import dataclass

from ...errors import UsageError
from ..fields import Checked, limited, size
from ..layers.classification import check_config


@dataclass(frozen=True)
class Config(Checked):
    """`blocks` in each stage, of `width` channels in the first and twice as many in each next.

    bottleneck: blocks of 1x1, 3x3, 1x1 whose output is four times as wide. stem: "imagenet" is
    7x7 with stride 2 and pooling, "small" 3x3 with stride 1. names: of the classes, where known.
    """

    image_size: int = size(224, most=2048)
    classes: int = size(1000)
    names: tuple[str, ...] = ()
    blocks: tuple[int, ...] = size((2, 2, 2, 2), most=1024, items=8)
    width: int = size(64)
    bottleneck: bool = False
    stem: str = limited("imagenet", choices=("imagenet", "small"))
    smoothing: float = limited(0.1, least=0, below=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_config(self)
        if not self.blocks:
            raise UsageError("blocks has an entry for each stage, and here is none")


PRESETS = {
    "mini": Config(16, 10, (), (1, 1, 1), 16, stem="small", smoothing=0.0),
    "resnet18": Config(),
    "resnet50": Config(blocks=(3, 4, 6, 3), bottleneck=True),
}
