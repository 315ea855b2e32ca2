"""Sizes of StyleGAN-V: one dataclass and its presets."""

from dataclasses import dataclass
from math import ceil

from ...errors import UsageError
from ..fields import Checked, limited, size

FRAMES = 3  # that the discriminator sees of a video
SMOOTH = 20  # frames a second that no eye counts


@dataclass(frozen=True)
class Config(Checked):
    """StyleGAN-V (2112.14683). Side in pixels, times in frames of the data's rate.

    clips: at most so many are drawn of data that are drawn. augment_target: of the mean sign of the
    discriminator's logits of real clips, above which augmentation grows; 1: it never does.
    """

    side: int = limited(64, least=32, most=2048)
    latent: int = size(128)  # numbers of z, w and a motion code each
    channel_base: int = size(2048, most=1 << 20)  # channels are this over the side, at most
    channel_max: int = size(128, most=4096)
    mapping_layers: int = size(2, most=32)
    judge_layers: int = size(2, most=32)  # of the discriminator's mapping
    waves: int = size(64)  # frequencies of the motion's positions
    anchor_distance: int = size(16)  # frames from one motion code to the next
    longest_period: int = size(1024, most=1 << 20)
    longest_span: int = size(32, most=1024)  # of the frames that the discriminator sees
    fps: float = limited(25.0, above=0, most=1000)  # of what it learnt from
    gamma: float | None = limited(None, least=0)  # of R1; None: 0.0002 side^2 / batch
    augment_target: float = limited(0.6, least=-1, most=1)
    clamp: float = limited(256.0, above=0)
    clips: int = size(12_000, most=10_000_000)
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.side & (self.side - 1):
            raise UsageError(f"side is a power of two, not {self.side}")
        if self.longest_period <= self.anchor_distance:
            raise UsageError(
                f"longest_period {self.longest_period} is not above anchor_distance "
                f"{self.anchor_distance}"
            )
        if self.longest_span < FRAMES - 1:
            raise UsageError(f"longest_span is at least {FRAMES - 1}, not {self.longest_span}")

    @property
    def motion(self) -> int:
        """Numbers of a motion code: a sine and a cosine of each wave."""
        return 2 * self.waves

    @property
    def shown(self) -> float:
        """Frames a second of a clip, unless told: the data's rate, or a multiple that is smooth."""
        return self.fps * ceil(SMOOTH / self.fps)

    @property
    def sides(self) -> list[int]:
        """4, 8, ... up to the picture's."""
        return [2**power for power in range(2, self.side.bit_length())]

    def channels(self, side: int) -> int:
        """Channels of the features that are so many pixels wide."""
        return min(self.channel_base // side, self.channel_max)


PRESETS = {
    "tiny": Config(),
    "small": Config(side=128, latent=256, channel_base=8192, channel_max=256, waves=128),
    "paper": Config(side=256, latent=512, channel_base=16384, channel_max=512, waves=256),
    "mead": Config(side=1024, latent=512, channel_base=32768, channel_max=512, waves=256),
}
