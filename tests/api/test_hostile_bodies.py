"""Bodies that nobody should send, on every route that takes one: a 4xx with paths, quickly, and never a 5xx."""

import resource
import time
from typing import Any

import pytest

from tests.api.client import Person, city, person
from tests.conftest import Service

pytestmark = pytest.mark.anyio

NIL = "00000000-0000-0000-0000-000000000000"
BIG = b'{"name": "' + b"x" * (11 * 1024 * 1024) + b'"}'
BODIES: dict[str, bytes] = {
    "malformed": b'{"name": ',
    "not JSON": b"name=lamp",
    "an array": b"[]",
    "a number": b"7",
    "null": b"null",
    "wrong types": b'{"name": 7, "event": 7, "roles": "x", "transition": 1, "email": 1, "login": [], "geo": 1, '
    b'"person": 1, "member": 1, "report": 1, "color": {}, "polygon": "x", "priority": "1", "password": 1}',
    "an unknown member": b'{"nobody knows": 1}',
    "nested deep": b'{"name":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "NUL": b'{"name": "a\\u0000b", "description": "\\u0000", "transition": "\\u0000", "email": "a\\u0000@b.example"}',
    "a lone surrogate": b'{"name": "\\ud800", "transition": "\\udfff"}',
    "not UTF-8": b'{"name": "\xff\xfe"}',
    "a huge number": b'{"priority": 1e999, "duration": ' + b"9" * 5000 + b"}",
}
RSS_MAX_GROWTH_BYTES = 150 * 1024 * 1024


async def routes(admin: Person) -> list[tuple[str, str]]:
    """Every documented route that takes a body, its variables filled with what exists or could."""
    description = (await admin.http.get("/openapi.json")).json()
    bordeaux = await city(admin)
    report = await bordeaux.report()
    operation = await bordeaux.operation(report)
    webhook = await bordeaux.webhook("reportCreated", "https://cmms.example.org/hook")
    category = await admin.post(
        f"/organizations/{bordeaux.id}/categories", {"name": "Lamps", "color": "#fc0", "icon": "fa-bug"}
    )
    known = {
        "organization": bordeaux.id,
        "member": bordeaux.member_id,
        "report": report["id"],
        "operation": operation["id"],
        "webhook": webhook["id"],
        "category": category["id"],
        "person": admin.id,
        "feedback": report["_links"]["feedback"]["iriTemplate"]["mapping"]["feedback"],
        "place": (await admin.get("/places"))["_embedded"]["items"][0]["id"],
        "token": NIL,
    }
    return [
        (method.upper(), path.format_map(known))
        for path, operations in description["paths"].items()
        for method, described in operations.items()
        if "requestBody" in described
    ]


async def send(admin: Person, method: str, path: str, body: bytes, media_type: str = "application/json") -> Any:
    headers = {**admin.headers, "Content-Type": media_type}
    started = time.perf_counter()
    response = await admin.http.request(method, path, headers=headers, content=body)
    assert time.perf_counter() - started < 1, f"{method} {path} took too long"
    return response


async def test_a_hostile_body_is_refused_with_paths_on_every_route(service: Service) -> None:
    admin = await person(service.http)
    known = await routes(admin)
    assert len(known) > 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for method, path in known:
        for name, body in BODIES.items():
            response = await send(admin, method, path, body)
            assert 400 <= response.status_code < 500, f"{name} on {method} {path}: {response.status_code}"
            if response.status_code == 400:
                errors = response.json()["_embedded"]["errors"]
                assert all("path" in one and one["message"] for one in errors), f"{name} on {method} {path}"
        assert (await send(admin, method, path, BIG)).status_code == 413
        assert (await send(admin, method, path, b"<a/>", "text/xml")).status_code == 415
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert after - before < RSS_MAX_GROWTH_BYTES


async def test_each_wrong_field_is_named_at_once(service: Service) -> None:
    admin = await person(service.http)
    body = {"geo": {"point": {"latitude": 95, "longitude": "x"}}, "category": "no", "visibility": 1, "extra": 2}
    response = await admin.call("POST", "/feedbacks/issues", body)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/vnd.error+json"
    answer = response.json()
    assert answer["@type"] == "ValidationError"
    paths = {one["path"] for one in answer["_embedded"]["errors"]}
    assert {"geo.point.latitude", "category", "visibility", "extra"} <= paths
    assert any(path.startswith("geo.point.longitude") for path in paths)
    assert answer["total"] == len(answer["_embedded"]["errors"])


async def test_a_body_without_a_length_is_bounded_too(service: Service) -> None:
    admin = await person(service.http)

    async def endless() -> Any:
        for _ in range(200):
            yield b" " * 65536

    headers = {**admin.headers, "Content-Type": "application/json"}
    response = await admin.http.post("/organizations", headers=headers, content=endless())
    assert response.status_code == 413


async def test_nulls_and_read_only_members_may_be_sent_back(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    report = await bordeaux.report()
    path = f"/reports/{report['id']}"
    nulls = {"identificationNumber": None, "whatever": None}
    changed = await bordeaux.admin.patch(path, {**report, **nulls, "priority": 3})
    assert changed["priority"] == 3
    assert (await bordeaux.admin.patch(path, {"description": ""}))["description"] == ""


async def test_a_content_type_on_a_call_without_a_body_is_no_body(service: Service) -> None:
    admin = await person(service.http)
    headers = {
        **admin.headers,
        "Content-Type": "application/json;charset=UTF-8",
        "Accept": "application/hal+json;charset=UTF-8",
        "X-Keyclic-App": "com.keyclic.app",
        "X-Keyclic-App-Version": "null",
    }
    response = await service.http.get("/organizations?page=1&limit=10&order=desc", headers=headers)
    assert response.status_code == 200
