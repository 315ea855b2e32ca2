"""What Video Diffusion is, told without loading it."""

from dataclasses import dataclass

from ...errors import UsageError
from ..about import About
from ..settings import Settings, setting


@dataclass(frozen=True)
class Sampling(Settings):
    """How the base is sampled. steps, guidance and sampler left out are those of the weights, whose
    distilled twin then serves where there is one.

    reconstruction: w_r, the pull of given frames (2204.03458, equation 7); 0 is the replacement
    method. variance: gamma of the ancestral sampler; corrector: delta of its Langevin steps.
    """

    steps: int | None = setting(None, "steps of the base: fewer are faster", least=1, most=10_000)
    guidance: float | None = setting(
        None, "how hard the prompt pulls; 1 is not at all", least=0, most=1000
    )
    reconstruction: float | None = setting(
        None, "how hard new frames are fitted to given ones; 0 replaces them", least=0, most=1000
    )
    sampler: str | None = setting(
        None, "what solves for the frames", choices=("dpm-solver", "ddim", "ancestral")
    )
    variance: float = setting(0.3, "of the ancestral sampler, between its bounds", least=0, most=1)
    corrector: float = setting(
        0.0, "size of the ancestral sampler's Langevin steps", least=0, most=1000
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("variance", "corrector"):
            changed = getattr(self, name) != type(self).__dataclass_fields__[name].default
            if changed and self.sampler != "ancestral":
                raise UsageError(f"{name} is of another sampler", "--set sampler=ancestral")


ABOUT = About(
    name="video-diffusion",
    title="Video Diffusion: text to video by a cascade of space-time U-Nets",
    task="text-to-video",
    paper="arXiv:2204.03458",
    presets=("tiny", "small", "paper"),
    stages=("base", "upsample", "distill"),
    takes=("text", "picture", "last-picture"),
    gives="clip",
    settings=Sampling,
    bundled="video-diffusion-tiny.safetensors",
)
