"""What CogView2 is, told without loading it."""

from dataclasses import dataclass

from ..about import About
from ..settings import Settings, setting


@dataclass(frozen=True)
class Sampling(Settings):
    """How codes are drawn. Guidance is s in u + s (c - u).

    A cluster is drawn among the best `clusters`, then a code in it, sharper by `sharpen`; top_p
    keeps the likeliest codes that hold this share, before both draws. Direct super-resolution draws
    alike, from `fine_clusters` at `fine_temperature` (as published 100 of 500, and 1); iterative
    super-resolution draws in six rounds from the 40, 40, 40, 20, 20 and 10 likeliest codes.
    """

    guidance: float = setting(2.0, "how hard the prompt pulls; 1 is not at all", least=0, most=1000)
    temperature: float = setting(
        0.9, "spread of the draws; 0 takes the likeliest", least=0, most=1000
    )
    top_p: float = setting(0.9, "share of the likeliest codes to draw from", least=0, most=1)
    sharpen: float = setting(0.85, "below 1 the draw inside a cluster is sharper", above=0)
    clusters: int = setting(16, "best clusters that a code comes from", least=1)
    upsample: bool = setting(True, "whether the picture is made three times as large")
    refine: bool = setting(True, "whether codes of the large picture are drawn anew, in six rounds")
    fine_temperature: float = setting(
        0.7, "spread of the draws of the large picture", least=0, most=1000
    )
    fine_clusters: int = setting(12, "best clusters for codes of the large picture", least=1)
    candidates: int = setting(
        1, "pictures that are drawn; the one that tells the prompt best is kept", least=1, most=8
    )
    mask: str | None = setting(
        None, "LEFT,TOP,RIGHT,BOTTOM in pixels: what of --image is filled anew"
    )


ABOUT = About(
    name="cogview2",
    title="CogView2: pictures from text, regions of them anew, captions",
    task="text-to-picture",
    paper="arXiv:2204.14217",
    presets=("tiny", "paper"),
    stages=("tokenizer", "decoder", "image", "direct", "iterative"),
    takes=("text", "picture"),
    gives="picture",
    settings=Sampling,
    captions=True,
    within=("cogvideo", "large"),
)
