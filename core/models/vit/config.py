"""Sizes of vision transformers (Dosovitskiy et al. 2021, 2010.11929; the small ones: Touvron et al.
2021, 2012.12877)."""

from dataclasses import dataclass

from ...errors import UsageError
from ..fields import Checked, limited, size
from ..layers.classification import check_config


@dataclass(frozen=True)
class Config(Checked):
    """Square patches of `patch` pixels become tokens of `width`; the MLP is four times as wide."""

    image_size: int = size(224, most=2048)
    classes: int = size(1000)
    names: tuple[str, ...] = ()
    patch: int = size(16)
    width: int = size(192)
    depth: int = size(12, most=1024)
    heads: int = size(3, most=1024)
    smoothing: float = limited(0.1, least=0, below=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_config(self)
        if self.image_size % self.patch:
            raise UsageError(f"patch {self.patch} does not divide image_size {self.image_size}")
        if self.width % self.heads:
            raise UsageError(f"heads {self.heads} do not divide width {self.width}")


PRESETS = {
    "mini": Config(16, 10, (), 4, 64, 4, 4, 0.0),
    "tiny": Config(),
    "small": Config(width=384, heads=6),
}
