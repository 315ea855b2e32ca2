"""Pictures of CogView2: what is filled anew, what stays, which of several is kept, captions."""

import numpy as np
import pytest
import torch
from PIL import Image

from dln.core.errors import UsageError
from dln.core.generation.generate import generate
from dln.core.models.cogview2 import sample as sampling
from dln.core.models.cogview2.captions import caption
from dln.core.models.cogview2.region import Box, Region, parsed
from dln.core.models.registry import MODELS
from dln.core.models.request import Request

from .toy_cogview2 import engine, toy

RNG = np.random.default_rng(0)


@pytest.fixture
def made(tmp_path):
    """The toy as a file, ready to draw."""
    from dln.core.models.package import load_model, save_model

    save_model(tmp_path / "toy.safetensors", toy(), {"model": "cogview2"})
    loaded = load_model(tmp_path / "toy.safetensors")

    def draw(prompt: str = "lion drinking", seed: int = 1, **asked) -> np.ndarray:
        return generate(loaded, Request.of(prompt, seed, asked), device="cpu").clip.frames[0]

    return draw


def picture(tmp_path, height: int, width: int) -> tuple[str, np.ndarray]:
    pixels = RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)
    path = tmp_path / f"{height}x{width}.png"
    Image.fromarray(pixels).save(path)
    return str(path), pixels


def test_pictures_are_three_times_as_large_unless_told(made):
    assert made().shape == (96, 96, 3)
    assert made(upsample=False).shape == (32, 32, 3)
    assert not np.array_equal(made(), made(refine=False))
    assert np.array_equal(made(seed=3), made(seed=3))


@pytest.mark.parametrize("upsample", [True, False])
@pytest.mark.parametrize("size", [(32, 32), (50, 81), (120, 64)])
def test_outside_of_the_region_all_stays_bit_for_bit(made, tmp_path, size, upsample):
    path, before = picture(tmp_path, *size)
    after = made(image=path, mask="5,9,31,30", upsample=upsample)
    assert after.shape == before.shape
    inside = np.zeros(size, bool)
    inside[9:30, 5:31] = True
    assert np.array_equal(after[~inside], before[~inside])
    assert (after[inside] != before[inside]).mean() > 0.9


def test_a_region_of_another_seed_is_another_one(made, tmp_path):
    path, _ = picture(tmp_path, 32, 32)
    one, other = (made(image=path, mask="8,8,24,24", seed=seed) for seed in (1, 2))
    assert not np.array_equal(one, other)


def test_what_lies_in_the_region_has_no_say():
    """The codes that were there change nothing of what is drawn."""
    region = Region(np.zeros((32, 32, 3), np.uint8), Box(8, 8, 24, 24))
    free, codes = region.masked(4), RNG.integers(0, 50, 16)
    found = []
    for there in (0, 5):
        loop = sampling.start_loop(engine(), toy(), Request("lion", 1))
        found.append(loop.drawn("lion", np.where(free, there, codes)[None], free))
    assert np.array_equal(*found)
    assert np.array_equal(found[0][0][~free], codes[~free])


def test_codes_with_a_pixel_of_the_region_are_drawn():
    region = Region(np.zeros((32, 32, 3), np.uint8), Box(8, 0, 17, 8))
    assert np.flatnonzero(region.masked(4)).tolist() == [1, 2]
    assert region.masked(12).reshape(12, 12)[:, 2:7].sum() == 3 * 4
    wide = Region(np.zeros((40, 100, 3), np.uint8), Box(90, 10, 95, 12))
    assert wide.square == Box(60, 0, 100, 40)
    assert Region(wide.picture, Box(45, 10, 55, 30)).square == Box(30, 0, 70, 40)
    assert Region(wide.picture, Box(0, 0, 40, 40)).square == Box(0, 0, 40, 40)


@pytest.mark.parametrize(
    ("mask", "told"),
    [
        ("1,2,3", "four numbers"),
        ("1,2,3,x", "four numbers"),
        ("-1,2,3,4", "four numbers"),
        ("5,5,5,9", "no pixel"),
        ("0,0,33,8", "beyond the picture"),
        ("0,0,60,8", "beyond the picture"),
    ],
)
def test_masks_that_cannot_be_are_refused(made, tmp_path, mask, told):
    path, _ = picture(tmp_path, 32, 32)
    with pytest.raises(UsageError, match=told):
        made(image=path, mask=mask)


def test_a_region_too_long_for_a_square_is_refused():
    with pytest.raises(UsageError, match="too long"):
        Region(np.zeros((20, 60, 3), np.uint8), Box(0, 0, 30, 10))
    assert parsed(" 1, 2,3,4") == Box(1, 2, 3, 4)


def test_a_mask_goes_with_a_picture(made, tmp_path):
    path, _ = picture(tmp_path, 32, 32)
    with pytest.raises(UsageError, match="there is none"):
        made(mask="0,0,8,8")
    with pytest.raises(UsageError, match="none is told"):
        made(image=path)


def test_of_several_the_one_that_tells_the_prompt_best_is_kept(monkeypatch):
    """The scores decide, whatever they are."""
    loop = sampling.start_loop(engine(), toy(), Request(settings={"candidates": 3}))
    drawn = []

    def told(engine, model, codes, prompt):
        drawn.append(codes)
        return np.array([0.0, -1.0, 2.0])

    monkeypatch.setattr(sampling, "told_by", told)
    kept = loop.coarse("lion drinking", None, None)
    assert drawn[0].shape == (3, 16)
    assert np.array_equal(kept[0], drawn[0][2])
    assert not np.array_equal(drawn[0][0], drawn[0][2])


def test_a_caption_is_made_of_known_words():
    pixels = RNG.random((2, 3, 32, 32), dtype=np.float32)
    words = caption(engine(), toy(), pixels).split()
    assert len(words) < toy().config.text_length
    assert {*words} <= {*toy().reader.words}


def test_frames_vote_on_every_word():
    """The likeliest word of the mean log share: two frames that are sure outvote one."""
    model = toy()
    first = model.config.word(0) - model.config.codes
    table = torch.full((3, first + len(model.reader)), 0.0)
    table[:2, first + 1], table[2, first + 2] = 2.0, 3.5

    class Sure:
        name = "sure"

        def run(self, graph: str, **inputs):
            out = engine().run(graph, **inputs)
            if graph == "words":
                ended = inputs["places"] > 0
                scores = table.clone()
                scores[:, 0] = 50.0 if ended else -50.0
                out["logits"] = scores[:, None]
            return out

    pixels = torch.zeros(3, 3, 32, 32).numpy()
    assert caption(Sure(), model, pixels) == model.reader.words[1]
    table[2, first + 2] = 6.0
    assert caption(Sure(), model, pixels) == model.reader.words[2]


def test_what_is_drawn_is_told_by_its_about():
    about = MODELS["cogview2"]
    assert about.gives == "picture"
    about.check({"mask": "0,0,8,8", "image": "x.png", "upsample": False})
    with pytest.raises(UsageError, match="makes no clips"):
        about.check({"frames": 3})
