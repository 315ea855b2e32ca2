"""What CogVideo is, told without loading it."""

from dataclasses import dataclass

from ..about import About
from ..settings import Settings, setting


@dataclass(frozen=True)
class Sampling(Settings):
    """How tokens are drawn. Guidance is s in u + s (c - u); interpolation has none.

    A cluster is drawn among the `first_clusters` best for the first frame and the `clusters` best
    for the others, then a code in it, sharper by `sharpen` (released code: 1.05 and 0.89).
    top_p keeps the likeliest codes that hold this share, before both draws.
    """

    guidance: float = setting(2.0, "how hard the prompt pulls; 1 is not at all", least=0, most=1000)
    temperature: float = setting(
        0.9, "spread of the draws; 0 takes the likeliest", least=0, most=1000
    )
    top_p: float = setting(0.9, "share of the likeliest codes to draw from", least=0, most=1)
    sharpen: float = setting(0.85, "below 1 the draw inside a cluster is sharper", above=0)
    clusters: int = setting(12, "best clusters that a frame's codes come from", least=1)
    first_clusters: int = setting(16, "the same for the first frame", least=1)


ABOUT = About(
    name="cogvideo",
    title="CogVideo: text to video by a hierarchy of transformers",
    task="text-to-video",
    paper="arXiv:2205.15868",
    presets=("tiny", "small", "paper"),
    stages=("tokenizer", "decoder", "image", "keyframes", "interpolation"),
    takes=("text", "picture"),
    gives="clip",
    settings=Sampling,
    bundled="cogvideo-tiny.safetensors",
)
