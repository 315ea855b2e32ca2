"""Sizes of CogView2: one dataclass, two presets."""

from dataclasses import dataclass, field, replace

from ...errors import UsageError
from ..fields import Checked, limited, size
from ..layers.rows import Rows
from ..layers.tokenizer_config import TokenizerConfig

SCALE = 3  # fine codes along a side for each coarse one
TILE = 6  # fine codes along a side of what attends together, and of the tile of priorities


@dataclass(frozen=True)
class RefinerConfig(Checked):
    """Sizes of iterative super-resolution, a transformer of its own. Published: as the backbone."""

    width: int = size(128)
    layers: int = size(3, most=256)
    heads: int = size(4, most=1024)
    text_length: int = size(16, most=4096)


@dataclass(frozen=True)
class TrainingConfig(Checked):
    """What CogLM practises: shares of the lessons, of which text to image has what is left.

    masking: patches of `patch` x `patch` codes are masked, so many that without overlaps they hold
    the share `masked` ("patches", as the released code), or until they hold it ("share", as the
    paper, with 0.75).
    """

    regions: float = limited(0.15, least=0, most=1)  # masked ones, below the caption
    captions: float = limited(0.25, least=0, most=1)  # masked ones and then the caption
    infilling: float = limited(0.05, least=0, most=1)  # of text alone
    masking: str = limited("patches", choices=("patches", "share"))
    masked: float = limited(0.8, above=0, most=1)
    patch: int = size(4)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.regions + self.captions + self.infilling > 1:
            raise UsageError("training.regions, captions and infilling are more than 1 in all")


@dataclass(frozen=True)
class LargeConfig(Checked):
    """What CogView2 has beside a tokenizer and a backbone.

    kernel: fine codes see 2 kernel - 1 rows and `kernel` columns of their own kind; cross: rows
    and columns of the coarse ones. direct_layers: the last so many layers are those that fine codes
    go through at once; None, as published: all. direct_input: what a fine token begins as,
    <start_of_image>, as published, or the coarse code that it lies in besides.
    """

    kernel: int = size(5, most=99)
    cross: int = size(5, most=99)
    direct_layers: int | None = size(None, most=256)
    direct_input: str = limited("opening", choices=("opening", "coarse"))
    iterative: RefinerConfig = field(default_factory=RefinerConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("kernel", "cross"):
            if getattr(self, name) % 2 == 0:
                raise UsageError(f"{name} must be odd, not {getattr(self, name)}")
        if self.iterative.width % self.iterative.heads:
            raise UsageError(
                f"width {self.iterative.width} is not divisible by heads {self.iterative.heads}"
            )


@dataclass(frozen=True)
class Config(LargeConfig, Rows):
    """CogView2 (2204.14217). Lengths in tokens, image size in pixels."""

    image_size: int = size(64, most=320)
    text_length: int = size(16, most=4096)
    width: int = size(256)
    layers: int = size(6, most=256)
    heads: int = size(4, most=1024)
    image_position: int = limited(16, least=0)  # where a picture's positions begin in the table
    positions: int = size(81)  # rows of the table
    text_positions: str = limited("word", choices=("place", "word"))
    # rows of the embedding table; None: as many as needed
    vocabulary_rows: int | None = size(None, most=1 << 20)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image_size % 16:
            raise UsageError(f"image_size must be a multiple of 16, not {self.image_size}")
        if self.width % self.heads:
            raise UsageError(f"width {self.width} is not divisible by heads {self.heads}")
        if self.direct_layers is not None and self.direct_layers > self.layers:
            raise UsageError(
                f"direct_layers {self.direct_layers} is more than layers {self.layers}"
            )
        least = max(self.text_length, self.image_position + self.frame_length + 1)
        if self.positions < least:
            raise UsageError(
                f"positions {self.positions} is less than the {least} of text_length "
                f"{self.text_length}, image_position {self.image_position} and "
                f"{self.frame_length + 1} tokens of a picture"
            )

    @property
    def coarse_position(self) -> int:
        """Where the positions of a picture's codes begin; <start_of_image> has the one before."""
        return self.image_position + 1

    @property
    def fine_grid(self) -> int:
        """Tokens along one side of the large picture."""
        return SCALE * self.grid

    @property
    def fine_length(self) -> int:
        """Tokens of the large picture."""
        return self.fine_grid**2

    @property
    def fine_size(self) -> int:
        """Pixels along one side of the large picture."""
        return SCALE * self.image_size

    @property
    def refiner(self) -> "Config":
        """The sizes of iterative super-resolution's own transformer."""
        own = self.iterative
        return replace(
            self, width=own.width, layers=own.layers, heads=own.heads, text_length=own.text_length
        )


PRESETS = {
    "tiny": Config(direct_layers=3, direct_input="coarse"),
    # 48 layers of 3072, vocabulary of icetk (150 000 + 10), 20 000 image codes, 160 to 480 pixels.
    "paper": Config(
        image_size=160,
        text_length=111,
        width=3072,
        layers=48,
        heads=48,
        image_position=512,
        positions=1024,
        vocabulary_rows=150_010,
        iterative=RefinerConfig(width=3072, layers=48, heads=48, text_length=16),
        tokenizer=TokenizerConfig(
            codebook_size=20_000,
            code_dim=256,
            encoder_widths=(512, 256, 128),
            encoder_blocks=(2, 2, 2),
            decoder_widths=(512, 256, 128),
            decoder_blocks=(3, 3, 3),
            clusters=500,
        ),
    ),
}
