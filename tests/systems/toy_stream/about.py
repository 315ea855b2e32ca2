"""What the toy that streams is, told without loading it."""

from dataclasses import dataclass

from ..about import About
from ..settings import Settings, setting


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
