"""What NUWA-Infinity is, told without loading it."""

from dataclasses import dataclass

from ..about import About
from ..settings import Settings, setting


@dataclass(frozen=True)
class Sampling(Settings):
    """How codes are drawn. Guidance is s in u + s (c - u); without a prompt there is none.

    Of the top_k likeliest codes (as published 768 of 16,384), those are drawn from that hold the
    share top_p of their sum.
    """

    guidance: float = setting(3.0, "how hard the prompt pulls; 1 is not at all", least=0, most=1000)
    temperature: float = setting(
        0.8, "spread of the draws; 0 takes the likeliest", least=0, most=1000
    )
    top_k: int = setting(768, "how many of the likeliest codes to draw from", least=1)
    top_p: float = setting(0.9, "share of the likeliest codes to draw from", least=0, most=1)


ABOUT = About(
    name="nuwa-infinity",
    title="NUWA-Infinity: pictures and clips of any size, patch after patch",
    task="text-to-picture",
    paper="arXiv:2207.09814",
    presets=("tiny", "base", "large"),
    stages=("vqgan", "decoder", "guide", "transformer"),
    data="vistas,camera=panorama",
    takes=("text", "picture", "size", "extension"),
    gives="picture",
    moving=True,
    wordless=True,
    settings=Sampling,
    bundled="nuwa-infinity-tiny.safetensors",
)
