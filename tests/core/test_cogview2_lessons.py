"""CogLM's lessons: who sees whom, by rules written out here, and that nothing leaks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dln.core.errors import UsageError
from dln.core.models.cogview2 import coglm, lessons
from dln.core.models.cogview2.config import Config, RefinerConfig, TrainingConfig
from dln.core.models.layers.backbone import Backbone
from dln.core.models.layers.rows import SYMBOLS
from dln.core.models.layers.tokenizer import TokenizerConfig
from dln.core.text.vocabulary import Vocabulary

TEXTS, GRID, CODES = 6, 4, 40
N = GRID * GRID
CONFIG = Config(
    image_size=8 * GRID, text_length=TEXTS, width=16, layers=2, heads=2, image_position=TEXTS,
    positions=TEXTS + N + 1, iterative=RefinerConfig(8, 1, 2, 3),
    tokenizer=TokenizerConfig(codebook_size=CODES, clusters=3),
    training=TrainingConfig(patch=2, masked=0.5),
)  # fmt: skip
WORDS = Vocabulary(["lion", "drinking", "on", "grass", "cat"])
IMAGE = np.arange(N) + 3  # codes, each its own
PAD, START, NEW, STILL = (CODES + SYMBOLS.index(s)
                          for s in ("<pad>", "<start_of_image>", "<n>", "<still>"))  # fmt: skip
LION, DRINKING = (CODES + len(SYMBOLS) + n for n in (0, 1))


def made(kind: str, seed: int = 0) -> lessons.Lesson:
    rng = np.random.default_rng(seed)
    if kind == "text to image":
        return lessons.text_to_image(CONFIG, WORDS, "lion drinking", IMAGE)
    if kind == "regions":
        return lessons.regions(CONFIG, WORDS, "lion drinking", IMAGE, rng)
    if kind == "image to text":
        return lessons.image_to_text(CONFIG, WORDS, "lion drinking", IMAGE, rng)
    return lessons.infilling(CONFIG, WORDS, lambda: "lion drinking", rng)


KINDS = ("text to image", "regions", "image to text", "infilling")


def masked_of(lesson: lessons.Lesson) -> set[int]:
    """Codes of the causal region."""
    return {p for p in range(N) if lesson.rank[TEXTS + 1 + p] != coglm.GIVEN}


def allowed(kind: str, lesson: lessons.Lesson, i: int, j: int) -> bool:
    """Whether token i sees token j, case by case. Places: text, <start_of_image>, codes."""
    if i == j:
        return True
    if not lesson.present[j]:
        return False
    text_i, text_j, p, q = i < TEXTS, j < TEXTS, i - TEXTS - 1, j - TEXTS - 1
    masked = masked_of(lesson)
    if kind == "text to image":
        return text_j or (not text_i and j < i)
    if kind == "regions":
        if text_i:
            return text_j
        return text_j or q not in masked or (p in masked and q < p)
    if kind == "image to text":
        if text_i:
            return not text_j or j < i
        return not text_j and (q not in masked or (p in masked and q < p))
    spanned = {t for t in range(TEXTS) if lesson.rank[t] != coglm.GIVEN}
    return text_i and (j not in spanned or (i in spanned and j < i))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", KINDS)
def test_who_sees_whom(kind, seed):
    lesson = made(kind, seed)
    batch = lessons.stacked([lesson])
    ours = coglm.visible(batch.rank, batch.present, TEXTS)[0]
    for i in np.flatnonzero(lesson.present):
        for j in range(len(lesson.tokens)):
            assert bool(ours[i, j]) == allowed(kind, lesson, int(i), j), (kind, i, j)


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_that_is_not_seen_changes_no_score(kind):
    """Two layers, each token changed in turn: the scores that change are those of tokens that see
    it, all of them, and no other by a single bit; so no token sees what it is to predict."""
    torch.manual_seed(0)
    lesson = made(kind, 2)
    backbone = Backbone(CONFIG, len(WORDS))
    torch.nn.init.normal_(backbone.positions.weight)
    batch = lessons.stacked([lesson])

    @torch.no_grad()
    def scores(tokens: torch.Tensor) -> torch.Tensor:
        seen = coglm.visible(batch.rank, batch.present, TEXTS)
        return coglm.states(backbone, tokens.long(), batch.positions.long(), seen)[0]

    before = scores(batch.tokens)
    there = np.flatnonzero(lesson.present)
    for j in range(len(lesson.tokens)):
        tokens = batch.tokens.clone()
        tokens[0, j] = (tokens[0, j] + 1) % CODES
        changed = (scores(tokens) != before).any(-1)
        for i in there:
            assert bool(changed[i]) == allowed(kind, lesson, int(i), j), (i, j)
    for i in np.flatnonzero(lesson.scored):
        assert not allowed(kind, lesson, int(i), int(i) + 1)


def test_a_picture_is_drawn_below_its_text():
    lesson = made("text to image")
    prompt = [PAD, PAD, STILL, NEW, LION, DRINKING]
    assert lesson.tokens.tolist() == [*prompt, START, *IMAGE]
    assert lesson.positions.tolist() == [0, 0, 0, 1, 2, 3, *range(TEXTS, TEXTS + N + 1)]
    assert lesson.scored.tolist() == [False] * TEXTS + [True] * N + [False]
    assert lesson.labels[TEXTS : TEXTS + N].tolist() == IMAGE.tolist()


@pytest.mark.parametrize("kind", ["regions", "image to text"])
def test_of_a_patch_the_first_column_is_not_predicted(kind):
    """Two patches of two by two: what is predicted is the right neighbour, within one patch."""
    for seed in range(20):
        lesson = made(kind, seed)
        masked, first = masked_of(lesson), TEXTS + 1
        assert 4 < len(masked) <= 8
        for p in range(N):
            row, column = divmod(p, GRID)
            fits = any(
                {(r * GRID + c) for r in (top, top + 1) for c in (column - 1, column)} <= masked
                for top in (row - 1, row) if 0 <= top < GRID - 1
            ) and column > 0  # fmt: skip
            if lesson.scored[first + p - 1]:
                assert fits
                assert lesson.labels[first + p - 1] == IMAGE[p]
        assert lesson.scored[first - 1 :].sum() >= len(masked) / 4
        assert not lesson.scored[first - 1]


def test_a_caption_follows_its_picture():
    """It begins after <n>, ends with <pad>; <start_of_image> is not there."""
    lesson = made("image to text")
    assert lesson.tokens[:4].tolist() == [NEW, LION, DRINKING, PAD]
    assert lesson.present[:TEXTS].tolist() == [True] * 4 + [False] * 2
    assert lesson.labels[:3].tolist() == [LION, DRINKING, PAD]
    assert lesson.scored[:TEXTS].tolist() == [True] * 3 + [False] * 3
    assert not lesson.present[TEXTS]
    assert lesson.positions[:4].tolist() == [0, 1, 2, 3]
    long = lessons.image_to_text(CONFIG, WORDS, "lion " * 9, IMAGE, np.random.default_rng(0))
    assert long.tokens[:TEXTS].tolist() == [NEW, *[LION] * 5]
    assert long.scored[:TEXTS].sum() == 5


@pytest.mark.parametrize("masking", ["patches", "share"])
def test_how_much_is_masked(masking):
    """20 x 20 codes: the released code takes 20 patches, whatever their overlaps; the paper goes on
    until three quarters are masked."""
    rng, found = np.random.default_rng(0), []
    share = 0.8 if masking == "patches" else 0.75
    training = TrainingConfig(masking=masking, masked=share)
    for _ in range(50):
        masked, predicted = lessons.masked_patches(20, training, rng)
        assert not (predicted & ~masked).any()
        found.append(masked.sum())
    if masking == "patches":
        assert min(found) > 100
        assert max(found) <= 320
        assert np.mean(found) == pytest.approx(400 * (1 - np.exp(-0.8)), rel=0.1)
    else:
        assert min(found) >= 300
        assert max(found) < 316


def test_spans_hold_a_share_of_the_text():
    """Poisson's lengths, at least 1, within 15 %; each region begins after the one before it."""
    rng, lengths = np.random.default_rng(0), []
    for _ in range(300):
        found = lessons.spans(400, rng)
        assert sum(n for _, n in found) <= 60
        ends = [0, *(start + n + 1 for start, n in found)]
        assert all(start >= end for (start, _), end in zip(found, ends, strict=False))
        assert ends[-1] <= 400
        lengths += [n for _, n in found[:5]]
    assert np.mean(lengths) == pytest.approx(3 + np.exp(-3), rel=0.05)
    assert min(lengths) == 1
    assert lessons.spans(6, rng)[0][1] == 1
    assert lessons.spans(1, rng) == []


def test_infilling_takes_text_alone():
    lesson = made("infilling")
    assert lesson.tokens[:TEXTS].tolist() == [NEW, LION, DRINKING] * 2
    assert not lesson.present[TEXTS:].any()
    assert 1 <= lesson.scored.sum() <= 2


def test_shares_of_lessons_are_shares():
    with pytest.raises(UsageError, match="more than 1"):
        TrainingConfig(regions=0.5, captions=0.6)
    with pytest.raises(UsageError, match="masking"):
        replace(CONFIG.training, masking="all")
