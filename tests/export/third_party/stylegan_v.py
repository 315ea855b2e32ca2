"""A clip of stylegan-v from an exported folder alone, with numpy, onnxruntime and Pillow.

python stylegan_v.py FOLDER "" SEED clip.png
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
length, anchors, frames = loop["latent"]["length"], loop["anchors"], loop["clip"]["frames"]


def run(graph: str, **inputs: np.ndarray) -> np.ndarray:
    file = str(Path(folder) / manifest["graphs"][graph]["file"])
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, inputs)[0])


def normal(*words: int) -> np.ndarray:
    return np.random.default_rng(list(words)).standard_normal(length, dtype=np.float32)


times = np.arange(frames) * 1.0  # of the data's rate
before = times.astype(int) // anchors["distance"]
codes = [normal(int(seed), 1 + anchor) for anchor in range(before[-1] + anchors["window"])]
windows = np.stack([codes[first : first + anchors["window"]] for first in before])
begun = before * anchors["distance"] // anchors["restart"] * anchors["restart"]
anchor, moment = (np.asarray(each - begun, np.float32) for each in
                  (before * anchors["distance"], times))  # fmt: skip
motion = run("motion", noise=windows, anchor=anchor, moment=moment)
w = run("mapping", z=np.random.default_rng(int(seed)).standard_normal((1, length), np.float32))
pixels = run("synthesis", motion=motion, w=np.repeat(w, frames, axis=0))
levels = np.rint(np.moveaxis(pixels, 1, -1) * 255).clip(0, 255).astype(np.uint8)
first, *rest = [Image.fromarray(frame) for frame in levels]
first.save(out, save_all=True, append_images=rest, duration=1000 / loop["clip"]["fps"])
