"""Adaptive augmentation, each change against what the paper's appendix says, worked by hand."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dln.core.models.layers.adversarial import fooling, telling
from dln.core.models.layers.augmentation import (
    DRAWS,
    KINDS,
    Drawn,
    augment,
    resolutions,
    source_places,
)

HALF = torch.tensor(0.5)


def only(samples: int = 1, **drawn: float | tuple[float, ...]) -> Tensor:
    """Numbers with which these kinds alone happen at a probability of 0.5, drawn so."""
    gates = [[0.1 if kind in drawn else 0.9 for kind in KINDS]]
    values: list[float] = []
    for kind, count in KINDS.items():
        told = drawn.get(kind, 0.5)
        values += told if isinstance(told, tuple) else [told] * count
    return torch.cat([torch.tensor(gates), torch.tensor([values])], 1).expand(samples, -1)


def pictures(samples: int = 1, side: int = 8, frames: int = 3, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(samples, frames, 3, side, side, generator=random) - 1


def smooth(side: int, place: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Tensor:
    """A slow wave in the middle that fades, as it is at place(x, y), sides from the middle, y down:
    (1, 1, 3, S, S)."""
    line = (torch.arange(side, dtype=torch.float64) - (side - 1) / 2) / side
    y, x = torch.meshgrid(line, line, indexing="ij")
    x, y = place(x, y)
    fades = torch.exp(-((x - 0.05) ** 2 + 2 * (y + 0.03) ** 2) / 0.02)
    waves = [fades * torch.cos(4 * x + shift) for shift in (0.0, 1.0, 2.0)]
    return torch.stack(waves)[None, None]


def changed(x: Tensor, **drawn: float | tuple[float, ...]) -> Tensor:
    return augment(x, only(len(x), **drawn), HALF)


def probit(share: float) -> float:
    """The number below which that share of a normal distribution lies."""
    low, high = -8.0, 8.0
    for _ in range(60):
        middle = (low + high) / 2
        below = 0.5 * (1 + math.erf(middle / math.sqrt(2))) < share
        low, high = (middle, high) if below else (low, middle)
    return low


def test_probability_zero_is_the_identity_to_the_bit():
    x = pictures(64)
    uniform = torch.rand(64, DRAWS, generator=torch.Generator().manual_seed(0))
    assert torch.equal(augment(x, uniform, torch.zeros(())), x)
    assert torch.equal(augment(x, torch.ones(64, DRAWS) - 1e-3, HALF), x)


def test_mirrored_turned_and_shifted_pictures_are_the_same_pixels():
    x = pictures()
    assert torch.equal(changed(x, mirror=0.6), x.flip(-1))
    assert torch.equal(changed(x, mirror=0.4), x)
    for quarters in range(4):  # torch turns counter-clockwise, as seen with y down
        assert torch.equal(changed(x, quarter=quarters / 4 + 0.1), x.rot90(quarters, (-2, -1)))
    down = changed(x, shift=(0.5, 0.999))  # 0.1247 of 8 pixels, rounded: one
    assert torch.equal(down[..., 1:, :], x[..., :-1, :])
    assert torch.equal(down[..., 0, :], x[..., 1, :]), "beyond the border: the mirror image"
    left = changed(x, shift=(0.001, 0.5))
    assert torch.equal(left[..., :-1], x[..., 1:])
    assert torch.equal(left[..., -1], x[..., -2])


def test_whole_pixels_in_the_paper_s_order():
    """Mirrored, then turned, then shifted."""
    x = pictures()
    turned = x.flip(-1).rot90(1, (-2, -1))
    both = changed(x, mirror=0.6, quarter=0.3, shift=(0.999, 0.5))
    assert torch.equal(both[..., 1:], turned[..., :-1])


SIDE, LARGER = 32, 2 ** (0.2 * 1.2815516)
GEOMETRY: dict[str, tuple[dict[str, float | tuple[float, ...]], Callable[..., tuple]]] = {
    # what is drawn, and where the changed picture's (x, y) comes from
    "larger": ({"scale": 0.9}, lambda x, y: (x / LARGER, y / LARGER)),
    "smaller": ({"scale": 0.1}, lambda x, y: (x * LARGER, y * LARGER)),
    "wider": ({"stretch": 0.9}, lambda x, y: (x / LARGER, y * LARGER)),
    "turned": ({"turn_before": 0.75}, lambda x, y: (-y, x)),  # by pi / 2, counter-clockwise
    "turned after": ({"turn_after": 0.75}, lambda x, y: (-y, x)),
    "moved": ({"move": (0.7, 0.4)},
              lambda x, y: (x - 0.125 * probit(0.7), y - 0.125 * probit(0.4))),
    "turned, then wider": ({"turn_before": 0.75, "stretch": 0.9},
                           lambda x, y: (-y * LARGER, x / LARGER)),
    "wider, then turned": ({"turn_after": 0.75, "stretch": 0.9},
                           lambda x, y: (-y / LARGER, x * LARGER)),
    "larger, then moved": ({"scale": 0.9, "move": (0.5, 0.7)},
                           lambda x, y: (x / LARGER,
                                         (y - 0.125 * probit(0.7)) / LARGER)),
}  # fmt: skip


@pytest.mark.parametrize("name", GEOMETRY)
def test_between_pixels(name: str):
    drawn, place = GEOMETRY[name]
    before = smooth(SIDE, lambda x, y: (x, y))
    after = changed(before, **drawn)
    expected = smooth(SIDE, place)
    assert (after - expected).abs().max() < 0.02, "bilinear at half pixels is this near"
    assert (before - expected).abs().max() > 0.15, "and nothing else is"


def test_quarter_turns_between_pixels_are_those_of_whole_ones():
    x = smooth(SIDE, lambda x, y: (x, y))
    turned = changed(x, turn_before=0.75)
    assert (turned - x.rot90(1, (-2, -1))).abs().max() < 0.01


def test_a_picture_goes_on_as_its_mirror_image():
    """Far out of it, where a padded copy of the picture says what lies there."""
    x = pictures(side=16).cumsum(-1).cumsum(-2) / 40  # smooth enough
    moved = changed(x, move=(0.999, 0.5))  # 0.386 of 16 pixels to the right
    pixels = 16 * 0.125 * probit(0.999)
    wide = np.pad(x[0, 0, 0].numpy(), ((0, 0), (15, 0)), mode="reflect")
    places = 15 + np.arange(16) - pixels
    expected = [np.interp(places, np.arange(31), row) for row in wide]
    assert np.abs(moved[0, 0, 0].numpy() - expected).max() < 0.25 * x.std().item()


def test_resolutions_keep_what_they_should():
    """Twice as fine, the pixels themselves are as before; one colour stays one both ways."""
    double, halve = resolutions(12)
    assert torch.allclose(double[::2], torch.eye(12).double(), atol=1e-12)
    assert torch.allclose(double.sum(1), torch.ones(23).double())
    assert torch.allclose(halve.sum(1), torch.ones(12).double())
    line, halves = torch.arange(12).double(), torch.arange(7, 16).double() / 2
    assert torch.allclose((double @ line)[7:16], halves, atol=0.03)


def test_turns_have_half_the_chance_each():
    """1 - (1 - p)^(1/2), so that one of two happens with probability p."""
    even = (torch.arange(1000) + 0.5)[:, None].expand(-1, DRAWS) / 1000
    drawn = Drawn(even, torch.tensor(0.75))
    assert drawn.gates["turn_before"].sum() == drawn.gates["turn_after"].sum() == 500
    assert all(drawn.gates[k].sum() == 750 for k in KINDS if not k.startswith("turn"))
    above = Drawn(even, torch.tensor(1.3))
    assert all(gate.all() for gate in above.gates.values())


SIGMA = probit(0.9)
GREY = np.full((3, 3), 1 / 3)
HUE = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])  # a third of a turn: red becomes green
COLOURS: dict[str, tuple[dict[str, float], Callable[[np.ndarray], np.ndarray]]] = {
    "brighter": ({"brightness": 0.9}, lambda c: c + 0.2 * SIGMA),
    "darker": ({"brightness": 0.1}, lambda c: c - 0.2 * SIGMA),
    "contrast": ({"contrast": 0.9}, lambda c: c * 2 ** (0.5 * SIGMA)),
    "luma": ({"luma": 0.6}, lambda c: c - 2 * c.mean()),
    "no luma": ({"luma": 0.4}, lambda c: c),
    "hue": ({"hue": 5 / 6}, lambda c: HUE @ c),
    "saturation": ({"saturation": 0.9}, lambda c: c.mean() + (c - c.mean()) * 2**SIGMA),
    "brighter, then contrast": ({"brightness": 0.9, "contrast": 0.9},
                                lambda c: (c + 0.2 * SIGMA) * 2 ** (0.5 * SIGMA)),
    "luma, then hue": ({"luma": 0.6, "hue": 5 / 6}, lambda c: HUE @ (c - 2 * c.mean())),
}  # fmt: skip


@pytest.mark.parametrize("name", COLOURS)
def test_colours(name: str):
    drawn, becomes = COLOURS[name]
    x = pictures()
    found = changed(x, **drawn).double().movedim(2, -1).reshape(-1, 3).numpy()
    colours = x.double().movedim(2, -1).reshape(-1, 3).numpy()
    assert np.allclose(found, [becomes(colour) for colour in colours], atol=1e-5)


def test_all_frames_of_a_video_change_alike_and_videos_apart():
    x = pictures(6, frames=1).expand(-1, 3, -1, -1, -1)
    uniform = torch.rand(6, DRAWS, generator=torch.Generator().manual_seed(1))
    found = augment(x, uniform, torch.ones(()))
    assert torch.equal(found[:, 0], found[:, 2])
    alone = [augment(x[i : i + 1], uniform[i : i + 1], torch.ones(())) for i in range(6)]
    assert torch.allclose(found, torch.cat(alone), atol=1e-6), "a sample depends on itself alone"
    twins = augment(x[:1].expand(2, -1, -1, -1, -1), uniform[:2], torch.ones(()))
    assert (twins[0] - twins[1]).abs().max() > 0.1


def test_places_of_many_draws_are_spread_as_told():
    uniform = torch.rand(4000, DRAWS, generator=torch.Generator().manual_seed(2))
    places, touched = source_places(Drawn(uniform, torch.ones(())))
    assert touched.all()
    size = torch.linalg.det(places[:, :, :2]).log2() / -2  # of the scale; stretching keeps areas
    assert size.std() == pytest.approx(0.2, abs=0.01)
    assert size.mean() == pytest.approx(0, abs=0.01)


def test_probability_one_is_differentiable_twice():
    uniform = torch.rand(2, DRAWS, generator=torch.Generator().manual_seed(3))
    x = pictures(2, side=5, frames=1).double().requires_grad_(True)

    def squared(x: Tensor) -> Tensor:
        return augment(x, uniform, torch.ones(())).square()  # the square's slope hangs on x

    assert torch.autograd.gradcheck(squared, x)
    assert torch.autograd.gradgradcheck(squared, x)


def colour_learnt(probability: float) -> tuple[Tensor, Tensor]:
    """The one colour of a toy's data, and the one that a generator comes to against it."""
    torch.manual_seed(0)
    colour, fake = torch.tensor([0.6, -0.3, 0.1]), torch.zeros(3, requires_grad=True)
    judge = nn.Sequential(nn.Linear(3, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
    first = torch.optim.Adam([fake], 2e-2, betas=(0.0, 0.9))
    second = torch.optim.Adam(judge.parameters(), 1e-2, betas=(0.0, 0.9))
    kept: list[Tensor] = []

    def seen(colours: Tensor) -> Tensor:
        videos = colours[:, None, :, None, None].expand(-1, 1, -1, 2, 2)
        videos = augment(videos, torch.rand(len(colours), DRAWS), torch.tensor(probability))
        return judge(videos.mean((1, 3, 4)))[:, 0]

    for _ in range(140):
        real = colour.expand(32, 3).clone().requires_grad_(True)
        truth = seen(real)
        (slope,) = torch.autograd.grad(truth.sum(), real, create_graph=True)
        second.zero_grad()
        loss = telling(truth, seen(fake.detach().expand(32, 3)))
        (loss + slope.square().sum(1).mean() / 2).backward()
        second.step()
        first.zero_grad()
        fooling(seen(fake.expand(32, 3))).backward()
        first.step()
        kept.append(fake.detach().clone())
    return colour, torch.stack(kept[100:]).mean(0)


def test_below_four_fifths_nothing_leaks_into_the_generator():
    """Three pictures in four are shown in another hue, and yet it finds the one. Where all of them
    are, no colour is more real than others of its kind, and it comes to one of those."""
    colour, learnt = colour_learnt(0.75)
    assert (learnt - colour).abs().max() < 0.1
    colour, learnt = colour_learnt(1.0)
    assert (learnt - colour).abs().max() > 0.3
