"""Pipelines of diffusers, held against the pipelines themselves."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

sys.path.append(str(Path(__file__).parent))
from toy_pipelines import KINDS, SIZES, folder_of  # pyright: ignore[reportMissingImports]

from dln.core.errors import DlnError, MissingCapability, UsageError
from dln.core.generation.best import generate_best
from dln.core.generation.generate import Generated, generate
from dln.core.generation.verify import verify
from dln.core.media.video import write_clip
from dln.core.models.engine import TorchEngine
from dln.core.models.package import Loaded, load_model
from dln.core.models.request import Request

STEPS = 4
# The shape of the noise, worked out by hand: the VAEs make 4 x 4 pixels of a place (ti2v 8 x 8, LTX
# 16 x 16) and 4 frames of a latent one, the first alone; LTX has its places in a row.
NOISE = {
    "cogvideox": (1, 5, 4, 4, 6),
    "rotary": (1, 3, 4, 6, 4),
    "wan": (1, 4, 3, 4, 8),
    "ti2v": (1, 4, 3, 2, 4),
    "ltx": (1, 24, 4),
}
Find = Callable[[str], Path]


@pytest.fixture(scope="module")
def find(tmp_path_factory: pytest.TempPathFactory) -> Find:
    """The folder of a kind, made once."""
    made: dict[str, Path] = {}

    def found(kind: str) -> Path:
        if kind not in made:
            made[kind] = folder_of(kind, tmp_path_factory.mktemp("pipelines") / kind)
        return made[kind]

    return found


def request(kind: str, seed: int = 7, **settings: Any) -> Request:
    frames, size = SIZES[kind]
    asked = {"steps": STEPS, "negative": "a cat", **settings}
    return Request("lion drinking", seed, frames=frames, size=size, settings=asked)


def clip(loaded: Loaded, asked: Request) -> Generated:
    return generate(loaded, asked, device="cpu")


def published(folder: Path, kind: str, seed: int) -> np.ndarray:
    """The same clip as the pipeline's users make it, with our noise."""
    import diffusers  # pyright: ignore[reportMissingImports]

    pipe = diffusers.DiffusionPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    frames, (height, width) = SIZES[kind]
    noise = np.random.default_rng(seed).standard_normal(NOISE[kind], dtype=np.float32)
    length = {"max_sequence_length": 8} if kind in ("cogvideox", "rotary") else {}
    made = pipe(
        "lion drinking", negative_prompt="a cat", num_frames=frames, height=height, width=width,
        num_inference_steps=STEPS, latents=torch.from_numpy(noise), output_type="np",
        generator=torch.Generator().manual_seed(seed), **length,
    )  # fmt: skip
    return (made.frames[0] * 255).round().astype(np.int16)


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_is_the_one_that_the_pipeline_makes(find, kind):
    folder = find(kind)
    loaded = load_model(f"diffusers:{folder}")
    found = clip(loaded, request(kind)).clip.frames
    frames, (height, width) = SIZES[kind]
    assert found.shape == (frames, height, width, 3)
    assert found.std() > 1
    assert np.abs(published(folder, kind, 7) - found).max() <= 1
    again, other = (clip(loaded, request(kind, seed)).clip.frames for seed in (7, 8))
    assert np.array_equal(again, found)
    assert not np.array_equal(other, found)


def test_settings_reach_the_loop(find):
    loaded = load_model(f"diffusers:{find('ltx')}")
    seen: list[tuple[str, int]] = []

    class Heard(TorchEngine):
        def run(self, graph: str, **inputs: Any) -> dict[str, torch.Tensor]:
            seen.append((graph, len(inputs.get("hidden_states", [0]))))
            return super().run(graph, **inputs)

    def calls(**settings: Any) -> list[tuple[str, int]]:
        seen.clear()
        told: list[tuple[int, int, str]] = []
        engine = Heard(loaded.model.graphs())
        generate(loaded, request("ltx", **settings), engine=engine,
                 on_progress=lambda *now: told.append(now))  # fmt: skip
        assert told == [(n + 1, settings["steps"], "steps") for n in range(settings["steps"])]
        return list(seen)

    guided = calls(steps=3, guidance=4.0)
    assert guided == [("text", 1), ("text", 1), *3 * [("denoiser", 2)], ("decoder", 1)]
    assert calls(steps=2, guidance=1.0) == [("text", 1), *2 * [("denoiser", 1)], ("decoder", 1)]
    plain, away = (clip(loaded, request("ltx", negative=word)) for word in ("a lion", "dancing"))
    assert not np.array_equal(plain.clip.frames, away.clip.frames)


def test_a_receipt_names_the_folder_and_a_changed_folder_is_noticed(tmp_path):
    folder = folder_of("wan", tmp_path / "wan")
    loaded = load_model(f"diffusers:{folder}")
    made = clip(loaded, request("wan"))
    assert made.receipt["model"] == f"diffusers:{folder}"
    assert made.receipt["weights_sha256"] == loaded.sha256
    assert {"diffusers", "transformers", "torch"} <= made.receipt["versions"].keys()
    path = write_clip(made.clip, tmp_path / "clip.mp4", made.receipt)
    found = verify(path, device="cpu")
    assert found.equal
    assert not found.notes
    weights = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(MissingCapability, match="others than those that made the clip"):
        verify(path, device="cpu")


def test_the_best_of_several(find):
    loaded = load_model(f"diffusers:{find('ltx')}")
    scores = iter((0.1, 0.9))
    best = generate_best(
        loaded, request("ltx", steps=1), 2, device="cpu", score=lambda _: next(scores)
    )
    assert best.winner == 1
    alone = clip(loaded, request("ltx", best.receipt["seed"], steps=1))
    assert np.array_equal(alone.clip.frames, best.clip.frames)


@pytest.mark.parametrize(
    ("frames", "size", "hint"),
    [
        (10, (32, 64), "--frames 9 or 13"),
        (9, (32, 50), "--size 64x32"),
        (9, (8, 64), "--size 64x32"),
    ],
)
def test_clips_that_it_does_not_make(find, frames, size, hint):
    loaded = load_model(f"diffusers:{find('ltx')}")
    with pytest.raises(UsageError) as caught:
        generate(loaded, Request("lion", 1, frames=frames, size=size), device="cpu")
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("part", "was", "now", "told"),
    [
        ("transformer", '"num_layers": 1', '"num_layers": 2', r"transformer lacks .* more"),
        ("text_encoder", '"num_layers": 1', '"num_layers": 2', r"text_encoder lacks .* more"),
        ("transformer", '"in_channels": 4', '"in_channels": 5', "cannot be loaded"),
    ],
)
def test_weights_that_do_not_fit_are_one_sentence(tmp_path, part, was, now, told):
    folder = folder_of("ltx", tmp_path / "ltx")
    config = folder / part / "config.json"
    assert was in config.read_text()
    config.write_text(config.read_text().replace(was, now))
    with pytest.raises(DlnError, match=told):
        load_model(f"diffusers:{folder}")
