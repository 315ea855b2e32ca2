"""Milliseconds a frame of StyleGAN-V on PyTorch and on ONNX Runtime, and the memory of long clips.

Random weights, calls of as many frames as `dln generate` makes at once, in turn within one process,
the same threads; the memory is that of a process of its own for each length, which writes an mp4.
Run: python tests/bench_stylegan.py tiny paper --memory
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from dln.core.models.engine import TorchEngine
from dln.core.models.package import save_model
from dln.core.models.stylegan_v.config import PRESETS
from dln.core.models.stylegan_v.model import Model
from dln.export.engines import OnnxEngine
from dln.export.onnx import write_onnx

# Peak of resident memory in KiB after a clip of so many frames is made and written.
PEAK = """
import sys
from pathlib import Path
from dln.cli.main import run
run(["generate", "--model", sys.argv[1], "--seed", "7", "--frames", sys.argv[2], "--fps", "60",
     "--out", sys.argv[3], "--force", "-q", "--no-preview"])
lines = Path("/proc/self/status").read_text().splitlines()
print(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
"""


def model_of(preset: str) -> Model:
    torch.manual_seed(0)
    return Model(PRESETS[preset]).eval()


def pace(preset: str, runs: int, folder: Path) -> None:
    """The fastest run and the middle one of each engine, and how often faster the second is."""
    graphs = model_of(preset).graphs()
    write_onnx(graphs["synthesis"], folder / f"{preset}.onnx")
    engines = {"torch": TorchEngine(graphs),
               "onnx": OnnxEngine({"synthesis": folder / f"{preset}.onnx"}, "cpu")}  # fmt: skip
    inputs, took = graphs["synthesis"].inputs(), {name: [] for name in engines}
    for _ in range(runs + 1):
        for name, engine in engines.items():
            began = time.perf_counter()
            engine.run("synthesis", **inputs)
            took[name].append(1000 * (time.perf_counter() - began) / len(inputs["w"]))
    middle = {name: statistics.median(times[1:]) for name, times in took.items()}
    for name, times in took.items():
        print(f"{preset}, {name}: {middle[name]:.2f} ms a frame, fastest {min(times[1:]):.2f}")
    fastest = min(took["torch"][1:]) / min(took["onnx"][1:])
    print(f"{preset}: {middle['torch'] / middle['onnx']:.2f} times, fastest {fastest:.2f}")


def memory(preset: str, folder: Path) -> None:
    """Of 1,000 and of 10,000 frames."""
    weights, peaks = folder / f"{preset}.safetensors", []
    save_model(weights, model_of(preset), {"model": "stylegan-v"})
    for frames in (1_000, 10_000):
        words = [str(weights), str(frames), str(folder / "clip.mp4")]
        began = time.perf_counter()
        told = subprocess.run([sys.executable, "-c", PEAK, *words], check=True,
                              capture_output=True, text=True).stdout  # fmt: skip
        peaks.append(int(told.split()[-1]) / 1024)
        seconds = time.perf_counter() - began
        print(f"{preset}, {frames:,} frames: {peaks[-1]:.1f} MiB, {seconds:.0f} s with all")
    print(f"{preset}: {peaks[1] / peaks[0]:.3f} times the memory")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("presets", nargs="*", default=["tiny"])
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    with tempfile.TemporaryDirectory() as place:
        for each in asked.presets:
            pace(each, asked.runs, Path(place))
        if asked.memory:
            memory(asked.presets[0], Path(place))
