"""Seconds of one denoising step: Video Diffusion's U-Net against two published ones.

video-diffusion-pytorch's Unet3D and diffusers' UNet3DConditionModel (both from PyPI, neither is a
dependency), at the same widths, residual blocks a level, head size, frames and pixels, random
weights, the same threads, in turn within one process. Ours attends where `--spatial` says;
Unet3D attends linearly at every level, diffusers' fully at every level that crosses to the text.
Run: python tests/bench_denoising.py
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from unittest.mock import MagicMock, patch

import torch
from torch import Tensor, nn

from dln.core.models.graph import Graph, Range
from dln.core.models.video_diffusion.config import UNetConfig
from dln.core.models.video_diffusion.network import UNet
from dln.export.engines import OnnxEngine
from dln.export.onnx import write_onnx

WIDTHS, BLOCKS, HEAD, TEXT, GROUPS = (64, 128, 256), 2, 32, 64, 8
Step = Callable[[], object]


class Ours(nn.Module):
    """The U-Net for clips without appended images, as a graph has it."""

    def __init__(self, unet: UNet) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, z: Tensor, log_snr: Tensor, text: Tensor) -> tuple[Tensor]:
        return (self.unet(z, log_snr, text[:, None]),)


def ours(frames: int, size: int, spatial: tuple[int, ...], folder: Path) -> dict[str, Step]:
    """On PyTorch and on ONNX Runtime."""
    sides = tuple(size // 2**level for level in range(len(WIDTHS)))
    config = UNetConfig(image_size=size, patch=1, widths=WIDTHS, blocks=BLOCKS, head=HEAD,
                        condition=4 * WIDTHS[0], spatial=spatial, temporal=sides)  # fmt: skip
    unet = UNet(config, TEXT)
    model = Ours(unet).eval()
    nn.init.normal_(unet.head.weight, std=0.02)  # pyright: ignore
    inputs = {"z": torch.randn(1, frames, 3, size, size), "log_snr": torch.zeros(1),
              "text": torch.randn(1, TEXT)}  # fmt: skip

    def example(batch: int) -> dict:
        return {name: tensor.expand(batch, *tensor.shape[1:]) for name, tensor in inputs.items()}

    path = folder / "step.onnx"
    write_onnx(Graph("step", model, ("v",), example, {"batch": Range(1, 1, 2)}), path)
    engine = OnnxEngine({"step": path}, "cpu")
    say("ours", model)
    return {"ours": lambda: model(**inputs), "ours, onnx": lambda: engine.run("step", **inputs)}


def unet3d(frames: int, size: int) -> Step:
    """video-diffusion-pytorch's, which imports torchvision for its trainer alone."""
    with patch.dict(sys.modules, torchvision=MagicMock()):
        module = import_module("video_diffusion_pytorch")
    multiples = tuple(width // WIDTHS[0] for width in WIDTHS)
    model = module.Unet3D(dim=WIDTHS[0], cond_dim=TEXT, dim_mults=multiples, attn_dim_head=HEAD)
    say("Unet3D", model.eval())
    x, text = torch.randn(1, 3, frames, size, size), torch.randn(1, TEXT)
    return lambda: model(x, torch.zeros(1, dtype=torch.long), cond=text)


def diffusers(frames: int, size: int) -> Step:
    """diffusers' UNet3DConditionModel."""
    last = len(WIDTHS) - 1
    model = import_module("diffusers").UNet3DConditionModel(
        in_channels=3,
        out_channels=3,
        block_out_channels=WIDTHS,
        layers_per_block=BLOCKS,
        down_block_types=("CrossAttnDownBlock3D",) * last + ("DownBlock3D",),
        up_block_types=("UpBlock3D",) + ("CrossAttnUpBlock3D",) * last,
        norm_num_groups=GROUPS,
        cross_attention_dim=TEXT,
        attention_head_dim=HEAD,
    )
    say("diffusers", model.eval())
    x, text = torch.randn(1, 3, frames, size, size), torch.randn(1, 16, TEXT)
    return lambda: model(x, torch.zeros(1), text)


PUBLISHED = {"Unet3D": unet3d, "diffusers": diffusers}


def say(name: str, model: nn.Module) -> None:
    print(f"{name}: {sum(p.numel() for p in model.parameters()):,} parameters", flush=True)


def timed(step: Step) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def on_onnx(step: Step, threads: int) -> float:
    """With torch's threads out of ONNX Runtime's way."""
    torch.set_num_threads(1)
    seconds = timed(step)
    torch.set_num_threads(threads)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument(
        "--spatial", type=int, nargs="*", default=[8], help="sides of our attention"
    )
    asked = parser.parse_args()
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        theirs = {name: make(asked.frames, asked.size) for name, make in PUBLISHED.items()}
        steps = ours(asked.frames, asked.size, tuple(asked.spatial), Path(folder)) | theirs
        times: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(asked.runs + 1):
            for name, step in steps.items():
                run = partial(on_onnx, threads=threads) if "onnx" in name else timed
                times[name].append(run(step))
    print(f"{threads} threads, 1 x {asked.frames} x {asked.size} x {asked.size}, "
          f"median of {asked.runs}")  # fmt: skip
    base = statistics.median(times["ours"][1:])
    for name, seconds in times.items():
        found = statistics.median(seconds[1:])
        print(f"{name:11} {found * 1e3:8.1f} ms, {found / base:.2f} times ours")


if __name__ == "__main__":
    main()
