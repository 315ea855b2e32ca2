"""NUWA-Infinity: in which order patches come, and which of them are kept for how long."""

from itertools import product

import numpy as np
import pytest
import torch

from dln.core.models.nuwa_infinity.directions import (
    PATHS,
    Box,
    Order,
    centre,
    join,
    offset,
    outward,
    split,
    straight,
)
from dln.core.models.nuwa_infinity.pool import Pool


def within(a, b, extents) -> bool:
    return all(abs(x - y) <= e for x, y, e in zip(a, b, extents, strict=True))


def drawn(rng: np.random.Generator) -> Order:
    frames, rows, columns = (int(n) for n in rng.integers(1, 6, 3))
    name = rng.choice([*PATHS, "outward"])
    if name != "outward":
        return straight(str(name), frames, rows, columns)
    top, left = int(rng.integers(rows)), int(rng.integers(columns))
    bottom, right = rng.integers((top, left), (rows, columns)) + 1
    return outward(frames, rows, columns, Box(top, left, int(bottom), int(right)))


def test_the_figures_of_the_paper():
    """3 x 3 x 3 patches, down then right, extents of 1; the paper counts from 1."""
    order = straight("down-right", 3, 3, 3)
    pool: Pool[None] = Pool(order, (1, 1, 1))
    seen = {}
    for number in range(27):
        seen[number + 1] = [n + 1 for n in pool.select(number)]
        pool.add(number, None)
        pool.remove(number)
    assert seen[14] == list(range(1, 14))
    assert seen[27] == [14, 15, 17, 18, 23, 24, 26]
    assert not pool.held


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("down-right", [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]),
        ("down-left", [(0, 2), (1, 2), (0, 1), (1, 1), (0, 0), (1, 0)]),
        ("right-down", [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]),
        ("right-up", [(1, 0), (1, 1), (1, 2), (0, 0), (0, 1), (0, 2)]),
    ],
)
def test_the_four_orders(name, path):
    order = straight(name, 2, 2, 3)
    assert [order.place(n) for n in range(12)] == [(f, *cell) for f in (0, 1) for cell in path]


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("sides", [(1, 1), (1, 4), (4, 1)])
def test_orders_where_a_side_is_one(name, sides):
    order = straight(name, 1, *sides)
    length, ways = max(sides), {"down-left": sides[1] > 1, "right-up": sides[0] > 1}
    along = [max(order.place(n)[1:]) for n in range(len(order))]
    assert along == (list(range(length))[::-1] if ways.get(name) else list(range(length)))


def test_outwards_a_column_or_row_at_a_time():
    order = outward(1, 4, 4, Box(1, 1, 3, 2))
    assert [order.place(n)[1:] for n in range(16)] == [
        (1, 1), (2, 1),  # given
        (1, 2), (2, 2), (1, 0), (2, 0), (3, 0), (3, 1), (3, 2), (0, 0), (0, 1), (0, 2),
        (0, 3), (1, 3), (2, 3), (3, 3),
    ]  # fmt: skip
    ways = [order.way(n) for n in range(16)]
    assert ways == (
        4 * ["down-right"] + 2 * ["down-left"] + 3 * ["right-down"] + 3 * ["right-up"]
        + 4 * ["down-right"]
    )  # fmt: skip
    # To one side alone it is one of the four orders.
    assert outward(1, 3, 5, Box(0, 0, 3, 2)) == straight("down-right", 1, 3, 5)
    assert outward(2, 3, 5, Box(0, 0, 1, 5)).path[5:] == straight("right-down", 1, 3, 5).path[5:]
    for box in (Box(0, 0, 0, 1), Box(0, 0, 5, 1), Box(-1, 0, 1, 1)):
        with pytest.raises(ValueError, match="not within"):
            outward(1, 4, 4, box)


@pytest.mark.parametrize("seed", range(40))
def test_the_pool_against_brute_force(seed):
    rng = np.random.default_rng(seed)
    order, extents = drawn(rng), tuple(int(e) for e in rng.integers(0, 4, 3))
    places = [order.place(n) for n in range(len(order))]
    every = product(*map(range, (order.frames, order.rows, order.columns)))
    assert sorted(places) == sorted(every)
    assert [order.number(place) for place in places] == list(range(len(order)))
    pool: Pool[int] = Pool(order, extents)  # pyright: ignore[reportArgumentType]
    for number, here in enumerate(places):
        expected = [n for n in range(number) if within(here, places[n], extents)]
        assert pool.select(number) == expected
        pool.add(number, number)
        pool.remove(number)
        later = places[number + 1 :]
        finished = range(number + 1)
        needed = [n for n in finished if any(within(places[n], p, extents) for p in later)]
        assert list(pool.held) == needed
        assert all(pool.held[n] == n for n in needed)


def test_each_offset_has_a_row_of_its_own():
    extents, here = (1, 1, 2), (4, 4, 4)
    around = product(range(3, 5), range(3, 6), range(2, 7))
    rows = [offset(here, there, extents) for there in around]
    assert rows == list(range(2 * 3 * 5))
    assert centre(extents) == 15 + 7


def test_codes_are_cut_into_patches_and_joined_again():
    orders = [straight("right-up", 2, 2, 3), straight("down-left", 2, 2, 3)]
    codes = torch.arange(2 * 2 * 4 * 6).view(2, 2, 4, 6)
    patches = split(codes, 2, orders)
    assert patches.shape == (2, 12, 4)
    for sample, order in enumerate(orders):
        for number in range(12):
            frame, row, column = order.place(number)
            square = codes[sample, frame, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            assert torch.equal(patches[sample, number], square.flatten())
    assert torch.equal(join(patches, 2, orders), codes)


def test_the_pool_of_an_endless_picture_stays_small():
    """A picture 4 patches high, of extents 2: at most the last columns are held."""
    most = []
    for columns in (16, 128):
        pool: Pool[None] = Pool(straight("down-right", 1, 4, columns), (0, 2, 2))
        held = []
        for number in range(4 * columns):
            pool.add(number, None)
            pool.remove(number)
            held.append(len(pool.held))
        most.append(max(held))
    assert most[0] == most[1] <= 4 * 3
