"""What every route has in common, put into the API's description: security, conditions, limits, errors, examples.

Routes say what is their own; this is read off how they are made, so that none forgets a header or a refusal that it
can't escape.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from tocsin.api.access import ACCESS
from tocsin.api.calls import CALLS_MAX_PER_SECOND, UNLIMITED
from tocsin.api.conditional import KEY_MAX_CHARACTERS, changed_by, takes_key
from tocsin.api.parameters import bearer, known
from tocsin.api.request_examples import example

INTRODUCTION: Final = f"""Field reports and the operations that settle them, as HAL; each change is a notification.

* **Credentials.** `Authorization: Bearer` with the token of a login or with an API token of an organization.
* **Representations** are `application/hal+json`, the same bytes in an answer and in a notification. Follow `_links`.
* **Bodies** are JSON objects. `null` is the same as an absent member: it leaves a member as it is. To clear a text,
  send `""`. Read-only members that are sent back are ignored; other unknown members are refused.
* **Lists** have pages (`page`, `limit`, `order`) and keep their filters in their links.
* **Versions.** Every representation has an `ETag`. Send it as `If-Match` with a change, and the change is done to that
  version or not at all (412); send it as `If-None-Match`, and what you have already is not sent again (304).
* **Repeating.** A POST that creates something takes an `Idempotency-Key`: the same key and body within 24 hours give
  the first answer again, byte for byte; the same key with another request is a 422. Refusals are not kept.
* **Limits.** {CALLS_MAX_PER_SECOND} calls a second for each token, and for each address without one; `RateLimit` says
  what is left, `Retry-After` when there is room again.
* **Errors** are `vnd.error`, in French, or in English where `Accept-Language` prefers it. A 400 names each wrong field
  by its `path`.
"""

TAGS: Final[dict[str, str]] = {
    "root": "Where generic clients begin.",
    "security": "Accounts and logins. Failed logins are limited for each account and address together.",
    "organizations": "Who receives feedback as reports, and works on them.",
    "members": "The people of an organization, and what each may do.",
    "tokens": "Credentials of machines. They act with their roles in one organization.",
    "people": "Oneself, fellow members, and whoever reported to the caller's organizations.",
    "business activities": "Kinds of work that organizations do, each with a schema of what feedback tells about it.",
    "categories": "How an organization sorts what is reported to it.",
    "places": "Polygons. Feedback inside of one reaches its organization.",
    "feedback": "What people report from the field.",
    "reports": "What an organization makes of feedback, with its states.",
    "operations": "The work that settles a report, with its states.",
    "comments": "What is said about feedback and operations.",
    "images": "Pictures of feedback and operations.",
    "relationships": "Partners of an organization, to whom it may delegate reports.",
    "delegation": "Reports that a partner works on, too.",
    "webhooks": "Which events go to which URL. Each webhook has one event and one URL.",
    "deliveries": "What became of a webhook's events.",
    "replays": "Sending again what a webhook has behind it.",
    "events": "The log of everything that happened, in order and without a gap.",
    "audit": "Who did what.",
    "health": "Whether the service is well.",
    "notifications": "What the service sends to a webhook's URL.",
}
"""In the order in which they are shown."""

ERRORS: Final[dict[str, str]] = {
    "400": "The request is wrong: which fields, and why",
    "401": "No credential, or a bad or expired one",
    "403": "The caller may see this but not do it",
    "404": "Unknown, or not the caller's to know of",
    "408": "The body does not come",
    "409": "The state of things forbids it",
    "410": "Before the retention: the oldest sequence that is left is in the answer",
    "412": "The resource is in another version than the one that was named",
    "413": "The body is too large",
    "415": "The body is not JSON",
    "422": "The Idempotency-Key was used for another request",
    "429": "Over a rate limit",
    "503": "The service can't answer now",
}
_RETRIED: Final = ("429", "503")


def header(description: str, kind: str = "string", **more: Any) -> dict[str, Any]:
    return {"description": description, "schema": {"type": kind}, **more}


HEADERS: Final[dict[str, Any]] = {
    "ETag": header("The version of the representation", example='"0f3c9d1be2a84f6c8e9d0a1b2c3d4e5f"'),
    "Location": header("The URL of what was created", example="https://tocsin.example.org/reports/0190b6a0"),
    "Content-Language": header("The language of the message", example="fr-FR"),
    "Retry-After": header("Seconds until asking again may help", "integer", example=1),
    "RateLimit": header("What is left of each limit, and when it is whole again", example='"calls";r=99;t=1'),
    "RateLimit-Policy": header("The limits: how many in how many seconds", example='"calls";q=100;w=1'),
    "WWW-Authenticate": header("Which credential is wanted", example="Bearer"),
}

PARAMETERS: Final[dict[str, Any]] = {
    "If-Match": header("Versions, of which the resource must be in one; `*`: any", example="*"),
    "If-None-Match": header("Versions that the caller has already", example='"0f3c9d1be2a84f6c8e9d0a1b2c3d4e5f"'),
    "Idempotency-Key": {
        "description": "The same key and request within 24 hours give the first answer again",
        "schema": {"type": "string", "minLength": 1, "maxLength": KEY_MAX_CHARACTERS, "pattern": "^[!#-~]+$"},
        "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
    },
    "Accept-Language": header("The language of messages: French, or English where it is preferred", example="en-US"),
}


def complete(description: dict[str, Any], routes: list[APIRoute], error_example: Any) -> None:
    """Fill in what routes don't say themselves."""
    _introduce(description)
    components = description["components"]
    components["headers"] = HEADERS
    components["parameters"] = {name: {"name": name, "in": "header", **one} for name, one in PARAMETERS.items()}
    components["responses"] = {f"Error{status}": _error(status, error_example) for status in ERRORS}
    for name, schema in components["schemas"].items():
        components["schemas"][name] = _forgiving(_tidy(schema))
    getters = {route.path: route for route in routes if "GET" in (route.methods or ())}
    for route, method, operation in _operations(description, routes):
        changing = changed_by(method, route.path, getters) is not None
        _complete(route, method, operation, components["schemas"], changing=changing)
    _name(description, routes)
    _prune(description)


def _introduce(description: dict[str, Any]) -> None:
    description["info"] |= {"description": INTRODUCTION, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}}
    description["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]


def _operations(
    description: dict[str, Any], routes: Iterable[APIRoute]
) -> Iterator[tuple[APIRoute, str, dict[str, Any]]]:
    for route in routes:
        for method in route.methods or ():
            operation = description["paths"].get(route.path_format, {}).get(method.lower())
            if operation is not None:
                yield route, method, operation


def _complete(
    route: APIRoute, method: str, operation: dict[str, Any], schemas: dict[str, Any], *, changing: bool
) -> None:
    """`changing`: it changes a resource that has versions."""
    wanted = credential(route.dependant)
    operation["security"] = {"none": [], "optional": [{}, {"bearer": []}], "needed": [{"bearer": []}]}[wanted]
    operation["description"] = _described(operation, ACCESS[method, route.path].sentence)
    operation["parameters"] = [_parameter(one) for one in operation.get("parameters", [])]
    conditions = _conditions(method, route.path, changing=changing)
    operation["parameters"] += [
        {"$ref": f"#/components/parameters/{name}"} for name in (*conditions, "Accept-Language")
    ]
    responses = operation["responses"]
    for status in _refusals(route, wanted, conditions, operation):
        responses.setdefault(status, {})
    for status in responses:
        if status in ERRORS:
            responses[status] = {"$ref": f"#/components/responses/Error{status}"}
        else:
            _succeed(method, route.path, status, responses[status])
    if "If-None-Match" in conditions:
        responses["304"] = {"description": "The caller has it already", "headers": _headers("ETag")}
    for content in operation.get("requestBody", {}).get("content", {}).values():
        content["schema"] = _present(_tidy(content["schema"]))
        content["example"] = example(content["schema"], schemas)
    operation["responses"] = dict(sorted(responses.items()))


def _described(operation: dict[str, Any], who: str) -> str:
    """What a route says of itself, and who may call it."""
    own = operation.get("description", "")
    return f"{own}\n\nWho may: {who}." if own else f"Who may: {who}."


def credential(dependant: Dependant) -> str:
    """Whether a route takes a credential: `none`, `optional` or `needed`."""
    found = {one.call for one in dependencies(dependant)}
    return "needed" if known in found else "optional" if bearer in found else "none"


def query_of(route: APIRoute) -> list[str]:
    """The names of the query parameters that a route takes."""
    return [one.alias for part in (route.dependant, *dependencies(route.dependant)) for one in part.query_params]


def dependencies(dependant: Dependant) -> Iterator[Dependant]:
    for one in dependant.dependencies:
        yield one
        yield from dependencies(one)


def _conditions(method: str, path: str, *, changing: bool) -> tuple[str, ...]:
    """Of health and metrics there are no versions."""
    if path.startswith(UNLIMITED):
        return ()
    names = {
        "If-Match": changing,
        "If-None-Match": method == "GET",
        "Idempotency-Key": takes_key(method, path),
    }
    return tuple(name for name, taken in names.items() if taken)


def _refusals(route: APIRoute, wanted: str, conditions: Iterable[str], operation: dict[str, Any]) -> Iterator[str]:
    if route.path.startswith(UNLIMITED):
        yield "503"
        return
    yield from _RETRIED
    if wanted != "none":
        yield "401"
    if "If-Match" in conditions:
        yield from ("400", "412")
    if "Idempotency-Key" in conditions:
        yield from ("400", "422")
    if "requestBody" in operation:
        yield from ("400", "408", "413", "415")
    if any(one.get("in") == "query" for one in operation["parameters"]):
        yield "400"


def _succeed(method: str, path: str, status: str, response: dict[str, Any]) -> None:
    content = response.get("content", {})
    if len(content) > 1:
        content.pop("application/json", None)
    if content.get("application/json") == {"schema": {}}:
        del response["content"]
    if path.startswith(UNLIMITED):
        return
    names = ["RateLimit", "RateLimit-Policy"]
    names += ["ETag"] if "content" in response and status in {"200", "201"} else []
    names += ["Location"] if status == "201" and method == "POST" else []
    response["headers"] = _headers(*names)


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _error(status: str, error_example: Any) -> dict[str, Any]:
    content = {"schema": {"$ref": "#/components/schemas/Error"}}
    if status == "400":
        content["example"] = error_example
    names = ["Content-Language"]
    names += ["Retry-After"] if status in _RETRIED else []
    names += ["RateLimit", "RateLimit-Policy"] if status == "429" else []
    names += ["WWW-Authenticate"] if status == "401" else []
    return {
        "description": ERRORS[status],
        "headers": _headers(*names),
        "content": {"application/vnd.error+json": content},
    }


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    schema = _present(_tidy(parameter["schema"]))
    schema.pop("description", None)
    return {**parameter, "schema": schema}


def _present(schema: dict[str, Any]) -> dict[str, Any]:
    """Of a parameter or a body, which are never null: an absent one is absent."""
    choices = [one for one in schema.get("anyOf", []) if one != {"type": "null"}]
    if len(choices) == 1:
        return {**{name: value for name, value in schema.items() if name != "anyOf"}, **choices[0]}
    return schema


def _forgiving(schema: dict[str, Any]) -> dict[str, Any]:
    """Of a body, which alone knows all its members: null is absent, so what may be absent may be null."""
    if schema.get("additionalProperties") is not False:
        return schema
    kept = schema.get("required", ())
    members = {
        name: one if name in kept or "anyOf" in one else {"anyOf": [one, {"type": "null"}]}
        for name, one in schema["properties"].items()
    }
    return {**schema, "properties": members}


_BOUNDS: Final = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}


def _tidy(schema: Any, *, of_members: bool = False) -> Any:
    """Without titles that only repeat names, and with bounds in JSON Schema's own words."""
    if isinstance(schema, list):
        return [_tidy(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if of_members:
        return {name: _tidy(one) for name, one in schema.items()}
    return {
        _BOUNDS.get(name, name): value
        if name in {"example", "default", "const", "enum"}
        else _tidy(value, of_members=name == "properties")
        for name, value in schema.items()
        if not (name == "title" and isinstance(value, str))
    }


def _name(description: dict[str, Any], routes: list[APIRoute]) -> None:
    """Each operation by its function's name, where no other has it and it has none of its own."""
    names = [route.name for route in routes]
    for route, _, operation in _operations(description, routes):
        if route.operation_id is None and names.count(route.name) == 1:
            operation["operationId"] = route.name


def _prune(description: dict[str, Any]) -> None:
    """Without schemas that nothing refers to."""
    schemas = description["components"]["schemas"]
    rest = {name: value for name, value in description.items() if name != "components"}
    wanted = {*_references(rest), *_references({**description["components"], "schemas": {}})}
    reached: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name not in reached and name in schemas:
            reached.add(name)
            wanted |= _references(schemas[name])
    description["components"]["schemas"] = {name: schemas[name] for name in schemas if name in reached}


def _references(value: Any) -> set[str]:
    """The names of the schemas that are referred to."""
    if isinstance(value, list):
        return {name for one in value for name in _references(one)}
    if not isinstance(value, dict):
        return set()
    own = value.get("$ref")
    found = {own.rpartition("/")[2]} if isinstance(own, str) and own.startswith("#/components/schemas/") else set()
    return found | {name for one in value.values() for name in _references(one)}
