"""JSON Schemas that no example tells: polygons as they may be sent, and the schemas that describe metadata."""

from typing import Any, Final

from tocsin.domain.metadata import FORMATS, OPERATORS, TYPES
from tocsin.domain.polygons import RINGS_MAX

_DEGREES: Final = {"longitude": {"minimum": -180, "maximum": 180}, "latitude": {"minimum": -90, "maximum": 90}}
_POINT: Final = {
    "type": "object",
    "required": ["longitude", "latitude"],
    "properties": {name: {"type": "number", **limits} for name, limits in _DEGREES.items()},
}
_POSITION: Final = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 3}
_RING: Final = {"type": "array", "items": _POSITION, "minItems": 3}
_RINGS: Final = {"type": "array", "items": _RING, "minItems": 1, "maxItems": RINGS_MAX}


def _tagged(kind: str, name: str, schema: dict[str, Any]) -> dict[str, Any]:
    properties = {"type": {"const": kind}, name: schema}
    return {"type": "object", "required": ["type", name], "properties": properties}


_POLYGON: Final = _tagged("Polygon", "coordinates", _RINGS)
_MULTIPOLYGON: Final = _tagged(
    "MultiPolygon", "coordinates", {"type": "array", "items": _RINGS, "minItems": 1, "maxItems": 1}
)
_FEATURE: Final = _tagged("Feature", "geometry", {"anyOf": [_POLYGON, _MULTIPOLYGON]})
_FEATURES: Final = {"type": "array", "items": _FEATURE, "minItems": 1, "maxItems": 1}
_DOCUMENTED: Final = {
    "type": "object",
    "required": ["rings"],
    "properties": {
        "rings": {
            "type": "array",
            "minItems": 1,
            "maxItems": RINGS_MAX,
            "items": {
                "type": "object",
                "required": ["points"],
                "properties": {"points": {"type": "array", "items": _POINT, "minItems": 3}},
            },
        },
        "srid": {"anyOf": [{"const": 4326}, {"type": "null"}]},
    },
}

POLYGON: Final = {
    "description": "Rings of points, or GeoJSON; the first ring is the outer one, others are holes",
    "anyOf": [
        _DOCUMENTED,
        _POLYGON,
        _MULTIPOLYGON,
        _FEATURE,
        _tagged("FeatureCollection", "features", _FEATURES),
    ],
    "examples": [
        {
            "rings": [
                {
                    "points": [
                        {"longitude": longitude, "latitude": latitude}
                        for longitude, latitude in ((-0.6, 44.8), (-0.5, 44.8), (-0.5, 44.9), (-0.6, 44.8))
                    ]
                }
            ],
            "srid": 4326,
        },
        {"type": "Polygon", "coordinates": [[[-0.6, 44.8], [-0.5, 44.8], [-0.5, 44.9], [-0.6, 44.8]]]},
    ],
}

_TEXT: Final = {"type": "string"}
_TEXTS: Final = {"type": "array", "items": _TEXT}
_CHOICE: Final = {
    "type": {"enum": ["string", "array", *TYPES], "description": "string where there is none"},
    "title": _TEXT,
    "description": _TEXT,
    "enum": _TEXTS,
    "format": {"type": "string", "description": f"checked: {', '.join(FORMATS)}"},
    "minItems": {"type": "integer"},
    "maxItems": {"type": "integer"},
    "default": {"type": "string", "description": "for a form; nobody fills it in"},
    "propertyOrder": {"type": "integer"},
}
_CONDITION: Final = {
    "type": "object",
    "required": ["operator", "path", "value"],
    "properties": {
        "operator": {"enum": list(OPERATORS)},
        "path": {"type": "string", "description": "the name of another property"},
        "value": _TEXTS,
    },
}
_CHOICES: Final = {"type": "array", "items": {"type": "object", "properties": _CHOICE}}
_PROPERTY: Final = {
    "type": "object",
    "properties": {
        **_CHOICE,
        "conditions": {
            "type": "object",
            "description": "the property is asked for only where all of them hold",
            "properties": {"allOf": {"type": "array", "items": _CONDITION}},
        },
        "items": {"type": "object", "properties": {"oneOf": _CHOICES}},
    },
}
_PROPERTIES: Final = {"type": "object", "additionalProperties": _PROPERTY}

_CHANGED: Final = {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("Report", "Operation")]}
"""What an event is of."""

BY_HAND: Final[dict[tuple[str, str], dict[str, Any]]] = {
    ("BusinessActivity", "metadataSchema"): {
        "type": "object",
        "required": ["required", "properties"],
        "properties": {"required": _TEXTS, "properties": _PROPERTIES},
    },
    ("LoggedEvent", "payload"): _CHANGED,
    ("EventFeed", "payload"): _CHANGED,
    ("MetadataSchema", "required"): _TEXTS,
    ("MetadataSchema", "properties"): _PROPERTIES,
}
"""By resource and member: in the stead of what the examples tell."""
