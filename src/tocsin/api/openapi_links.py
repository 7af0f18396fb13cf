"""`_links` of answers in OpenAPI's own words: which call takes what an answer holds.

Read off the examples, which are rendered as any answer is: a relation's href says which call it leads to, and the
mapping beside it where its variables are. Only what no `_links` tells is written here. What the request of an answer
has named already is not handed on: whoever gets /reports/{report} has what its other calls take.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

ITEM: Final = "/_embedded/items/0"
"""Where a list holds the resource that stands for each in it."""
LISTS: Final = {"EventFeed": "LoggedEvent", "Deliveries": "Delivery"}
"""What lists hold that are no pages."""
BESIDES: Final[dict[str, dict[str, dict[str, str]]]] = {
    "Login": {"get_person": {"person": "/credentials/id"}},
    "LoggedEvent": {name: {"event": "/id"} for name in ("get_event", "explain_event")},
    "Organization": {
        name: {"organization": "/id"}
        for name in ("list_business_activities", "list_categories", "list_feedback", "list_places")
    },
    "BusinessActivity": {name: {"business_activity": "/id"} for name in ("list_categories", "list_organizations")},
    "Category": {"list_feedback": {"category": "/id"}},
}
"""By resource and operation: parameters, and where in the resource they are."""
BODIES: Final[dict[str, dict[str, dict[str, str]]]] = {"Report": {"create_operation": {"report": "/id"}}}
"""By resource and operation: a body that is enough."""
PARTNERS: Final[dict[str, dict[str, str]]] = {
    "remove_partner": {"organization": "$request.path.organization", "relationship": "/id"},
    "get_organization": {"organization": "/id"},
}
"""By operation: what takes the partner that is in an answer, which is another organization than that of the path."""
OF_SEVERAL_KINDS: Final = frozenset({"Tracking"})
"""Whose `self` is not always of the kind that the example shows."""

SIZED: Final = "/{width}/{height}"
"""Behind the path of an image; the sizes name nothing: the caller chooses."""

_NOT_BY_THEMSELVES: Final = frozenset({"self", "images"})
"""`self`: it leads back; `images`: `image` is the first of them."""
_VARIABLE: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    path: str
    id: str
    summary: str

    @property
    def variables(self) -> frozenset[str]:
        return frozenset(_VARIABLE.findall(self.path))


@dataclass(frozen=True, slots=True)
class _Relation:
    """`values`: the call's parameters, and the pointers to them in the resource; `named`: what an example has there."""

    name: str
    call: _Call
    values: Mapping[str, str]
    named: frozenset[str] = frozenset()


def link(description: dict[str, Any]) -> None:
    """Give each answer its links. The examples of schemas, the names and the references must be in their places."""
    calls = [
        _Call(method, path, operation["operationId"], operation["summary"])
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    shared: dict[str, Any] = {}
    for call in calls:
        operation = description["paths"][call.path][call.method]
        for response in operation["responses"].values():
            name, found = _links_of(response, call, calls, description["components"]["schemas"])
            if found:
                response["links"] = {one: {"$ref": f"#/components/links/{name}.{one}"} for one in found}
                shared |= {f"{name}.{one}": made for one, made in found.items()}
    description["components"]["links"] = dict(sorted(shared.items()))


def _links_of(
    response: Mapping[str, Any], call: _Call, calls: list[_Call], schemas: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """The name of the answer's schema, and the links by their names."""
    content: Mapping[str, Any] = next(iter(response.get("content", {}).values()), {})
    name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = {}
    for place, resource, example in _resources(name, schemas.get(name, {}).get("example")):
        relations = list(_relations(example, calls))
        itself = None if name in OF_SEVERAL_KINDS else next((one for one in relations if one.name == "self"), None)
        rest = [one for one in relations if one.name not in _NOT_BY_THEMSELVES]
        led = [further for one in rest for further in _led_to(one, calls)]
        for one in (*led, *_of_itself(itself, rest, call, calls), *_besides(resource, call, calls)):
            found.setdefault(one.name, _link(one, place))
        for wanted, body in BODIES.get(resource, {}).items():
            found |= {wanted: _link(_Relation(wanted, _by_id(calls, wanted), {}), place, body)}
    return name, found


def _resources(name: str, example: Any) -> Iterator[tuple[str, str, Any]]:
    """Each resource that an answer holds: where, its name, and an example."""
    if isinstance(example, dict):
        yield "", name, example
        items = example.get("_embedded", {}).get("items", ())
        if items:
            yield ITEM, LISTS.get(name, name.removesuffix("Page")), items[0]


def _relations(example: Mapping[str, Any], calls: list[_Call]) -> Iterator[_Relation]:
    """What the `_links` of a resource lead to, where they say with which variables."""
    for name, given in example.get("_links", {}).items():
        several = isinstance(given, list)
        one = given[0] if several else given
        mapping = one.get("iriTemplate", {}).get("mapping", {})
        pointer = f"/_links/{name}{'/0' if several else ''}/iriTemplate/mapping"
        found = _target(one["href"], {value: f"{pointer}/{key}" for key, value in mapping.items()}, calls)
        if found is not None:
            yield _Relation(name, *found, frozenset(mapping.values()))


def _target(href: str, pointers: Mapping[str, str], calls: list[_Call]) -> tuple[_Call, dict[str, str]] | None:
    """The call that an href leads to, and the pointers to its parameters; `pointers`: by the values in the href."""
    parts = urlsplit(href)
    for call in calls:
        pattern = _VARIABLE.sub(r"(?P<\1>[^/]+)", call.path)
        match = re.fullmatch(pattern, parts.path) if call.method == "get" and pointers else None
        if match is not None:
            given = {**match.groupdict(), **{name: values[0] for name, values in parse_qs(parts.query).items()}}
            return call, {name: pointers[value] for name, value in given.items() if value in pointers}
    return None


def _led_to(one: _Relation, calls: list[_Call]) -> Iterator[_Relation]:
    """What a relation leads to; an image in other sizes, too."""
    yield one
    yield from (_Relation(call.id, call, one.values) for call in calls if call.path == f"{one.call.path}{SIZED}")


def _of_itself(itself: _Relation | None, rest: list[_Relation], call: _Call, calls: list[_Call]) -> Iterator[_Relation]:
    """What can be done with a resource and its parts, besides what its relations lead to."""
    if itself is None:
        return
    led = {one.call.id for one in rest if one.named <= itself.named or _is_part(one.call, itself.call)}
    for one in (itself, *(one for one in rest if _is_part(one.call, itself.call))):
        if not one.call.variables <= call.variables:
            yield from (
                _Relation(below.id, below, one.values) for below in _below(one.call, calls) if below.id not in led
            )


def _is_part(call: _Call, whole: _Call) -> bool:
    return call.path.startswith(f"{whole.path}/") and call.variables > whole.variables


def _below(above: _Call, calls: list[_Call]) -> Iterator[_Call]:
    """Every call that takes what the one above takes, and no more."""
    for call in calls:
        at_or_below = call.path == above.path or call.path.startswith(f"{above.path}/")
        if at_or_below and call.variables == above.variables:
            yield call


def _besides(resource: str, call: _Call, calls: list[_Call]) -> Iterator[_Relation]:
    if call.path.endswith("/relationships") and resource == "Organization":
        yield from (_Relation(wanted, _by_id(calls, wanted), values) for wanted, values in PARTNERS.items())
    for wanted, values in BESIDES.get(resource, {}).items():
        if not call.variables >= values.keys():
            yield _Relation(wanted, _by_id(calls, wanted), values)


def _by_id(calls: list[_Call], wanted: str) -> _Call:
    return next(call for call in calls if call.id == wanted)


def _link(relation: _Relation, place: str, body: Mapping[str, str] | None = None) -> dict[str, Any]:
    parameters = {name: _expression(place, pointer) for name, pointer in relation.values.items()}
    made: dict[str, Any] = {"operationId": relation.call.id, "description": relation.call.summary}
    made |= {"parameters": parameters} if parameters else {}
    made |= {} if body is None else {"requestBody": {name: _expression(place, at) for name, at in body.items()}}
    return made


def _expression(place: str, pointer: str) -> str:
    return pointer if pointer.startswith("$") else f"$response.body#{place}{pointer}"
