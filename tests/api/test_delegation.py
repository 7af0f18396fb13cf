"""A delegated report: one report, held by several organizations; each sees all of it and hears of all of it."""

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import select

from tests.api.client import City, city, person
from tests.api.test_partners import NIL, error
from tests.conftest import Service, both_engines
from tests.receiver import Received, receiver
from tocsin.storage.interface import Row
from tocsin.storage.schema import events

pytestmark = [pytest.mark.anyio, both_engines]

AWAY = {"type": "Polygon", "coordinates": [[[50.0, 50.0], [51.0, 50.0], [51.0, 51.0], [50.0, 50.0]]]}


async def cities(service: Service) -> tuple[City, City, City]:
    """Only the first has a place where feedback comes from; each is the partner of the one before it."""
    a = await city(await person(service.http, "a@example.org"), "A")
    b = await city(await person(service.http, "b@example.org"), "B", AWAY)
    c = await city(await person(service.http, "c@example.org"), "C", AWAY)
    for one, other in ((a, b), (b, c)):
        await one.admin.post(f"/organizations/{one.id}/relationships", {"organization": other.id})
    return a, b, c


async def delegate(one: City, report: Any, other: City) -> Any:
    body = {"report": report["id"], "organization": other.id}
    return await one.admin.post(f"/organizations/{one.id}/delegates", body)


async def logged(service: Service, one: City) -> list[Row]:
    """The organization's log, in order."""
    async with service.use_cases.context.storage.read() as tx:
        statement = select(events).where(events.c.organization_id == one.id).order_by(events.c.sequence)
        return list(await tx.rows(statement))


def named(rows: list[Row]) -> list[tuple[int, int, str]]:
    return [(row["sequence"], row["ordinal"], row["event"]) for row in rows]


async def test_a_delegated_report_shows_its_latest_hop_and_stays_its_owners(service: Service) -> None:
    a, b, c = await cities(service)
    report = await a.report()
    delegated = await delegate(a, report, b)
    mapped = {name: link["iriTemplate"]["mapping"].get("organization") for name, link in delegated["_links"].items()}
    assert (mapped["organization"], mapped["delegatedFrom"], mapped["delegatedTo"]) == (a.id, a.id, b.id)
    on = await delegate(b, report, c)
    mapped = {name: link["iriTemplate"]["mapping"].get("organization") for name, link in on["_links"].items()}
    assert (mapped["organization"], mapped["delegatedFrom"], mapped["delegatedTo"]) == (a.id, b.id, c.id)
    for one in (a, b, c):
        assert await one.admin.get(f"/reports/{report['id']}") == on
        items = (await one.admin.get(f"/organizations/{one.id}/reports"))["_embedded"]["items"]
        assert items == [on]


async def test_whoever_holds_a_report_sees_what_it_links_to_and_acts_on_it(service: Service) -> None:
    a, b, c = await cities(service)
    report = await a.report()
    feedback = report["_links"]["feedback"]["iriTemplate"]["mapping"]["feedback"]
    operation = await a.operation(report)
    path = f"/reports/{report['id']}"
    seen = [
        path,
        f"{path}/tracking",
        f"{path}/operations",
        f"/operations/{operation['id']}",
        f"/operations/{operation['id']}/tracking",
        f"/feedbacks/{feedback}",
        f"/people/{a.admin.id}",
    ]
    await delegate(a, report, b)
    for target in seen:
        assert (await b.admin.call("GET", target)).status_code == 200, target
        assert (await c.admin.call("GET", target)).status_code == 404, target
    assert (await b.move(report, "accept"))["state"] == "ACCEPTED"
    assert (await b.admin.patch(path, {"priority": 7}))["priority"] == 7
    category = {"name": "Lamps", "color": "#fc0", "icon": "fa-bug"}
    lamps = await b.admin.post(f"/organizations/{b.id}/categories", category)
    await b.admin.patch(path, {"category": lamps["id"]})
    await b.admin.post(f"/operations/{operation['id']}/assign", {"member": b.member_id})
    for one in (a, b):
        assert (await one.admin.call("GET", f"/people/{b.admin.id}")).status_code == 200
        items = (await one.admin.get(f"/organizations/{one.id}/operations"))["_embedded"]["items"]
        assert [item["id"] for item in items] == [operation["id"]]
    second = await b.operation(report)
    assert (await a.admin.get(f"/operations/{second['id']}"))["id"] == second["id"]
    await a.admin.delete(f"/operations/{second['id']}")
    delegated = await delegate(b, report, c)
    assert (await c.move(delegated, "progress"))["state"] == "IN_PROGRESS"
    assert (await a.admin.get("/feedbacks?visibility[]=VISIBILITY_PRIVATE"))["total"] == 1
    for one in (b, c):
        held = await one.admin.get(f"/feedbacks?visibility[]=VISIBILITY_PRIVATE&organization={one.id}")
        assert [item["id"] for item in held["_embedded"]["items"]] == [feedback]


async def test_the_partner_hears_of_a_new_report_and_from_then_on_of_everything(service: Service) -> None:
    a, b, c = await cities(service)
    report = await a.move(await a.report(), "accept")
    await delegate(a, report, b)
    bodies = {"reportCreated": (await b.admin.call("GET", f"/reports/{report['id']}")).content}
    assert named(await logged(service, b)) == [(1, 1, "reportCreated")]
    assert named(await logged(service, a)) == [(1, 1, "reportCreated"), (2, 1, "reportStateChanged")]
    operation = await b.operation(report)
    bodies["operationCreated"] = (await a.admin.call("GET", f"/operations/{operation['id']}")).content
    await delegate(b, report, c)
    await a.move(report, "progress")
    bodies["reportStateChanged"] = (await c.admin.call("GET", f"/reports/{report['id']}")).content
    await b.admin.delete(f"/operations/{operation['id']}")
    assert named(await logged(service, a)) == [
        (1, 1, "reportCreated"),
        (2, 1, "reportStateChanged"),
        (3, 1, "operationCreated"),
        (4, 2, "reportStateChanged"),
        (5, 1, "operationRemoved"),
    ]
    assert named(await logged(service, b)) == [
        (1, 1, "reportCreated"),
        (2, 1, "operationCreated"),
        (3, 1, "reportStateChanged"),
        (4, 1, "operationRemoved"),
    ]
    assert named(await logged(service, c)) == [
        (1, 1, "reportCreated"),
        (2, 1, "reportStateChanged"),
        (3, 1, "operationRemoved"),
    ]
    logs = [(await logged(service, one))[-2:] for one in (a, b, c)]
    for rows in zip(*logs, strict=True):
        assert len({row["body"] for row in rows}) == 1
        assert len({row["id"] for row in rows}) == 3
    for event, body in bodies.items():
        sent = {row["body"] for row in await logged(service, b) if row["event"] == event}
        assert b'{"event":"%s","payload":%s}' % (event.encode(), body) in sent


async def test_events_of_a_delegated_report_reach_each_holders_webhooks_in_order(working: Service) -> None:
    a, b, _ = await cities(working)
    async with receiver() as there:
        secrets = {}
        for one in (a, b):
            for event in ("reportCreated", "reportStateChanged", "operationCreated", "operationStateChanged"):
                webhook = await one.webhook(event, f"{there.url}/{one.id}")
                secrets[webhook["id"]] = one
        report = await a.report()
        await delegate(a, report, b)
        await a.move(report, "accept", "progress")
        operation = await b.operation(report)
        await b.admin.post(f"/operations/{operation['id']}/assign", {"member": b.member_id})
        received = await there.wait_for(10)
    heard = {one.id: [got for got in received if got.path == f"/{one.id}"] for one in (a, b)}
    assert len(heard[a.id]) == len(heard[b.id]) == 5
    for one in (a, b):
        assert all(secrets[got.headers["tocsin-webhook"]] is one for got in heard[one.id])
        of_report = [got for got in heard[one.id] if got.headers["tocsin-event"].startswith("report")]
        assert [state(got) for got in of_report] == ["NEW", "ACCEPTED", "IN_PROGRESS"]
        of_operation = [got for got in heard[one.id] if got.headers["tocsin-event"].startswith("operation")]
        assert [state(got) for got in of_operation] == ["NEW", "ASSIGNED"]
    first_of_a, first_of_b = (heard[one.id][0].body for one in (a, b))
    assert b"delegatedTo" in first_of_b
    assert b"delegatedTo" not in first_of_a
    assert {got.body for got in heard[a.id]} - {first_of_a} == {got.body for got in heard[b.id]} - {first_of_b}
    assert len({got.headers["webhook-id"] for got in received}) == 10


def state(received: Received) -> str:
    return str(json.loads(received.body)["payload"]["state"])


async def test_what_the_state_of_things_forbids_is_a_conflict(service: Service) -> None:
    a, b, c = await cities(service)
    report = await a.report()
    path = f"/organizations/{a.id}/delegates"

    async def refused(body: Any, target: str = path, who: City = a) -> tuple[int, str | None]:
        return await error(who.admin, "POST", target, body)

    known = report["id"]
    assert await refused({"report": known, "organization": c.id}) == (409, "organization")
    assert await refused({"report": known, "organization": a.id}) == (400, "organization")
    assert await refused({"report": known, "organization": NIL}) == (400, "organization")
    assert await refused({"report": NIL, "organization": b.id}) == (400, "report")
    assert await refused({"organization": b.id}) == (400, "report")
    of_b = f"/organizations/{b.id}/delegates"
    assert await refused({"report": known, "organization": c.id}, of_b, b) == (400, "report")
    await delegate(a, report, b)
    assert await refused({"report": known, "organization": b.id}) == (409, "organization")
    await b.admin.post(f"/organizations/{b.id}/relationships", {"organization": a.id})
    assert await refused({"report": known, "organization": a.id}, of_b, b) == (409, "organization")
    await a.move(report, "refuse")
    assert await refused({"report": known, "organization": c.id}, of_b, b) == (409, "report")
    assert len(await logged(service, c)) == 0


async def test_a_report_is_not_delegated_in_the_name_of_an_organization_that_lacks_it(service: Service) -> None:
    """Its admin sees the report through another organization; that is not enough."""
    a, b, c = await cities(service)
    report = await a.report()
    await b.admin.post(f"/organizations/{b.id}/members", {"person": a.admin.id})
    members = await b.admin.get(f"/organizations/{b.id}/members?limit=100")
    own = next(one for one in members["_embedded"]["items"] if one["id"] != b.member_id)
    await b.admin.patch(f"/organizations/{b.id}/members/{own['id']}", {"roles": ["ORGANIZATION:ADMIN"]})
    body = {"report": report["id"], "organization": c.id}
    assert await error(a.admin, "POST", f"/organizations/{b.id}/delegates", body) == (400, "report")


async def test_what_was_delegated_stays_so_when_the_partnership_ends(service: Service) -> None:
    a, b, _ = await cities(service)
    report = await a.report()
    await delegate(a, report, b)
    await a.admin.delete(f"/organizations/{a.id}/relationships/{b.id}")
    assert (await b.move(report, "accept"))["state"] == "ACCEPTED"


async def test_of_many_that_delegate_at_once_one_does(service: Service) -> None:
    a, b, _ = await cities(service)
    report = await a.report()
    body = {"report": report["id"], "organization": b.id}
    path = f"/organizations/{a.id}/delegates"
    transition = {"transition": "accept"}
    answers = await asyncio.gather(
        *(a.admin.call("POST", path, body) for _ in range(6)),
        a.admin.call("POST", f"/reports/{report['id']}/workflow/transition", transition),
    )
    assert sorted(one.status_code for one in answers) == [200, 200, *[409] * 5]
    heard = [row["event"] for row in await logged(service, b)]
    assert heard in (["reportCreated"], ["reportCreated", "reportStateChanged"])
    body_of_b = json.loads((await logged(service, b))[-1]["body"])["payload"]
    assert body_of_b["state"] == "ACCEPTED"
    assert len(await logged(service, a)) == 2


async def test_accepting_settles_siblings_for_all_who_hold_them(service: Service) -> None:
    a, b, c = await cities(service)
    d = await city(await person(service.http, "d@example.org"), "D")
    report = await a.report()
    await delegate(a, report, b)
    page = await d.admin.get(f"/organizations/{d.id}/reports")
    (sibling,) = page["_embedded"]["items"]
    assert sibling["id"] != report["id"]
    await d.move(sibling, "accept")
    for one in (a, b):
        assert (await one.admin.get(f"/reports/{report['id']}"))["state"] == "REFUSED"
        last = (await logged(service, one))[-1]
        assert (last["event"], last["resource_id"]) == ("reportStateChanged", report["id"])
    assert len(await logged(service, c)) == 0
