"""The API's description: OpenAPI 3.1 with every route, its answers and errors, and the notifications under `webhooks`.

Schemas of answers are read off the examples, which are rendered as any answer is: the description can't drift from
what is served.
"""

from typing import Any, Final

from fastapi import FastAPI

from tocsin.api.examples import EXAMPLES
from tocsin.api.openapi import complete
from tocsin.api.openapi_links import link
from tocsin.api.schemas import BY_HAND
from tocsin.domain import events
from tocsin.domain.activities import LogAction, Verb
from tocsin.domain.audit import Action
from tocsin.domain.events import Event
from tocsin.domain.roles import Role
from tocsin.domain.states import FeedbackState, OperationState, ReportState
from tocsin.service.authentication import ROLE_USER

HAL_JSON: Final = "application/hal+json"
ERROR_JSON: Final = "application/vnd.error+json"

ENUMS: Final[dict[tuple[str, str], list[str]]] = {
    ("Report", "state"): list(ReportState),
    ("Operation", "state"): list(OperationState),
    ("Feedback", "state"): list(FeedbackState),
    ("Webhook", "event"): list(Event),
    ("Replay", "state"): ["running", "done", "stopped"],
    ("AuditEntry", "action"): list(Action),
    ("LogEntry", "action"): list(LogAction),
    ("Activities", "verb"): list(Verb),
    ("AggregatedActivities", "verb"): list(Verb),
}

ERROR_EXAMPLE: Final = {
    "@context": "https://github.com/blongden/vnd.error",
    "@type": "ValidationError",
    "message": "La validation a échoué.",
    "total": 1,
    "_embedded": {
        "errors": [
            {
                "@context": "https://github.com/blongden/vnd.error",
                "@type": "Error",
                "message": "Cette valeur ne doit pas être vide.",
                "path": "transition",
            }
        ]
    },
}

ERRORS: Final = {
    400: "The request is wrong: which fields, and why",
    401: "No credential, or a bad or expired one",
    403: "The caller may see this but not do it",
    404: "Unknown, or not the caller's to know of",
    409: "The state of things forbids it",
    410: "Before the retention: the oldest sequence that is left is in the answer",
    413: "The body is too large",
    415: "The body is not JSON",
    503: "The service can't answer now: ask again after Retry-After",
}


def answers(
    status: int = 200, name: str | None = None, *, page: bool = False, errors: tuple[int, ...] = (400, 401, 403, 404)
) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: what it answers (`name` of a schema; None: nothing) and the errors it can answer."""
    documented: dict[int | str, dict[str, Any]] = {status: {"description": _described(name, page=page)}}
    if name is not None:
        schema = {"$ref": f"#/components/schemas/{name}{'Page' if page else ''}"}
        documented[status]["content"] = {HAL_JSON: {"schema": schema}}
    for error in errors:
        content = {ERROR_JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
        documented[error] = {"description": ERRORS[error], "content": content}
    return documented


WRITE_ERRORS: Final = (400, 401, 403, 404, 413, 415)
"""Of routes that take a body."""
STATE_ERRORS: Final = (400, 401, 403, 404, 409, 413, 415)
"""Of routes that take a body and can meet a state that forbids them."""


def _described(name: str | None, *, page: bool) -> str:
    if name is None:
        return "Done"
    return f"A page of {name}" if page else f"The {name}"


def describe(app: FastAPI, public_url: str) -> dict[str, Any]:
    """The whole description, as served at /openapi.json."""
    app.openapi_schema = None
    description = app.openapi()
    schemas = description.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Error"] = {**_schema("Error", [ERROR_EXAMPLE]), "required": ["message"], "example": ERROR_EXAMPLE}
    for name, (sparse, full) in EXAMPLES.items():
        schemas[name] = {**_schema(name, [sparse, full]), "example": full}
        schemas[f"{name}Page"] = _page_schema(name, full)
    description["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "A JWT of /security/login, or an API token"}
    }
    description["servers"] = [{"url": public_url}]
    for operations in description["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
    description["webhooks"] = {event.value: _notification(event) for event in Event}
    complete(description, app.state.routes, ERROR_EXAMPLE)
    link(description)
    return description


def _notification(event: Event) -> dict[str, Any]:
    name = events.RESOURCE_TYPE[event]
    schema = {
        "type": "object",
        "required": ["event", "payload"],
        "properties": {"event": {"const": event.value}, "payload": {"$ref": f"#/components/schemas/{name}"}},
    }
    example = {"event": event.value, "payload": EXAMPLES[name][1]}
    body = {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}
    headers = ("webhook-id", "webhook-timestamp", "webhook-signature", "Tocsin-Event", "Tocsin-Sequence")
    parameters = [
        {"name": header, "in": "header", "required": True, "schema": {"type": "string"}}
        for header in (*headers, "Tocsin-Ordinal", "Tocsin-Webhook")
    ]
    post = {
        "summary": events.DESCRIPTION[event],
        "operationId": event.value,
        "tags": ["notifications"],
        "parameters": parameters,
        "requestBody": body,
        "responses": {
            "2XX": {"description": "Received: it is not sent again"},
            "410": {"description": "No more: the webhook is disabled"},
            "default": {"description": "Not received: it is sent again, on the retry schedule"},
        },
    }
    return {"post": post}


def event_types() -> dict[str, Any]:
    """Each event with its description, the JSON Schema of its notification, and an example."""
    items = []
    for event in Event:
        described = _notification(event)["post"]["requestBody"]["content"]["application/json"]
        name = events.RESOURCE_TYPE[event]
        schema = {**described["schema"], "properties": {**described["schema"]["properties"]}}
        schema["properties"]["payload"] = _schema(name, list(EXAMPLES[name]))
        items.append(
            {
                "event": event.value,
                "description": events.DESCRIPTION[event],
                "schema": schema,
                "example": described["example"],
            }
        )
    return {"_embedded": {"items": items}}


def _page_schema(name: str, example: Any) -> dict[str, Any]:
    link = {"type": "object", "properties": {"href": {"type": "string", "format": "uri"}}}
    items = {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}
    links = dict.fromkeys(("self", "first", "last", "next", "previous"), link)
    return {
        "type": "object",
        "required": ["page", "limit", "pages", "total", "_links", "_embedded"],
        "properties": {
            **{member: {"type": "integer"} for member in ("page", "limit", "pages", "total")},
            "_links": {"type": "object", "required": ["self", "first", "last"], "properties": links},
            "_embedded": {"type": "object", "required": ["items"], "properties": {"items": items}},
        },
        "example": _page_example(example),
    }


def _page_example(item: Any) -> dict[str, Any]:
    link = {"href": "https://tocsin.example.org/…?page=1&limit=10"}
    links = dict.fromkeys(("self", "first", "last"), link)
    return {"page": 1, "limit": 10, "pages": 1, "total": 1, "_links": links, "_embedded": {"items": [item]}}


def _schema(name: str, values: list[Any]) -> dict[str, Any]:
    """The JSON Schema that every value meets, as narrow as the values tell."""
    value = values[-1]
    if all(isinstance(one, dict) for one in values):
        members = {member: [one[member] for one in values if member in one] for one in values for member in one}
        required = [member for member, found in members.items() if len(found) == len(values)]
        properties = {member: _member(name, member, found) for member, found in members.items()}
        return {"type": "object", "required": required, "properties": properties}
    if isinstance(value, list):
        items = [item for one in values for item in one]
        return {"type": "array", "items": _schema(name, items)} if items else {"type": "array"}
    return {"type": _TYPES[type(value)]}


def _member(name: str, member: str, values: list[Any]) -> dict[str, Any]:
    if (name, member) in BY_HAND:
        return BY_HAND[name, member]
    if member == "details":
        return {"type": "object"}
    if member in {"mapping", "headers", "metadata"}:
        return {"type": "object", "additionalProperties": {"type": "string"}}
    if member == "rings" or (member == "coordinates" and isinstance(values[0], list)):
        return {"type": "array"}
    schema = _schema(name, values)
    if (name, member) in ENUMS:
        schema["enum"] = ENUMS[name, member]
    if member in {"roles", "availableRoles"}:
        schema["items"] = {"enum": [ROLE_USER, *Role] if name == "Login" else list(Role)}
    if member.endswith(("At", "Date", "_at")) or member == "failingSince":
        schema["format"] = "date-time"
    if member in {"elevation", "latitude", "longitude", "ratePerSecond", "resolved"}:
        schema["type"] = "number"
    return schema


_TYPES: Final[dict[type, str]] = {str: "string", bool: "boolean", int: "integer", float: "number"}
