"""Sizes of LongVideoGAN: one dataclass and its presets."""

from dataclasses import dataclass

from ...errors import UsageError
from ..fields import Checked, limited, size

CONTEXT = 4  # small frames on either side that a large one hangs on
PAIRS = 4  # of a small and a large frame that the large ones' discriminator sees
COARSEST = 16  # pixels of the longer side at the lowest resolution
HALVINGS = 3  # of what the small ones' discriminator sees, in time

# The small frames' generator, block after block: what the widest is divided by before and after it,
# how often the sides are halved at its end, and whether it sees neighbouring frames.
_LOW = (
    (1, 1, 4, True),
    (1, 1, 3, True),
    (1, 1, 3, True),
    (1, 1, 2, True),
    (1, 2, 2, True),
    (2, 2, 2, True),
    (2, 4, 1, False),
    (4, 4, 1, False),
    (4, 8, 0, False),
    (8, 8, 0, False),
)


@dataclass(frozen=True)
class LowBlock:
    """Channels, and pixels before and after a block of the small frames' generator."""

    into: int
    out: int
    before: tuple[int, int]
    after: tuple[int, int]
    temporal: bool


@dataclass(frozen=True)
class Config(Checked):
    """LongVideoGAN (2206.03429). Heights and widths in pixels; rates in frames.

    codes: noise_channels filters, one number each a frame. low_channels: of the first blocks of the
    small frames' generator; low_judge_channels: of its discriminator's first block. channel_base,
    judge_base: channels of the large frames' networks are this over the pixels, at most channel_max
    and judge_max. clips: at most so many are drawn of data that are drawn. augment_target: of the
    mean sign of the super discriminator's logits of real clips, above which augmentation grows; 1:
    it never does.
    """

    low_height: int = size(36, most=512, least=COARSEST // 2)
    low_width: int = size(64, most=512, least=COARSEST)
    height: int = size(72, most=2048, least=COARSEST // 2)
    width: int = size(128, most=2048, least=COARSEST)
    noise_channels: int = size(8, most=64)
    filters: int = size(32, most=1024)
    shortest_rate: float = limited(250.0, least=26, most=20_000)  # a filter is half as long
    longest_rate: float = limited(10_000.0, least=26, most=20_000)
    low_channels: int = size(64, most=2048)
    low_judge_channels: int = size(8, most=256)
    frames: int = size(128, most=1024, least=16)  # that the small ones' discriminator sees
    latent: int = size(128)  # numbers of z and w of the large frames' generator
    layers: int = size(8, most=64, least=4)  # of it, besides the last
    margin: int = size(6, most=64, least=0)  # pixels around its features
    channel_base: int = size(2048, most=1 << 20)
    channel_max: int = size(64, most=4096)
    judge_base: int = size(4096, most=1 << 20)
    judge_max: int = size(96, most=4096)
    clamp: float = limited(256.0, above=0)
    fps: float = limited(15.0, above=0, most=1000)  # of what it learnt from
    low_gamma: float = limited(1.0, least=0)  # of R1, of small videos and of large ones
    super_gamma: float = limited(1.0, least=0)
    augment_target: float = limited(0.6, least=-1, most=1)
    clips: int = size(1000, most=10_000_000)

    def __post_init__(self) -> None:
        super().__post_init__()
        longer, low = max(self.height, self.width), max(self.low_height, self.low_width)
        for name, side in (("of the small frames", low), ("of the large ones", longer)):
            if side & (side - 1):
                raise UsageError(f"the longer side {name} is a power of two, not {side}")
        if longer < low:
            raise UsageError(
                f"large frames of {longer} pixels are smaller than small ones of {low}"
            )
        if (self.low_height * self.scale, self.low_width * self.scale) != (self.height, self.width):
            raise UsageError(
                f"{self.height} x {self.width} is no multiple of {self.low_height} x "
                f"{self.low_width}: both sides grow alike"
            )
        if min(self.height, self.width) * COARSEST % longer:
            raise UsageError(
                f"of {self.height} x {self.width}, the shorter side is not a whole number of "
                f"{COARSEST}ths of the longer"
            )
        if self.shortest_rate > self.longest_rate:
            raise UsageError(
                f"shortest_rate {self.shortest_rate:g} is above longest_rate {self.longest_rate:g}"
            )
        if self.frames % (1 << HALVINGS):
            raise UsageError(f"frames is a multiple of {1 << HALVINGS}, not {self.frames}")

    @property
    def scale(self) -> int:
        """Pixels of a large frame to one of a small frame."""
        return max(self.height, self.width) // max(self.low_height, self.low_width)

    @property
    def codes(self) -> int:
        """Numbers of a frame's code and of its style."""
        return self.noise_channels * self.filters

    def low_sides(self, halvings: int) -> tuple[int, int]:
        """Height and width of small frames, so often halved."""
        divided = 1 << halvings
        return -(-self.low_height // divided), -(-self.low_width // divided)

    @property
    def low_blocks(self) -> list[LowBlock]:
        """Of the small frames' generator."""
        found, before = [], self.low_sides(4)
        for into, out, halvings, temporal in _LOW:
            after = self.low_sides(halvings)
            wide, narrow = (max(1, self.low_channels // each) for each in (into, out))
            found.append(LowBlock(wide, narrow, before, after, temporal))
            before = after
        return found


# tiny: all four networks have 5.7 million numbers. Of the published filters neighbours hardly
# differ: 32 remember for as short and as long as 128, and what reads them is a 16th as large. Half
# of the numbers are the small frames' discriminator's, which alone sees that time passes; the
# channels of full-size features are few and, for the sake of a CPU, multiples of 8. With a margin
# of 6 pixels a shift is as exact as with 10, and a fifth less is computed.
PRESETS = {
    "tiny": Config(),
    "paper": Config(
        height=144, width=256, filters=128, low_channels=512, low_judge_channels=32, latent=512,
        layers=14, margin=10, channel_base=32768, channel_max=512, judge_base=16384, judge_max=512,
    ),
    "square": Config(
        low_height=64, height=256, width=256, filters=128, low_channels=512, low_judge_channels=32,
        latent=512, layers=14, margin=10, channel_base=32768, channel_max=512, judge_base=16384,
        judge_max=512,
    ),
}  # fmt: skip
