"""What LongVideoGAN is, told without loading it."""

from dataclasses import dataclass

from ..about import About
from ..settings import Settings, setting


@dataclass(frozen=True)
class Sampling(Settings):
    """Which stretch of the video, and how large."""

    start: float = setting(0.0, "seconds into the video at which the clip begins", least=0,
                           most=100_000_000)  # fmt: skip
    upsample: bool = setting(True, "whether small frames are made large")
    truncation: float = setting(
        1.0, "how far from the mean the look of large frames may lie: less is likelier",
        least=0, most=2,
    )  # fmt: skip


ABOUT = About(
    name="long-video-gan",
    title="LongVideoGAN: videos in which new things keep coming, without end",
    task="unconditional-video",
    paper="arXiv:2206.03429",
    presets=("tiny", "paper", "square"),
    stages=("low", "super"),
    takes=("video",),
    gives="clip",
    settings=Sampling,
)
