"""What the toy that streams is, told without loading it."""

from dataclasses import dataclass

from dln.core.models.about import About
from dln.core.models.settings import Settings, setting


@dataclass(frozen=True)
class Sampling(Settings):
    """Where in time a clip begins."""

    start: float = setting(0.0, "seconds from the beginning of time", least=0)


ABOUT = About(
    name="toy-stream",
    title="Toy stream: waves of any length and size",
    task="unconditional-video",
    presets=("tiny",),
    takes=("size",),
    gives="clip",
    settings=Sampling,
)
