"""Sizes of Video Diffusion: a U-Net for each step of the cascade, and its presets."""

from dataclasses import dataclass, field

from ...errors import UsageError


@dataclass(frozen=True)
class UNetConfig:
    """One factorised space-time U-Net. Sides in pixels of what each level sees.

    A frame's blocks of patch x patch pixels become channels first, so the first level has
    image_size / patch places a side; each further one half of that.
    """

    image_size: int = 32
    patch: int = 2
    widths: tuple[int, ...] = (64, 128, 192)  # channels of each level
    blocks: int = 1  # residual blocks a level
    spatial: tuple[int, ...] = (8, 4)  # sides at which a frame attends to itself
    temporal: tuple[int, ...] = (16, 8, 4)  # sides at which a place attends over the frames
    head: int = 32  # channels of an attention head
    condition: int = 192  # width of the vector that every block reads
    condition_layers: int = 2
    dropout: float = 0.0
    target: str = "v"  # what it predicts: v, eps or x
    shift: float = 0.0  # of the schedule's log-SNR

    def __post_init__(self) -> None:
        if self.image_size < 1 or self.patch < 1 or self.blocks < 1 or self.head < 1:
            raise UsageError("image_size, patch, blocks and head must be positive")
        if self.image_size % self.coarsest:
            raise UsageError(
                f"image_size must be a multiple of {self.coarsest}, not {self.image_size}"
            )
        for width in self.widths:
            if width < 1 or width % self.head:
                raise UsageError(f"width {width} is not divisible by heads of {self.head}")
        if self.target not in ("v", "eps", "x"):
            raise UsageError(f"target is v, eps or x, not {self.target!r}")

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

    rate: int = 1
    crop: int = 0
    target: str = "x"
    image_size: int = 64
    widths: tuple[int, ...] = (32, 64, 96)
    spatial: tuple[int, ...] = ()
    temporal: tuple[int, ...] = (16, 8)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rate < 1:
            raise UsageError(f"upsample.rate must be positive, not {self.rate}")
        if not 0 <= self.crop <= self.image_size or self.crop % self.coarsest:
            raise UsageError(
                f"upsample.crop is a multiple of {self.coarsest} up to {self.image_size}, "
                f"not {self.crop}"
            )


@dataclass(frozen=True)
class Config:
    """Video Diffusion (2204.03458). `images` independent frames are appended in training, which
    renders `clips` clips of its data at most.

    frames, fps: of the base; clips have `clip_frames` at `clip_fps`.
    guidance: s in u + s (c - u), 1 + w in the paper; reconstruction: w_r, what fits new frames to
    given ones; fast_steps: steps of the distilled base, 0 without one.
    """

    frames: int = 16
    fps: float = 4.0
    images: int = 2
    clips: int = 3000
    text_length: int = 16
    text_width: int = 128
    encoder: str = ""  # of the captions, by its name at transformers; "" learns a word table
    hidden: int = 1024  # width of that encoder's states
    guidance: float = 3.0
    reconstruction: float = 9.0
    fast_steps: int = 4
    upsample_steps: int = 2
    base: UNetConfig = field(default_factory=UNetConfig)
    upsample: Upsampler = field(default_factory=Upsampler)

    def __post_init__(self) -> None:
        for name in ("frames", "clips", "text_length", "text_width"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be positive, not {getattr(self, name)}")
        if self.images < 0:
            raise UsageError(f"images must not be negative, not {self.images}")
        if self.upsample.image_size % self.base.image_size:
            raise UsageError(
                f"upsample.image_size {self.upsample.image_size} is no multiple of "
                f"base.image_size {self.base.image_size}"
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
