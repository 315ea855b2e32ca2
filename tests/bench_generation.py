"""Seconds per token: CogVideo's sampling loop against GPT-2 of Hugging Face transformers.

Same depth, width, heads, number of codes and number of new tokens, random weights, the same
threads, in turn within one process. Run: python tests/bench_generation.py (needs transformers).
GPT-2 has one attention a layer and no guidance; CogVideo's key frames have two attentions a layer,
and with guidance a batch of two.
"""

import argparse
import statistics
import time
from functools import lru_cache, partial
from importlib import import_module

import torch

from dln.core.generate import Request
from dln.core.models.cogvideo import PRESETS, Model
from dln.core.models.cogvideo.config import DURATIONS
from dln.core.models.cogvideo.sample import _texts, first_frame, key_frames, start_loop
from dln.core.models.graph import TorchEngine
from dln.core.text.vocabulary import Vocabulary

TOKENS = 5 * 64


def gpt2_seconds(config, batch: int) -> float:
    """One run of `generate`: TOKENS new tokens after a prompt of the text's length."""
    model = gpt2(config.codes, config.width, config.layers, config.heads)
    prompt = torch.ones(batch, config.text_length, dtype=torch.long)
    start = time.perf_counter()
    model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        max_new_tokens=TOKENS,
        min_new_tokens=TOKENS,
        do_sample=True,
        top_k=50,
        pad_token_id=0,
    )
    return time.perf_counter() - start


@lru_cache
def gpt2(codes: int, width: int, layers: int, heads: int):
    """GPT-2 of transformers with random weights."""
    transformers = import_module("transformers")
    shape = {"vocab_size": codes, "n_embd": width, "n_layer": layers, "n_head": heads}
    ends = {"bos_token_id": None, "eos_token_id": None}
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(n_positions=512, **shape, **ends)
    ).eval()


def cogvideo_seconds(engine, model, guidance: float) -> float:
    """First frame and four key frames: TOKENS tokens."""
    loop = start_loop(engine, model, Request("lion", guidance=guidance), lambda: None)
    words = partial(_texts, engine, model, "lion")
    start = time.perf_counter()
    first = first_frame(loop, words(DURATIONS[0], guidance), guidance)
    key_frames(loop, partial(words, DURATIONS[0]), first, guidance)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    torch.manual_seed(0)
    model = Model(PRESETS["tiny"], Vocabulary(["lion", "drinking"])).eval()
    engine, config = TorchEngine(model.graphs()), model.config
    cases = {
        "gpt2, batch 1": partial(gpt2_seconds, config, 1),
        "cogvideo, no guidance": partial(cogvideo_seconds, engine, model, 1.0),
        "gpt2, batch 2": partial(gpt2_seconds, config, 2),
        "cogvideo, guidance (batch 2)": partial(cogvideo_seconds, engine, model, 3.0),
    }
    with torch.inference_mode():
        times = {name: [] for name in cases}
        for _ in range(runs + 1):
            for name, case in cases.items():
                times[name].append(case())
    print(f"{torch.get_num_threads()} threads, {TOKENS} tokens, median of {runs} runs")
    for name, seconds in times.items():
        print(f"{name:30} {statistics.median(seconds[1:]) / TOKENS * 1e3:7.3f} ms a token")


if __name__ == "__main__":
    main()
