"""StyleGAN-V's clips: any moment alone, at any density, an hour in, with another sky."""

import numpy as np
import pytest
import torch

from dln.core.errors import MissingCapability, UsageError
from dln.core.models.request import Request
from dln.core.models.stylegan_v.motion import WINDOW
from dln.core.models.stylegan_v.sample import motion_at, noise_around, sample
from dln.core.models.stylegan_v.system import SYSTEM
from dln.core.progress import unheard

from .toy_stylegan import Spy, frames_of, toy

MODEL = toy()
DISTANCE = MODEL.config.anchor_distance
HOUR = 90_000.0  # frames
ENCODER = MODEL.generator.synthesis.motion_encoder


def motion(*times: float, seed: int = 3) -> torch.Tensor:
    return motion_at(Spy(MODEL), MODEL.config, seed, np.array(times), {})


def apart(first: np.ndarray, second: np.ndarray) -> int:
    assert first.shape == second.shape
    return int(np.abs(first.astype(int) - second).max())


@torch.no_grad()
def aligned(anchor: int, seed: int = 3) -> torch.Tensor:
    """A u_k."""
    noise = torch.from_numpy(noise_around(seed, np.array([anchor]), MODEL.config.latent))
    return ENCODER.time_encoder.aligners_predictor(ENCODER.codes(noise)[:, 0])


@pytest.mark.parametrize("anchor", [0, 1, 63, 64, 5625, 1_000_000])
def test_at_an_anchor_the_motion_is_its_aligned_code(anchor: int):
    torch.testing.assert_close(motion(anchor * DISTANCE), aligned(anchor), atol=1e-5, rtol=0)


@pytest.mark.parametrize("anchor", [1, 64, 5625])
def test_the_motion_is_continuous_at_anchors(anchor: int):
    """Although frequencies and phases jump there; the 64th is where the clock starts anew."""
    here, gaps = motion(anchor * DISTANCE), []
    for step in (0.1, 0.01, 0.001):
        around = motion(anchor * DISTANCE - step, anchor * DISTANCE + step)
        gaps.append(float((around - here).abs().max()))
    assert gaps[0] > 5 * gaps[1] > 25 * gaps[2]
    assert gaps[2] < 0.003


def test_the_motion_is_that_of_the_whole_encoder():
    """Which is given all noise from the beginning, as training does. In float32 a wave's phase
    after a thousand frames is known to a few 1e-5 of a turn, which processors round differently."""
    times = np.array([0.0, 3.25, 16.0, 17.5, 500.0, 1023.5])
    codes = 64 + WINDOW
    noise = torch.from_numpy(noise_around(3, np.arange(codes), MODEL.config.latent)[:, 0])
    with torch.no_grad():
        whole = ENCODER(noise[None], torch.from_numpy(times).float()[None])
    torch.testing.assert_close(motion(*times), whole, atol=4e-4, rtol=0)


@pytest.mark.parametrize("time", [32.0, 40.0, 47.9])
def test_a_moment_depends_on_22_noise_codes(time: float):
    noise = torch.randn(1, 40, MODEL.config.latent, requires_grad=True)
    ENCODER(noise, torch.tensor([[time]])).square().sum().backward()
    assert noise.grad is not None
    moved = noise.grad[0].abs().sum(1).nonzero().flatten().tolist()
    wanted = list(range(2, 2 + WINDOW))
    # At an anchor itself the next one has no share yet.
    assert moved == (wanted[:-1] if time == 32.0 else wanted)
    assert WINDOW == 22


def test_an_hour_in_the_motion_is_as_smooth_as_at_the_beginning():
    steps = np.linspace(0, 2 * DISTANCE, 2049)
    early, late = (motion(*(start + steps)).diff(dim=0).abs().max() for start in (0.0, HOUR))
    assert late < 1.5 * early
    assert (motion(HOUR) - motion(0.0)).abs().max() > 0.1


def test_a_frame_is_the_same_whatever_others_are_asked_for():
    whole = frames_of(MODEL, frames=70)
    for first in (1, 33, 69):
        assert apart(frames_of(MODEL, frames=1, start=first / 25), whole[first : first + 1]) <= 1
    assert apart(whole[0], whole[69]) > 3


def test_an_hour_in_is_what_the_long_clip_shows_there():
    long = frames_of(MODEL, frames=903, fps=0.25)
    assert apart(frames_of(MODEL, frames=3, fps=0.25, start=3600.0), long[900:]) <= 1


def test_a_rate_is_a_density():
    few, many = (frames_of(MODEL, frames=n, fps=fps) for n, fps in ((20, 25.0), (58, 75.0)))
    assert apart(few, many[::3]) <= 1


def test_the_style_is_made_once_and_blocks_as_they_are_taken():
    engine = Spy(MODEL)
    blocks = iter(sample(engine, MODEL, Request(seed=1, frames=100_000), unheard))
    next(blocks)
    assert [graph for graph, _ in engine.calls] == ["mapping", "motion", "synthesis"]
    next(blocks)
    assert [graph for graph, _ in engine.calls[3:]] == ["motion", "synthesis"]
    assert len(engine.given("synthesis", "w").unique(dim=0)) == 1


def test_the_same_land_under_another_sky():
    plain, other, same = Spy(MODEL), Spy(MODEL), Spy(MODEL)
    frames = [
        frames_of(MODEL, engine, frames=3, **asked)
        for engine, asked in ((plain, {}), (other, {"motion_seed": 9}), (same, {"motion_seed": 7}))
    ]
    w, codes = (plain.given("synthesis", name) for name in ("w", "motion"))
    assert torch.equal(other.given("synthesis", "w"), w)
    assert not torch.allclose(other.given("synthesis", "motion"), codes)
    assert np.array_equal(frames[0], frames[2])


def test_truncation_draws_styles_to_the_mean():
    spies = {share: Spy(MODEL) for share in (0.0, 0.5, 1.0)}
    for share, engine in spies.items():
        frames_of(MODEL, engine, frames=1, truncation=share)
    nothing, half, whole = (engine.given("synthesis", "w") for engine in spies.values())
    assert torch.equal(nothing[0], MODEL.generator.mapping.w_avg)
    torch.testing.assert_close(half, (nothing + whole) / 2)


def test_classes():
    model = toy(classes=("sea", "wood"))
    sea, wood = (frames_of(model, frames=2, label=name) for name in model.config.classes)
    drawn, again = (frames_of(model, frames=2) for _ in range(2))
    assert apart(sea, wood) > 0
    assert np.array_equal(drawn, again)
    assert apart(drawn, sea) == 0 or apart(drawn, wood) == 0
    engine = Spy(model)
    frames_of(model, engine, frames=2, label="wood")
    assert engine.given("mapping", "label").tolist() == [[0, 1]]
    assert engine.given("motion", "label").tolist() == [[0, 1]] * 2


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"label": "sea"}, UsageError, "know no class 'sea'"),
        ({"steps": 5}, UsageError, "search for a picture's latent"),
        ({"image": "x.png", "truncation": 0.5}, UsageError, "a latent of its own"),
        ({"image": "x.png"}, MissingCapability, "takes gradients, which onnx"),
    ],
)
def test_what_these_weights_cannot_do(asked, error, said):
    with pytest.raises(error, match=said):
        SYSTEM.check(MODEL.config, Request.of("", 0, asked), "onnx", gradients=False)


def test_a_class_that_is_nearly_known():
    model = toy(classes=("sea", "wood"))
    with pytest.raises(UsageError, match=r"'woods'.*wood"):
        frames_of(model, label="woods")
