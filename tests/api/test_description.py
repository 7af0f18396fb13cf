"""The description of the API is complete, and true."""

import pytest

from tests.conftest import Service
from tocsin.api.application import ROUTERS
from tocsin.domain.events import Event

pytestmark = pytest.mark.anyio

OPEN = {
    "/",
    "/docs",
    "/docs.css",
    "/metrics",
    "/openapi.json",
    "/swagger.json",
    "/health/live",
    "/health/ready",
    "/security/password/change/{token}",
}


async def test_every_route_is_described_with_answers_and_examples(service: Service) -> None:
    description = (await service.http.get("/openapi.json")).json()
    assert description["openapi"].startswith("3.1")
    served = {
        (path, method)
        for router in ROUTERS
        for route in router.routes
        for path, methods in [(route.path, route.methods)]  # type: ignore[attr-defined] # every route here is an APIRoute
        for method in methods
    }
    described = {(path, method.upper()) for path, operations in description["paths"].items() for method in operations}
    assert {path for path, _ in served - described} <= OPEN
    schemas = description["components"]["schemas"]
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], f"{method} {path}"
            assert any(status.startswith("2") for status in operation["responses"]), f"{method} {path}"
    assert all("example" in schemas[name] for name in ("Report", "Operation", "Webhook", "Error", "ReportPage"))


async def test_the_five_notifications_are_described(service: Service) -> None:
    description = (await service.http.get("/swagger.json")).json()
    assert set(description["webhooks"]) == set(Event)
    body = description["webhooks"]["operationRemoved"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"]["properties"]["payload"] == {"$ref": "#/components/schemas/Operation"}
    assert body["example"]["event"] == "operationRemoved"
