"""The business activities that every installation begins with, and what each asks of feedback that names it.

Their ids are the same everywhere. Nothing is required, so that a client that knows no schema goes on working.
"""

from typing import Any, Final

from tocsin.domain.resources import BusinessActivity

Property = dict[str, Any]


def _text(title: str, **more: Any) -> Property:
    return {"type": "string", "title": title, **more}


def _one_of(title: str, *values: str, **more: Any) -> Property:
    return {"type": "string", "title": title, "enum": list(values), **more}


def _several_of(title: str, **choices: str) -> Property:
    """`choices`: titles by value."""
    items = [{"type": "string", "enum": [value], "title": text} for value, text in choices.items()]
    return {"type": "array", "title": title, "minItems": 1, "maxItems": len(items), "items": {"oneOf": items}}


def _only_if(name: str, *values: str) -> Property:
    return {"conditions": {"allOf": [{"operator": "in", "path": name, "value": list(values)}]}}


SCHEMAS: Final[dict[str, tuple[str, dict[str, Property]]]] = {
    "Buildings": (
        "Bâtiments",
        {
            "problem": _one_of("What is wrong", "heating", "electricity", "door", "roof", "cleanliness", "other"),
            "floor": {"type": "integer", "title": "Floor", "description": "0 is the ground floor"},
            "room": _text("Room"),
            "locked": {"type": "boolean", "title": "Is it locked?", **_only_if("problem", "door")},
        },
    ),
    "Green spaces": (
        "Espaces verts",
        {
            "object": _one_of("What it is about", "tree", "lawn", "flowers", "playground", "bench", "other"),
            "danger": {"type": "boolean", "title": "Is anybody in danger?", "default": "false"},
            "height": {
                "type": "number",
                "title": "Height of the tree",
                "description": "metres",
                **_only_if("object", "tree"),
            },
        },
    ),
    "Public lighting": (
        "Éclairage public",
        {
            "fault": _one_of("What the lamp does", "out", "flickers", "burns by day", "damaged"),
            "lamp": _text("Number on the pole"),
            "since": _text("Since when", format="date"),
        },
    ),
    "Roads": (
        "Voirie",
        {
            "damage": _one_of("Damage", "pothole", "crack", "sign", "marking", "kerb", "other"),
            "depth": {
                "type": "number",
                "title": "Depth",
                "description": "centimetres",
                **_only_if("damage", "pothole", "crack"),
            },
            "affected": _several_of("Who is hindered", cars="Cars", cycles="Cycles", walkers="People on foot"),
        },
    ),
    "Waste": (
        "Déchets",
        {
            "waste": _several_of(
                "What lies there", household="Household", bulky="Bulky", green="Green", building="From building"
            ),
            "container": _text("Number of the container"),
            "contact": _text("Address for questions", format="email"),
        },
    ),
    "Water": (
        "Eau",
        {
            "problem": _one_of("What is wrong", "leak", "flood", "no water", "colour", "smell"),
            "flow": _one_of("How strong it is", "drops", "flows", "gushes", **_only_if("problem", "leak", "flood")),
            "seen": _text("When it was seen", format="date-time"),
        },
    ),
}
"""By name: the French name, and the properties in the order of a form."""


def _schema(properties: dict[str, Property]) -> dict[str, Any]:
    ordered = {name: {**one, "propertyOrder": order} for order, (name, one) in enumerate(properties.items(), start=1)}
    return {"required": [], "properties": ordered}


SEEDED: Final = tuple(
    BusinessActivity(f"0190b6a0-0000-7000-8000-{number:012d}", name, alternate_name, _schema(properties))
    for number, (name, (alternate_name, properties)) in enumerate(SCHEMAS.items(), start=1)
)
