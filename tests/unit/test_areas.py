"""Cells and areas: a cover holds an area exactly, whatever its shape."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.domain.areas import EARTH_RADIUS_METRES, Area, Common, Disc, Hashes, Polygon, distance, settled
from tocsin.domain.cells import WORLD, Span, cell_of, common, hash_span, merged, quarters, span_box
from tocsin.domain.resources import Point

latitudes, longitudes = st.floats(-90, 90), st.floats(-180, 180)
points = st.builds(Point, latitudes, longitudes)
spans = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda pair: (min(pair), max(pair))), max_size=8)
OUTER = ((0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0), (0.0, 0.0))
SQUARE = Polygon((OUTER, ((0.5, 0.5), (1.0, 0.5), (0.5, 1.0), (0.5, 0.5))))


def numbers(some: Sequence[Span]) -> set[int]:
    return {number for first, last in some for number in range(first, last + 1)}


def test_a_geohash_is_a_span_around_its_points() -> None:
    assert span_box(hash_span("ezs42")) == pytest.approx((-5.625, 42.583, -5.581, 42.627), abs=1e-3)
    assert hash_span("EZS42") == hash_span("ezs42")
    assert hash_span("u4pruydqqvj8")[0] == cell_of(Point(57.64911, 10.40744))


@pytest.mark.parametrize("text", ["", "a", "i", "l", "o", "0123456789012", "é", "ez "])
def test_what_is_no_geohash_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="geohash"):
        hash_span(text)


@given(points)
def test_a_point_lies_in_the_square_of_its_cell(point: Point) -> None:
    span = WORLD
    while span[0] < span[1]:
        (span,) = [part for part in quarters(span) if part[0] <= cell_of(point) <= part[1]]
    box = span_box(span)
    assert box.west - 1e-12 <= point.longitude <= box.east + 1e-12
    assert box.south - 1e-12 <= point.latitude <= box.north + 1e-12


@given(spans, spans)
def test_spans_are_sets_of_numbers(one: list[Span], other: list[Span]) -> None:
    assert numbers(merged(one)) == numbers(one)
    assert numbers(common(merged(one), merged(other))) == numbers(one) & numbers(other)
    assert all(last + 1 < first for (_, last), (first, _) in zip(merged(one), merged(one)[1:], strict=False))


def test_distances_are_those_on_a_sphere() -> None:
    quarter = math.pi / 2 * EARTH_RADIUS_METRES
    assert distance(Point(0, 0), Point(0, 90)) == pytest.approx(quarter)
    assert distance(Point(90, 0), Point(0, 123)) == pytest.approx(quarter)
    assert distance(Point(10, 179.9), Point(10, -179.9)) == pytest.approx(distance(Point(10, 0), Point(10, 0.2)))
    assert distance(Point(44.5, -0.5), Point(44.5001, -0.5)) == pytest.approx(11.1, abs=0.1)


near_points = st.builds(Point, st.floats(-1, 3), st.floats(-1, 3))
discs = st.builds(Disc, points, st.floats(0, 1_000_000))
near_discs = st.builds(Disc, near_points, st.floats(0, 200_000))
areas: st.SearchStrategy[Area] = st.one_of(
    discs, st.just(SQUARE), st.builds(lambda disc: Common((disc, SQUARE)), near_discs)
)


@settings(max_examples=60, deadline=None)
@given(
    areas, st.lists(points, max_size=20), st.lists(st.builds(Point, st.floats(-1, 3), st.floats(-1, 3)), max_size=40)
)
def test_a_settled_cover_holds_what_the_area_holds(area: Area, far: list[Point], near: list[Point]) -> None:
    everything = {cell_of(point): point for point in [*far, *near]}
    cover = area.cover()
    asked = {cell: point for cell, point in everything.items() if inside(cell, cover.border)}
    found = settled(cover, zip(asked, area.holds(list(asked.values())), strict=True))
    held = zip(everything, area.holds(list(everything.values())), strict=True)
    assert {cell for cell in everything if inside(cell, found)} == {cell for cell, one in held if one}


def inside(cell: int, some: Sequence[Span]) -> bool:
    return any(first <= cell <= last for first, last in some)


def test_an_area_of_geohashes_needs_no_asking() -> None:
    area = Hashes((hash_span("ez"), hash_span("ezz"), hash_span("u0")))
    assert area.cover().inside == merged([hash_span("ez"), hash_span("u0")])
    assert area.cover().border == ()
    both = Common((area, Disc(Point(44.5, -0.5), 10)))
    assert all(numbers_in(span, area.cover().inside) for span in (*both.cover().inside, *both.cover().border))


def numbers_in(span: Span, some: Sequence[Span]) -> bool:
    return any(first <= span[0] and span[1] <= last for first, last in some)


def test_a_polygon_touches_a_box_that_it_only_meets() -> None:
    assert SQUARE.touches([span_box(hash_span("s")), span_box(hash_span("u4"))])
    assert not SQUARE.touches([span_box(hash_span("u4pruydqqvj8"))])
