"""Sizes of CogVideo: one dataclass, three presets, and the layout of its token sequence."""

from dataclasses import dataclass, field, fields

from ...errors import UsageError
from ..cogview2.config import Config as Pictures
from ..cogview2.config import LargeConfig, RefinerConfig
from ..fields import Checked, limited, size
from ..layers.rows import DURATIONS, Rows
from ..layers.tokenizer_config import TokenizerConfig


@dataclass(frozen=True)
class Config(Checked, Rows):
    """CogVideo (2205.15868). Lengths in tokens, image size in pixels."""

    image_size: int = size(64, most=320)
    frames: int = 5
    text_length: int = size(16, most=4096)
    width: int = size(256)
    layers: int = size(6, most=256)
    heads: int = size(4, most=1024)
    window: int = size(4)
    # How interpolation reads the frames that it is given: shifted by a place, like those that it
    # draws, as published, or each code in its own place, where a new frame's looks for it.
    given: str = limited("shifted", choices=("shifted", "placed"))
    points: bool = False  # whether new frames may point at codes of those beside them (pointer.py)
    clip_seconds: float = 4.0  # what five key frames span, one of DURATIONS
    image_position: int = limited(16, least=0)  # where a frame's positions begin in the base table
    positions: int = size(80)  # rows of the base table
    # From where the text's positions count: its first place, padding included, as published, or
    # its first word, as models read it whose files say nothing of it.
    text_positions: str = limited("place", choices=("place", "word"), unsaid="word")
    # rows of the embedding table; None: as many as needed
    vocabulary_rows: int | None = size(None, most=1 << 20)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    # What makes frames three times as large, and the backbone CogView2; None: frames stay small.
    large: LargeConfig | None = field(default=None, metadata={"unsaid": None})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image_size % 8:
            raise UsageError(f"image_size must be a multiple of 8, not {self.image_size}")
        if self.clip_seconds not in DURATIONS:
            known = ", ".join(map(str, DURATIONS))
            raise UsageError(f"clip_seconds must be one of {known}, not {self.clip_seconds}")
        if self.width % self.heads:
            raise UsageError(f"width {self.width} is not divisible by heads {self.heads}")
        if self.frames != 5:
            raise UsageError(f"frames must be 5 (given at 0, 2, 4; new at 1, 3), not {self.frames}")
        if self.grid % self.window:
            raise UsageError(
                f"window {self.window} does not divide the grid of {self.grid} x {self.grid} tokens"
            )
        if self.text_positions == "place" and self.positions < self.text_length:
            raise UsageError(
                f"positions {self.positions} is less than text_length {self.text_length}"
            )
        if self.positions < self.image_position + self.frame_length:
            raise UsageError(
                f"positions {self.positions} is less than image_position {self.image_position} "
                f"+ {self.frame_length} tokens of a frame"
            )
        if self.large is not None:
            _ = self.pictures  # UsageError where its sizes do not fit the others

    @property
    def pictures(self) -> Pictures:
        """The CogView2 in it, where frames become large: all that has a name in both is shared."""
        own, mine = vars(self.large), {item.name for item in fields(self)}
        shared = {item.name for item in fields(Pictures)} & mine
        return Pictures(**{name: getattr(self, name) for name in shared}, **own)

    @property
    def durations(self) -> tuple[float, ...]:
        """Seconds that five frames span: the key frames', then each interpolation's."""
        return DURATIONS[DURATIONS.index(self.clip_seconds) :]

    @property
    def most_frames(self) -> int:
        """Frames after every interpolation."""
        return 4 * 2 ** (len(self.durations) - 1) + 1


PRESETS = {
    "tiny": Config(
        window=8,
        given="placed",
        points=True,
        positions=81,
        large=LargeConfig(direct_layers=3, direct_input="coarse"),
    ),
    "small": Config(
        image_size=128,
        text_length=32,
        width=768,
        layers=16,
        heads=12,
        window=8,
        image_position=32,
        positions=289,
        tokenizer=TokenizerConfig(
            codebook_size=8192,
            code_dim=64,
            encoder_widths=(512, 256, 128),
            encoder_blocks=(2, 2, 2),
            decoder_widths=(512, 256, 128),
            decoder_blocks=(3, 3, 3),
            clusters=256,
        ),
        large=LargeConfig(
            direct_layers=8,
            iterative=RefinerConfig(width=384, layers=8, heads=6, text_length=32),
        ),
    ),
    # 48 layers of 3072, vocabulary of icetk (150 000 + 10), 20 000 image codes, 160 x 160 pixels.
    "paper": Config(
        image_size=160,
        text_length=64,
        width=3072,
        layers=48,
        heads=48,
        window=10,
        image_position=512,
        positions=1024,
        vocabulary_rows=150_010,
        tokenizer=TokenizerConfig(
            codebook_size=20_000,
            code_dim=256,
            encoder_widths=(512, 256, 128),
            encoder_blocks=(2, 2, 2),
            decoder_widths=(512, 256, 128),
            decoder_blocks=(3, 3, 3),
            clusters=500,
        ),
        large=LargeConfig(iterative=RefinerConfig(width=3072, layers=48, heads=48, text_length=16)),
    ),
}
