"""What a pipeline of diffusers is here, told without loading it."""

from dataclasses import dataclass

from ..about import About
from ..settings import Settings, setting


@dataclass(frozen=True)
class Sampling(Settings):
    """How a pipeline is sampled. What is left out is the pipeline's own default."""

    steps: int | None = setting(
        None, "steps of the pipeline's scheduler: fewer are faster", least=1, most=1000
    )
    guidance: float | None = setting(
        None, "how hard the prompt pulls; 1 is not at all", least=0, most=1000
    )
    negative: str | None = setting(None, "what the clip is drawn away from, in words")


ABOUT = About(
    name="diffusers",
    title="A text-to-video pipeline of diffusers, from a folder",
    task="text-to-video",
    presets=(),
    takes=("text", "size"),
    gives="clip",
    settings=Sampling,
    packages=("diffusers", "transformers"),
    module="pipelines",
)
