"""An example of each request body: made from its schema, member by member, so that a new route has one at once.

What a member is called says what it looks like; else its type does. A test sends each example to the service.
"""

import base64
from typing import Any, Final

from tocsin.api.examples import ACTIVITY_ID, CATEGORY_ID, ORGANIZATION_ID, PERSON_ID, REPORT_ID

MEMBER_ID: Final = "0190b6a0-5b91-7c73-875e-00000000000a"
PIXEL: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
"""A picture of one pixel, in PNG."""
CORNERS: Final = ((-0.6, 44.8), (-0.5, 44.8), (-0.5, 44.9), (-0.6, 44.8))

BY_NAME: Final[dict[str, Any]] = {
    "alternateName": "Bordeaux",
    "billingEmailAddress": "billing@bordeaux.example.org",
    "branchCode": "BX-1",
    "businessActivity": ACTIVITY_ID,
    "category": CATEGORY_ID,
    "color": "#ffcc00",
    "description": "The lamp in front of number 12 is broken.",
    "duration": 30,
    "elevation": 12.5,
    "email": "ada@example.org",
    "event": "reportCreated",
    "expiresAt": "2031-02-27T10:00:00+00:00",
    "familyName": "Lovelace",
    "from": 1,
    "givenName": "Ada",
    "headers": {"Authorization": "Bearer abc"},
    "icon": "fa-bug",
    "identificationNumber": "CMMS-4711",
    "image": f"data:image/png;base64,{PIXEL}",
    "jobTitle": "Engineer",
    "latitude": 44.8378,
    "login": "ada@example.org",
    "logo": f"data:image/png;base64,{PIXEL}",
    "longitude": -0.5792,
    "maxInFlight": 10,
    "member": MEMBER_ID,
    "metadata": {},
    "name": "Centre",
    "notificationEmailAddress": "reports@bordeaux.example.org",
    "organization": ORGANIZATION_ID,
    "overlapSeconds": 86_400,
    "password": "correct horse battery",
    "payloadUrl": "https://cmms.example.org/hook",
    "person": PERSON_ID,
    "polygon": {"rings": [{"points": [{"longitude": x, "latitude": y} for x, y in CORNERS]}], "srid": 4326},
    "priority": 2,
    "proMode": False,
    "ratePerSecond": 50,
    "report": REPORT_ID,
    "roles": ["ORGANIZATION:ADMIN"],
    "secret": f"whsec_{base64.b64encode(bytes(range(32))).decode()}",
    "startDate": "2018-02-27T10:00:00+00:00",
    "tags": ["lamp"],
    "text": "The bulb is ordered.",
    "to": 7,
    "transition": "accept",
}
"""By the member's name, whatever it is a member of."""

_BY_TYPE: Final[dict[str, Any]] = {
    "string": "text",
    "integer": 1,
    "number": 1,
    "boolean": True,
    "object": {},
    "null": None,
}
_BY_FORMAT: Final = {
    "uuid": REPORT_ID,
    "date-time": "2018-02-27T10:00:00+00:00",
    "email": "ada@example.org",
    "uri": "https://example.org/",
}


def example(schema: dict[str, Any], schemas: dict[str, Any], name: str = "") -> Any:
    """A value that the schema takes; `name`: of the member that it is of; `schemas`: what references lead to."""
    if "$ref" in schema:
        return example(schemas[schema["$ref"].rpartition("/")[2]], schemas, name)
    if "properties" in schema:
        return {member: example(one, schemas, member) for member, one in schema["properties"].items()}
    if name in BY_NAME and BY_NAME[name] in schema.get("enum", [BY_NAME[name]]):
        return BY_NAME[name]
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return example(schema[choice][0], schemas, name)
    return _plain(schema, schemas, name)


def _plain(schema: dict[str, Any], schemas: dict[str, Any], name: str) -> Any:
    for given in ("example", "const", "default"):
        if schema.get(given) is not None:
            return schema[given]
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "array":
        return [example(schema.get("items", {}), schemas, name)]
    if "minimum" in schema:
        return max(schema["minimum"], 1)
    return _BY_FORMAT.get(schema.get("format", ""), _BY_TYPE[schema.get("type", "object")])
