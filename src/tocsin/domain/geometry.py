"""Polygons: what integrators send, made into rings; and what lies inside them.

Accepted: the documented form {"rings": [{"points": [{"longitude", "latitude"}, …]}], "srid": 4326} and GeoJSON Polygon,
Feature or FeatureCollection of one (CONTRACT, section 3, "Place"). Open rings are closed; the first is the outer one.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

from shapely import Point as ShapelyPoint
from shapely import Polygon, is_valid_reason

from tocsin.domain.errors import Invalid, Violation
from tocsin.domain.resources import Point

POINTS_MAX: Final = 10_000
RINGS_MAX: Final = 100
RING_POINTS_MIN: Final = 4
SRID: Final = 4326

Ring = tuple[tuple[float, float], ...]
Rings = tuple[Ring, ...]


def rings_of(polygon: object, path: str = "polygon") -> Rings:
    """The validated, closed rings of a polygon in an accepted form. Raises Invalid with the path of what is wrong."""
    if not isinstance(polygon, dict):
        raise _wrong(path, "A polygon is an object: rings, or GeoJSON.")
    raw = _documented(polygon, path) if "rings" in polygon else _geojson(polygon, path)
    if not 1 <= len(raw) <= RINGS_MAX:
        raise _wrong(path, f"A polygon has 1 to {RINGS_MAX} rings.")
    if sum(len(ring) for ring in raw) > POINTS_MAX:
        raise _wrong(path, f"A polygon has at most {POINTS_MAX} points.")
    rings = tuple(_closed(ring, path) for ring in raw)
    _check_shape(rings, path)
    return rings


def contains(rings: Rings, point: Point) -> bool:
    """Whether the point lies in the polygon; its border belongs to it."""
    return _shape(rings).covers(ShapelyPoint(point.longitude, point.latitude))


def covers(outer: Rings, inner: Rings) -> bool:
    """Whether one polygon lies wholly in another."""
    return _shape(outer).covers(_shape(inner))


def area(rings: Rings) -> float:
    """In square degrees: good for comparing polygons that lie in each other."""
    return float(_shape(rings).area)


def bounds(rings: Rings) -> tuple[float, float, float, float]:
    """West, south, east, north."""
    longitudes = [longitude for longitude, _ in rings[0]]
    latitudes = [latitude for _, latitude in rings[0]]
    return min(longitudes), min(latitudes), max(longitudes), max(latitudes)


def _shape(rings: Rings) -> Polygon:
    return Polygon(rings[0], rings[1:])


def _documented(polygon: dict[str, Any], path: str) -> list[list[tuple[float, float]]]:
    if polygon.get("srid", SRID) != SRID:
        raise _wrong(f"{path}.srid", f"Only srid {SRID} is known.")
    rings = []
    for number, ring in enumerate(_list(polygon["rings"], f"{path}.rings")):
        here = f"{path}.rings[{number}]"
        points = _list(ring.get("points") if isinstance(ring, dict) else None, f"{here}.points")
        rings.append([_named_point(point, f"{here}.points[{index}]") for index, point in enumerate(points)])
    return rings


def _named_point(point: object, path: str) -> tuple[float, float]:
    if not isinstance(point, dict):
        raise _wrong(path, "A point is an object with longitude and latitude.")
    longitude = _degrees(point.get("longitude"), 180, f"{path}.longitude")
    return longitude, _degrees(point.get("latitude"), 90, f"{path}.latitude")


def _geojson(polygon: dict[str, Any], path: str) -> list[list[tuple[float, float]]]:
    match polygon.get("type"):
        case "FeatureCollection":
            features = _list(polygon.get("features"), f"{path}.features")
            if len(features) != 1 or not isinstance(features[0], dict):
                raise _wrong(f"{path}.features", "A place is one feature.")
            return _geojson(features[0], f"{path}.features[0]")
        case "Feature" if isinstance(polygon.get("geometry"), dict):
            return _geojson(polygon["geometry"], f"{path}.geometry")
        case "Polygon":
            here = f"{path}.coordinates"
            rings = [_list(ring, f"{here}[{n}]") for n, ring in enumerate(_list(polygon.get("coordinates"), here))]
            return [
                [_position(position, f"{here}[{n}][{index}]") for index, position in enumerate(ring)]
                for n, ring in enumerate(rings)
            ]
        case _:
            raise _wrong(path, "A polygon has rings, or is a GeoJSON Polygon, Feature or FeatureCollection.")


def _position(position: object, path: str) -> tuple[float, float]:
    if not isinstance(position, list) or not 2 <= len(position) <= 3:
        raise _wrong(path, "A position is [longitude, latitude].")
    return _degrees(position[0], 180, f"{path}[0]"), _degrees(position[1], 90, f"{path}[1]")


def _degrees(value: object, most: int, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or abs(value) > most:
        raise _wrong(path, f"A number of degrees from -{most} to {most}.")
    return float(value)


def _list(value: object, path: str) -> list[Any]:
    if not isinstance(value, list) or not value or len(value) > POINTS_MAX + 1:
        raise _wrong(path, f"A list of 1 to {POINTS_MAX}.")
    return value


def _closed(ring: Sequence[tuple[float, float]], path: str) -> Ring:
    closed = tuple(ring) if ring[0] == ring[-1] else (*ring, ring[0])
    if len(closed) < RING_POINTS_MIN or len(set(closed)) < RING_POINTS_MIN - 1:
        raise _wrong(path, "A ring has at least three different points.")
    return closed


def _check_shape(rings: Rings, path: str) -> None:
    shape = _shape(rings)
    if not shape.is_valid:
        raise _wrong(path, f"This is no valid polygon: {is_valid_reason(shape)}.")
    if shape.area == 0:
        raise _wrong(path, "The polygon has no area.")


def _wrong(path: str, message: str) -> Invalid:
    return Invalid(Violation(path, message))
