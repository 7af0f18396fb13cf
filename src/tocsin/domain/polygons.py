"""Polygons as integrators send them, made into rings, or refused with the reason and the path of what is wrong.

Accepted: the documented form {"rings": [{"points": [{"longitude", "latitude"}, …]}], "srid": 4326}, and GeoJSON:
Polygon, MultiPolygon of one polygon, Feature or FeatureCollection of one (CONTRACT, section 3, "Place"). Open rings are
closed; the first is the outer one, others are holes.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import shapely
from shapely import Polygon, is_valid_reason

from tocsin.domain.errors import Invalid, Violation
from tocsin.domain.geometry import SRID, Ring, Rings, shape

POINTS_MAX: Final = 10_000
RINGS_MAX: Final = 100
RING_POINTS_MIN: Final = 4
"""The last one is the first again."""

FORMS: Final = "A polygon has rings, or is a GeoJSON Polygon, Feature or FeatureCollection."

_WHERE: Final = re.compile(r"\[(?P<longitude>\S+) (?P<latitude>\S+)\]")


@dataclass(frozen=True, slots=True)
class Sent:
    """A ring as it was sent, and where in the body."""

    path: str
    points: tuple[tuple[float, float], ...]


def rings_of(polygon: object, path: str = "polygon") -> Rings:
    """The validated, closed rings of a polygon in an accepted form. Raises Invalid with the path of what is wrong."""
    if not isinstance(polygon, dict):
        raise _wrong(path, "A polygon is an object: rings, or GeoJSON.")
    sent = _documented(polygon, path) if "rings" in polygon else _geojson(polygon, path)
    rings = tuple(_closed(one) for one in sent)
    paths = [one.path for one in sent]
    _check_rings(rings, paths)
    _check_holes(rings, paths)
    return rings


# Decoding


def _documented(polygon: dict[str, Any], path: str) -> list[Sent]:
    if polygon.get("srid") not in (None, SRID):
        raise _wrong(f"{path}.srid", f"Only srid {SRID} is known.")
    sent, left = [], POINTS_MAX
    for here, ring in _items(polygon["rings"], f"{path}.rings", RINGS_MAX, "rings"):
        points = _items(ring.get("points") if isinstance(ring, dict) else None, f"{here}.points", left, "points")
        sent.append(Sent(here, tuple(_named_point(point, there) for there, point in points)))
        left -= len(sent[-1].points)
    return sent


def _named_point(point: object, path: str) -> tuple[float, float]:
    if not isinstance(point, dict):
        raise _wrong(path, "A point is an object with longitude and latitude.")
    longitude = _degrees(point.get("longitude"), 180, f"{path}.longitude")
    return longitude, _degrees(point.get("latitude"), 90, f"{path}.latitude")


def _geojson(polygon: dict[str, Any], path: str) -> list[Sent]:
    match polygon.get("type"):
        case "FeatureCollection":
            feature = _only(polygon.get("features"), f"{path}.features", "A place is one feature.")
            if not isinstance(feature, dict) or feature.get("type") != "Feature":
                raise _wrong(f"{path}.features[0]", "This is no Feature.")
            return _geojson(feature, f"{path}.features[0]")
        case "Feature" if isinstance(polygon.get("geometry"), dict):
            return _geometry(polygon["geometry"], f"{path}.geometry")
        case _:
            return _geometry(polygon, path)


def _geometry(geometry: dict[str, Any], path: str) -> list[Sent]:
    here = f"{path}.coordinates"
    match geometry.get("type"):
        case "Polygon":
            return _coordinates(geometry.get("coordinates"), here)
        case "MultiPolygon":
            polygon = _only(geometry.get("coordinates"), here, "A place is one polygon.")
            return _coordinates(polygon, f"{here}[0]")
        case _:
            raise _wrong(path, FORMS)


def _coordinates(coordinates: object, path: str) -> list[Sent]:
    sent, left = [], POINTS_MAX
    for here, ring in _items(coordinates, path, RINGS_MAX, "rings"):
        points = _items(ring, here, left, "points")
        sent.append(Sent(here, tuple(_position(position, there) for there, position in points)))
        left -= len(sent[-1].points)
    return sent


def _position(position: object, path: str) -> tuple[float, float]:
    if not isinstance(position, list) or not 2 <= len(position) <= 3:
        raise _wrong(path, "A position is [longitude, latitude].")
    return _degrees(position[0], 180, f"{path}[0]"), _degrees(position[1], 90, f"{path}[1]")


def _degrees(value: object, most: int, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -most <= value <= most:
        raise _wrong(path, f"A number of degrees from -{most} to {most}.")
    return float(value)


def _items(value: object, path: str, most: int, what: str) -> Iterator[tuple[str, Any]]:
    """Each item with its path. `most`: of the whole polygon that are left to this list."""
    if not isinstance(value, list) or not value:
        raise _wrong(path, f"A list of {what}, not empty.")
    if len(value) > most:
        raise _wrong(path, f"A polygon has at most {RINGS_MAX} rings and {POINTS_MAX} points.")
    return ((f"{path}[{index}]", item) for index, item in enumerate(value))


def _only(value: object, path: str, otherwise: str) -> Any:
    if not isinstance(value, list) or len(value) != 1:
        raise _wrong(path, otherwise)
    return value[0]


# Validity


def _closed(sent: Sent) -> Ring:
    points = sent.points
    closed = points if points[0] == points[-1] else (*points, points[0])
    if len(closed) < RING_POINTS_MIN or len(set(closed)) < RING_POINTS_MIN - 1:
        raise _wrong(sent.path, "A ring has at least three different points.")
    return closed


def _check_rings(rings: Rings, paths: list[str]) -> None:
    """Each ring by itself goes around something, once."""
    for ring, path in zip(rings, paths, strict=True):
        alone = Polygon(ring)
        if not alone.is_valid:
            raise _wrong(path, f"This ring crosses or touches itself{_where(alone)}.")
        if alone.area == 0:
            raise _wrong(path, "This ring encloses no area.")


def _check_holes(rings: Rings, paths: list[str]) -> None:
    """Holes lie inside the outer ring, beside each other, and leave the polygon in one piece."""
    whole = shape(rings)
    if whole.is_valid:
        return
    outer, holes = Polygon(rings[0]), [Polygon(ring) for ring in rings[1:]]
    for hole, path in zip(holes, paths[1:], strict=True):
        if not outer.covers(hole):
            raise _wrong(path, f"This hole is not inside the outer ring{_where(whole)}.")
    tree = shapely.STRtree(holes)
    for number, hole in enumerate(holes):
        for other in sorted(int(one) for one in tree.query(hole, predicate="intersects")):
            if other < number and hole.relate_pattern(holes[other], "T********"):
                raise _wrong(paths[number + 1], f"This hole crosses another or lies in it{_where(whole)}.")
    raise _wrong(paths[0], f"Holes run along a border, or cut the polygon into pieces{_where(whole)}.")


def _where(polygon: Polygon) -> str:
    """The place of what is wrong, in words; nothing where it is not known."""
    match = _WHERE.search(is_valid_reason(polygon))
    if match is None or not all(math.isfinite(float(one)) for one in match.groups()):
        return ""
    return f", near longitude {match['longitude']}, latitude {match['latitude']}"


def _wrong(path: str, message: str) -> Invalid:
    return Invalid(Violation(path, message))
