"""The description holds together, and shows what is true of every route."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from tests.conftest import Service
from tocsin.api.application import routes
from tocsin.api.body import Input
from tocsin.api.openapi import ERRORS, HEADERS, TAGS

pytestmark = pytest.mark.anyio

REFERENCE = "#/components/"


@pytest.fixture
async def description(service: Service) -> Any:
    answer = await service.http.get("/openapi.json")
    assert answer.content == (await service.http.get("/swagger.json")).content
    return answer.json()


def walk(value: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object in it, and where."""
    if isinstance(value, dict):
        yield path, value
        for name, one in value.items():
            if name not in {"example", "const", "enum"}:
                yield from walk(one, f"{path}/{name}")
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from walk(one, f"{path}/{number}")


def operations(description: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def resolve(description: Any, one: Any) -> Any:
    while "$ref" in one:
        one = target(description, one["$ref"])
    return one


def target(description: Any, reference: str) -> Any:
    found = description
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def validator(description: Any, schema: Any) -> Any:
    return jsonschema_rs.Draft202012Validator({**schema, "components": description["components"]})


async def test_every_reference_leads_somewhere(description: Any) -> None:
    references = [(path, one["$ref"]) for path, one in walk(description) if isinstance(one.get("$ref"), str)]
    assert len(references) > 500
    for path, reference in references:
        assert reference.startswith(REFERENCE), path
        assert target(description, reference), path


async def test_every_example_meets_its_schema(description: Any) -> None:
    checked = 0
    for path, one in walk(description):
        if "example" in one and path.count("/properties/") == 0:
            schema = one.get("schema", one if path.startswith("/components/schemas/") else None)
            assert schema is not None, path
            errors = [str(error) for error in validator(description, schema).iter_errors(one["example"])]
            assert errors == [], path
            checked += 1
    assert checked > 60


async def test_every_schema_is_json_schema(description: Any) -> None:
    for name, schema in description["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}), name
        for path, one in walk(schema):
            assert not {"ge", "le", "gt", "lt", "title"} & one.keys() or path.endswith("properties"), f"{name}{path}"


async def test_every_body_has_an_example_with_each_of_its_members(description: Any) -> None:
    bodies = [
        (method, path, one["requestBody"]["content"])
        for method, path, one in operations(description)
        if "requestBody" in one
    ]
    assert len(bodies) > 20
    for method, path, content in bodies:
        assert list(content) == ["application/json"], f"{method} {path}"
        schema = content["application/json"]["schema"]
        choices = schema.get("anyOf", [schema])
        shown = resolve(description, choices[0])
        assert content["application/json"]["example"].keys() == shown["properties"].keys(), f"{method} {path}"


async def test_every_operation_is_told_apart_and_sorted(description: Any) -> None:
    names = [one["operationId"] for _, _, one in operations(description)]
    assert [name for name in names if "__" in name] == [], "a name that two functions have is made longer"
    assert len(names) == len(set(names))
    used = {tag for _, _, one in operations(description) for tag in one["tags"]} | {"notifications"}
    assert [tag["name"] for tag in description["tags"]] == list(TAGS)
    assert used <= set(TAGS), "describe the tag"


async def test_every_operation_tells_its_refusals(description: Any) -> None:
    for method, path, one in operations(description):
        where, told = f"{method} {path}", set(one["responses"])
        if path.startswith("/health/"):
            continue
        assert {"429", "503"} <= told, where
        assert one["security"] == [] or "401" in told, where
        assert "requestBody" not in one or {"400", "413", "415"} <= told, where
        assert method != "PATCH" or "412" in told, where
        assert "{" not in path or "404" in told, where
        assert method != "GET" or "304" in told, where
        shared = {each["$ref"].rpartition("/")[2] for each in one["parameters"] if "$ref" in each}
        assert "Accept-Language" in shared, where
        assert ("If-Match" in shared) == ("412" in told), where
        assert method != "POST" or "412" not in told or path.endswith(("transition", "workflow", "assign", "secret")), (
            where
        )
        assert ("Idempotency-Key" in shared) == ("422" in told), where
        for status, response in one["responses"].items():
            assert status in ERRORS or response["description"], where
            if status in ERRORS:
                assert response == {"$ref": f"#/components/responses/Error{status}"}, where
            elif status.startswith("2"):
                assert {"RateLimit", "RateLimit-Policy"} <= response["headers"].keys() <= HEADERS.keys(), where


async def test_open_routes_say_so(description: Any) -> None:
    security = {f"{method} {path}": one["security"] for method, path, one in operations(description)}
    assert security["POST /security/login"] == []
    assert security["GET /feedbacks"] == security["GET /places"] == [{}, {"bearer": []}]
    assert security["GET /reports/{report}"] == [{"bearer": []}]
    open_ones = {name for name, one in security.items() if one == []}
    assert {name for name in open_ones if "/security/" not in name and "/health/" not in name} == set()


async def test_what_is_described_is_what_bodies_take(description: Any) -> None:
    """Each model of a body is shown with the members that it knows."""
    models = {one.__name__: one for one in every_model(Input)}
    for name, schema in description["components"]["schemas"].items():
        if name in models:
            known = {field.alias or member for member, field in models[name].model_fields.items()}
            assert schema["properties"].keys() == known, name
            assert schema["additionalProperties"] is False, name
    assert len(routes()) > 60


def every_model(base: type[Input]) -> Iterator[type[Input]]:
    for one in base.__subclasses__():
        yield one
        yield from every_model(one)
