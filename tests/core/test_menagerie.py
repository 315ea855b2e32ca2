"""The menagerie: stories, their pictures and their captions."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dln.core.data.menagerie import (
    ACTIONS,
    ACTORS,
    CLIP_SECONDS,
    HELD_OUT,
    NAMES,
    SCENES,
    SPEEDS,
    Story,
    backdrop,
    caption,
    describe,
    draw_story,
    render,
    vocabulary,
)

SEEDS = st.integers(0, 2**32 - 1)
SECONDS = np.arange(5.0)
LANGUAGES = st.sampled_from(["en", "ru", None])
WORDS = set(vocabulary())


def split(text: str) -> list[str]:
    return text.replace("ё", "е").split()


def changed(frame: np.ndarray, story: Story) -> np.ndarray:
    """Where a frame differs from its empty scene: bool (size, size)."""
    return (frame != backdrop(story, frame.shape[0])).any(axis=-1)


def water(frame: np.ndarray) -> int:
    """Pixels as blue as the water in the glass."""
    red, green, blue = frame.astype(int).transpose(2, 0, 1)
    return int(((blue > 190) & (red < 90) & (green < 150)).sum())


def centre(mask: np.ndarray) -> tuple[float, float]:
    """Mean (x, y) of the foreground."""
    y, x = np.nonzero(mask)
    return float(x.mean()), float(y.mean())


@given(SEEDS, st.sampled_from([False, True, None]))
def test_a_seed_draws_one_story(seed, held_out):
    story = draw_story(seed, held_out=held_out)
    assert story == draw_story(seed, held_out=held_out)
    assert story.seed == seed
    assert abs(story.offset_x) <= 4
    assert isinstance(story.offset_x, int)


@given(SEEDS)
def test_held_out_pairs_are_kept_apart(seed):
    seen, unseen = draw_story(seed), draw_story(seed, held_out=True)
    assert (seen.actor, seen.action) not in HELD_OUT
    assert (unseen.actor, unseen.action) in HELD_OUT


def test_held_out_pairs_are_balanced():
    actors, actions = zip(*HELD_OUT, strict=True)
    assert sorted(actors) == sorted(ACTORS)
    assert max(actions.count(action) for action in ACTIONS) <= 2
    assert not HELD_OUT & {("lion", "drinking"), ("penguin", "dancing"), ("penguin", "sofa")}


def test_every_choice_is_drawn_and_named():
    stories = [draw_story(seed) for seed in range(400)]
    for slot, values in zip(
        ("actor", "action", "scene", "speed"), (ACTORS, ACTIONS, SCENES, SPEEDS), strict=True
    ):
        assert {getattr(story, slot) for story in stories} == set(values)
        assert set(values) <= set(NAMES)


@given(SEEDS)
def test_fixed_choices_are_kept(seed):
    fixed: dict[str, str] = {
        "actor": "lion",
        "action": "drinking",
        "scene": "snow",
        "speed": "fast",
    }
    story = draw_story(seed, held_out=False, **fixed)
    assert {slot: getattr(story, slot) for slot in fixed} == fixed


@pytest.mark.parametrize(
    ("held_out", "fixed", "named"),
    [
        (False, {"actor": "lion", "action": "waving"}, "lion waving"),
        (True, {"actor": "lion", "action": "drinking"}, "lion drinking"),
        (None, {"actor": "unicorn"}, "unicorn"),
        (None, {"weather": "rain"}, "weather"),
    ],
)
def test_contradictions_are_named(held_out: bool | None, fixed: dict[str, str], named: str):
    with pytest.raises(ValueError, match=named):
        draw_story(0, held_out=held_out, **fixed)


@given(SEEDS, st.integers(0, 40), st.integers(0, 5))
def test_phase_is_periodic(seed, step, cycles):
    story, time = draw_story(seed), step / 8
    assert story.phase(0.0) == 0.0
    assert 0 <= story.phase(time) < 1
    assert story.phase(time) == story.phase(time + cycles * story.period)


@given(SEEDS, st.sampled_from([16, 33, 64]))
@settings(max_examples=25, deadline=None)
def test_frames_are_reproducible_and_independent(seed, size):
    story = draw_story(seed, held_out=None)
    frames, masks = render(story, [0.0, 1.3, 2.7], size)
    assert frames.shape == (3, size, size, 3)
    assert masks.shape == (3, size, size)
    assert frames.dtype == masks.dtype == np.uint8
    assert set(np.unique(masks)) == {0, 255}
    alone, mask = render(story, [1.3], size)
    assert np.array_equal(alone[0], frames[1])
    assert np.array_equal(mask[0], masks[1])


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_outside_the_mask_is_the_empty_scene(seed):
    story = draw_story(seed, held_out=None)
    frames, masks = render(story, SECONDS)
    for frame, mask in zip(frames, masks, strict=True):
        assert not (changed(frame, story) & (mask == 0)).any()
        assert 0.1 < (mask > 0).mean() < 0.75


def test_everything_renders_at_32_pixels():
    for actor, action, scene in product(ACTORS, ACTIONS, SCENES):
        frames, _ = render(Story(actor, action, scene, "fast"), [0.5], 32)
        assert frames.std() > 10


@pytest.mark.parametrize("scene", SCENES)
def test_scenes_have_distinct_variants(scene):
    story = Story("cat", "waving", scene, "slow")
    looks = {backdrop(replace(story, variant=variant)).tobytes() for variant in range(3)}
    assert len(looks) == 3


@pytest.mark.parametrize("actor", ACTORS)
@pytest.mark.parametrize("scene", SCENES)
def test_actors_stand_out_from_scenes(actor, scene):
    story = Story(actor, "waving", scene, "slow")
    frames, masks = render(story, [0.0])
    difference = np.abs(frames[0].astype(int) - backdrop(story)).max(axis=-1)
    assert np.median(difference[masks[0] > 0]) > 40


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("speed", SPEEDS)
def test_motion_shows_at_one_frame_a_second(action, speed):
    frames, _ = render(Story("dog", action, "room", speed), SECONDS)
    steps = np.abs(np.diff(frames.astype(int), axis=0)).max(axis=-1) > 30
    moving = steps.mean(axis=(1, 2)) > 0.01
    assert moving[:1].all()
    assert moving.sum() >= 2


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("speed", SPEEDS)
def test_motion_is_smooth_at_eight_frames_a_second(action, speed):
    story = Story("bear", action, "forest", speed)
    _, masks = render(story, np.arange(33) / 8)
    x = np.array([centre(mask) for mask in masks])
    assert np.abs(np.diff(x, axis=0)).max() < 8


@pytest.mark.parametrize("speed", SPEEDS)
def test_drinking_empties_the_glass(speed):
    story = Story("lion", "drinking", "savanna", speed)
    levels = [water(frame) for frame in render(story, story.period * np.array([0, 0.5, 0.82]))[0]]
    assert levels[0] > 1.2 * levels[1] > 1.2 * 1.5 * levels[2]


def test_walkers_cross_from_left_to_right():
    for speed, reach in (("slow", 20), ("fast", 27)):
        _, masks = render(Story("cat", "walking", "beach", speed), [0.0, CLIP_SECONDS])
        start, stop = (centre(mask)[0] for mask in masks)
        assert stop - start == pytest.approx(reach, abs=2)


def test_jumpers_rise_and_sleepers_lie_down():
    _, (ground, apex) = render(Story("frog", "jumping", "snow", "fast"), [0.0, 1.0])
    assert centre(apex)[1] < centre(ground)[1] - 5
    _, (awake, asleep) = render(Story("frog", "sleeping", "snow", "fast"), [0.0, 2.0])
    assert centre(asleep)[1] > centre(awake)[1] + 3


def test_spinners_show_their_backs():
    frames, _ = render(Story("penguin", "spinning", "snow", "fast"), [0.0, 1.0])
    orange = [(frame[..., 0] > 200) & (frame[..., 2] < 100) for frame in frames.astype(int)]
    assert orange[1].sum() < orange[0].sum()


@given(SEEDS, LANGUAGES, st.sampled_from([False, True]))
@settings(max_examples=400)
def test_captions_say_what_happens(seed, language, held_out):
    story = draw_story(seed, held_out=held_out)
    text = caption(story, np.random.default_rng(seed), language)
    words, told = split(text), describe(text)
    assert text == text.lower()
    assert len(words) <= 13
    assert set(words) <= WORDS
    assert (told["actor"], told["action"]) == (story.actor, story.action)
    assert told["scene"] in (None, story.scene)
    assert told["speed"] in (None, story.speed)


def test_captions_name_scene_and_speed_as_often_as_promised():
    rng = np.random.default_rng(0)
    texts = [caption(draw_story(seed), rng) for seed in range(3000)]
    told = [describe(text) for text in texts]
    assert np.mean([t["scene"] is not None for t in told]) == pytest.approx(0.60, abs=0.04)
    assert np.mean([t["speed"] is not None for t in told]) == pytest.approx(0.25, abs=0.04)
    assert np.mean([text.isascii() for text in texts]) == pytest.approx(0.60, abs=0.04)
    assert np.mean([len(split(text)) == 2 for text in texts]) == pytest.approx(0.16, abs=0.04)


@pytest.mark.parametrize(
    "text", ["lion drinking", "penguin on a sofa", "penguin dancing", "cat playing ball"]
)
def test_short_prompts_are_captions(text):
    told = describe(text)
    story = Story(told["actor"] or "", told["action"] or "", "snow", "slow")
    rng = np.random.default_rng(0)
    assert text in {caption(story, rng, "en") for _ in range(300)}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("A lion drinks water in the snow!", ("lion", "drinking", "snow", None)),
        ("cat with a ball", ("cat", "playing", None, None)),
        ("Медленно пьёт лев", ("lion", "drinking", None, "slow")),
        ("лев пьет на пляже", ("lion", "drinking", "beach", None)),
        ("пингвин на диване", ("penguin", "sofa", None, None)),
        ("a lion sleeping on a sofa", ("lion", "sleeping", None, None)),
        ("a teapot", (None, None, None, None)),
    ],
)
def test_prompts_are_read(text, told):
    assert tuple(describe(text).values()) == told


def test_vocabulary_is_compact_and_used():
    rng = np.random.default_rng(1)
    used = {
        word
        for seed in range(5000)
        for word in split(caption(draw_story(seed, held_out=None), rng))
    }
    assert vocabulary() == sorted(used)
    assert len(WORDS) <= 230


def test_unknown_language_is_refused():
    with pytest.raises(ValueError, match="'fr'"):
        caption(draw_story(0), np.random.default_rng(0), "fr")
