"""What the description says of bodies and answers that are of more than one kind."""

from typing import Any

import pytest

from tests.api.client import City, city, person
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
