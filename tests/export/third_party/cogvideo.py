"""A clip of cogvideo from an exported folder alone, with numpy, onnxruntime and Pillow.

python cogvideo.py FOLDER "lion drinking" SEED clip.png
"""

import json
import re
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime import InferenceSession as Session
from PIL import Image

ONE = np.zeros((1, 1), np.float32)  # what a single new token sees of itself


class Sampler:
    """One clip of one stream of random numbers. B rows, N tokens of a frame."""

    def __init__(self, folder: Path, prompt: str, seed: int) -> None:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        self.graphs, about = manifest["graphs"], manifest["description"]
        self.loop, self.asked, self.vocabulary = about["loop"], about["settings"], about["text"]
        self.symbols, self.labels = self.loop["words"]["symbols"], np.array(self.loop["clusters"])
        self.length, self.start = self.loop["frame"]["tokens"], self.symbols["<start_of_image>"]
        self.prompt, self.rng = prompt, np.random.default_rng(seed)
        self.sessions = {name: Session(folder / g["file"]) for name, g in self.graphs.items()}

    def run(self, graph: str, inputs: dict) -> dict[str, Any]:
        """An input that the file has in several parts, name_0, name_1 ..., is cut into them."""
        parts, known = {}, {each["name"] for each in self.graphs[graph]["inputs"]}
        for name, value in inputs.items():
            several = {f"{name}_{n}": part for n, part in enumerate(value)}
            parts |= {name: value} if name in known else several
        names = [each["name"] for each in self.graphs[graph]["outputs"]]
        return dict(zip(names, self.sessions[graph].run(None, parts), strict=True))

    def text(self, duration: str, guidance: float, copies: int = 1) -> dict[str, Any]:
        """Padding, keys and values of the prompt; under guidance, of its absence after it."""
        about, prompt, told = self.vocabulary, self.prompt.lower(), self.loop["words"]
        for letter, other in about["replace"].items():
            prompt = prompt.replace(letter, other)
        known = [w for w in re.findall(about["pattern"], prompt) if w in about["words"]]
        words = [told["first_row"] + about["words"].index(word) for word in known]
        texts = [words] * copies + [[self.symbols["<video>"]]] * (copies if guidance != 1 else 0)
        rows = np.full((len(texts), told["length"]), self.symbols["<pad>"])
        for row, each in zip(rows, texts, strict=True):
            whole = [self.symbols[duration], self.symbols["<n>"], *each][: len(row)]
            row[len(row) - len(whole) :] = whole
        seen = (rows != self.symbols["<pad>"]).astype(np.int64)
        return self.run("text", {"text": rows, "seen": seen})

    def draw(self, logits: np.ndarray, guidance: float, top: int) -> np.ndarray:
        """(B, codes) -> a code each: a cluster among the best, then a code of it."""
        if guidance != 1:
            told, untold = np.split(logits, 2)
            logits = untold + np.float32(guidance) * (told - untold)
        draws = self.rng.random((2, len(logits)), dtype=np.float32)
        scores = logits - logits.max(-1, keepdims=True)
        shares = np.exp(scores * np.float32(1 / self.asked["temperature"]))
        rows = zip(shares, draws[0], draws[1], strict=True)
        return np.array([self.pick(*row, top) for row in rows])

    def pick(self, shares: np.ndarray, first: float, second: float, top: int) -> int:
        codes, limit = (-shares).argsort(kind="stable"), self.asked["top_p"] * shares.sum()
        shares = shares[codes].astype(np.float64)
        count = (shares.cumsum() - shares).searchsorted(limit)
        codes, shares, labels = codes[:count], shares[:count], self.labels[codes[:count]]
        groups = np.bincount(labels, shares)
        best = (-groups).argsort(kind="stable")[:top]
        inside = labels == best[inverse(groups[best], first)]
        return codes[inside][inverse(shares[inside] ** (1 / self.asked["sharpen"]), second)]

    def write(self, graph: str, slot: int, rows: int, look, caches: dict, how: tuple):
        """The codes (B, N) of a frame, one after the other, and the caches after it. look(n):
        what token n sees. how: guidance, and of how many clusters a code may be."""
        token, codes = np.full((rows, 1), self.start), []
        for n in range(self.length):
            given = {"tokens": token, "places": np.array([slot * self.length + n])} | look(n)
            out = self.run(graph, given | caches)
            caches = joined(caches, out)
            codes.append(self.draw(out["logits"][:, -1], *how))
            token = np.tile(codes[-1], rows // len(codes[-1]))[:, None]
        return np.stack(codes, axis=1), caches

    def frames(self, graph: str, text: dict, given: dict, new, guidance: float) -> dict:
        """given: {slot: codes (B, N)}, read at once -> the slots `new`, written code by code."""
        n, padding, whole = self.length, text["padding"], graph == "keyframes"
        window = np.array(self.loop["frame"]["windows"]) * (not whole)  # in even and odd layers
        seen = np.concatenate([np.arange(slot * n, (slot + 1) * n) for slot in given])
        allowed = np.tri(len(seen), dtype=bool) | (not whole)
        placed = not whole and self.loop["window_frames"]["given_codes"] == "placed"
        shifted = [np.insert(c[:, :-1], 0, self.start, 1) for c in given.values()]
        tokens = np.concatenate([*given.values()] if placed else shifted, 1)
        bias, over = np.repeat(padding[:, None], len(seen), axis=1), window[:, seen % n]
        spatial = {f"spatial_{kind}": text[f"image_{kind}"] for kind in "kv"}
        temporal = {f"temporal_{kind}": text[f"{graph}_{kind}"] for kind in "kv"}
        sight = {"spatial_bias": bias, "temporal_bias": [bias, bias],
                 "spatial_own": bias_of(allowed & (seen[:, None] // n == seen // n)),
                 "temporal_own": bias_of(allowed & (over[:, None] == over[:, :, None])),
                 "tokens": np.tile(tokens, (len(padding) // len(tokens), 1))}  # fmt: skip
        beside = (self.loop["window_frames"]["beside"] or {}).get(graph, {})
        rows, copies = len(padding), (len(padding) // len(tokens), 1, 1)
        nothing = np.full((*sight["tokens"].shape, len(beside["1"])), -1) if beside else ()
        out = self.run(graph, sight | {"places": seen, "beside": nothing} | spatial | temporal)
        temporal, found = joined(temporal, out), {}

        def look(slot: int, n: int) -> dict:
            past = np.concatenate([over, *[window] * len(found), window[:, :n]], axis=1)
            bias = [bias_of(row == w[n], padding) for row, w in zip(past, window, strict=True)]
            codes = [(given | found)[k][:, [n]] for k in beside.get(str(slot), ())]
            return {"spatial_bias": bias_of(np.ones(n, bool), padding), "spatial_own": ONE,
                    "temporal_bias": bias, "temporal_own": np.stack([ONE, ONE]),
                    "beside": np.tile(np.stack(codes, -1), copies) if codes else ()}  # fmt: skip

        for slot in new:
            how, caches = (guidance, self.asked["clusters"]), spatial | temporal
            found[slot], caches = self.write(graph, slot, rows, partial(look, slot), caches, how)
            temporal = {name: caches[name] for name in temporal}
        return found

    def clip(self) -> np.ndarray:
        """uint8 (frames, rows, columns, RGB)."""
        guidance, (first, *durations) = self.asked["guidance"], self.loop["words"]["durations"]
        window, text = self.loop["window_frames"], self.text(first, guidance)
        caches, padding = {kind: text[f"image_{kind}"] for kind in "kv"}, text["padding"]
        how = guidance, self.asked["first_clusters"]

        def look(n: int) -> dict:
            return {"own": ONE, "bias": bias_of(np.ones(n, bool), padding)}

        codes = {0: self.write("image", 0, len(padding), look, caches, how)[0]}
        codes |= self.frames("keyframes", text, codes, range(1, window["count"]), guidance)
        line = [frame[0] for frame in codes.values()]
        for duration in durations:
            starts = [line[start : start + 3] for start in range(0, len(line) - 2, 2)]
            given = dict(zip(window["given"], np.stack(starts, axis=1), strict=True))
            text = self.text(duration, 1, len(starts))
            new = self.frames("interpolation", text, given, window["new"], 1)
            between = np.stack(list(new.values()), axis=1).reshape(-1, self.length)
            mixed = zip(line[:-1], between, strict=True)
            line = [frame for pair in mixed for frame in pair] + line[-1:]
        low, high = self.loop["pixels"]["range"]
        pixels = self.run("decode", {"indices": np.stack(line)})["pixels"]
        levels = np.rint((pixels - low) / (high - low) * 255).clip(0, 255).astype(np.uint8)
        return np.moveaxis(levels, 1, -1)


def bias_of(allowed: np.ndarray, padding: np.ndarray | None = None) -> np.ndarray:
    """0 where others are seen, (..., P); behind the text's padding (B, S) as (B, 1, S + P)."""
    bias = np.where(allowed, np.float32(0), np.float32("-inf"))
    if padding is None:
        return bias
    return np.concatenate([padding, np.broadcast_to(bias, (len(padding), len(bias)))], 1)[:, None]


def joined(cache: dict, out: dict) -> dict:
    """Keys and values (layers, B, heads, tokens, channels) with the new ones behind them."""
    return {name: np.concatenate([old, out[name]], axis=3) for name, old in cache.items()}


def inverse(shares: np.ndarray, u: float) -> int:
    """The place at which the sum of the shares so far passes u of the whole."""
    steps = shares.cumsum()
    return min(int(steps.searchsorted(u * steps[-1], side="right")), len(shares) - 1)


if __name__ == "__main__":
    sampler = Sampler(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
    first, *rest = [Image.fromarray(frame) for frame in sampler.clip()]
    milliseconds = 1000 / sampler.loop["clip"]["fps"]
    first.save(sys.argv[4], save_all=True, append_images=rest, duration=milliseconds)
