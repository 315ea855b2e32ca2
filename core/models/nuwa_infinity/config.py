"""Sizes of NUWA-Infinity: one dataclass and its presets."""

from dataclasses import dataclass, field
from math import prod

from ...errors import UsageError
from ..fields import Checked, limited, size

MOST_LEVELS = 6
MOST_PATCHES = 1 << 12  # of a lesson
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
    judge_width: int = size(16)

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
class TrainingConfig(Checked):
    """How it is trained; no network's size hangs on it.

    patches: at most, of a lesson; rows and columns: of a picture's; frames, clip_rows and
    clip_columns: of a clip's. What is left out of these the data decide: as many patches as fit,
    in the shape of the middle picture. fps: at which frames are neighbours.
    views: parts that are cut out of the data, each once, at the least; zoom: how much nearer than
    the whole of a large picture one may be; clips: of what moves, the share of views that are clips
    where no pictures are among the data; spare: how much wider than a lesson a view is.
    crop: pixels along a side of what the tokenizer learns from; perceptual: the weight of its
    features, redrawn: that when the decoder goes on alone; adversary: that of a discriminator, as a
    share of the former's slope; it learns after the share `judged_after` of the steps, and counts a
    twentieth of them later.
    rates: of learning. optimise: an optimiser step after each patch, or picture. smoothing: of the
    labels; None: as published, 0.1, and 0.15 where all views are of one picture.
    """

    patches: int = size(48, most=MOST_PATCHES)
    rows: int | None = size(None, most=1 << 10)
    columns: int | None = size(None, most=1 << 10)
    frames: int = size(3, most=64, least=2)
    clip_rows: int | None = size(None, most=1 << 10)
    clip_columns: int | None = size(None, most=1 << 10)
    fps: float = limited(5.0, above=0, most=1000)
    views: int = size(3000, most=1 << 24)
    zoom: float = limited(2.0, least=1, most=64)
    clips: float = limited(0.5, least=0, most=1)
    spare: float = limited(1 / 3, least=0, most=4)
    crop: int = size(128, most=1 << 12, least=8)
    perceptual: float = limited(1.0, least=0, most=1000)
    redrawn: float = limited(0.1, least=0, most=1000)
    adversary: float = limited(0.2, least=0, most=10)
    judged_after: float = limited(0.6, least=0, most=1)
    tokenizer_rate: float = limited(1e-3, above=0, most=1)
    judge_rate: float = limited(5e-3, above=0, most=1)
    rate: float = limited(2e-3, above=0, most=1)
    optimise: str = limited("patch", choices=("patch", "picture"))
    smoothing: float | None = limited(None, least=0, below=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        clip = self.frames, self.clip_rows or 1, self.clip_columns or 1
        most = max((self.rows or 1) * (self.columns or 1), prod(clip))
        if most > MOST_PATCHES:
            raise UsageError(f"a lesson has at most {MOST_PATCHES:,} patches, not {most:,}")


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
    local: bool = False  # whether a code is told of those around it (local.py)
    text_length: int = size(16, most=4096, least=0)
    encoder: str = ""
    hidden: int = size(512)
    vqgan: VqganConfig = field(default_factory=VqganConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.heads:
            raise UsageError(f"width {self.width} is not divisible by heads {self.heads}")
        if self.local and not (self.extent_rows and self.extent_columns):
            raise UsageError(
                "local looks at the patches beside a patch, and its extents do not reach them",
                "--set extent_rows=1 --set extent_columns=1",
            )
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
_AS_PUBLISHED = TrainingConfig(
    patches=80, rows=4, columns=4, frames=5, clip_rows=4, clip_columns=4, crop=256, views=100_000,
    adversary=0.8, judged_after=0.4, tokenizer_rate=2.2e-4, judge_rate=1e-3, rate=1e-4,
)  # fmt: skip

# tiny: 7.8 million numbers in all. Codes of 16 x 16 pixels, as published: a picture of 256 x 256
# pixels are 16 patches of 16 codes, of which two cores learn four times as many as with codes of
# 8 x 8. It looks one patch away: a step of its training takes half as long as with two.
PRESETS = {
    "tiny": Config(
        patch=4, extent_rows=1, extent_columns=1, extent_frames=1, local=True,
        vqgan=VqganConfig(
            encoder_widths=(96, 64, 48, 32), encoder_blocks=(1, 1, 1, 1),
            decoder_widths=(128, 112, 80, 48), decoder_blocks=(2, 2, 2, 2),
            guide_widths=(96, 64, 48, 32),
        ),
    ),
    "base": Config(
        patch=16, extent_frames=0, width=768, layers=16, heads=12, expansion=4, text_length=77,
        encoder=_CLIP, vqgan=_PUBLISHED, training=_AS_PUBLISHED,
    ),
    "large": Config(
        patch=16, extent_frames=0, width=1280, layers=24, heads=20, expansion=4, text_length=77,
        encoder=_CLIP, vqgan=_PUBLISHED, training=_AS_PUBLISHED,
    ),
}  # fmt: skip
