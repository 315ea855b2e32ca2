"""Sizes of Video Diffusion: a U-Net for each step of the cascade, and its presets."""

from dataclasses import dataclass, field

from ...errors import UsageError
from ..fields import Checked, limited, size

MOST_PLACES = 1 << 22  # pixels of all frames of a clip


@dataclass(frozen=True)
class UNetConfig(Checked):
    """One factorised space-time U-Net. Sides in pixels of what each level sees.

    A frame's blocks of patch x patch pixels become channels first, so the first level has
    image_size / patch places a side; each further one half of that.
    """

    image_size: int = size(32, most=2048)
    patch: int = size(2, most=64)
    widths: tuple[int, ...] = size((64, 128, 192), items=12)  # channels of each level
    blocks: int = size(1, most=1024)  # residual blocks a level
    spatial: tuple[int, ...] = size((8, 4), most=128)  # sides at which a frame attends to itself
    temporal: tuple[int, ...] = size((16, 8, 4))  # sides at which a place attends over the frames
    head: int = size(32)  # channels of an attention head
    condition: int = size(192)  # width of the vector that every block reads
    condition_layers: int = size(2, most=1024, least=0)
    dropout: float = limited(0.0, least=0, below=1)
    target: str = limited("v", choices=("v", "eps", "x"))  # what it predicts
    shift: float = limited(0.0, least=-100, most=100)  # of the schedule's log-SNR

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.widths:
            raise UsageError("widths has an entry for each level, and here is none")
        if self.image_size % self.coarsest:
            raise UsageError(
                f"image_size must be a multiple of {self.coarsest}, not {self.image_size}"
            )
        for width in self.widths:
            if width % self.head:
                raise UsageError(f"width {width} is not divisible by heads of {self.head}")

    @property
    def coarsest(self) -> int:
        """Pixels along one side of a place of the last level."""
        return self.patch * 2 ** (len(self.widths) - 1)

    @property
    def sides(self) -> tuple[int, ...]:
        """Places along one side of each level."""
        return tuple(self.image_size // self.patch // 2**n for n in range(len(self.widths)))


@dataclass(frozen=True)
class Upsampler(UNetConfig):
    """The second U-Net of the cascade: more pixels, and `rate` frames for each of the base's.

    With target x it learns what to add to the given frames, enlarged. crop: side of the squares
    that training sees, 0 for whole frames.
    """

    rate: int = size(1, most=64)
    crop: int = limited(0, least=0)
    target: str = limited("x", choices=("v", "eps", "x"))
    image_size: int = size(64, most=2048)
    widths: tuple[int, ...] = size((32, 64, 96), items=12)
    spatial: tuple[int, ...] = size((), most=128)
    temporal: tuple[int, ...] = size((16, 8))

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.crop <= self.image_size or self.crop % self.coarsest:
            raise UsageError(
                f"upsample.crop is a multiple of {self.coarsest} up to {self.image_size}, "
                f"not {self.crop}"
            )


@dataclass(frozen=True)
class Config(Checked):
    """Video Diffusion (2204.03458). `images` independent frames are appended in training, which
    renders `clips` clips of its data at most.

    frames, fps: of the base; clips have `clip_frames` at `clip_fps`.
    guidance: s in u + s (c - u), 1 + w in the paper; reconstruction: w_r, what fits new frames to
    given ones; fast_steps: steps of the distilled base, 0 without one.
    """

    frames: int = size(16, most=1024)
    fps: float = limited(4.0, above=0, most=1000)
    images: int = size(2, least=0)
    clips: int = size(3000, most=10_000_000)
    text_length: int = size(16, most=4096)
    text_width: int = size(128)
    encoder: str = ""  # of the captions, by its name at transformers; "" learns a word table
    hidden: int = size(1024)  # width of that encoder's states
    guidance: float = limited(3.0, least=0)
    reconstruction: float = limited(9.0, least=0)
    fast_steps: int = size(4, most=1000, least=0)
    upsample_steps: int = size(2, most=1000)
    base: UNetConfig = field(default_factory=UNetConfig)
    upsample: Upsampler = field(default_factory=Upsampler)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.upsample.image_size % self.base.image_size:
            raise UsageError(
                f"upsample.image_size {self.upsample.image_size} is no multiple of "
                f"base.image_size {self.base.image_size}"
            )
        places = self.upsample.sides[0]
        if max(places, self.base.image_size) % min(places, self.base.image_size):
            raise UsageError(
                f"upsample.image_size {self.upsample.image_size} in blocks of upsample.patch "
                f"{self.upsample.patch} gives {places} places a side, on which frames of "
                f"base.image_size {self.base.image_size} do not lie evenly"
            )
        if self.clip_frames * self.upsample.image_size**2 > MOST_PLACES:
            raise UsageError(
                f"a clip has at most {MOST_PLACES:,} pixels in all its frames, not "
                f"{self.clip_frames} frames of {self.upsample.image_size}^2"
            )

    @property
    def clip_frames(self) -> int:
        """Frames of a clip."""
        return self.frames * self.upsample.rate

    @property
    def clip_fps(self) -> float:
        """Frames a second of a clip."""
        return self.fps * self.upsample.rate


# The published widths of the large text-to-video model and of the one for 9 x 128 x 128
# (appendix A), 2 blocks a level, 4 layers for the conditioning, its target the noise.
_PAPER = UNetConfig(
    image_size=64,
    patch=1,
    widths=(256, 512, 1024, 2048),
    blocks=2,
    spatial=(32, 16, 8),
    temporal=(32, 16, 8),
    head=64,
    condition=1024,
    condition_layers=4,
    target="eps",
)
PRESETS = {
    "tiny": Config(
        guidance=2.0,
        reconstruction=3.0,
        base=UNetConfig(shift=-1.0),
        upsample=Upsampler(rate=2, crop=32),
    ),
    "small": Config(
        images=4,
        text_length=32,
        text_width=256,
        base=UNetConfig(
            widths=(128, 256, 512),
            blocks=2,
            head=64,
            condition=512,
            shift=-1.0,
        ),
        upsample=Upsampler(
            rate=2,
            crop=64,
            image_size=128,
            widths=(64, 128, 256),
            blocks=2,
            head=64,
            condition=512,
        ),
    ),
    "paper": Config(
        images=8,
        text_length=64,
        text_width=1024,
        encoder="bert-large-uncased",
        fast_steps=0,
        base=_PAPER,
        upsample=Upsampler(
            image_size=128,
            patch=1,
            widths=(128, 256, 512, 1024, 2048),
            blocks=2,
            spatial=(32, 16, 8),
            temporal=(32, 16, 8),
            head=128,
            condition=1024,
            condition_layers=4,
            target="eps",
        ),
    ),
}
