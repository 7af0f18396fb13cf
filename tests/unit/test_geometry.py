"""Polygons as integrators send them, and what lies inside."""

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
        ({"rings": [{"points": [_point(0, 0), _point(1, 1)]}]}, "polygon"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1]]]}, "polygon"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [2, 2]]]}, "polygon"),
        ({"type": "Polygon", "coordinates": [[[0]]]}, "polygon.coordinates[0][0]"),
        ({"type": "Polygon", "coordinates": [OUTER, [[20, 20], [21, 20], [21, 21]]]}, "polygon"),
        ({"type": "Polygon", "coordinates": [OUTER] * 101}, "polygon"),
        ({"type": "Polygon", "coordinates": [OUTER * 1001, OUTER * 1001]}, "polygon"),
        ({"type": "FeatureCollection", "features": [FEATURE, FEATURE]}, "polygon.features"),
    ],
)
def test_a_wrong_polygon_is_refused_with_the_path(polygon: Any, path: str) -> None:
    with pytest.raises(Invalid) as raised:
        rings_of(polygon)
    assert raised.value.violations[0].path == path


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
