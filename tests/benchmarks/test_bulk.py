"""What benchmarks fill databases with is what the product writes."""

from typing import Any

import pytest
from benchmarks.bulk import EVENT, Plan, Prototype, fill, prototype
from sqlalchemy import Table, func, select

from tests.conftest import Service, both_engines
from tocsin.delivery.recipient import headers_purpose, secret_purpose
from tocsin.domain.events import Event
from tocsin.storage.schema import events, feedbacks, heads, reports, webhooks

pytestmark = [pytest.mark.anyio, both_engines]

SEALED = ("headers", "secret")


async def prototypes(service: Service) -> tuple[Prototype, Prototype]:
    """Of two organizations, at the same moment, in different places."""
    made = []
    for east in (0.0, 10.0):
        created = await service.use_cases.organizations.create_for("Bordeaux", "admin@example.org")
        made.append(await prototype(service.use_cases, created.organization.id, east))
    return made[0], made[1]


async def test_a_copied_report_is_the_one_that_the_product_makes(service: Service) -> None:
    model, other = await prototypes(service)
    ids = (other.organization_id, other.feedback["id"])
    of_the_feedback = {name: other.report[name] for name in ("reporter_id", "cell")}
    assert {**model.report_of(*ids, other.report["id"]), **of_the_feedback} == other.report
    elsewhere = {name: other.feedback[name] for name in ("reporter_id", "longitude", "cell")}
    assert {**model.feedback_of(*ids), **elsewhere} == other.feedback


async def test_a_copied_event_has_the_bytes_that_the_product_renders(service: Service) -> None:
    model, other = await prototypes(service)
    event = other.event
    copied = model.event_of(other.organization_id, event["ordinal"], event["id"], other.report["id"], event["sequence"])
    body = copied["body"].replace(model.feedback["id"].encode(), other.feedback["id"].encode())
    assert {**copied, "body": body} == event


async def test_a_copied_webhook_is_the_one_that_the_product_makes(service: Service) -> None:
    model, other = await prototypes(service)
    context = service.use_cases.context
    endpoint_id, url = other.endpoint["id"], other.webhook["payload_url"]
    assert model.endpoint_of(other.organization_id, endpoint_id, url) == other.endpoint
    copied = model.webhook_of(context, other.organization_id, endpoint_id, other.webhook["id"], url, EVENT, 0)
    assert _open(copied) == _open(other.webhook)
    assert context.vault.open(copied["headers"], headers_purpose(copied["id"])) == b"{}"
    lengths = {len(context.vault.open(one["secret"], secret_purpose(one["id"]))) for one in (copied, other.webhook)}
    assert len(lengths) == 1


def _open(row: Any) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in SEALED}


async def test_a_plan_is_what_is_in_the_database(service: Service) -> None:
    environment = {
        "TOCSIN_DATABASE_URL": service.settings.database_url,
        "TOCSIN_ALLOW_NETWORKS": "127.0.0.0/8",
        **({} if service.settings.secret_key is None else {"TOCSIN_SECRET_KEY": service.settings.secret_key}),
    }
    plan = Plan(organizations=2, reports=3, webhooks=2, silent=1, events=5, waiting=True)
    cities = await fill(environment, plan, "http://127.0.0.1:9000")
    counted = {table.name: await _count(service, table) for table in (feedbacks, reports, webhooks, events)}
    assert counted == {"feedbacks": 7, "reports": 7, "webhooks": 7, "events": 12}  # with the prototype's
    async with service.use_cases.context.storage.read() as tx:
        ahead = await tx.rows(select(heads).where(heads.c.ordinal == 5, heads.c.ahead))
    assert {(row["organization_id"], row["event"]) for row in ahead} == {
        (city.id, Event.REPORT_STATE_CHANGED.value) for city in cities
    }


async def _count(service: Service, table: Table) -> int:
    async with service.use_cases.context.storage.read() as tx:
        row = await tx.row(select(func.count().label("found")).select_from(table))
    assert row is not None
    return int(row["found"])
