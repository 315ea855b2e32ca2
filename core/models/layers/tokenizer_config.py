"""Sizes of the image tokenizer of CogView2 and CogVideo; told without PyTorch."""

from dataclasses import dataclass

from ...errors import UsageError
from ..fields import Checked, limited, size


@dataclass(frozen=True)
class TokenizerConfig(Checked):
    """Sizes of the image tokenizer; level k of `widths` works at 1/8, 1/4, 1/2 of the frame."""

    codebook_size: int = size(4096, most=1 << 20)
    code_dim: int = size(32)
    encoder_widths: tuple[int, int, int] = size((128, 64, 32))
    encoder_blocks: tuple[int, int, int] = size((2, 1, 1), most=1024, least=0)
    decoder_widths: tuple[int, int, int] = size((160, 128, 48))
    decoder_blocks: tuple[int, int, int] = size((3, 2, 2), most=1024, least=0)
    clusters: int = size(64)
    # How finely codes are compared with what is encoded: in float32, or, as in weights whose codes
    # were found in bfloat16, so that of nearly equal ones the first is taken.
    comparison: str = limited("float32", choices=("float32", "bfloat16"), unsaid="bfloat16")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clusters > self.codebook_size:
            raise UsageError(
                f"tokenizer.clusters ({self.clusters}) exceeds codebook_size ({self.codebook_size})"
            )
