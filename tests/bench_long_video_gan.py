"""Milliseconds a frame of LongVideoGAN's two generators on PyTorch and on ONNX Runtime.

Random weights, calls as `dln generate` makes them, in turn within one process, the same threads.
Time is that of the processor, which other work on a machine prolongs less than that of a clock.
Run: python tests/bench_long_video_gan.py --threads 1
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from dln.core.models.engine import TorchEngine
from dln.core.models.long_video_gan.config import PRESETS
from dln.core.models.long_video_gan.model import Model
from dln.core.models.long_video_gan.windows import SCALE
from dln.export.engines import OnnxEngine
from dln.export.onnx import write_onnx

FRAMES = {"low": SCALE, "super": 1}  # of one call


def measured(preset: str, runs: int, folder: Path) -> None:
    """The middle run of each engine, and how often faster the second is, round by round."""
    torch.manual_seed(0)
    graphs = Model(PRESETS[preset]).eval().graphs()
    for name in FRAMES:
        write_onnx(graphs[name], folder / f"{name}.onnx")
    files = {name: folder / f"{name}.onnx" for name in FRAMES}
    engines = {"torch": TorchEngine(graphs), "onnx": OnnxEngine(files, "cpu")}
    inputs = {name: graphs[name].inputs() for name in FRAMES}
    took = {(name, engine): [] for name in FRAMES for engine in engines}
    for _ in range(runs + 1):
        for name, engine in took:
            began = time.process_time()
            engines[engine].run(name, **inputs[name])
            took[name, engine].append(1000 * (time.process_time() - began) / FRAMES[name])
    both = {engine: [sum(pair) for pair in zip(*(took[name, engine][1:] for name in FRAMES),
                                               strict=True)] for engine in engines}  # fmt: skip
    rows = {f"{name}, {engine}": times[1:] for (name, engine), times in took.items()}
    for what, times in (
        rows | {f"both, {engine}": times for engine, times in both.items()}
    ).items():
        print(f"{preset}, {what}: {statistics.median(times):.2f} ms a frame")
    ratio = statistics.median(a / b for a, b in zip(both["torch"], both["onnx"], strict=True))
    print(f"{preset}: {ratio:.2f} times")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("preset", nargs="?", default="tiny")
    parser.add_argument("--runs", type=int, default=31)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    with tempfile.TemporaryDirectory() as place:
        measured(asked.preset, asked.runs, Path(place))
