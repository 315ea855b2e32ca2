"""NUWA-Infinity's loop: any size, around what is given, one engine as the other."""

import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

sys.path.append(str(Path(__file__).parents[1]))
from micro import MICRO  # pyright: ignore[reportMissingImports]

from dln.core.errors import DlnError, UsageError
from dln.core.generation.generate import generate, stream
from dln.core.metrics.world import world_of
from dln.core.models.engine import TorchEngine
from dln.core.models.layers.pixels import to_frames, to_pixels
from dln.core.models.nuwa_infinity.about import Sampling
from dln.core.models.nuwa_infinity.config import Config
from dln.core.models.nuwa_infinity.directions import Box
from dln.core.models.nuwa_infinity.draw import Draw
from dln.core.models.nuwa_infinity.edges import edges
from dln.core.models.nuwa_infinity.layout import around, blank
from dln.core.models.nuwa_infinity.model import Model
from dln.core.models.nuwa_infinity.parts import Parts
from dln.core.models.nuwa_infinity.sample import Drawing, check, sample
from dln.core.models.nuwa_infinity.vqgan import PART
from dln.core.models.package import Loaded
from dln.core.models.registry import MODELS, load
from dln.core.models.request import Request
from dln.core.progress import unheard
from dln.core.runs.build import resolve_config
from dln.core.text.vocabulary import Vocabulary

SYSTEM = load(MODELS["nuwa-infinity"])
CONFIG: Config = resolve_config(SYSTEM, "tiny", MICRO["nuwa-infinity"])
RNG = np.random.default_rng(0)
SIDE = CONFIG.side  # 8 pixels


def drawn(**changes: Any) -> Model:
    """A micro model whose every weight changes what comes out."""
    torch.manual_seed(0)
    config = replace(CONFIG, **changes)
    model = Model(config, Vocabulary(["lake", "dusk"]) if config.text_length else None)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    return model.eval()


MODEL = drawn()


def made(model: Model = MODEL, prompt: str = "lake", seed: int = 1, **asked: Any) -> np.ndarray:
    """The frames of a request, uint8 (T, H, W, 3)."""
    request = Request.of(prompt, seed, asked)
    return sample(TorchEngine(model.graphs()), model, request, unheard).clip().frames


@pytest.fixture
def photo(tmp_path: Path) -> Any:
    """photo((H, W)) -> a picture of noise, and its file."""

    def photo(size: tuple[int, int]) -> tuple[np.ndarray, str]:
        pixels = RNG.integers(0, 256, (*size, 3), np.uint8)
        path = tmp_path / f"{size[0]}-{size[1]}.png"
        Image.fromarray(pixels).save(path)
        return pixels, str(path)

    return photo


@pytest.mark.parametrize("size", [(1, 1), (9, 40), (40, 9), (16, 16)])
def test_any_size_is_the_corner_of_one_of_whole_patches(size):
    frames = made(size=size)
    rows, columns = (SIDE * -(-side // SIDE) for side in size)
    assert frames.shape == (1, *size, 3)
    assert np.array_equal(frames[0], made(size=(rows, columns))[0, : size[0], : size[1]])


def test_the_prompt_the_seed_and_the_settings_decide():
    size = (16, 32)
    asked: list[dict[str, Any]] = [
        {}, {"prompt": "dusk"}, {"prompt": ""}, {"seed": 2}, {"guidance": 5.0},
        {"temperature": 0.0}, {"top_k": 2}, {"top_p": 0.2},
    ]  # fmt: skip
    pictures = [made(size=size, **each) for each in asked]
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)
    assert np.array_equal(pictures[0], made(size=size))
    assert np.array_equal(made(size=(8, 8), top_k=1), made(size=(8, 8), temperature=0.0))


EXTENSIONS = [
    {"left": 5, "right": 9, "up": 3, "down": 20},
    {"left": 8, "right": 0},
    {"down": 1},
]


@pytest.mark.parametrize("size", [(1, 1), (3, 11), (17, 12)])
@pytest.mark.parametrize("extend", EXTENSIONS)
def test_given_pixels_stay_to_the_bit(size, extend, photo):
    pixels, path = photo(size)
    (found,) = made(image=path, extend=extend)
    top, left, right, down = (extend.get(name, 0) for name in ("up", "left", "right", "down"))
    assert found.shape == (top + size[0] + down, left + size[1] + right, 3)
    assert np.array_equal(found[top : top + size[0], left : left + size[1]], pixels)


def test_what_codes_do_not_say_of_a_picture_fades_around_it():
    """Codes that say 100 of a picture that is brighter at its right: no step where it ends."""
    picture = np.full((20, 40, 3), 110, np.uint8)
    picture[:, 30:] = 140
    place = Box(30, 50, 50, 90)
    told = edges(picture, place, [np.full((n, 3), 100.0) for n in (40, 40, 20, 20)], far=10)
    whole = np.full((80, 120, 3), 100, np.uint8)
    told.carry_on(whole, 0, 0)
    inside = whole[30:50, 50:90].copy()
    assert (inside == 100).all()
    line = whole[40, :, 0].astype(int)
    assert np.all(np.diff(line[90:102]) <= 0)
    assert line[90] == 136
    assert line[49] == 109
    assert (line[101:] == 100).all()
    assert (line[:40] == 100).all()
    around = np.pad(whole[29:51, 49:91], 0).astype(int)
    ring = np.concatenate([around[0], around[:, -1], around[-1, ::-1], around[::-1, 0]])[:, 0]
    assert np.abs(np.diff(ring)).max() <= 5  # as smooth as along the border, also at corners
    parts = np.full((80, 120, 3), 100, np.uint8)
    for top in range(0, 80, 16):
        told.carry_on(parts[top : top + 16, 7:], top, 7)
    assert np.array_equal(parts[:, 7:], whole[:, 7:])


def test_what_lies_around_a_picture_hangs_on_it(photo):
    one, other = (made(image=photo(size)[1], extend={"right": 16})[0, :, -16:]
                  for size in ((8, 8), (8, 16)))  # fmt: skip
    assert not np.array_equal(one, other)


def test_a_picture_in_motion_begins_with_itself(photo):
    pixels, path = photo((9, 12))
    frames = made(image=path, frames=3)
    assert frames.shape == (3, 9, 12, 3)
    assert np.array_equal(frames[0], pixels)
    wide = made(image=path, frames=2, extend={"left": 4})
    assert np.array_equal(wide[0, :, 4:], pixels)
    assert made(image=path, frames=2, size=(8, 8)).shape == (2, 8, 8, 3)


def test_a_clip_goes_on_however_long_it_is_to_be():
    short, long = (made(frames=frames, size=(8, 8)) for frames in (3, 5))
    assert np.array_equal(short, long[:3])
    assert len({frame.tobytes() for frame in long}) > 1


def test_frames_are_drawn_with_the_help_of_the_one_before():
    """Their codes decoded alone are something else."""
    request = Request("lake", 1, frames=2, size=(8, 8))
    engine, layout = TorchEngine(MODEL.graphs()), blank(CONFIG, (8, 8))
    first, second = Drawing(engine, MODEL, request, layout, None).frames()
    again = Drawing(engine, MODEL, request, layout, None)
    codes = [[codes.copy() for _, codes in again.drawn(frame)][-1] for frame in (0, 1)]
    shown, told = (torch.from_numpy(each)[None] for each in codes)
    before = to_pixels(first)
    with torch.inference_mode():
        assert np.array_equal(to_frames(MODEL.vqgan.decode(shown)), first)
        assert np.array_equal(to_frames(MODEL.vqgan.decode(told, before)), second)
        assert not np.array_equal(to_frames(MODEL.vqgan.decode(told)), second)


def test_parts_are_the_whole(monkeypatch):
    """Codes of a photograph and its pixels, also where parts meet."""
    monkeypatch.setattr("dln.core.models.nuwa_infinity.parts.PART", 3)
    parts = Parts(TorchEngine(MODEL.graphs()), MODEL.vqgan)
    pixels = RNG.integers(0, 256, (30, 44, 3), np.uint8)
    margin = 4 * 8  # more than the encoder sees
    mirrored = np.pad(pixels, ((margin, margin + 2), (margin, margin), (0, 0)), mode="symmetric")
    with torch.inference_mode():
        whole = MODEL.vqgan.encode(to_pixels(mirrored)[None])[0, 8:16, 8:19]
        codes = parts.encode(pixels, 8, 11)
        assert np.array_equal(codes, whole)
        assert len(np.unique(codes)) > 5
        decoded = to_frames(MODEL.vqgan.decode(whole[None]))[0]
        guided = to_frames(MODEL.vqgan.decode(whole[None], to_pixels(decoded)[None]))[0]
    box = Box(1, 2, 8, 10)
    for before, expected in ((None, decoded), (decoded, guided)):
        found = parts.decode(codes, box, before).astype(int)
        assert np.abs(found - expected[4:32, 8:40]).max() <= 1  # of 255: sums in another order
        assert (found == expected[4:32, 8:40]).mean() > 0.99
        some = parts.decode(codes, box, before, Box(1, 2, 5, 8))  # the first of parts of 3 x 3
        assert not some[:12, :24].any()
        assert np.array_equal(some[12:], found[12:])
        assert np.array_equal(some[:, 24:], found[:, 24:])


def test_a_model_without_words_and_one_without_clips():
    silent = drawn(text_length=0)
    assert made(silent, "", size=(8, 8), frames=2).shape == (2, 8, 8, 3)
    refused(silent.config, "lake", "no prompt")
    still = replace(CONFIG, extent_frames=0)
    refused(still, "lake", "no clips", frames=2)
    check(still, Request("lake", frames=1))


def test_weights_that_were_taught_no_words():
    about = replace(MODELS["nuwa-infinity"], module="nuwa_infinity")
    torch.manual_seed(0)
    model = Model(CONFIG, Vocabulary([]))
    loaded = Loaded(model, about, {}, "0" * 64, Path("m.safetensors"), False)
    assert generate(loaded, Request("", 1, size=(8, 8))).clip.frames.shape == (1, 8, 8, 3)
    with pytest.raises(UsageError, match="taught no words"):
        generate(loaded, Request("a lake", 1, size=(8, 8)))
    assert not world_of(loaded, "vistas").text
    assert world_of(replace(loaded, model=MODEL), "vistas").text


def refused(config: Config, prompt: str, words: str, **asked: Any) -> None:
    with pytest.raises(UsageError, match=words):
        check(config, Request.of(prompt, 0, asked))


def test_what_cannot_be_made_is_said_before_it_is_tried(photo):
    _, path = photo((3, 4))
    refused(CONFIG, "", "there is none", extend={"left": 1})
    refused(CONFIG, "", "more is made to its sides", image=path)
    refused(CONFIG, "", "their sum", image=path, extend={"left": 1}, size=(8, 8))
    refused(CONFIG, "", "too many", size=(16_384, 16_384))
    refused(CONFIG, "", "too many", image=path, extend={"left": 16_384})
    for nothing in ({}, {"left": 0}, {"left": -1}, {"top": 3}, {"left": True}, [1, 2], "left"):
        with pytest.raises(UsageError, match="an extension"):
            Request.of("", 0, {"extend": nothing})


def test_of_an_animated_gif_the_first_frame_is_taken(tmp_path):
    shades = [Image.new("RGB", (9, 8), (shade, 0, 0)) for shade in (10, 200)]
    shades[0].save(tmp_path / "two.gif", save_all=True, append_images=shades[1:])
    (found,) = made(image=str(tmp_path / "two.gif"), extend={"right": 3})
    assert (found[:, :9] == [10, 0, 0]).all()


def test_damaged_scores_are_named():
    draw = Draw(Sampling(), np.random.default_rng(0))
    with pytest.raises(DlnError, match="damaged"):
        draw(torch.tensor([[0.0, torch.nan]]))


def test_draws_follow_the_shares():
    logits = torch.tensor([[0.0, 3.0, 2.0, 1.0]])
    shares = logits[0].exp() / logits[0].exp().sum()
    draws = {
        name: np.bincount([draw(logits) for _ in range(2000)], minlength=4) / 2000
        for name, draw in {
            "all": Draw(Sampling(temperature=1.0, top_p=1.0), np.random.default_rng(0)),
            "two": Draw(Sampling(temperature=1.0, top_k=2), np.random.default_rng(0)),
            "most": Draw(Sampling(temperature=1.0, top_p=0.7), np.random.default_rng(0)),
        }.items()
    }
    assert draws["all"] == pytest.approx(shares.numpy(), abs=0.03)
    assert draws["two"] == pytest.approx([0, np.e / (1 + np.e), 1 / (1 + np.e), 0], abs=0.03)
    assert draws["most"][[0, 3]].sum() == 0
    assert draws["most"][2] > 0
    guided = Draw(Sampling(guidance=3.0, temperature=0.0), np.random.default_rng(0))
    assert guided(torch.tensor([[1.0, 0.9], [1.0, 0.5]])) == 1


@pytest.mark.parametrize("turned", [False, True])
def test_memory_does_not_grow_with_the_longer_side(turned):
    """What the pool holds is the same; besides, there are a hundredth of the pixels as codes, and
    the pixels of a band and their levels, which is as high as all of a wide picture here."""
    sizes = [(16, side)[:: -1 if turned else 1] for side in (128, 512)]
    peak(sizes[0])  # what is kept once and for all is there by then
    (few, small), (many, large) = (peak(size) for size in sizes)
    pixels = 3 * 16 * (512 - 128)
    assert few == many == 3  # of two rows: a column, and one more
    assert large - small < (2 if turned else 3.6) * pixels


def peak(size: tuple[int, ...]) -> tuple[int, int]:
    """Patches at once in the pool, and bytes, of a picture; its codes are what they may be."""
    request, engine = Request("", 1), TorchEngine(MODEL.graphs())
    drawing = Drawing(engine, MODEL, request, blank(CONFIG, (size[0], size[1])), None)
    held: list[int] = []

    def known(number: int, codes: np.ndarray) -> np.ndarray:
        done = Drawing.patch(drawing, number, np.arange(len(codes)))  # one step instead of five
        held.append(len(drawing.pool.held))
        return done

    drawing.patch = known  # pyright: ignore[reportAttributeAccessIssue]
    tracemalloc.start()
    rows = sum(band.shape[1] for band in drawing.bands())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows == size[0]
    return max(held), most


def test_the_order_follows_the_shorter_side_and_goes_outwards():
    assert blank(CONFIG, (20, 90)).order(CONFIG, 1).ways[0] == "down-right"
    assert blank(CONFIG, (90, 20)).order(CONFIG, 1).ways[0] == "right-down"
    layout = around(CONFIG, (17, 12), {"left": 9, "down": 4})
    assert (layout.rows, layout.columns, layout.size) == (3, 4, (21, 21))
    order = layout.order(CONFIG, 1)
    assert order.path[:4] == (
        (0, 2),
        (1, 2),
        (0, 3),
        (1, 3),
    )  # whole ones; row 2 has a row of codes
    assert layout.known == Box(0, 4, 5, 8)


def test_one_door_and_its_progress():
    heard: list[tuple[int, int, str]] = []
    about = replace(MODELS["nuwa-infinity"], module="nuwa_infinity")
    loaded = Loaded(MODEL, about, {}, "0" * 64, Path("m.safetensors"), False)
    request = Request("", 1, size=(8, 24))
    first = stream(loaded, request, on_progress=lambda *told: heard.append(told)).stream
    assert first.banded
    assert not heard
    assert np.array_equal(first.clip().frames, generate(loaded, request).clip.frames)
    assert heard == [(1, 3, "patches"), (2, 3, "patches"), (3, 3, "patches")]


def test_rows_of_a_tall_picture_come_while_others_are_still_to_be_drawn():
    heard: list[int] = []
    request, engine = Request("", 1, size=(200, 8)), TorchEngine(MODEL.graphs())
    rows = sample(engine, MODEL, request, lambda done, *_: heard.append(done)).bands()
    first = next(rows)
    margin = MODEL.vqgan.margin
    assert first.shape == (4 * PART, 8, 3)
    assert heard[-1] == -(-(PART + margin) // CONFIG.patch) < 25
    assert sum(map(len, rows)) == 200 - len(first)
    assert heard[-1] == 25
