"""Curves of a gallery: every number has its place, every tick its own words, no peak is lost."""

import re
import xml.etree.ElementTree as ElementTree
from math import log10

from hypothesis import given, settings
from hypothesis import strategies as st

from dln.core.runs.curves import LARGEST, curves, is_wide
from dln.core.study.gallery import chart as drawing
from dln.core.study.gallery.chart import BOTTOM, HIGH, LEFT, RIGHT, TOP, WIDE, Axis, chart, thinned

NUMBERS = st.floats(-LARGEST, LARGEST)
POINTS = st.lists(st.tuples(st.integers(0, 10**12), NUMBERS), min_size=1, max_size=60)


def drawn(points: list[tuple[int, float]], measured: bool = False) -> ElementTree.Element:
    return ElementTree.fromstring(chart("a <loss>", points, measured))


def line(figure: ElementTree.Element) -> list[tuple[float, float]]:
    found = figure.find(".//polyline")
    assert found is not None
    return [(float(x), float(y)) for x, y in (p.split(",") for p in found.attrib["points"].split())]


@settings(max_examples=150, deadline=None)
@given(POINTS, st.booleans())
def test_every_point_lies_in_its_panel(points, measured):
    figure = drawn(points, measured)
    for x, y in line(figure):
        assert LEFT - 0.1 <= x <= WIDE - RIGHT + 0.1
        assert TOP - 0.1 <= y <= HIGH - BOTTOM + 0.1
    assert len(figure.findall(".//circle")) == (len(points) if measured else 0)


@settings(max_examples=150, deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=20))
def test_ticks_are_inside_in_order_and_read_differently(numbers):
    axis = Axis(numbers, (0.0, 1.0), is_wide(numbers))
    ticks = axis.ticks()
    places = [axis.at(number) for number, _ in ticks]
    assert all(-1e-6 <= place <= 1 + 1e-6 for place in places)
    assert places == sorted(places)
    words = [said for _, said in ticks]
    assert len(set(words)) == len(words)
    assert len(words) <= 12
    if max(numbers) > min(numbers) * (1 + 1e-6) > 0:
        assert words


def read(words: str) -> float:
    """What a tick says, as a number."""
    scale = {"k": 1e3, "M": 1e6}.get(words[-1], 1.0)
    return float(words.rstrip("kM").replace(",", "")) * scale


@settings(max_examples=150, deadline=None)
@given(st.floats(-1e8, 1e8), st.floats(1e-3, 1e8))
def test_ticks_say_where_they_are(low, span):
    axis = Axis([low, low + span], (0.0, 1.0))
    for number, words in axis.ticks():
        assert abs(read(words) - number) <= 1e-6 * max(abs(number), span)


def test_some_axes_by_hand():
    assert [w for _, w in Axis([20, 4000], (0, 1)).ticks()] == ["1k", "2k", "3k", "4k"]
    assert [w for _, w in Axis([1.02, 1.31], (0, 1)).ticks()] == ["1.1", "1.2", "1.3"]
    assert [w for _, w in Axis([-0.4, 0.5], (0, 1)).ticks()] == ["0", "0.5"]
    assert [w for _, w in Axis([1e-6, 1], (0, 1), wide=True).ticks()] == [
        "1e-6",
        "0.0001",
        "0.01",
        "1",
    ]
    assert [w for _, w in Axis([0.02, 0.5], (0, 1), wide=True).ticks()] == (
        ["0.02", "0.05", "0.1", "0.2", "0.5"])  # fmt: skip


def test_places_are_those_of_the_scale():
    straight = line(drawn([(0, 1.0), (50, 2.0), (100, 3.0)]))
    assert straight[1][0] == (straight[0][0] + straight[2][0]) / 2
    assert abs(straight[1][1] - (straight[0][1] + straight[2][1]) / 2) < 0.11
    wide = line(drawn([(0, 1.0), (50, 10.0), (100, 1000.0)]))
    share = (wide[0][1] - wide[1][1]) / (wide[0][1] - wide[2][1])
    assert abs(share - log10(10) / log10(1000)) < 0.01


def test_who_does_not_see_it_hears_it():
    figure = drawn([(1, 40.0), (2, 1.0), (30000, 2.5)])
    (svg,) = figure.findall("svg")
    assert svg.attrib["aria-label"] == (
        "a <loss>: from 40 at step 1 to 2.5 at step 30,000, between 1 and 40, on a logarithmic "
        "scale"
    )
    assert svg.attrib["role"] == "img"
    assert "".join(figure.itertext()).endswith("a <loss> 2.5")


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=3000))
@settings(max_examples=40, deadline=None)
def test_a_long_line_keeps_its_ends_and_peaks(values):
    points = list(enumerate(values))
    kept = thinned(points)
    assert len(kept) <= drawing.MOST_POINTS + 2
    assert set(kept) <= set(points)
    assert kept == sorted(kept)
    assert {max(values), min(values)} <= {value for _, value in kept}


def test_numbers_that_no_drawing_holds_are_left_out():
    told = [(10**400, 1.0), (1, 10**400), (2, float("nan")), (3, 2)]
    rows = [{"stage": "a", "step": step, "loss": loss} for step, loss in told]
    assert curves(rows) == {("a", "loss", False): [(3, 2.0)]}


def test_the_drawing_has_no_words_of_its_own():
    """No colours, fonts or styles that a page's scheme could not change, and no addresses."""
    text = chart("loss", [(1, 1.0), (2, 2.0)], True)
    assert not re.search(r"fill=|stroke=|style=|font|http|url", text)
