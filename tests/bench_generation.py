"""Milliseconds per token: CogVideo's sampling loop against GPT-2 of Hugging Face transformers.

Same depth, width, heads, number of codes, text length and batch, random weights, the same threads,
in turn within one process. Run: python tests/bench_generation.py (needs transformers).
The first frame is what GPT-2 is: one attention a layer, each token after the last. Key frames have
two attentions a layer and see all frames before. With guidance CogVideo's batch is two.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path

import torch

from dln.core.models.cogvideo.config import DURATIONS, PRESETS
from dln.core.models.cogvideo.model import Model
from dln.core.models.cogvideo.sample import _texts, first_frame, key_frames, start_loop
from dln.core.models.engine import Engine, TorchEngine
from dln.core.models.request import Request
from dln.core.text.vocabulary import Vocabulary
from dln.export.engines import OnnxEngine
from dln.export.onnx import write_onnx

GRAPHS = ("text", "image", "keyframes")
Times = dict[str, list[float]]


def gpt2_times(config, batch: int, times: Times) -> None:
    """One run of `generate`: as many new tokens as five frames have."""
    tokens = 5 * config.frame_length
    model = gpt2(config.codes, config.width, config.layers, config.heads)
    prompt = torch.ones(batch, config.text_length, dtype=torch.long)
    start = time.perf_counter()
    model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        max_new_tokens=tokens,
        min_new_tokens=tokens,
        do_sample=True,
        top_k=50,
        pad_token_id=0,
    )
    times["tokens"].append((time.perf_counter() - start) / tokens)


@lru_cache
def gpt2(codes: int, width: int, layers: int, heads: int):
    """GPT-2 of transformers with random weights."""
    transformers = import_module("transformers")
    shape = {"vocab_size": codes, "n_embd": width, "n_layer": layers, "n_head": heads}
    ends = {"bos_token_id": None, "eos_token_id": None}
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(n_positions=512, **shape, **ends)
    ).eval()


def cogvideo_times(engine: Engine, model, guidance: float, times: Times) -> None:
    """First frame and four key frames."""
    loop = start_loop(engine, model, Request("lion", settings={"guidance": guidance}), lambda: None)
    words, length = partial(_texts, engine, model, "lion"), model.config.frame_length
    start = time.perf_counter()
    first = first_frame(loop, words(DURATIONS[0], guidance), guidance)
    middle = time.perf_counter()
    key_frames(loop, partial(words, DURATIONS[0]), first, guidance)
    times["first frame"].append((middle - start) / length)
    times["key frames"].append((time.perf_counter() - middle) / (4 * length))


def on_onnx(run: Callable[[Times], None], threads: int, times: Times) -> None:
    """With torch out of ONNX Runtime's way, as `dln generate` does it."""
    torch.set_num_threads(1)
    run(times)
    torch.set_num_threads(threads)


def cases_of(model, folder: Path) -> dict[str, Callable[[Times], None]]:
    """What is timed, by name: GPT-2, then CogVideo on each engine, for each batch."""
    graphs, threads = model.graphs(), torch.get_num_threads()
    files = {name: folder / f"{name}.onnx" for name in GRAPHS}
    for name, path in files.items():
        write_onnx(graphs[name], path)
    eager, onnx = TorchEngine(graphs), OnnxEngine(files, "cpu")
    cases: dict[str, Callable[[Times], None]] = {}
    for batch, guidance in ((1, 1.0), (2, 3.0)):
        cases[f"gpt2, batch {batch}"] = partial(gpt2_times, model.config, batch)
        cases[f"torch, batch {batch}"] = partial(cogvideo_times, eager, model, guidance)
        run = partial(cogvideo_times, onnx, model, guidance)
        cases[f"onnx, batch {batch}"] = partial(on_onnx, run, threads)
    return cases


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    torch.manual_seed(0)
    model = Model(PRESETS["tiny"], Vocabulary(["lion", "drinking"])).eval()
    with tempfile.TemporaryDirectory() as folder:
        cases = cases_of(model, Path(folder))
        names = ("tokens", "first frame", "key frames")
        times: dict[str, Times] = {case: {name: [] for name in names} for case in cases}
        with torch.inference_mode():
            for _ in range(runs + 1):
                for name, case in cases.items():
                    case(times[name])
    print(f"{torch.get_num_threads()} threads, median of {runs} runs, ms a token")
    for case, parts in times.items():
        for part, seconds in parts.items():
            if seconds:
                print(f"{case:16} {part:12} {statistics.median(seconds[1:]) * 1e3:7.3f}")


if __name__ == "__main__":
    main()
