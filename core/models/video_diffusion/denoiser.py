"""A U-Net of the cascade with what reads the captions for it."""

from torch import Tensor, nn

from .config import Config, UNetConfig
from .network import UNet
from .text import StatesEncoder, WordEncoder


class Denoiser(nn.Module):
    """words: rows of the word table; given_size: side of the frames that a super-resolution
    reads, 0 without."""

    def __init__(self, whole: Config, config: UNetConfig, words: int, given_size: int = 0) -> None:
        super().__init__()
        self.config, width = config, whole.text_width
        reads_states = bool(whole.encoder)
        self.text = (
            StatesEncoder(whole.hidden, width) if reads_states else WordEncoder(words, width)
        )
        self.unet = UNet(config, width, given_size)

    def read(self, words: Tensor, seen: Tensor) -> Tensor:
        """words: (B, K, S) or (B, K, S, hidden), seen: (B, K, S) -> (B, K, text)."""
        return self.text(words.flatten(0, 1), seen.flatten(0, 1)).unflatten(0, words.shape[:2])
