"""What the toy GAN is, told without loading it."""

from dataclasses import dataclass

from dln.core.models.about import About
from dln.core.models.settings import Settings, setting


@dataclass(frozen=True)
class Sampling(Settings):
    """How latents are drawn."""

    truncation: float = setting(1.0, "how far from the mean latents may lie", least=0, most=1)


ABOUT = About(
    name="toy-gan",
    title="Toy GAN: a walk between two latents",
    task="unconditional-video",
    presets=("tiny",),
    gives="clip",
    settings=Sampling,
)
