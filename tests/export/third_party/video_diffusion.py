"""A clip of video-diffusion from an exported folder alone, with numpy, onnxruntime and Pillow.

python video_diffusion.py FOLDER "lion drinking" SEED clip.png
"""

import json
import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image


class Graphs:
    """The graphs of an export by their names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        self.sessions: dict[str, onnxruntime.InferenceSession] = {}

    def run(self, graph: str, **inputs: np.ndarray) -> dict[str, Any]:
        entry = self.manifest["graphs"][graph]
        if graph not in self.sessions:
            file = str(self.folder / entry["file"])
            self.sessions[graph] = onnxruntime.InferenceSession(
                file, providers=["CPUExecutionProvider"]
            )
        found = self.sessions[graph].run(None, inputs)
        names = [output["name"] for output in entry["outputs"]]
        return dict(zip(names, found, strict=True))


def words_of(text: dict, prompt: str) -> list[int]:
    """The places of a prompt's known words in the vocabulary."""
    for letter, other in text["replace"].items():
        prompt = prompt.lower().replace(letter, other)
    found = re.findall(text["pattern"], prompt.lower())
    return [text["words"].index(word) for word in found if word in text["words"]]


def levels(log_snr: float) -> tuple[float, float]:
    """How much of a noisy frame is signal, and how much noise."""
    return (1 + np.exp(-log_snr)) ** -0.5, (1 + np.exp(log_snr)) ** -0.5


def ddim(denoise, z, times):
    for now, then in pairwise(times[:-1]):
        (a, s), (a_then, s_then) = levels(now), levels(then)
        x = denoise(z, now)
        z = np.float32(a_then) * x + np.float32(s_then / s) * (z - np.float32(a) * x)
    return denoise(z, times[-2])


def dpm_solver(denoise, z, times):
    """DPM-Solver++ (2M)."""
    before = None
    for now, then in pairwise(times[:-1]):
        (_, s), (a_then, s_then) = levels(now), levels(then)
        x, step = denoise(z, now), (then - now) / 2
        seen = x
        if before is not None:
            seen = x + (x - before[0]) / np.float32(2 * before[1] / step)
        z = np.float32(s_then / s) * z - np.float32(a_then * np.expm1(-step)) * seen
        before = x, step
    return denoise(z, times[-2])


SAMPLERS = {"ddim": ddim, "dpm-solver": dpm_solver}


def clip(folder: Path, prompt: str, seed: int) -> tuple[np.ndarray, float]:
    """uint8 (frames, rows, columns, RGB), and how many a second."""
    graphs = Graphs(folder)
    about = graphs.manifest["description"]
    loop, rng = about["loop"], np.random.default_rng(seed)
    low, high = loop["pixels"]["range"]

    words = words_of(about["text"], prompt)[: loop["words"]["length"]]
    rows = np.zeros((2, 1, loop["words"]["length"]), np.int64)
    rows[0, 0, : len(words)], rows[1, 0, : len(words)] = words, 1
    text = graphs.run("text", words=rows[0], seen=rows[1])

    x: Any = None
    for stage in loop["stages"]:
        given = {"text": text[stage["text"]]}
        if "guidance" in stage:
            given["guidance"] = np.array([stage["guidance"]], np.float32)
        if "given_log_snr" in stage:  # the frames of the stage before, under a little noise
            a, s = levels(stage["given_log_snr"])
            noise = rng.standard_normal(x.shape, dtype=np.float32)
            given["given"] = np.float32(a) * x + np.float32(s) * noise
            given["given_log_snr"] = np.array([stage["given_log_snr"]], np.float32)

        def denoise(z, log_snr, graph=stage["graph"], given=given):
            at = np.array([log_snr], np.float32)
            return graphs.run(graph, z=z, log_snr=at, **given)["x"].clip(low, high)

        z = rng.standard_normal(stage["shape"], dtype=np.float32)
        x = SAMPLERS[stage["sampler"]](denoise, z, stage["log_snr"])
    pixels = (x[0] - low) / (high - low) * 255
    return np.moveaxis(np.rint(pixels), 1, -1).clip(0, 255).astype(np.uint8), loop["clip"]["fps"]


if __name__ == "__main__":
    frames, fps = clip(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
    first, *rest = [Image.fromarray(frame) for frame in frames]
    first.save(sys.argv[4], save_all=True, append_images=rest, duration=1000 / fps)
