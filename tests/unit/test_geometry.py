"""Polygons as integrators send them, and what lies inside."""

import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.client import SQUARE
from tocsin.domain import geometry
from tocsin.domain.errors import Invalid
from tocsin.domain.polygons import rings_of
from tocsin.domain.resources import Point

OUTER = [[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0], [0.0, 0.0]]
HOLE = [[4.0, 4.0], [6.0, 4.0], [6.0, 6.0], [4.0, 6.0], [4.0, 4.0]]
GEOJSON = {"type": "Polygon", "coordinates": [OUTER, HOLE]}
FEATURE = {"type": "Feature", "properties": {}, "geometry": GEOJSON}


def test_the_documented_form_and_geojson_mean_the_same() -> None:
    points = [{"longitude": longitude, "latitude": latitude} for longitude, latitude in OUTER]
    documented = rings_of({"rings": [{"points": points}], "srid": 4326})
    assert documented == rings_of({"type": "Polygon", "coordinates": [OUTER]})
    collection = {"type": "FeatureCollection", "features": [FEATURE]}
    assert rings_of(collection) == rings_of(FEATURE) == rings_of(GEOJSON)


def test_an_open_ring_is_closed() -> None:
    assert rings_of({"type": "Polygon", "coordinates": [OUTER[:-1]]})[0][-1] == (0.0, 0.0)


def test_a_hole_is_outside_and_the_border_inside() -> None:
    rings = rings_of(GEOJSON)
    assert geometry.contains(rings, Point(1, 1))
    assert geometry.contains(rings, Point(0, 5))
    assert not geometry.contains(rings, Point(5, 5))
    assert geometry.bounds(rings) == (0, 0, 10, 10)


def test_polygons_cover_one_another() -> None:
    big = rings_of({"type": "Polygon", "coordinates": [OUTER]})
    small = rings_of({"type": "Polygon", "coordinates": [HOLE]})
    assert geometry.covers(big, small)
    assert not geometry.covers(small, big)
    assert geometry.area(big) == 100


def _point(longitude: Any, latitude: Any) -> dict[str, Any]:
    return {"longitude": longitude, "latitude": latitude}


@pytest.mark.parametrize(
    ("polygon", "path"),
    [
        ("POLYGON", "polygon"),
        ({}, "polygon"),
        ({"type": "Point", "coordinates": [0, 0]}, "polygon"),
        ({"rings": []}, "polygon.rings"),
        ({"rings": [{}]}, "polygon.rings[0].points"),
        ({"rings": [7]}, "polygon.rings[0].points"),
        ({"rings": [{"points": [7]}]}, "polygon.rings[0].points[0]"),
        ({"rings": [{"points": [_point(0, 91)]}]}, "polygon.rings[0].points[0].latitude"),
        ({"rings": [{"points": [_point("0", 0)]}]}, "polygon.rings[0].points[0].longitude"),
        ({"rings": [{"points": [_point(True, 0)]}]}, "polygon.rings[0].points[0].longitude"),
        ({"rings": [{"points": [_point(float("nan"), 0)]}]}, "polygon.rings[0].points[0].longitude"),
        ({"rings": SQUARE["rings"], "srid": 3857}, "polygon.srid"),
        ({"rings": SQUARE["rings"], "srid": []}, "polygon.srid"),
        ({"rings": [{"points": [_point(0, 0), _point(1, 1)]}]}, "polygon.rings[0]"),
        ({"rings": [{"points": [_point(*one) for one in OUTER]}, {"points": [_point(0, 0)]}]}, "polygon.rings[1]"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1]]]}, "polygon.coordinates[0]"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [2, 2]]]}, "polygon.coordinates[0]"),
        ({"type": "Polygon", "coordinates": [[[0]]]}, "polygon.coordinates[0][0]"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 10**400]]]}, "polygon.coordinates[0][2][1]"),
        ({"type": "Polygon", "coordinates": [OUTER, [[20, 20], [21, 20], [21, 21]]]}, "polygon.coordinates[1]"),
        ({"type": "Polygon", "coordinates": [OUTER, HOLE, HOLE]}, "polygon.coordinates[2]"),
        ({"type": "Polygon", "coordinates": [OUTER, HOLE, [[5, 5], [9, 5], [9, 9]]]}, "polygon.coordinates[2]"),
        ({"type": "Polygon", "coordinates": [OUTER, [[0, 5], [5, 10], [10, 5], [5, 0]]]}, "polygon.coordinates[0]"),
        ({"type": "Polygon", "coordinates": [OUTER] * 101}, "polygon.coordinates"),
        ({"type": "Polygon", "coordinates": [OUTER * 2001]}, "polygon.coordinates[0]"),
        ({"type": "Polygon", "coordinates": [OUTER * 1001, OUTER * 1001]}, "polygon.coordinates[1]"),
        ({"type": "MultiPolygon", "coordinates": [[OUTER], [HOLE]]}, "polygon.coordinates"),
        ({"type": "MultiPolygon", "coordinates": [[[[0, 0], [1, 1]]]]}, "polygon.coordinates[0][0]"),
        ({"type": "Feature", "geometry": None}, "polygon"),
        ({"type": "Feature", "geometry": {"type": "Point"}}, "polygon.geometry"),
        ({"type": "FeatureCollection", "features": [FEATURE, FEATURE]}, "polygon.features"),
        ({"type": "FeatureCollection", "features": [GEOJSON]}, "polygon.features[0]"),
        (
            {"type": "FeatureCollection", "features": [{**FEATURE, "geometry": {**GEOJSON, "coordinates": 7}}]},
            "polygon.features[0].geometry.coordinates",
        ),
    ],
)
def test_a_wrong_polygon_is_refused_with_the_path(polygon: Any, path: str) -> None:
    with pytest.raises(Invalid) as raised:
        rings_of(polygon)
    assert raised.value.violations[0].path == path


@pytest.mark.parametrize(
    ("coordinates", "reason"),
    [
        ([[[0, 0], [2, 2], [2, 0], [0, 2]]], "This ring crosses or touches itself, near longitude 1, latitude 1."),
        ([[[0, 0], [1, 1], [0, 0]]], "A ring has at least three different points."),
        ([OUTER, [[8, 8], [12, 8], [12, 12], [8, 12]]], "This hole is not inside the outer ring, near longitude "),
        ([OUTER, HOLE, [[4.5, 4.5], [5, 4.5], [5, 5]]], "This hole crosses another or lies in it, near longitude "),
        ([OUTER, [[0, 5], [5, 10], [10, 5], [5, 0]]], "Holes run along a border, or cut the polygon into pieces"),
    ],
)
def test_the_reason_is_said_in_words(coordinates: Any, reason: str) -> None:
    with pytest.raises(Invalid) as raised:
        rings_of({"type": "Polygon", "coordinates": coordinates})
    assert raised.value.violations[0].message.startswith(reason)


def test_a_multipolygon_of_one_is_a_polygon() -> None:
    assert rings_of({"type": "MultiPolygon", "coordinates": [[OUTER, HOLE]]}) == rings_of(GEOJSON)


@pytest.mark.parametrize(
    "ring",
    [
        [[number % 2 * 10.0, number / 1000] for number in range(10_000)],
        [[math.cos(number * 2.39) * 40, math.sin(number * 2.39) * 40] for number in range(10_000)],
    ],
    ids=["a zigzag", "a star of chords"],
)
def test_as_many_points_as_there_may_be_are_judged_quickly(ring: Any) -> None:
    began = time.process_time()
    with pytest.raises(Invalid):
        rings_of({"type": "Polygon", "coordinates": [ring]})
    assert time.process_time() - began < 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["rings", "points", "type", "coordinates"]), inner),
)


@given(JSON)
def test_nothing_but_a_polygon_or_a_refusal_comes_of_any_json(polygon: Any) -> None:
    try:
        rings = rings_of(polygon)
    except Invalid:
        return
    assert rings[0][0] == rings[0][-1]
