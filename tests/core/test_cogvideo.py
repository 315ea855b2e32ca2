"""CogVideo: what sees what, cached against full passes, sampling, the sizes of the presets."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from dln.core.errors import UsageError
from dln.core.media.clip import Clip
from dln.core.models.cogvideo import masks
from dln.core.models.cogvideo.about import ABOUT, Sampling
from dln.core.models.cogvideo.config import DURATIONS, PRESETS, Config
from dln.core.models.cogvideo.model import Model
from dln.core.models.cogvideo.rollout import ClipRun, Loop, whole_frame
from dln.core.models.cogvideo.sample import Draw, first_frame, levels_for, sample
from dln.core.models.cogvideo.training import codes_beside, taken_in
from dln.core.models.cogvideo.transformer import clip_logits
from dln.core.models.cogvideo.windows import Window, cut_windows
from dln.core.models.engine import Engine, TorchEngine
from dln.core.models.layers.clustering import cluster_codes
from dln.core.models.layers.prompt import encode_texts, shift
from dln.core.models.layers.tokenizer import TokenizerConfig
from dln.core.models.request import Request
from dln.core.progress import unheard
from dln.core.text.vocabulary import Vocabulary

TOKENIZER = TokenizerConfig(
    codebook_size=50,
    code_dim=4,
    encoder_widths=(8, 8, 8),
    decoder_widths=(8, 8, 8),
    encoder_blocks=(1, 1, 1),
    decoder_blocks=(1, 1, 1),
    clusters=7,
)
TOY = Config(
    image_size=32,
    text_length=6,
    width=24,
    layers=3,
    heads=2,
    window=2,
    image_position=6,
    positions=22,
    tokenizer=TOKENIZER,
)
WORDS = Vocabulary(["lion", "penguin", "drinking", "dancing"])


def toy(config: Config = TOY) -> Model:
    torch.manual_seed(0)
    model = Model(config, WORDS)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


def wish(prompt: str, seed: int = 0, **settings: Any) -> Request:
    return Request.of(prompt, seed, settings)


def made(engine: Engine, model: Model, request: Request, tell: Any = unheard) -> Clip:
    """The whole clip that the loop makes."""
    return sample(engine, model, request, tell).clip()


def random_clip(seed: int = 0, batch: int = 2):
    rng = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 50, (batch, 5, 16), generator=rng)
    told = [("<4.0s>", "lion drinking"), ("<4.0s>", None)][:batch]
    text, seen = map(torch.from_numpy, encode_texts(TOY, WORDS, told))
    return text, seen, codes


def full(model, channel, visibility, text, seen, inputs, codes=None):
    """codes: what a pointer may point at."""
    beside = None if codes is None else codes_beside(codes, channel.stage)
    with torch.no_grad():
        return clip_logits(model.image, channel, text, seen, inputs, visibility, beside)


VISIBLE = {
    "keyframes": masks.sequential(4, 5, "cpu"),
    "interpolation": masks.interpolating(4, 5, 2, "cpu"),
}


@pytest.mark.parametrize("name", ["keyframes", "interpolation"])
def test_perturbed_tokens_reach_only_what_may_see_them(name):
    model, visibility = toy(), VISIBLE[name]
    text, seen, codes = random_clip(batch=1)
    before = full(model, getattr(model, name), visibility, text, seen, codes).flatten(1, 2)[0]
    order = list(range(80))
    if name == "interpolation":
        given = [f * 16 + n for f in masks.GIVEN for n in range(16)]
        order = [*given, *range(16, 32), *range(48, 64)]
    rank = {position: number for number, position in enumerate(order)}
    for position in (0, 17, 31, 40, 52, 79):
        changed = codes.clone()
        changed.view(-1)[position] = (changed.view(-1)[position] + 1) % 50
        after = full(model, getattr(model, name), visibility, text, seen, changed).flatten(1, 2)[0]
        moved = {int(p) for p in torch.nonzero((before != after).any(-1)).flatten()}
        assert position in moved
        frame = position // 16
        if name == "interpolation" and frame in masks.GIVEN:
            continue
        assert all(rank[p] >= rank[position] for p in moved)


def test_given_frames_do_not_see_new_ones_and_see_each_other():
    model = toy()
    text, seen, codes = random_clip(batch=1)
    run = lambda c: full(model, model.interpolation, VISIBLE["interpolation"], text, seen, c)[0]  # noqa: E731
    before = run(codes)
    for new in masks.NEW:
        changed = codes.clone()
        changed[0, new] = (changed[0, new] + 1) % 50
        after = run(changed)
        for frame in masks.GIVEN:
            assert torch.equal(before[frame], after[frame])
    changed = codes.clone()
    changed[0, 4] = (changed[0, 4] + 1) % 50
    assert (run(changed)[0] != before[0]).any()


@pytest.mark.parametrize("name", ["keyframes", "interpolation"])
def test_windows_are_what_the_masks_join(name):
    """A new token sees those tokens of a given frame that share its window."""
    visible = VISIBLE[name]
    for kind, row in enumerate(map(torch.from_numpy, visible.regions())):
        seen = visible.dense[kind, 16:32, :16] == 0
        assert torch.equal(seen, row[:, None] == row[None])


def test_windows_limit_the_second_channel():
    """Even layers: 2 x 2 windows; odd layers: the same, shifted by one, cut at the border."""
    dense = VISIBLE["interpolation"].dense
    token = lambda frame, row, column: frame * 16 + row * 4 + column  # noqa: E731
    sees = lambda parity, a, b: bool(dense[parity, a, b] == 0)  # noqa: E731
    assert sees(0, token(1, 0, 0), token(4, 1, 1))
    assert not sees(0, token(1, 1, 1), token(4, 2, 2))
    assert sees(1, token(1, 1, 1), token(4, 2, 2))
    assert not sees(1, token(1, 0, 0), token(4, 3, 3))
    assert not sees(1, token(1, 0, 0), token(4, 1, 1))


STAGES = {"keyframes": "sequential", "interpolation": "interpolating"}


@pytest.mark.parametrize("points", [False, True])
@pytest.mark.parametrize(
    ("name", "given"),
    [("keyframes", "shifted"), ("interpolation", "shifted"), ("interpolation", "placed")],
)
def test_cached_decoding_equals_the_full_pass(name, given, points):
    config = replace(TOY, given=given, points=points)
    model = toy(config)
    text, seen, codes = random_clip()
    channel, visibility = getattr(model, name), VISIBLE[name]
    inputs = taken_in(config, STAGES[name], codes)
    expected = full(model, channel, visibility, text, seen, inputs, codes)
    engine = TorchEngine(model.graphs())
    draw = Draw(model.tokenizer.clusters, Sampling(), np.random.default_rng(0))
    run = ClipRun(
        Loop(engine, config, draw, lambda: None), name, engine.run("text", text=text, seen=seen), 1
    )
    known = masks.GIVEN if name == "interpolation" else (0,)
    within = visibility.within[0].numpy()
    run.read({slot: codes[:, slot].numpy() for slot in known}, within)
    for slot in range(5):
        if slot in known:
            continue
        run.begin(slot)
        for number in range(16):
            logits = run.step(inputs[:, slot, number : number + 1].numpy(), number)
            assert (logits[:, 0] - expected[:, slot, number]).abs().max() < 1e-5
        run.known[slot] = codes[:, slot].numpy()


@pytest.mark.parametrize("name", ["keyframes", "interpolation"])
def test_a_pointer_raises_the_codes_beside_and_no_others(name):
    model = toy(replace(TOY, points=True))
    text, seen, codes = random_clip(batch=1)
    channel, visibility = getattr(model, name), VISIBLE[name]
    inputs = taken_in(model.config, STAGES[name], codes)
    with torch.no_grad():
        channel.pointer.gain.zero_()
        channel.pointer.weigh.weight.zero_()
        channel.pointer.weigh.bias.copy_(torch.tensor([1.0, 0.25])[: len(channel.pointer.gain)])
    there = full(model, channel, visibility, text, seen, inputs, codes)
    raised = (there - full(model, channel, visibility, text, seen, inputs))[0]
    # By hand: a key frame points at the one before it, a frame between at both.
    others = {f: (f - 1,) for f in (1, 2, 3, 4)}
    if name == "interpolation":
        others = {1: (0, 2), 3: (2, 4)}
    wanted = torch.zeros_like(raised)
    for frame, pair in others.items():
        for place in range(16):
            for other, much in zip(pair, (8.0, 2.0), strict=False):
                wanted[frame, place, codes[0, other, place]] += much
    assert torch.allclose(raised, wanted, atol=1e-4)


def test_a_pointer_that_has_learnt_nothing_changes_nothing():
    config = replace(TOY, points=True)
    torch.manual_seed(0)
    model = Model(config, WORDS)
    text, seen, codes = random_clip()
    for name, stage in STAGES.items():
        inputs = taken_in(config, stage, codes)
        told = model, getattr(model, name), VISIBLE[name], text, seen, inputs
        assert torch.equal(full(*told), full(*told, codes))


@pytest.mark.parametrize(("given", "sees"), [("shifted", False), ("placed", True)])
def test_a_given_frame_s_last_code_is_seen_where_it_stands_in_its_place(given, sees):
    model, config = toy(), replace(TOY, given=given)
    text, seen, codes = random_clip(batch=1)
    other = codes.clone()
    other[0, 2, -1] = (other[0, 2, -1] + 1) % 50
    visibility = masks.interpolating(4, 5, 4, "cpu")
    before, after = (
        full(model, model.interpolation, visibility, text, seen,
             taken_in(config, "interpolating", each))[0, list(masks.NEW)]
        for each in (codes, other)
    )  # fmt: skip
    assert bool((before != after).any()) is sees


def test_cached_image_equals_the_full_pass():
    model = toy()
    text, seen, codes = random_clip()
    with torch.no_grad():
        expected = clip_logits(
            model.image, None, text, seen, shift(TOY, codes[:, 0])[:, None], None
        )[:, 0]
    engine = TorchEngine(model.graphs())
    state = engine.run("text", text=text, seen=seen)
    windows = whole_frame(state, "image", 16)
    windows.begin()
    for place in range(16):
        k, v, (bias,) = windows.look(place)
        out = engine.run(
            "image",
            tokens=shift(TOY, codes[:, 0])[:, place : place + 1],
            places=torch.tensor([place]),
            bias=torch.from_numpy(bias),
            own=torch.zeros(1, 1),
            k=k,
            v=v,
        )
        windows.add(place, out["k"], out["v"])
        assert (out["logits"][:, 0] - expected[:, place]).abs().max() < 1e-5


def test_alpha_one_is_the_image_model():
    """a -> +inf makes sigmoid(a) = 1: the first frame is what the backbone alone makes."""
    model = toy()
    text, seen, codes = random_clip()
    with torch.no_grad():
        model.keyframes.mix.fill_(1e4)
        alone = clip_logits(model.image, None, text, seen, codes[:, :1], None)[:, 0]
    mixed = full(model, model.keyframes, VISIBLE["keyframes"], text, seen, codes)[:, 0]
    assert (alone - mixed).abs().max() < 1e-5


def test_a_channel_starts_as_the_backbone():
    model = toy()
    model.keyframes.start_from(model.image)
    for new, layer in zip(model.keyframes.attention, model.image.layers, strict=True):
        for name, tensor in layer.attention.state_dict().items():  # pyright: ignore
            assert torch.equal(tensor, new.state_dict()[name])
    table = model.keyframes.positions.weight.view(5, 16, -1)
    assert all(torch.equal(part, model.image.positions.weight[6:22]) for part in table)


def test_sizes_of_the_paper():
    """9.4 billion parameters for the backbone and both channels (2205.15868, section 4.1)."""
    with torch.device("meta"):
        model = Model(PRESETS["paper"], Vocabulary([]))
    count = lambda module: sum(p.numel() for p in module.parameters())  # noqa: E731
    parts = count(model.image), count(model.keyframes), count(model.interpolation)
    assert abs(sum(parts) / 9.4e9 - 1) < 0.02
    assert abs((parts[0] + parts[1]) / 7.7e9 - 1) < 0.02


def test_guidance_of_one_needs_no_second_pass_and_text_matters():
    model = toy()
    engine = TorchEngine(model.graphs())
    clips = [
        made(engine, model, wish(prompt, seed=3, frames=5))
        for prompt in ("lion drinking", "lion drinking", "penguin dancing")
    ]
    assert np.array_equal(clips[0].frames, clips[1].frames)
    assert not np.array_equal(clips[0].frames, clips[2].frames)
    greedy = wish("lion", seed=1, frames=1, guidance=1.0, temperature=0.0)
    again = replace(greedy, seed=2)
    one, two = (made(engine, model, r).frames for r in (greedy, again))
    assert np.array_equal(one, two)


@pytest.mark.parametrize(("frames", "rate"), [(1, 1), (5, 1), (8, 2), (17, 4), (33, 8)])
def test_number_of_frames_and_rate(frames, rate):
    model = toy()
    told = []
    clip = made(
        TorchEngine(model.graphs()),
        model,
        wish("lion", frames=frames),
        lambda done, total, what: told.append((done, total)),
    )
    assert clip.frames.shape == (frames, 32, 32, 3)
    assert clip.fps == rate
    assert told[-1][0] == told[-1][1] == len(told)


def test_too_many_frames_is_refused():
    with pytest.raises(UsageError, match="at most 33"):
        made(TorchEngine({}), toy(), wish("lion", frames=34))


def test_draws_follow_the_scores():
    """Without truncation the two levels together are the distribution itself."""
    labels = torch.tensor([0, 0, 1, 1, 2])
    shares = torch.tensor([0.1, 0.3, 0.25, 0.05, 0.3])
    draw = Draw(labels, Sampling(top_p=1.0, sharpen=1.0, temperature=1.0), np.random.default_rng(0))
    picks = draw(shares.log().repeat(20_000, 1), 1.0, 3)
    assert (
        torch.bincount(torch.from_numpy(picks), minlength=5) / 20_000 - shares
    ).abs().max() < 0.015
    narrow = replace(draw.sampling, top_p=0.5)
    picks = Draw(labels, narrow, np.random.default_rng(0))(shares.log().repeat(500, 1), 1.0, 3)
    assert set(picks.tolist()) == {1, 4}
    picks = draw(shares.log().repeat(500, 1), 1.0, 1)
    assert set(picks.tolist()) <= {0, 1}


def test_clusters_keep_like_with_like():
    torch.manual_seed(0)
    centres = torch.nn.functional.normalize(torch.randn(4, 6), dim=-1)
    codes = torch.nn.functional.normalize(
        centres.repeat_interleave(10, 0) + 0.02 * torch.randn(40, 6), dim=-1
    )
    labels = cluster_codes(codes, 4).view(4, 10)
    assert all(len(row.unique()) == 1 for row in labels)
    assert len(labels.unique()) == 4


def test_captions_are_padded_on_the_left_and_cut_on_the_right():
    rows, seen = encode_texts(TOY, WORDS, [("<2.0s>", "Lion, drinking!"), ("<still>", None)])
    pad, n = TOY.symbol("<pad>"), TOY.symbol("<n>")
    lion, drinking = TOY.word(0), TOY.word(2)
    assert rows[0].tolist() == [pad, pad, TOY.symbol("<2.0s>"), n, lion, drinking]
    assert rows[1].tolist()[3:] == [TOY.symbol("<still>"), n, TOY.symbol("<video>")]
    assert seen.tolist() == [[0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1]]
    long, _ = encode_texts(TOY, WORDS, [("<4.0s>", "lion " * 9)])
    assert long[0].tolist() == [TOY.symbol("<4.0s>"), n] + [lion] * 4


@pytest.mark.parametrize("frames", range(1, 34))
def test_interpolations_are_as_few_as_can_be(frames):
    level = levels_for(frames)
    assert 4 * 2**level + 1 >= frames
    assert level == 0 or 4 * 2 ** (level - 1) + 1 < frames


class Seconds:
    """A source whose clips have these lengths."""

    name = "clips"

    def __init__(self, *lengths: float) -> None:
        self.lengths = lengths

    def __len__(self) -> int:
        return len(self.lengths)

    def duration(self, index: int) -> float:
        return self.lengths[index]


def test_windows_take_the_lowest_rate_that_fits():
    windows = cut_windows(Seconds(9.0, 2.5, 0.7, 0.3), DURATIONS)  # pyright: ignore[reportArgumentType]
    assert windows == [
        Window(0, 0.0, 4.0),
        Window(0, 4.0, 4.0),
        Window(1, 0.0, 2.0),
        Window(2, 0.0, 0.5),
    ]
    with pytest.raises(UsageError, match="no clip of clips lasts 4") as caught:
        cut_windows(Seconds(2.5, 1.0), DURATIONS)  # pyright: ignore[reportArgumentType]
    assert caught.value.hint == "--set clip_seconds=2.0"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("clip_seconds", 3.0),
        ("image_size", 60),
        ("heads", 5),
        ("window", 3),
        ("positions", 10),
        ("layers", 0),
    ],
)
def test_bad_sizes_are_refused_by_name(field, value):
    with pytest.raises(UsageError, match=field):
        replace(TOY, **{field: value})


def test_first_frame_uses_only_the_image_graph():
    model = toy()
    engine = TorchEngine(model.graphs())
    asked = []
    run = engine.run
    engine.run = lambda graph, **inputs: asked.append(graph) or run(graph, **inputs)  # type: ignore[method-assign]
    draw = Draw(model.tokenizer.clusters, Sampling(), np.random.default_rng(0))
    told = encode_texts(TOY, WORDS, [(f"<{DURATIONS[0]}s>", "lion")])
    text, seen = map(torch.from_numpy, told)
    codes = first_frame(
        Loop(engine, TOY, draw, lambda: None), engine.run("text", text=text, seen=seen), 1.0
    )
    assert codes.shape == (1, 16)
    assert set(asked) == {"text", "image"}


def test_a_picture_opens_the_clip(tmp_path):
    from PIL import Image

    model = toy()
    engine = TorchEngine(model.graphs())
    pixels = np.random.default_rng(0).integers(0, 256, (40, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "lion.png")
    request = wish("lion drinking", image=str(tmp_path / "lion.png"), frames=5)
    told = []
    clip = made(engine, model, request, lambda *args: told.append(args))
    assert told[-1][0] == told[-1][1] == len(told)
    middle = torch.from_numpy(pixels[4:36]).movedim(-1, 0)[None].float() / 255
    codes = engine.run("encode", frames=middle)["indices"]
    shown = engine.run("decode", indices=codes)["pixels"][0].movedim(0, -1).numpy()
    assert np.abs(clip.frames[0] / 255 - shown).max() < 0.01
    with pytest.raises(UsageError, match="cogvideo has no steps"):
        ABOUT.check({"steps": 4})
