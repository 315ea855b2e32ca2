"""NUWA-Infinity's networks: their sizes, what hangs on what, and that a pool forgets nothing."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dln.core.data.vistas import vocabulary
from dln.core.errors import UsageError
from dln.core.models.layers.attention import Pair
from dln.core.models.nuwa_infinity.config import PRESETS, SYMBOLS, WAYS, Config, VqganConfig
from dln.core.models.nuwa_infinity.directions import (
    PATHS,
    Box,
    Order,
    centre,
    offset,
    outward,
    split,
    straight,
)
from dln.core.models.nuwa_infinity.judge import PatchJudge, adaptive_weight, fooling, telling
from dln.core.models.nuwa_infinity.model import Model
from dln.core.models.nuwa_infinity.neighbourhood import Neighbourhood
from dln.core.models.nuwa_infinity.pool import Pool
from dln.core.models.nuwa_infinity.rendering import PatchObjective, PictureObjective, pieces
from dln.core.models.nuwa_infinity.text import encode_captions
from dln.core.models.nuwa_infinity.transformer import HIDDEN, NONE, Transformer
from dln.core.models.nuwa_infinity.vqgan import Vqgan
from dln.core.text.vocabulary import Vocabulary

READER = Vocabulary(["a", "lake", "at", "dusk"])
SMALL = Config(
    patch=2, extent_rows=1, extent_columns=1, extent_frames=1, width=24, layers=2, heads=3,
    text_length=4,
    vqgan=VqganConfig(
        codebook_size=16, code_dim=4, encoder_widths=(6, 4), encoder_blocks=(1, 1),
        decoder_widths=(8, 4), decoder_blocks=(1, 1), guide_widths=(5, 3), judge_width=2,
    ),
)  # fmt: skip


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.fixture
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.double)
    yield
    torch.set_default_dtype(torch.float)


def drawn(config: Config = SMALL) -> Model:
    """A model in double precision, every weight of which changes what comes out."""
    torch.manual_seed(0)
    model = Model(config, READER if config.text_length else None)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.double().eval()


def test_the_published_sizes():
    large = PRESETS["large"]
    silent, shared = replace(large, text_length=0), replace(large, positions="vector")
    with torch.device("meta"):
        made = [parameters(Transformer(c, 0)) for c in (PRESETS["base"], large, silent, shared)]
    heads, vector = 24 * 20 * 25, 1280 * 25
    assert made == [202_211_776, 809_076_704, 651_010_784, 809_076_704 - heads + vector]


def test_tiny_fits_a_package():
    model = Model(PRESETS["tiny"], Vocabulary(vocabulary()))
    assert 2 * sum(tensor.numel() for tensor in model.state_dict().values()) <= 16e6


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"width": 25}, "divisible"),
        ({"positions": "some"}, "positions"),
        ({"extent_rows": 64, "extent_columns": 64}, "reach"),
        ({"patch": 0}, "patch"),
    ],
)
def test_sizes_that_cannot_be(given: dict[str, Any], word: str):
    with pytest.raises(UsageError, match=word):
        replace(SMALL, **given)


def test_levels_that_do_not_match():
    with pytest.raises(UsageError, match="decoder_blocks has 1 levels"):
        VqganConfig(decoder_blocks=(1,))
    with pytest.raises(UsageError, match="at least one level"):
        VqganConfig((1), 1, (), (), (), (), ())  # fmt: skip


def dense(model: Model, patches: Tensor, order: Order, caption: str | None, clip: bool = False):
    """All patches of one sample at once, (N, M) codes -> logits (N, M, codes): nothing is ever
    forgotten, a mask says what sees what."""
    net, config = model.transformer, model.config
    ways = [order.way(n) for n in range(len(order))]
    rows, told = encode_captions(config, READER, [caption] * len(ways), ways, clip)
    text, padding = net.read(rows) if config.text_length else None, (1 - told) * HIDDEN
    count, length, heads = len(patches), config.tokens + 1, config.heads
    places = [order.place(n) for n in range(count)]
    table, middle = torch.full((count, count), NONE), offset((0, 0, 0), (0, 0, 0), config.extents)
    for here in range(count):
        for there in range(here):
            apart = zip(places[here], places[there], config.extents, strict=True)
            if all(abs(a - b) <= e for a, b, e in apart):
                table[here, there] = offset(places[here], places[there], config.extents)
        table[here, here] = middle
    # (query's patch, its place, key's patch, its place)
    seen = (table != NONE)[:, None, :, None].repeat(1, length, 1, length)
    seen[..., 0] &= torch.eye(count, dtype=torch.bool)[:, None]
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    for n in range(count):
        seen[n, :, n] = causal
    x = net.codes(model.vqgan.codebook.codes[patches])
    x = torch.cat([net.start.expand(count, 1, -1), x], dim=1) + net.places
    for layer in net.blocks:
        q, k, v = layer.attention.qkv(layer.norm1(x)).unflatten(-1, (3, heads, -1)).unbind(2)
        added = net.directions(layer)
        scores = torch.einsum("nqhd,mkhd->hnqmk", q, k)
        if added is not None:
            near = torch.einsum("nqhd,nmhd->hnqm", q, added[table.clamp(min=0)])
            scores = scores + near[..., None]
        scores = (scores * q.shape[-1] ** -0.5).masked_fill(~seen, -torch.inf)
        weights = scores.flatten(3).softmax(-1).view(scores.shape)
        out = torch.einsum("hnqmk,mkhd->nqhd", weights, v).flatten(2)
        x = layer.finish(x, out, layer.remembered(text), padding)
    return net.head(net.norm(x[:, :-1]))


def told(model: Model, captions: list[str | None], way: str) -> dict[str, Any]:
    """What steps are given of captions."""
    if not model.config.text_length:
        return {}
    rows, seen = encode_captions(model.config, READER, captions, [way, way], clip=False)
    padding, k, v = model.graphs()["text"].module(rows, seen)
    return {"padding": padding, "text_k": list(k), "text_v": list(v)}


@torch.no_grad()
def stepwise(
    model: Model, order: Order, given: Tensor, captions: list[str | None]
) -> tuple[Tensor, Tensor]:
    """The first patches are given, (B, G, M), the others drawn code by code, the likeliest each;
    -> all patches (B, N, M), and the logits (B, N, M, codes)."""
    config, step, batch = model.config, model.graphs()["step"].module, len(given)
    pool: Pool[Pair] = Pool(order, config.extents)
    texts = {way: told(model, captions, way) for way in WAYS}
    start = torch.full((batch, 1), config.codes)
    patches, logits = [], []
    for number in range(len(order)):
        around = Neighbourhood(config, pool, number, torch.empty(batch))
        codes, found, text = start, [], texts[order.way(number)]
        if number < given.shape[1]:
            codes = torch.cat([start, given[:, number]], dim=1)
            places = torch.arange(config.tokens + 1)
            made, k, v = step(codes, places, **around.seen(config.tokens + 1), **text)
            around.add(k, v)
            found = [made[:, :-1]]
        for place in range(config.tokens + 1) if not found else ():
            made, k, v = step(codes[:, -1:], torch.tensor([place]), **around.seen(1), **text)
            around.add(k, v)
            if place < config.tokens:
                found.append(made)
                codes = torch.cat([codes, made.argmax(-1)], dim=1)
        pool.add(number, around.finished())
        pool.remove(number)
        patches.append(codes[:, 1:])
        logits.append(torch.cat(found, dim=1))
    return torch.stack(patches, 1), torch.stack(logits, 1)


ORDERS = [straight(name, 2, 2, 3) for name in PATHS] + [outward(1, 4, 3, Box(1, 1, 3, 2))]


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("order", ORDERS, ids=[*PATHS, "outward"])
@pytest.mark.parametrize("positions", ["heads", "vector", "none"])
def test_drawing_with_the_pool_is_computing_all_anew(order: Order, positions: str):
    model = drawn(replace(SMALL, positions=positions))
    captions = ["a lake", None]
    given = torch.randint(SMALL.codes, (2, 2, SMALL.tokens))
    patches, logits = stepwise(model, order, given, captions)
    for sample, caption in enumerate(captions):
        expected = dense(model, patches[sample], order, caption)
        assert (logits[sample] - expected).abs().max() < 1e-6
    assert len(patches.unique()) > 4
    assert torch.equal(patches[:, :2], given)


@torch.no_grad()
@pytest.mark.usefixtures("double")
def test_a_model_without_text():
    model = drawn(replace(SMALL, text_length=0))
    order, nothing = ORDERS[0], torch.empty(1, 0, SMALL.tokens, dtype=torch.long)
    patches, logits = stepwise(model, order, nothing, [None])
    assert "text" not in model.graphs()
    assert (logits[0] - dense(model, patches[0], order, None)).abs().max() < 1e-6


def lessons(clip: bool = False) -> dict[str, Any]:
    """Two samples of different orders, whose contexts differ in size."""
    ways = ["down-left", "right-up"]
    rows, seen = encode_captions(SMALL, READER, ["a lake at dusk", None], ways, clip)
    codes = torch.randint(SMALL.codes, (2, 1 + clip, 4, 6))
    order = torch.tensor([WAYS.index(way) for way in ways])
    grid = (1 + clip, 2, 3)
    patches = split(codes, SMALL.patch, [straight(way, *grid) for way in ways])
    told = {"grid": torch.tensor([grid] * 2), "order": order, "text": rows, "seen": seen}
    return {"patches": patches, **told}


@pytest.mark.parametrize("clip", [False, True])
def test_training_computes_what_drawing_computes(clip: bool):
    model, batch = drawn(), lessons(clip)
    objective = PatchObjective(model.transformer, model.vqgan.codebook)
    found = [float(objective(piece)["loss"].detach()) for piece in pieces(SMALL, batch)]
    orders = [straight(WAYS[n], 1 + clip, 2, 3) for n in batch["order"]]
    expected = []
    for own, order, caption in zip(batch["patches"], orders, ["a lake at dusk", None], strict=True):
        logits = dense(model, own, order, caption, clip)
        losses = F.cross_entropy(logits.transpose(1, 2).float(), own, reduction="none")
        expected.append(losses.mean(1))
    assert torch.tensor(found) == pytest.approx(torch.stack(expected).mean(0).detach(), abs=1e-6)
    whole = PictureObjective(objective)(batch)["loss"]
    assert float(whole.detach()) == pytest.approx(sum(found) / len(found), abs=1e-6)


def test_no_gradient_reaches_patches_that_are_finished():
    """Their states are what they were, yet the keys made of them learn."""
    model, batch = drawn(), lessons()
    objective = PatchObjective(model.transformer, model.vqgan.codebook)
    for piece in pieces(SMALL, batch):
        model.zero_grad()
        kept = [state for pool in piece["pools"].pools for state in pool.held.values()]
        assert not any(state.requires_grad for state in kept)
        objective(piece)["loss"].backward()
        table = model.transformer.blocks[0].attention.offsets.grad
        assert table is not None
        pools = piece["pools"]
        used = {n for pool in pools.pools for n in pool.offsets(pools.number)}
        used.add(centre(SMALL.extents))
        assert set(table.abs().sum(1).nonzero().flatten().tolist()) == used


def test_a_step_after_each_patch_lowers_the_loss():
    torch.manual_seed(0)
    model, batch = Model(SMALL, READER), lessons()
    objective = PatchObjective(model.transformer, model.vqgan.codebook)
    optimizer = torch.optim.Adam(model.transformer.parameters(), 0.01)
    means = []
    for _ in range(12):
        losses = []
        for piece in pieces(SMALL, batch):
            optimizer.zero_grad()
            loss = objective(piece)["loss"]
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        means.append(sum(losses) / len(losses))
    assert means[-1] < 0.7 * means[0]


def test_captions():
    captions, ways = ["a lake", None, "a lake at a lake"], ["right-up", "down-right", "right-up"]
    rows, seen = encode_captions(SMALL, READER, captions, ways, clip=True)
    clip, up, right = (4 + SYMBOLS.index(s) for s in ("<clip>", "<right-up>", "<down-right>"))
    assert rows.tolist() == [[clip, up, 0, 1], [clip, right, 0, 0], [clip, up, 0, 1]]
    assert seen.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 1]]
    picture, _ = encode_captions(SMALL, READER, captions, ways, clip=False)
    assert set(picture[:, 0].tolist()) == {4 + SYMBOLS.index("<picture>")}


@torch.no_grad()
def test_a_part_decodes_as_within_the_whole():
    vqgan = drawn().vqgan
    margin, cell = vqgan.guided_margin, SMALL.vqgan.cell
    codes = torch.randint(SMALL.codes, (1, 2 * margin + 2, 2 * margin + 5))
    before = torch.rand(1, 3, *(cell * side for side in codes.shape[1:]), dtype=torch.double)
    for plain, wide in ((True, vqgan.margin), (False, margin)):
        whole = vqgan.decode(codes, None if plain else before)
        first = margin - wide
        box = slice(first, first + 2 * wide + 1)
        pixels = slice(cell * box.start, cell * box.stop)
        part = vqgan.decode(codes[:, box, box], None if plain else before[..., pixels, pixels])
        inner = slice(cell * wide, cell * (wide + 1))
        there = slice(cell * margin, cell * (margin + 1))
        assert whole.shape == before.shape
        assert torch.equal(part[..., inner, inner].round(decimals=9),
                           whole[..., there, there].round(decimals=9))  # fmt: skip


def test_the_frame_before_helps_where_it_is_given():
    model = Model(SMALL, READER)
    pictures, before = torch.rand(2, 1, 3, 8, 8)
    plain, guided = model.vqgan(pictures)[0], model.vqgan(pictures, before)[0]
    assert torch.equal(plain, guided)  # it begins at nothing
    guided.sum().backward()
    slopes = [weight.grad for weight in model.vqgan.guide.into.parameters()]
    assert all(slope is not None and slope.any() for slope in slopes)
    vqgan = drawn().vqgan
    codes = vqgan.encode(pictures.double())
    assert codes.shape == (1, 2, 2)
    assert not torch.equal(vqgan.decode(codes), vqgan.decode(codes, before.double()))


def test_the_adversary():
    torch.manual_seed(0)
    judge = PatchJudge(4)
    real, fake = torch.rand(2, 3, 3, 32, 48)
    assert judge(real).shape == (3, 1, 4, 6)
    assert float(telling(torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.0]))) == 0.375
    assert float(fooling(torch.tensor([1.0, 3.0]))) == -2
    optimizer = torch.optim.Adam(judge.parameters(), 0.01)
    real[..., ::2] = 1  # stripes
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = telling(judge(real), judge(fake))
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]


def test_the_adversary_counts_as_much_as_the_likeness():
    torch.manual_seed(0)
    vqgan, judge = Vqgan(SMALL.vqgan), PatchJudge(2)
    pictures = torch.rand(1, 3, 16, 16)
    made, _ = vqgan(pictures)
    likeness, adversarial = (made - pictures).abs().mean(), 100 * fooling(judge(made))
    weight = adaptive_weight(likeness, adversarial, vqgan.last)
    sizes = [
        torch.autograd.grad(loss, vqgan.last, retain_graph=True)[0].norm()
        for loss in (likeness, weight * adversarial)
    ]
    assert float(sizes[1] / sizes[0]) == pytest.approx(0.8, rel=0.001)
    assert vqgan.last.shape[0] == 12  # the colours of 2 x 2 pixels
    nothing = adaptive_weight(likeness, 0 * adversarial, vqgan.last)
    assert float(nothing) == pytest.approx(min(0.8e4, 0.8e4 * float(sizes[0])), rel=1e-4)
