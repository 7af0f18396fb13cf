"""What the description says of bodies and answers that are of more than one kind."""

import re
from typing import Any

import pytest

from tests.api.client import SQUARE, City, city, person
from tests.api.test_openapi import resolve, validator
from tests.conftest import Service
from tocsin.domain.states import FeedbackTransition, OperationTransition, ReportTransition

pytestmark = pytest.mark.anyio


@pytest.fixture
async def description(service: Service) -> Any:
    return (await service.http.get("/openapi.json")).json()


@pytest.fixture
async def bordeaux(service: Service) -> City:
    return await city(await person(service.http))


def wrong(description: Any, path: str, method: str, status: int, body: Any) -> list[str]:
    """What of an answer's body is not as described."""
    content = description["paths"][path][method]["responses"][str(status)]["content"]
    schema = content["application/hal+json"]["schema"]
    return [str(error) for error in validator(description, schema).iter_errors(body)]


async def test_events_of_reports_and_of_operations_are_both_described(description: Any, bordeaux: City) -> None:
    await bordeaux.operation(await bordeaux.move(await bordeaux.report(), "accept"))
    feed = await bordeaux.admin.get(f"/organizations/{bordeaux.id}/events")
    kinds = {one["payload"]["type"] for one in feed["_embedded"]["items"]}
    assert kinds == {"Report", "Operation"}
    assert wrong(description, "/organizations/{organization}/events", "get", 200, feed) == []
    for one in feed["_embedded"]["items"]:
        assert wrong(description, "/events/{event}", "get", 200, await bordeaux.admin.get(f"/events/{one['id']}")) == []


async def test_a_count_of_what_would_be_replayed_is_described(description: Any, bordeaux: City) -> None:
    webhook = await bordeaux.webhook("reportCreated", "http://127.0.0.1:1024/")
    path = f"/webhooks/{webhook['id']}/replays"
    counted = await bordeaux.admin.call("POST", path, {"from": 0, "dryRun": True})
    assert counted.status_code == 200
    assert wrong(description, "/webhooks/{webhook}/replays", "post", 200, counted.json()) == []
    (link,) = description["paths"]["/webhooks/{webhook}/replays"]["post"]["responses"]["200"]["links"].values()
    led = resolve(description, link)
    assert led["parameters"] == {"webhook": "$response.body#/_links/webhook/iriTemplate/mapping/webhook"}
    assert counted.json()["_links"]["webhook"]["iriTemplate"]["mapping"] == {"webhook": webhook["id"]}


async def test_no_body_is_described_as_null(description: Any) -> None:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            assert {"type": "null"} not in resolve(description, schema).get("anyOf", []), f"{method} {path}"


async def test_bodies_name_the_transitions_that_there_are(description: Any) -> None:
    named = {"reports": ReportTransition, "operations": OperationTransition, "feedbacks": FeedbackTransition}
    for kind, transitions in named.items():
        path = f"/{kind}/{{{kind.removesuffix('s')}}}/workflow/transition"
        body = description["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert resolve(description, body)["properties"]["transition"]["enum"] == list(transitions)


async def test_what_may_be_left_out_may_be_null(description: Any, bordeaux: City) -> None:
    for name, schema in description["components"]["schemas"].items():
        if schema.get("additionalProperties") is False:
            for member, one in schema["properties"].items():
                takes_null = {"type": "null"} in one.get("anyOf", [])
                assert takes_null == (member not in schema.get("required", [])), f"{name}.{member}"
    made = await bordeaux.admin.post(f"/organizations/{bordeaux.id}/tokens", {"name": "x", "roles": None})
    assert made["roles"] == []


async def test_a_polygon_without_a_reference_system_is_described_and_taken(description: Any, bordeaux: City) -> None:
    path = "/organizations/{organization}/places"
    body = {"name": "x", "polygon": {**SQUARE, "srid": None}}
    schema = description["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert list(validator(description, schema).iter_errors(body)) == []
    assert (await bordeaux.admin.post(f"/organizations/{bordeaux.id}/places", body))["name"] == "x"


async def test_a_place_that_is_sent_back_has_a_polygon_where_it_names_one(bordeaux: City) -> None:
    (place,) = (await bordeaux.admin.get(f"/organizations/{bordeaux.id}/places"))["_embedded"]["items"]
    changed = {"polygon": SQUARE, "geo": {"polygon": {}}}
    answer = await bordeaux.admin.call("PATCH", f"/places/{place['id']}", changed)
    assert answer.status_code == 400
    assert [one["path"] for one in answer.json()["_embedded"]["errors"]] == ["geo.polygon"]


@pytest.mark.parametrize("rate", [5e-324, 0.0009, 0, 10_001])
async def test_a_rate_that_nobody_could_wait_for_is_refused(bordeaux: City, rate: float) -> None:
    body = {"event": "reportCreated", "organization": bordeaux.id, "payloadUrl": "http://127.0.0.1:1024/"}
    answer = await bordeaux.admin.call("POST", "/webhooks", {**body, "ratePerSecond": rate})
    assert answer.status_code == 400
    assert [one["path"] for one in answer.json()["_embedded"]["errors"]] == ["ratePerSecond"]
    assert (await bordeaux.webhook("reportCreated", "http://127.0.0.1:1024/", ratePerSecond=0.001))["id"]


async def test_what_filters_are_written_like_is_described(description: Any) -> None:
    patterns = {
        one["name"]: one["schema"]["pattern"]
        for path in ("/feedbacks", "/places", "/organizations/{organization}/reports")
        for one in description["paths"][path]["get"]["parameters"]
        if "pattern" in one.get("schema", {})
    }
    for name, good, bad in (
        ("geo_point", "+44.85-0.57", "44.85"),
        ("geo_near", "+44.85-0.57+500", "+44.85-0.57"),
        ("geo_near[radius]", "500", "-500"),
        ("geo_elevation", "-3.5", "high"),
        ("state", "NEW, ACCEPTED", "NEW,LATER"),
    ):
        assert re.search(patterns[name], good), name
        assert not re.search(patterns[name], bad), name
