"""What a list costs the database does not grow with what is on its page."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.api.client import SQUARE, City, city, person
from tests.conftest import Service, both_engines
from tocsin.domain.polygons import rings_of
from tocsin.domain.resources import (
    Category,
    Checkpoint,
    Feedback,
    Member,
    Operation,
    Organization,
    Person,
    Place,
    Point,
    Progression,
    Report,
    Token,
)
from tocsin.domain.states import FeedbackState, OperationState, ReportState
from tocsin.service.caller import OPERATOR
from tocsin.storage import organizations, people, places, reports
from tocsin.storage.interface import Writing
from tocsin.storage.postgres import PostgresReading
from tocsin.storage.sqlite import SqliteReading

pytestmark = [pytest.mark.anyio, both_engines]

ITEMS = 30
AT = 1_519_725_600_000_000


async def add(service: Service, there: City, count: int) -> dict[str, str]:
    """So many of everything that is listed; returns an id of each kind, by the name of its path's variable."""
    new_id = service.use_cases.context.new_id
    rings = rings_of(SQUARE)

    async def insert(tx: Writing) -> dict[str, str]:
        ids: dict[str, str] = {}
        for number in range(count):
            one = Person(new_id(), f"{new_id()}@example.org", AT, AT)
            await people.insert(tx, one, None)
            await organizations.insert_member(tx, Member(new_id(), one.id, there.id, (), AT))
            token = Token(new_id(), there.id, "t", (), AT, None)
            await organizations.insert_token(tx, token, token.id.encode())
            await organizations.insert(tx, Organization(new_id(), "O", AT, AT))
            category = Category(new_id(), there.id, "C", "#fff", None, None, AT, AT)
            await places.insert_category(tx, category)
            await places.insert_place(tx, Place(new_id(), there.id, "P", None, rings, 0.0, AT, AT))
            entered = (Checkpoint(FeedbackState.DELIVERED, AT, there.id),)
            feedback = Feedback(
                new_id(), one.id, FeedbackState.DELIVERED, True, Point(44.5, -0.5), 0.0, AT, entered, Progression(0, 0)
            )
            await reports.insert_feedback(tx, feedback)
            entered = (Checkpoint(ReportState.NEW, AT, there.id),)
            report = Report(
                new_id(), feedback.id, there.id, ReportState.NEW, AT, AT, entered, Progression(0, 1), "lamp"
            )
            await reports.insert_report(tx, report, feedback)
            ids = {"person": one.id, "feedback": feedback.id, "report": ids.get("report", report.id)}
            operation = Operation(
                new_id(), ids["report"], feedback.id, there.id, OperationState.NEW, AT, AT, entered, "bulb"
            )
            await reports.insert_operation(tx, replace(operation, operator_id=there.admin.id, start_date=number))
            ids["operation"] = operation.id
        return ids

    made = await service.use_cases.context.storage.write(insert)
    for _ in range(count):
        members: dict[str, Any] = {"event": "reportCreated", "payload_url": "http://127.0.0.1:9000/hook"}
        created = await service.use_cases.webhooks.create(OPERATOR, there.id, members)
        made["webhook"] = created.webhook.id
    return made


@contextmanager
def counting(patch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many statements read rows, while the context lasts."""
    count = [0]
    with patch.context() as within:
        for reading in (SqliteReading, PostgresReading):
            within.setattr(reading, "rows", _counted(reading.rows, count))
        yield count


def _counted(rows: Any, count: list[int]) -> Any:
    async def counted(self: Any, query: Any, **parameters: Any) -> Any:
        count[0] += 1
        return await rows(self, query, **parameters)

    return counted


async def list_routes(service: Service) -> list[str]:
    """The paths of all lists that have a total, as the description has them."""
    description = (await service.http.get("/openapi.json")).json()
    found = []
    for path, operations in description["paths"].items():
        content = operations.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        reference = content.get("application/hal+json", {}).get("schema", {}).get("$ref", "")
        if reference.endswith("Page"):
            found.append(path)
    return found


QUERIES = (
    "limit=100",
    "limit=100&search[name]=o&search[description]=l&search[email]=e&geo_point=44.5-0.5&geo_hash[]=ez",
)


async def test_no_list_asks_more_of_the_database_for_more_items(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = await city(await person(service.http))
    ids = {"organization": there.id, **await add(service, there, 1)}
    routes = await list_routes(service)
    assert len(routes) >= 14, routes
    paths = [f"{path.format_map(ids)}?{query}" for path in routes for query in QUERIES]

    async def statements() -> dict[str, int]:
        counts = {}
        for path in paths:
            with counting(monkeypatch) as count:
                await there.admin.get(path)
            counts[path] = count[0]
        return counts

    before = await statements()
    await add(service, there, ITEMS - 1)
    assert await statements() == before
    assert all(before.values())
    assert max(before.values()) <= 10
    grown = [(await there.admin.get(f"{path}&page=1")).get("total", 0) for path in paths if path.endswith("limit=100")]
    assert sum(total >= ITEMS for total in grown) >= 11, dict(zip(paths[::2], grown, strict=True))
