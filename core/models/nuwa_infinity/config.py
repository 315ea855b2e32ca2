"""Sizes of NUWA-Infinity: one dataclass and its presets."""

from dataclasses import dataclass, field

from ...errors import UsageError
from ..fields import Checked, limited, size

MOST_LEVELS = 6
MOST_OFFSETS = 1 << 14  # of patches to a patch in the middle, as far as the extents reach
# The ways through a picture that training draws from, one for each sample.
WAYS = ("down-right", "down-left", "right-down", "right-up")
# Rows after those of the words, the first two that a text says: what is drawn, and which way: else
# nothing would tell a picture's first patch whether it is the sky's or the ground's.
SYMBOLS = ("<picture>", "<clip>", *(f"<{way}>" for way in WAYS))


@dataclass(frozen=True)
class VqganConfig(Checked):
    """Sizes of the tokenizer, each list from the level of the codes to that of half the picture.

    guide_widths: of the encoder that shows the decoder the frame before, with the blocks of the
    encoder. judge_width: of the first block of the patch discriminator.
    """

    codebook_size: int = size(2048, most=1 << 20)
    code_dim: int = size(32)
    encoder_widths: tuple[int, ...] = size((96, 64, 32), items=MOST_LEVELS)
    encoder_blocks: tuple[int, ...] = size((1, 1, 1), most=1024, least=0, items=MOST_LEVELS)
    decoder_widths: tuple[int, ...] = size((144, 96, 48), items=MOST_LEVELS)
    decoder_blocks: tuple[int, ...] = size((2, 2, 2), most=1024, least=0, items=MOST_LEVELS)
    guide_widths: tuple[int, ...] = size((96, 64, 32), items=MOST_LEVELS)
    judge_width: int = size(32)

    def __post_init__(self) -> None:
        super().__post_init__()
        names = ("encoder_blocks", "decoder_widths", "decoder_blocks", "guide_widths")
        levels = len(self.encoder_widths)
        for name in names:
            if len(getattr(self, name)) != levels:
                raise UsageError(
                    f"vqgan.{name} has {len(getattr(self, name))} levels and "
                    f"vqgan.encoder_widths {levels}: they have as many"
                )
        if not levels:
            raise UsageError("vqgan.encoder_widths has at least one level")

    @property
    def cell(self) -> int:
        """Pixels along a side of what one code stands for."""
        return 1 << len(self.encoder_widths)


@dataclass(frozen=True)
class Config(Checked):
    """NUWA-Infinity (2207.09814).

    patch: codes along a side of a patch. A patch sees the finished ones that are at most
    extent_rows, extent_columns and extent_frames away. positions: what tells the keys how far away
    they are: a number for each head, or a vector that all layers share, or nothing. encoder: of
    the captions, by its name at transformers, with states of `hidden` numbers; "" learns a table
    of words. text_length: words or tokens of a caption; 0 for a model that reads none.
    """

    patch: int = size(8, most=64)
    extent_rows: int = size(2, most=64, least=0)
    extent_columns: int = size(2, most=64, least=0)
    extent_frames: int = size(2, most=64, least=0)
    width: int = size(256)
    layers: int = size(5, most=256)
    heads: int = size(4, most=1024)
    expansion: int = size(2, most=16)  # of the feed-forward layers
    positions: str = limited("heads", choices=("heads", "vector", "none"))
    text_length: int = size(16, most=4096, least=0)
    encoder: str = ""
    hidden: int = size(512)
    vqgan: VqganConfig = field(default_factory=VqganConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.heads:
            raise UsageError(f"width {self.width} is not divisible by heads {self.heads}")
        if self.offsets > MOST_OFFSETS:
            raise UsageError(
                f"the extents {self.extents} reach {self.offsets:,} patches, more than "
                f"{MOST_OFFSETS:,}"
            )

    @property
    def extents(self) -> tuple[int, int, int]:
        """How many frames, rows and columns of patches a patch looks away."""
        return self.extent_frames, self.extent_rows, self.extent_columns

    @property
    def offsets(self) -> int:
        """Places of a patch relative to one that sees it: none lies in a later frame."""
        frames, rows, columns = self.extents
        return (frames + 1) * (2 * rows + 1) * (2 * columns + 1)

    @property
    def tokens(self) -> int:
        """Codes of a patch."""
        return self.patch**2

    @property
    def codes(self) -> int:
        """Codes to choose from."""
        return self.vqgan.codebook_size

    @property
    def side(self) -> int:
        """Pixels along a side of a patch."""
        return self.patch * self.vqgan.cell


# As published: 16 x 16 codes of 16 x 16 pixels a patch, captions of 77 tokens of CLIP's, extents
# of the text-to-picture model. The tokenizer's layers are ours (see vqgan.py), its widths theirs.
_PUBLISHED = VqganConfig(
    codebook_size=16_384,
    code_dim=256,
    encoder_widths=(512, 256, 256, 128),
    encoder_blocks=(2, 2, 2, 2),
    decoder_widths=(512, 256, 256, 128),
    decoder_blocks=(3, 3, 3, 3),
    guide_widths=(512, 256, 256, 128),
    judge_width=64,
)
_CLIP = "openai/clip-vit-base-patch32"

# tiny: 7.5 million numbers in all. Codes of 8 x 8 pixels, as small networks can draw them; a
# picture of 256 x 256 pixels are 16 patches of 64 codes.
PRESETS = {
    "tiny": Config(),
    "base": Config(
        patch=16, extent_frames=0, width=768, layers=16, heads=12, expansion=4, text_length=77,
        encoder=_CLIP, vqgan=_PUBLISHED,
    ),
    "large": Config(
        patch=16, extent_frames=0, width=1280, layers=24, heads=20, expansion=4, text_length=77,
        encoder=_CLIP, vqgan=_PUBLISHED,
    ),
}  # fmt: skip
