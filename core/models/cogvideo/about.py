"""What CogVideo is, told without loading it."""

from dataclasses import dataclass

from ..about import About
from ..settings import Settings, setting


@dataclass(frozen=True)
class Sampling(Settings):
    """How tokens are drawn. Guidance is s in u + s (c - u); interpolation has none.

    A cluster is drawn among the `first_clusters` best for the first frame and the `clusters` best
    for the others, then a code in it, sharper by `sharpen` (released code: 1.05 and 0.89).
    top_p keeps the likeliest codes that hold this share, before both draws. Frames are made large
    as CogView2 makes pictures large, and where nothing changes they stay as they are.
    """

    guidance: float = setting(2.0, "how hard the prompt pulls; 1 is not at all", least=0, most=1000)
    temperature: float = setting(
        0.9, "spread of the draws; 0 takes the likeliest", least=0, most=1000
    )
    top_p: float = setting(0.9, "share of the likeliest codes to draw from", least=0, most=1)
    sharpen: float = setting(0.85, "below 1 the draw inside a cluster is sharper", above=0)
    clusters: int = setting(12, "best clusters that a frame's codes come from", least=1)
    first_clusters: int = setting(16, "the same for the first frame", least=1)
    upsample: bool | None = setting(
        None, "whether frames are made three times as large; unless told, where the weights can"
    )
    refine: bool = setting(True, "whether codes of large frames are drawn anew, in six rounds")
    fine_temperature: float = setting(
        0.7, "spread of the draws of large frames", least=0, most=1000
    )
    fine_clusters: int = setting(12, "best clusters for codes of large frames", least=1)
    still: int = setting(
        1, "fine codes each way about one that stays, where coarse codes stay", least=0, most=60
    )


ABOUT = About(
    name="cogvideo",
    title="CogVideo: text to video by a hierarchy of transformers",
    task="text-to-video",
    paper="arXiv:2205.15868",
    presets=("tiny", "small", "paper"),
    stages=("tokenizer", "decoder", "image", "keyframes", "interpolation", "direct", "iterative"),
    takes=("text", "picture", "video"),
    gives="clip",
    settings=Sampling,
    bundled="cogvideo-tiny.safetensors",
)
