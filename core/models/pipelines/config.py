"""What is known of a pipeline before it is loaded: its kind, and the clip that it makes."""

from dataclasses import dataclass

from ..fields import Checked, limited, size


@dataclass(frozen=True)
class Config(Checked):
    """pipeline: its class at diffusers. frames, fps, size (height, width): of a clip of which
    nothing is told. pace: a clip has pace * n + 1 frames, at least `least`; side: its height and
    width are multiples of that many pixels."""

    pipeline: str
    frames: int = size(49, most=100_000)
    fps: float = limited(8.0, above=0, most=1000)
    pace: int = size(4, most=1024)
    least: int = size(1, most=1024)
    side: int = size(16, most=4096)
    size: tuple[int, int] = size((480, 720), most=16_384)


@dataclass(frozen=True)
class Known:
    """A kind of pipeline: the module of this folder that has its networks as graphs, its networks
    beside the text encoder and the VAE, and what its calls say of a clip where its files do not.
    Spatial and temporal compression of its VAE are told by its files, under these names."""

    module: str
    networks: tuple[str, ...]
    fps: float
    frames: int
    size: tuple[int, int]


KNOWN = {
    "CogVideoXPipeline": Known("cogvideox", ("transformer",), 8.0, 49, (480, 720)),
    "WanPipeline": Known("wan", ("transformer", "transformer_2"), 16.0, 81, (480, 832)),
    "LTXPipeline": Known("ltx", ("transformer",), 25.0, 161, (512, 704)),
}
