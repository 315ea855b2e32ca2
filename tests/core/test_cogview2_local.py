"""Local attention, tile by tile, against each pair of tokens judged by itself."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from dln.core.models.cogview2.config import Config, RefinerConfig
from dln.core.models.cogview2.direct import DirectSR
from dln.core.models.cogview2.iterative import IterativeSR
from dln.core.models.cogview2.local import attend_parts, gathered, tiles
from dln.core.models.cogview2.rounds import PRIORITIES, ROUNDS, priorities
from dln.core.models.layers.backbone import Backbone
from dln.core.models.layers.tokenizer import TokenizerConfig

SMALL = Config(
    image_size=32, text_length=5, width=16, layers=2, heads=2, image_position=5, positions=22,
    iterative=RefinerConfig(8, 1, 2, 3),
    tokenizer=TokenizerConfig(codebook_size=30, clusters=3),
)  # fmt: skip


def naive(q, k, v, above_k, above_v, kernel: int, cross: int):
    """One query after the other: q, k, v: (H, M, D) row after row, above_*: (H, N, D)."""
    side, grid = int(q.shape[1] ** 0.5), int(above_k.shape[1] ** 0.5)
    out = torch.empty_like(q)
    for place in range(side * side):
        y, x = divmod(place, side)
        own = [r * side + c for r in range(y - kernel + 1, y + kernel)
               for c in range(x - kernel // 2, x + kernel // 2 + 1)
               if 0 <= r < side and 0 <= c < side]  # fmt: skip
        above = [r * grid + c for r in range(y // 3 - cross // 2, y // 3 + cross // 2 + 1)
                 for c in range(x // 3 - cross // 2, x // 3 + cross // 2 + 1)
                 if 0 <= r < grid and 0 <= c < grid]  # fmt: skip
        keys, values = (torch.cat([a[:, above], b[:, own]], 1)
                        for a, b in ((above_k, k), (above_v, v)))  # fmt: skip
        scores = (q[:, place, None] * keys).sum(-1) / q.shape[-1] ** 0.5
        out[:, place] = (scores.softmax(-1)[..., None] * values).sum(1)
    return out


@pytest.mark.parametrize(("grid", "kernel", "cross"), [(2, 5, 5), (4, 5, 5), (6, 3, 1), (4, 1, 3)])
def test_tiles_see_what_each_token_sees(grid, kernel, cross):
    torch.manual_seed(grid)
    q, k, v = torch.randn(3, 2, 9 * grid * grid, 4)
    above_k, above_v = torch.randn(2, 2, grid * grid, 4)
    order, inverse, _, fine, coarse = tiles(grid, kernel, cross)
    qt, kt, vt = (t[None, :, order] for t in (q, k, v))
    parts = [(gathered(above_k[None], coarse), gathered(above_v[None], coarse), coarse.bias),
             (gathered(kt, fine), gathered(vt, fine), fine.bias)]  # fmt: skip
    ours = attend_parts(qt, parts)[0, inverse]
    theirs = naive(q, k, v, above_k, above_v, kernel, cross).transpose(0, 1).flatten(1)
    assert (ours - theirs).abs().max() < 1e-5


def test_a_window_reaches_four_rows_and_two_columns():
    """What a code changes: nothing beyond its window of one layer, exactly."""
    torch.manual_seed(0)
    config = replace(SMALL, image_size=64, positions=80)
    network = IterativeSR(config, 0)
    text = torch.full((1, 3), config.symbol("<video>"))
    codes = torch.zeros(1, 576, dtype=torch.long)
    other = codes.clone()
    other[0, 12 * 24 + 12] = 7
    with torch.no_grad():
        one, two = (network(text, torch.ones_like(text), each) for each in (codes, other))
    changed = (one != two).any(-1).view(24, 24)
    assert changed[8:17, 10:15].all()
    assert changed.sum() == 9 * 5


def test_direct_super_resolution_looks_at_the_coarse_codes_around():
    """One layer: a coarse code changes the fine ones of five by five cells, no text does."""
    torch.manual_seed(0)
    config = replace(SMALL, image_size=128, positions=280, layers=1)
    backbone, network = Backbone(config, 0), DirectSR(config)
    text = torch.full((1, 5), config.symbol("<video>"))
    coarse = torch.zeros(1, 256, dtype=torch.long)
    other = coarse.clone()
    other[0, 7 * 16 + 8] = 7

    def run(text, coarse):
        with torch.no_grad():
            return network(backbone, text, torch.ones_like(text), coarse)

    changed = (run(text, coarse) != run(text, other)).any(-1).view(48, 48)
    assert changed[15:30, 18:33].all()
    assert changed.sum() == 15 * 15
    assert torch.equal(run(text, coarse), run(text + 1, coarse))


def test_padding_is_seen_by_nobody():
    torch.manual_seed(0)
    backbone, direct = Backbone(SMALL, 0), DirectSR(SMALL)
    iterative = IterativeSR(SMALL, 0)
    seen = torch.tensor([[0, 0, 1, 1, 1]])
    text = torch.tensor([[30, 30, 31, 32, 33]])
    other = torch.tensor([[5, 6, 31, 32, 33]])
    coarse, fine = torch.randint(30, (1, 16)), torch.randint(30, (1, 144))
    with torch.no_grad():
        for run in (lambda t: direct(backbone, t, seen, coarse),
                    lambda t: iterative(t[:, 1:4], seen[:, 1:4], fine)):  # fmt: skip
            assert torch.equal(run(text), run(other))


def test_direct_super_resolution_begins_as_the_backbone():
    """Its attention is the backbone's, its positions those of the small picture, three times over
    in each direction."""
    backbone, direct = Backbone(SMALL, 0), DirectSR(SMALL)
    direct.start_from(backbone)
    first = backbone.blocks[0].attention.qkv.weight
    assert torch.equal(direct.at(0).qkv.weight, first)
    rows = direct.positions.weight.view(3, 4, 3, 4, 16)
    assert torch.equal(rows[2, 1, 0, 3], backbone.positions.weight[5 + 4 + 3])


def test_fine_tokens_may_go_through_the_last_layers_alone():
    """They begin as the attention of that very layer, and look at what the ones below made."""
    torch.manual_seed(0)
    whole = DirectSR(SMALL)
    last = DirectSR(replace(SMALL, direct_layers=1))
    assert (whole.first, last.first) == (0, 1)
    backbone = Backbone(SMALL, 0)
    last.start_from(backbone)
    assert torch.equal(last.at(1).qkv.weight, backbone.blocks[1].attention.qkv.weight)
    text, coarse = torch.full((1, 5), 31), torch.randint(30, (1, 16))
    with torch.no_grad():
        before = last(backbone, text, torch.ones_like(text), coarse)
        backbone.blocks[0].attention.qkv.weight.zero_()  # coarse codes go through both layers
        after = last(backbone, text, torch.ones_like(text), coarse)
    assert not torch.equal(before, after)


def test_fine_tokens_may_begin_as_the_coarse_code_that_they_lie_in():
    """Of one layer whose attention says nothing, a code then changes its own nine alone."""
    torch.manual_seed(0)
    config = replace(SMALL, layers=1, direct_input="coarse")
    backbone, network = Backbone(config, 0), DirectSR(config)
    torch.nn.init.zeros_(network.at(0).dense.weight)
    text, coarse = torch.full((1, 5), 31), torch.zeros(1, 16, dtype=torch.long)
    other = coarse.clone()
    other[0, 1 * 4 + 2] = 7

    def changed(network: DirectSR) -> torch.Tensor:
        with torch.no_grad():
            one, two = (network(backbone, text, torch.ones_like(text), c) for c in (coarse, other))
        return (one != two).any(-1).view(12, 12)

    assert changed(network)[3:6, 6:9].all()
    assert changed(network).sum() == 9
    network.config = replace(config, direct_input="opening")
    assert not changed(network).any()


def test_each_round_draws_fewer_codes_anew():
    """Of 36: 25 in the first round, then 22, 18, 14, 9, 4 ... as the table has it."""
    table = priorities(24).reshape(24, 24)
    assert (table[6:12, 12:18] == PRIORITIES).all()
    drawn = [int((priorities(6) >= number).sum()) for number in range(1, len(ROUNDS) + 1)]
    assert drawn == sorted(drawn, reverse=True)
    assert drawn[0] == 36 - int((torch.tensor(PRIORITIES) <= 0).sum())
    assert len(ROUNDS) == max(max(row) for row in PRIORITIES)


def test_gradients_reach_what_direct_super_resolution_learns_alone():
    backbone, direct = Backbone(SMALL, 0).requires_grad_(False), DirectSR(SMALL)
    text = torch.full((2, 5), 31)
    logits = direct(backbone, text, torch.ones_like(text), torch.randint(30, (2, 16)))
    F.cross_entropy(logits.flatten(0, 1), torch.randint(30, (288,))).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in direct.parameters())
    assert all(p.grad is None for p in backbone.parameters())
