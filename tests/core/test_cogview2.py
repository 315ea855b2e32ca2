"""CogView2's sizes, its cached steps against the whole sequence, draws of a whole picture."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from dln.core.errors import DlnError, UsageError
from dln.core.models.cogview2 import coglm, lessons
from dln.core.models.cogview2.about import Sampling
from dln.core.models.cogview2.captions import looked_at, told_by
from dln.core.models.cogview2.config import PRESETS, Config
from dln.core.models.cogview2.grid_draw import GridDraw
from dln.core.models.cogview2.model import Model
from dln.core.models.cogview2.rollout import Rollout
from dln.core.models.cogview2.rounds import ROUNDS, priorities
from dln.core.models.cogview2.sample import start_loop
from dln.core.models.cogview2.upsample import Upsampler
from dln.core.models.layers.draw import Draw
from dln.core.models.locate import bundled
from dln.core.models.package import load_model
from dln.core.models.registry import MODELS
from dln.core.models.request import Request
from dln.core.text.vocabulary import Vocabulary

from .toy_cogview2 import engine, toy


def test_the_published_sizes_count_as_published():
    """From the shapes alone: 48 layers of 3072, 150 010 rows, 1024 and 3600 positions."""
    width, layers = 3072, 48
    attention = (3 * width * width + 3 * width) + (width * width + width)
    layer = (
        attention + 4 * 2 * width + (4 * width * width + 4 * width) + (4 * width * width + width)
    )
    backbone = 150_010 * width + 1024 * width + layers * layer + 2 * width
    with torch.device("meta"):
        model = Model(PRESETS["paper"], Vocabulary([]))
    count = {
        name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()
    }
    assert count["image"] == backbone == 5_902_307_328
    assert count["direct"] == layers * attention + 3600 * width
    assert count["iterative"] == backbone + 3600 * width


def test_with_the_super_resolutions_cogvideo_stays_below_thirty_megabytes():
    model = Model(PRESETS["tiny"], Vocabulary(load_model("cogvideo").model.reader.words))  # pyright: ignore
    more = sum(p.numel() for part in (model.direct, model.iterative) for p in part.parameters())
    assert bundled(MODELS["cogvideo"]).stat().st_size + 2 * more < 29.5e6


def test_its_tokenizer_and_backbone_are_cogvideos():
    """The same tensors, but for the position of a picture's last code as an input."""
    theirs = load_model("cogvideo").model
    ours = Model(PRESETS["tiny"], Vocabulary(theirs.reader.words))  # pyright: ignore
    own = {
        k: v.shape
        for k, v in ours.state_dict().items()
        if k.split(".")[0] in ("tokenizer", "image")
    }
    there = {k: v.shape for k, v in theirs.state_dict().items() if k in own}
    assert own.keys() == there.keys()
    assert {k for k in own if own[k] != there[k]} == {"image.positions.weight"}
    assert own["image.positions.weight"][0] == there["image.positions.weight"][0] + 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"image_size": 40}, "multiple of 16"),
        ({"kernel": 4}, "kernel must be odd"),
        ({"positions": 80}, "less than the 81"),
        ({"direct_layers": 7}, "more than layers"),
        ({"heads": 3}, "not divisible"),
    ],
)
def test_sizes_that_cannot_be_are_refused(change, told):
    with pytest.raises(UsageError, match=told):
        Config(**change)


class Told(Draw):
    """A draw that is told each code, and remembers the scores."""

    def __init__(self, codes: list[int]) -> None:  # pyright: ignore
        self.codes, self.scores = list(codes), []

    def __call__(self, logits: torch.Tensor, guidance: float, top: int) -> torch.Tensor:
        self.scores.append(logits)
        return torch.tensor([self.codes.pop(0)])


@pytest.mark.parametrize("region", [None, (5,), (0, 1, 4), (3, 4, 15), tuple(range(16))])
def test_cached_steps_say_what_the_whole_sequence_says(region):
    """Code after code with what is given read at once, and all at once as in training: in front of
    a code that is drawn, the scores are the same."""
    model, codes = toy(), torch.arange(16) + 7
    free = torch.ones(16, dtype=torch.bool)
    if region is not None:
        free = torch.zeros(16, dtype=torch.bool).index_fill(0, torch.tensor(region), True)
    loop = start_loop(engine(), model, Request(settings={"guidance": 1.0}))
    loop.draw = told = Told(codes[free].tolist())
    given = torch.where(free, 0, codes)[None].numpy()
    assert np.array_equal(loop.drawn("lion drinking", given, free.numpy())[0], codes)

    lesson = lessons.text_to_image(model.config, model.reader, "lion drinking", codes.numpy())
    texts, asked = model.config.text_length, free.numpy()
    causal = np.concatenate([asked, [False]]) | np.concatenate([[False], asked])
    lesson.rank[texts:] = np.where(causal, np.arange(17), coglm.GIVEN)
    with torch.no_grad():
        _, whole = coglm.logits(model.image, lessons.stacked([lesson]))
    theirs = whole[0, :-1][free]
    assert torch.allclose(torch.cat(told.scores), theirs, atol=1e-4 * float(theirs.abs().max()))


def test_guidance_pulls_away_from_no_prompt():
    """The second half of the batch has <video> for the words."""
    model = toy()
    loop = start_loop(engine(), model, Request(settings={"guidance": 3.0}))
    loop.draw = told = Told(list(range(16)))
    loop.drawn("lion drinking", np.zeros((1, 16), int), np.ones(16, dtype=bool))
    assert {len(each) for each in told.scores} == {2}
    assert not torch.allclose(told.scores[3][0], told.scores[3][1])


def test_a_prompt_is_judged_as_captions_are_learnt():
    model, codes = toy(), torch.arange(32).view(2, 16)
    ours = told_by(engine(), model, codes.numpy(), "lion drinking")
    rng = np.random.default_rng(0)
    for row, score in zip(codes.numpy(), ours, strict=True):
        lesson = lessons.image_to_text(model.config, model.reader, "lion drinking", row, rng)
        lesson.rank[model.config.text_length :] = coglm.GIVEN
        with torch.no_grad():
            words, _ = coglm.logits(model.image, lessons.stacked([lesson]))
        picked = torch.from_numpy(lesson.labels[:3] - model.config.codes)
        theirs = words[0, :3].log_softmax(-1).gather(-1, picked[:, None]).sum()
        assert float(score) == pytest.approx(float(theirs), rel=1e-4)


def test_what_a_rollout_does_not_know_yet_is_hidden():
    """Room that is not filled changes nothing."""
    model = toy()
    rows = torch.full((1, model.config.text_length), model.config.symbol("<n>"))
    text = engine().run("text", text=rows, seen=torch.ones_like(rows))
    token, place = np.array([[3]]), np.array([2])
    found = [Rollout(engine(), text, room).read("image", token, place) for room in (1, 12)]
    assert torch.allclose(found[0], found[1], atol=1e-5)
    looked = looked_at(engine(), model, np.arange(16)[None])
    assert looked.cache.used == model.config.text_length + 16


def test_draws_of_a_picture_follow_the_shares():
    """Clusters by their sums among the best, then codes in them, sharper: counted over many."""
    labels = torch.tensor([0, 1, 0, 2, 1])
    scores = torch.tensor([0.5, 0.2, 0.15, 0.1, 0.05]).log()
    draw = GridDraw(labels, np.random.default_rng(0))
    many = 40_000
    everywhere = np.ones((1, many), dtype=bool)
    drawn = draw.clustered(scores.expand(1, many, -1), everywhere, (1.0, 0.5, 2))
    counts = Counter(drawn.ravel().tolist())
    first, second = 0.65 / 0.9, 0.25 / 0.9  # the third cluster is cut off
    expected = {
        0: first * 0.5**2 / (0.5**2 + 0.15**2), 2: first * 0.15**2 / (0.5**2 + 0.15**2),
        1: second * 0.2**2 / (0.2**2 + 0.05**2), 4: second * 0.05**2 / (0.2**2 + 0.05**2),
    }  # fmt: skip
    assert counts.keys() == expected.keys()
    for code, share in expected.items():
        assert counts[code] / many == pytest.approx(share, abs=0.01)
    found = draw.likeliest(scores.expand(1, many, -1), everywhere, (1.0, 2))
    found = Counter(found.flatten().tolist())
    assert found.keys() == {0, 1}
    assert found[0] / many == pytest.approx(0.5 / 0.7, abs=0.01)


def test_pictures_of_a_batch_share_their_numbers():
    draw = GridDraw(torch.arange(50) % 7, np.random.default_rng(0))
    logits = torch.randn(1, 30, 50).expand(3, -1, -1)
    asked = np.ones((3, 30), dtype=bool)
    drawn = draw.clustered(logits, asked, (1.0, 0.9, 7))
    assert (drawn == drawn[0]).all()
    assert len(np.unique(drawn[0])) > 10
    assert np.array_equal(draw.clustered(logits, asked, (0, 0.9, 7)), logits.argmax(-1))
    assert np.array_equal(draw.likeliest(logits, asked, (0, 7)), logits.argmax(-1))
    cold = draw.clustered(logits, asked, (1e-40, 0.9, 7))
    assert np.array_equal(cold, logits.argmax(-1))


@pytest.mark.parametrize("kind", ["clustered", "likeliest"])
def test_what_else_is_asked_for_changes_no_draw(kind):
    """The number of a place is its own: some of it asked for gives the same codes there."""
    spread = (1.0, 0.9, 7) if kind == "clustered" else (1.0, 7)
    logits, some = torch.randn(2, 30, 50), np.random.default_rng(1).random((2, 30)) < 0.4
    found = [
        getattr(GridDraw(torch.arange(50) % 7, np.random.default_rng(0)), kind)(
            logits, asked, spread
        )
        for asked in (np.ones_like(some), some)
    ]
    assert np.array_equal(found[0][some], found[1][some])
    assert not found[1][~some].any()


def test_damaged_weights_are_told():
    with pytest.raises(DlnError, match="of no cluster"):
        GridDraw(torch.tensor([0, 5]), np.random.default_rng(0))
    draw = GridDraw(torch.tensor([0, 1]), np.random.default_rng(0))
    with pytest.raises(DlnError, match="not finite"):
        draw.clustered(torch.tensor([[[0.0, float("nan")]]]), np.ones((1, 1), bool), (1.0, 1.0, 1))


class Rounds:
    """An engine that wants code 9 wherever it is asked, and remembers where it was."""

    name = "rounds"

    def __init__(self) -> None:
        self.asked: list[torch.Tensor] = []

    def run(self, graph: str, **inputs) -> dict[str, torch.Tensor]:
        assert graph == "iterative"
        self.asked.append(inputs["codes"] == 99)
        logits = torch.zeros(*inputs["codes"].shape, 50)
        logits[..., 9] = 100
        return {"logits": logits}


@pytest.mark.parametrize("limited", [False, True])
def test_six_rounds_ask_for_fewer_and_fewer(limited):
    fine, rounds = np.zeros((2, 144), int), Rounds()
    free = np.arange(144) % 2 == 0 if limited else None
    everywhere = np.ones(144, dtype=bool) if free is None else free
    text = np.zeros((1, 5), int), np.ones((1, 5), int)
    draw = GridDraw(torch.arange(50) % 7, np.random.default_rng(0))
    upsampler = Upsampler(rounds, draw, Sampling(fine_temperature=1.0))
    made = upsampler.refined(text, fine, 99, free)
    order = priorities(12)
    for number, asked in enumerate(rounds.asked, start=1):
        wanted = (order >= number) & everywhere
        assert np.array_equal(asked, [wanted, wanted])
    assert len(rounds.asked) == len(ROUNDS)
    changed = (order >= 1) & everywhere
    assert np.array_equal(made == 9, [changed, changed])
    assert np.array_equal(made == 0, [~changed, ~changed])


def test_the_refiner_has_sizes_of_its_own():
    refiner = replace(PRESETS["tiny"], text_length=40).refiner
    assert (refiner.width, refiner.layers, refiner.text_length) == (128, 3, 16)
    assert refiner.codes == PRESETS["tiny"].codes
