"""What StyleGAN-V is, told without loading it."""

from dataclasses import dataclass

from ..about import About
from ..request import MOST_SEED
from ..settings import Settings, setting


@dataclass(frozen=True)
class Sampling(Settings):
    """Which video, and which moments of it. steps: of the search for the latent of a picture."""

    start: float = setting(0.0, "seconds into the video at which the clip begins", least=0,
                           most=100_000_000)  # fmt: skip
    truncation: float = setting(
        1.0, "how far from the mean the latent may lie: less is likelier", least=0, most=2
    )
    motion_seed: int | None = setting(
        None, "seed of what moves; that of the clip if left out", least=0, most=MOST_SEED
    )
    steps: int = setting(
        200, "of the search for the latent that makes --image", least=1, most=100_000
    )


ABOUT = About(
    name="stylegan-v",
    title="StyleGAN-V: clips from noise, of any length, any moment of them alone",
    task="unconditional-video",
    paper="arXiv:2112.14683",
    presets=("tiny", "small", "paper", "mead"),
    stages=("adversarial",),
    takes=("class", "picture"),
    gives="clip",
    settings=Sampling,
)
