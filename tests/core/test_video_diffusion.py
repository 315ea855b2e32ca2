"""Video Diffusion: what sees what, the cascade's loop, given frames."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dln.core.errors import MissingCapability, UsageError
from dln.core.generation.generate import generate
from dln.core.media.clip import Clip
from dln.core.metrics.alignment import judge
from dln.core.models.engine import Engine, TorchEngine
from dln.core.models.package import load_model
from dln.core.models.request import Request
from dln.core.models.video_diffusion.captions import encode_captions
from dln.core.models.video_diffusion.config import PRESETS
from dln.core.models.video_diffusion.model import Model
from dln.core.models.video_diffusion.network import turned, turns
from dln.core.models.video_diffusion.sample import Loop, clip_blocks, sample
from dln.core.models.video_diffusion.system import SYSTEM
from dln.core.progress import unheard
from dln.core.text.vocabulary import Vocabulary

from .toy_diffusion import FITTED, REPLACED, TOY, WORDS, toy


def wish(prompt: str, seed: int = 0, **settings: Any) -> Request:
    return Request.of(prompt, seed, settings)


def made(engine: Engine, model: Model, request: Request, tell: Any = unheard) -> Clip:
    """The whole clip that the loop makes."""
    return sample(engine, model, request, tell).clip()


class Counting(TorchEngine):
    """Counts the calls of each graph."""

    def __init__(self, model: Model) -> None:
        super().__init__(model.graphs())
        self.calls: list[str] = []

    def run(self, graph, **inputs):
        self.calls.append(graph)
        return super().run(graph, **inputs)


class Elsewhere:
    """An engine that is not PyTorch's."""

    name = "onnx"

    def __init__(self, engine: TorchEngine) -> None:
        self.run = engine.run


@torch.no_grad()
def test_image_frames_and_the_clip_do_not_influence_each_other():
    unet = toy().base.unet
    z, text = torch.randn(1, 6, 3, 8, 8), torch.randn(1, 3, 8)
    log_snr = torch.zeros(1)
    before = unet(z, log_snr, text)
    for changed in ([4], [5], [0, 1, 2, 3], [1]):
        other = z.clone()
        other[:, changed] += 1
        after = unet(other, log_snr, text)
        same = [f for f in range(6) if torch.equal(after[:, f], before[:, f])]
        alone = {4, 5} if max(changed) < 4 else set(range(6)) - set(changed)
        assert set(same) == alone, changed


@torch.no_grad()
def test_an_appended_image_is_a_clip_of_one_frame():
    unet = toy().base.unet
    z, text = torch.randn(1, 5, 3, 8, 8), torch.randn(1, 2, 8)
    joint = unet(z, torch.zeros(1), text)
    alone = unet(z[:, 4:], torch.zeros(1), text[:, 1:])
    torch.testing.assert_close(joint[:, 4:], alone, atol=1e-5, rtol=1e-5)


def test_turned_queries_and_keys_know_their_distance_alone():
    q, k = torch.randn(2, 1, 8)
    cos, sin = turns(12, 8, q)
    scores = turned(q.expand(12, 8), cos, sin) @ turned(k.expand(12, 8), cos, sin).T
    for distance in (-5, 0, 3):
        diagonal = scores.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-5, rtol=1e-5)


def test_guidance_1_is_the_conditional_model():
    model = toy()
    engine = TorchEngine(model.graphs())
    z, text = torch.randn(2, 4, 3, 8, 8), torch.randn(2, 8)
    inputs = {"z": z, "log_snr": torch.tensor([0.3, -2.0]), "text": text}
    model.fast.load_state_dict(model.base.state_dict())  # pyright: ignore
    plain = engine.run("fast", **inputs)["x"]
    torch.testing.assert_close(
        engine.run("base", **inputs, guidance=torch.ones(2))["x"], plain, atol=1e-5, rtol=1e-5
    )
    none = engine.run("base", **inputs, guidance=torch.zeros(2))["x"]
    empty = engine.run("fast", **inputs | {"text": torch.zeros(2, 8)})["x"]
    torch.testing.assert_close(none, empty, atol=1e-5, rtol=1e-5)
    mixed = engine.run("base", **inputs, guidance=torch.full((2,), 3.0))["x"]
    torch.testing.assert_close(mixed, empty + 3 * (plain - empty), atol=1e-4, rtol=1e-4)


def test_an_engine_s_gradient_is_the_slope():
    engine = TorchEngine(toy().double().graphs())
    z = torch.randn(1, 4, 3, 8, 8, dtype=torch.float64)
    inputs = {
        "log_snr": torch.zeros(1, dtype=torch.float64),
        "text": torch.randn(1, 8, dtype=torch.float64),
    }
    outputs, slope = engine.gradient(
        "fast", "z", lambda out: out["x"][:, 0].square().sum(), z=z, **inputs
    )
    assert not outputs["x"].requires_grad
    way, small = torch.randn_like(z), 1e-5
    ends = [engine.run("fast", z=z + sign * small * way, **inputs)["x"][:, 0].square().sum()
            for sign in (1, -1)]  # fmt: skip
    assert float((slope * way).sum()) == pytest.approx(
        float(ends[0] - ends[1]) / 2 / small, rel=1e-4
    )


def test_a_caption_s_vector_ignores_padding_and_is_0_for_none():
    text = toy().base.text
    captions = ["lion drinking", None, "lion drinking"]
    rows = encode_captions(TOY, WORDS, captions, [False] * 2 + [True])
    read = {name: torch.from_numpy(each) for name, each in rows.items()}
    vectors = text(read["words"], read["seen"])
    assert torch.equal(vectors[1], torch.zeros(8))
    longer = text(read["words"][:1, :2], read["seen"][:1, :2])
    torch.testing.assert_close(vectors[:1], longer)
    assert not torch.allclose(vectors[0], vectors[2])


def test_a_clip_costs_the_evaluations_it_says():
    model = toy()
    engine, told = Counting(model), []
    clip = made(engine, model, wish("lion drinking"), lambda *args: told.append(args))
    assert clip.frames.shape == (8, 16, 16, 3)
    assert clip.fps == 2 * TOY.fps
    assert engine.calls == ["text", *["fast"] * 2, *["upsample"] * 2]
    assert told[-1][:2] == (4, 4)
    for asked, graph, count in (
        (wish("lion drinking", steps=3), "base", 3),
        (wish("lion drinking", guidance=2.0), "base", 12),
        (wish("lion drinking", steps=2), "fast", 2),
    ):
        engine.calls.clear()
        made(engine, model, asked)
        assert engine.calls.count(graph) == count, asked


def test_the_bundled_size_needs_at_most_8_evaluations():
    tiny = PRESETS["tiny"]
    assert tiny.fast_steps + tiny.upsample_steps <= 8


def test_the_seed_decides_the_clip():
    model = toy()
    engine = TorchEngine(model.graphs())
    clips = [made(engine, model, wish("lion dancing", seed=s)).frames
             for s in (1, 1, 2)]  # fmt: skip
    assert np.array_equal(clips[0], clips[1])
    assert not np.array_equal(clips[0], clips[2])


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_longer_clips_go_on_from_what_is_there(weight):
    model = toy()
    engine, told = TorchEngine(model.graphs()), []
    request = wish("lion dancing", frames=9, steps=3, reconstruction=weight)
    clip = made(engine, model, request, lambda *args: told.append(args))
    assert len(clip.frames) == 9
    assert told[-1][0] == told[-1][1] == len(told)
    short = made(engine, model, wish("lion dancing", steps=3))
    assert np.array_equal(clip.frames[:7], short.frames[:7])
    assert not np.array_equal(clip.frames[7], short.frames[7])  # it sees frame 8 now


def test_frames_that_follow_others_take_an_engine_with_gradients():
    model = toy()
    other = Elsewhere(TorchEngine(model.graphs()))
    asked = wish("lion dancing", frames=10, steps=2)
    with pytest.raises(MissingCapability, match="gradient"):
        made(other, model, asked)
    replaced = wish("lion dancing", frames=10, steps=2, reconstruction=0.0)
    clip = made(other, model, replaced)
    again = made(TorchEngine(model.graphs()), model, replaced)
    assert np.array_equal(clip.frames, again.frames)


def test_a_clip_begins_with_the_picture_that_is_given(tmp_path):
    model = toy()
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "lion.png")
    request = wish("lion dancing", image=str(tmp_path / "lion.png"), steps=2)
    clip = made(TorchEngine(model.graphs()), model, request)
    assert np.abs(clip.frames[0].astype(int) - pixels).max() <= 1
    with pytest.raises(UsageError, match="nothing"):
        made(TorchEngine(model.graphs()), model, replace(request, image="nothing.png"))


def test_a_clip_ends_with_the_picture_that_is_given(tmp_path):
    model, rng = toy(), np.random.default_rng(0)
    paths = [str(tmp_path / f"{name}.png") for name in ("first", "last")]
    pixels = rng.integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    for path, picture in zip(paths, pixels, strict=True):
        Image.fromarray(picture).save(path)
    engine = TorchEngine(model.graphs())
    request = wish("lion dancing", image=paths[0], last_image=paths[1], steps=2)
    clip = made(engine, model, request)
    for frame, picture in ((0, pixels[0]), (6, pixels[1]), (7, pixels[1])):
        assert np.abs(clip.frames[frame].astype(int) - picture).max() <= 1
    alone = made(engine, model, replace(request, image=None))
    assert np.abs(alone.frames[-1].astype(int) - pixels[1]).max() <= 1
    assert np.abs(alone.frames[0].astype(int) - pixels[0]).max() > 1
    for frames in (5, 9):
        with pytest.raises(UsageError, match="8 frames"):
            made(engine, model, replace(request, frames=frames))


def test_frames_in_between_are_filled_around_those_that_are_given():
    from dln.core.models.video_diffusion.sample import Known

    model = toy()
    loop = Loop(TorchEngine(model.graphs()), model, np.random.default_rng(0), settings=FITTED)
    given = np.array([True, False, False, True])
    pixels = np.random.default_rng(1).random((1, 4, 3, 8, 8), dtype=np.float32)
    known = Known(pixels * 2 - 1, given)
    made = loop.base(loop.read("lion dancing"), known)
    assert np.array_equal(made[:, given], known.x[:, given])
    assert not np.array_equal(made[:, ~given], known.x[:, ~given])


@pytest.mark.parametrize(
    "wrong", [{"top_p": 0.5}, {"steps": 0}, {"reconstruction": -1.0}, {"sampler": "euler"}]
)
def test_settings_of_other_samplers_are_refused(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        SYSTEM.about.check(wrong)


def test_the_ancestral_sampler_draws_and_the_solvers_do_not():
    """All three see the same first noise; DDIM and the ancestral one differ by what is drawn on
    the way, which a Langevin corrector doubles."""
    model = toy()
    told = {}
    settings: dict[str, Any]
    for settings in ({"sampler": "ddim"}, {"sampler": "dpm-solver"}, {"sampler": "ancestral"},
                     {"sampler": "ancestral", "corrector": 0.1}):  # fmt: skip
        engine = Counting(model)
        told[str(settings)] = made(engine, model, wish("lion", steps=3, **settings)).frames
        base = [graph for graph in engine.calls if graph == "base"]
        assert len(base) == 3 + 2 * ("corrector" in settings)
    clips = list(told.values())
    assert all(not np.array_equal(a, b) for a, b in itertools.combinations(clips, 2))


@pytest.mark.parametrize(
    "nonsense",
    [{"widths": (10, 16)}, {"image_size": 9}, {"target": "mu"}, {"patch": 0}],
)
def test_nonsense_sizes_are_refused(nonsense):
    with pytest.raises(UsageError):
        replace(TOY.base, **nonsense)
    with pytest.raises(UsageError, match="crop"):
        replace(TOY.upsample, crop=6)
    with pytest.raises(UsageError, match="rate"):
        replace(TOY.upsample, rate=0)
    with pytest.raises(UsageError, match="multiple"):
        replace(TOY, upsample=replace(TOY.upsample, image_size=20, patch=1))


def test_the_published_widths():
    """Appendix A: 256 x (1, 2, 4, 8) at 16 x 64 x 64, 128 x (1 .. 16) at 128 x 128."""
    paper = PRESETS["paper"]
    assert (paper.frames, paper.images, paper.encoder) == (16, 8, "bert-large-uncased")
    assert [w // 256 for w in paper.base.widths] == [1, 2, 4, 8]
    assert [w // 128 for w in paper.upsample.widths] == [1, 2, 4, 8, 16]
    with torch.device("meta"):
        model = Model(paper, Vocabulary([]))
    assert sum(p.numel() for p in model.parameters()) > 1_000_000_000


def test_long_clips_come_in_blocks():
    model = toy()
    loop = Loop(TorchEngine(model.graphs()), model, np.random.default_rng(0), settings=REPLACED)
    blocks = list(clip_blocks(loop, "lion dancing", 11))
    assert [block.shape for block in blocks] == [(1, 7, 3, 16, 16), (1, 4, 3, 16, 16)]
    assert all(np.abs(block).max() <= 1 for block in blocks)


def test_captions_can_come_from_a_published_language_model(tmp_path):
    transformers = pytest.importorskip("transformers")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "lion", "drinking", "later", ","]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    config = transformers.BertConfig(vocab_size=9, hidden_size=12, num_hidden_layers=1,
                                     num_attention_heads=2, intermediate_size=8)  # fmt: skip
    transformers.BertModel(config).save_pretrained(tmp_path)
    config = replace(TOY, encoder=str(tmp_path), hidden=12)
    reader: Any = SYSTEM.reader(config, ["unused"])
    assert reader.unknown("xyzzy") == reader.nearest("xyzzy") == []
    parts = [reader.encode(text) for text in ("lion drinking", "lion")]
    assert parts[0][0].shape == (6, 12)
    assert [int(seen.sum()) for _, seen in parts] == [4, 3]
    assert not parts[1][0][3:].any()
    model = Model(config, reader)
    clip = made(TorchEngine(model.graphs()), model, wish("lion drinking"))
    assert clip.frames.shape == (8, 16, 16, 3)


def test_the_bundled_weights_show_what_is_asked_for():
    loaded = load_model("video-diffusion")
    asked = [("lion", "drinking"), ("penguin", "dancing"), ("frog", "jumping"), ("dog", "spinning"),
             ("panda", "walking")]  # fmt: skip  # the last was held out of training
    clips = [generate(loaded, wish(" ".join(pair), seed=1)).clip for pair in asked]
    seen = judge(clips)
    assert seen["actor"] == [actor for actor, _ in asked]
    assert sum(a == b for a, (_, b) in zip(seen["action"], asked, strict=True)) >= 4
