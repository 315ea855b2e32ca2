"""A clip of long-video-gan from an exported folder alone, with numpy, onnxruntime and Pillow.

python long_video_gan.py FOLDER "" SEED clip.png
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

folder, _, seed, out = sys.argv[1:]
manifest = json.loads((Path(folder) / "manifest.json").read_text(encoding="utf-8"))
loop = manifest["description"]["loop"]
noise, filters, windows, large = (loop[key] for key in ("noise", "filters", "windows", "large"))
frames, context, step = loop["clip"]["frames"], large["context"], windows["frames"]
sessions = {
    name: onnxruntime.InferenceSession(
        str(Path(folder) / entry["file"]), providers=["CPUExecutionProvider"]
    )
    for name, entry in manifest["graphs"].items()
}


def run(graph: str, **inputs: np.ndarray) -> np.ndarray:
    return np.asarray(sessions[graph].run(None, inputs)[0])


def drawn(block: int) -> np.ndarray:
    shape = noise["channels"], noise["length"]
    return np.random.default_rng([int(seed), 1 + block]).standard_normal(shape, np.float32)


# From the window that holds the small frames before the first to the one with those after the last.
first = (windows["first"] - context) // step
last = (windows["first"] + frames - 1 + context) // step
places = (last - first) * step + windows["codes"]  # of codes, from `first` windows on
blocks = -(-(first * step + places + filters["reach"]) // noise["length"])
white = np.concatenate([drawn(block) for block in range(blocks)], axis=1).astype(float)
codes = []
for channel in white[:, first * step :]:
    for taps, rate, beta in zip(filters["taps"], filters["rates"], filters["betas"], strict=True):
        row = np.sinc(4 / rate * (np.arange(taps) - (taps - 1) / 2)) * np.kaiser(taps, beta)
        begin = filters["reach"] + 1 - taps
        seen = channel[begin : begin + places + taps - 1]
        codes.append(np.correlate(seen, row / np.sqrt((row**2).sum()), "valid"))
coded = np.stack(codes)[None].astype(np.float32)
styles = np.concatenate(
    [run("latent", codes=coded[..., at : at + step]) for at in range(0, places, step)], axis=2
)
small = np.concatenate(
    [
        run("low", styles=styles[..., at : at + windows["codes"]])
        for at in range(0, places - windows["codes"] + 1, step)
    ],
    axis=1,
)
z = np.random.default_rng(int(seed)).standard_normal((1, loop["latent"]["length"]), np.float32)
w = run("mapping", z=z)
begin = windows["first"] - first * step - context
pixels = np.concatenate(
    [run("super", small=small[:, at : at + large["small"]], w=w)[0]
     for at in range(begin, begin + frames)]
)  # fmt: skip
levels = np.rint(np.moveaxis(pixels, 1, -1) * 255).clip(0, 255).astype(np.uint8)
image, *rest = [Image.fromarray(frame) for frame in levels]
image.save(out, save_all=True, append_images=rest, duration=1000 / loop["clip"]["fps"])
