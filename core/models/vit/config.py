"""Sizes of vision transformers (Dosovitskiy et al. 2021, 2010.11929; the small ones: Touvron et al.
2021, 2012.12877)."""

from dataclasses import dataclass

from ...errors import UsageError
from ..layers.classification import check_config


@dataclass(frozen=True)
class Config:
    """Square patches of `patch` pixels become tokens of `width`; the MLP is four times as wide."""

    image_size: int = 224
    classes: int = 1000
    names: tuple[str, ...] = ()
    patch: int = 16
    width: int = 192
    depth: int = 12
    heads: int = 3
    smoothing: float = 0.1

    def __post_init__(self) -> None:
        check_config(self)
        for name in ("patch", "depth", "heads"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be positive, not {getattr(self, name)}")
        if self.image_size % self.patch:
            raise UsageError(f"patch {self.patch} does not divide image_size {self.image_size}")
        if self.width % self.heads:
            raise UsageError(f"heads {self.heads} do not divide width {self.width}")


PRESETS = {
    "mini": Config(16, 10, (), 4, 64, 4, 4, 0.0),
    "tiny": Config(),
    "small": Config(width=384, heads=6),
}
