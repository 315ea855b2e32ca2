"""dln's own generators, each as one call of the graph that most of its time goes to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from dln.core.data import open_source
from dln.core.models.engine import TorchEngine
from dln.core.models.graph import Graph, Range
from dln.core.models.registry import find
from dln.core.models.video_diffusion.config import UNetConfig
from dln.core.models.video_diffusion.network import UNet
from dln.core.runs.build import build

from ..engines import OnnxEngine
from ..onnx import write_onnx
from .others import Clip
from .rows import Contender, numbers

if TYPE_CHECKING:
    from dln.core.models.engine import Engine


@dataclass(frozen=True)
class Engines:
    """What runs graphs. names: "torch", "onnx"; folder: where ONNX files are put."""

    names: tuple[str, ...]
    device: str
    folder: Path

    def opened(self, engine: str, graph: Graph) -> Engine:
        if engine == "torch":
            return TorchEngine({graph.name: graph}, self.device)
        path = self.folder / f"{len(list(self.folder.iterdir()))}-{graph.name}.onnx"
        write_onnx(graph, path)
        return OnnxEngine({graph.name: path}, self.device)

    def each(self, graph: Graph, group: str, name: str, what: str, unit: str, count: int = 1
             ) -> Iterator[Contender]:  # fmt: skip
        """A contender an engine, at the graph's typical sizes."""
        inputs = graph.inputs()
        for engine in self.names:
            run = partial(self.opened(engine, graph).run, graph.name, **inputs)
            yield Contender(group, f"{name} ({engine})", what, unit, count, run,
                            numbers(graph.module), own=True, onnx=engine == "onnx")  # fmt: skip


def drawn(name: str, world: str = "menagerie") -> Any:
    """A model of its default preset, with random weights: their values take no time."""
    return build(find(name), None, {}, open_source(world, count=2)).eval()


def tokens(cogvideo: Any, engines: Engines) -> Iterator[Contender]:
    """One more token, at the places where a clip or picture is half done."""
    pictures, patches = drawn("cogview2"), drawn("nuwa-infinity", "vistas")
    for model, name, graph in (
        (cogvideo, "cogvideo, first frame", "image"),
        (cogvideo, "cogvideo, key frames", "keyframes"),
        (pictures, "cogview2", "image"),
        (patches, "nuwa-infinity", "step"),
    ):
        found, config = model.graphs()[graph], model.config
        sizes = {name: each.typical for name, each in found.sizes.items()}
        told = ", ".join(f"{n} {size}" for n, size in sizes.items() if n != "new")
        what = f"{config.layers} layers of {config.width}, {told}"
        yield from engines.each(found, "tokens", name, what, "token")


class Step(nn.Module):
    """The U-Net for clips without appended images, as a graph has it."""

    def __init__(self, unet: UNet) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, z: Tensor, log_snr: Tensor, text: Tensor) -> tuple[Tensor]:
        """z: (1, F, 3, S, S), log_snr: (1,), text: (1, D) -> what the U-Net predicts, as z."""
        return (self.unet(z, log_snr, text[:, None]),)


def denoising(clip: Clip, engines: Engines) -> Iterator[Contender]:
    """A step of Video Diffusion's U-Net, which attends within frames at the smallest side alone."""
    sides = tuple(clip.side // 2**level for level in range(len(clip.widths)))
    config = UNetConfig(image_size=clip.side, patch=1, widths=clip.widths, blocks=clip.blocks,
                        head=clip.head, condition=4 * clip.widths[0], spatial=sides[-1:],
                        temporal=sides)  # fmt: skip
    inputs = {"z": torch.randn(1, clip.frames, 3, clip.side, clip.side),
              "log_snr": torch.zeros(1), "text": torch.randn(1, clip.text)}  # fmt: skip

    def example(batch: int) -> dict[str, Any]:
        return {name: tensor.expand(batch, *tensor.shape[1:]) for name, tensor in inputs.items()}

    step = Step(UNet(config, clip.text)).eval()
    graph = Graph("step", step, ("v",), example, {"batch": Range(1, 1, 2)})
    what = f"{clip.frames} x {clip.side} x {clip.side}, widths {clip.widths}"
    yield from engines.each(graph, "denoising", "video-diffusion", what, "step")


def frames(stylegan: Any, engines: Engines) -> Iterator[Contender]:
    """As many at once as a clip is made of."""
    config, graph = stylegan.config, stylegan.graphs()["synthesis"]
    count = graph.sizes["frames"].typical
    widths = tuple(config.channels(side) for side in config.sides)
    what = f"{config.side} x {config.side}, widths {widths}, {count} at once"
    yield from engines.each(graph, "frames", "stylegan-v", what, "frame", count)
    ride = drawn("long-video-gan", "vistas,camera=ride")
    for part, name in (("low", "low resolution"), ("super", "super-resolution")):
        graph = ride.graphs()[part]
        with torch.inference_mode():
            _, count, _, height, width = graph.module(**graph.inputs())[0].shape
        what = f"{width} x {height}, {count} at once"
        yield from engines.each(graph, "frames", f"long-video-gan, {name}", what, "frame", count)
