"""Erasure: what a person said and what is known of it is nowhere any more, and what links to it still resolves."""

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import select

from tests.api.client import INSIDE, PASSWORD, Person, city, person
from tests.api.test_access import member
from tests.api.test_delegation import cities, delegate, logged
from tests.conftest import ManualClock, Service, both_engines
from tests.postbox import post
from tests.receiver import receiver
from tocsin.domain.errors import NotFound, Unauthenticated
from tocsin.domain.resources import Point
from tocsin.hal.encoding import moment
from tocsin.service.erasure import Erasure
from tocsin.service.feedbacks import NewFeedback
from tocsin.storage.schema import attempts, erasures, metadata

pytestmark = [pytest.mark.anyio, both_engines]

SECRET = "my neighbour Xaver Zufall"
EVE = "eve.zufall@example.org"


async def reported(http: Any, **more: Any) -> Person:
    """Somebody with a name, who said something."""
    eve = await person(http, EVE)
    await eve.patch(f"/people/{eve.id}", {"givenName": "Eve", "familyName": "Zufall", "jobTitle": "Zufallsforscherin"})
    body = {"geo": INSIDE, "description": f"About {SECRET}", "metadata": {"who": SECRET}, **more}
    await eve.post("/feedbacks/issues", body)
    return eve


async def traces(service: Service) -> dict[str, list[Any]]:
    """Rows, by table, that still hold something of hers."""
    found: dict[str, list[Any]] = {}
    async with service.use_cases.context.storage.read() as tx:
        for table in metadata.sorted_tables:
            for row in await tx.rows(select(table)):
                text = " ".join(
                    bytes(row[name]).decode("latin-1") if isinstance(row[name], bytes | memoryview) else str(row[name])
                    for name in row.keys()  # noqa: SIM118 # a row is no mapping
                )
                if "zufall" in text.lower():
                    found.setdefault(table.name, []).append(dict(row))
    return found


async def test_nothing_of_a_person_is_left_and_every_link_resolves(service: Service, clock: ManualClock) -> None:
    bordeaux = await city(await person(service.http))
    eve = await reported(service.http)
    (report,) = (await bordeaux.admin.get(f"/organizations/{bordeaux.id}/reports"))["_embedded"]["items"]
    await bordeaux.move(report, "accept")
    await bordeaux.admin.patch(f"/reports/{report['id']}", {"description": f"{SECRET} again", "tags": ["kept"]})
    await bordeaux.move(report, "progress")
    operation = await bordeaux.operation(report)
    await service.http.post("/security/password/change-request", json={"email": EVE})
    assert {"people", "feedbacks", "reports", "events", "notices"} <= set(await traces(service))
    clock.advance(60)
    assert (await eve.call("DELETE", f"/people/{eve.id}")).status_code == 204
    assert await traces(service) == {}
    assert [mail for mail in await post(service) if mail["To"] == EVE] == []
    shell = await bordeaux.admin.get(f"/people/{eve.id}")
    assert (shell["email"], "givenName" in shell) == (f"{eve.id}@erased.invalid", False)
    feedback = report["_links"]["feedback"]["iriTemplate"]["mapping"]["feedback"]
    kept = await bordeaux.admin.get(f"/feedbacks/{feedback}")
    assert ("description" in kept, kept["metadata"]) == (False, {})
    now = await bordeaux.admin.get(f"/reports/{report['id']}")
    assert ("description" in now, now["tags"], now["updatedAt"]) == (False, ["kept"], moment(clock.now()))
    assert (await bordeaux.admin.get(f"/operations/{operation['id']}"))["name"] == "Change the bulb"
    assert (await bordeaux.admin.get("/people"))["total"] == 1


async def test_events_keep_their_place_and_the_rest_of_their_bytes_and_say_so(
    service: Service, clock: ManualClock
) -> None:
    a, b, _ = await cities(service)
    eve = await reported(service.http)
    other = await a.report()
    reports = (await a.admin.get(f"/organizations/{a.id}/reports"))["_embedded"]["items"]
    (report,) = [one for one in reports if one["id"] != other["id"]]
    await delegate(a, report, b)
    await a.operation(report)
    await b.move(report, "accept")
    before = {one.id: await logged(service, one) for one in (a, b)}
    clock.advance(5)
    await eve.delete(f"/people/{eve.id}")
    for one in (a, b):
        after = await logged(service, one)
        assert len(after) == len(before[one.id])
        for old, new in zip(before[one.id], after, strict=True):
            changing = ("body", "erased_at")
            names = [name for name in old.keys() if name not in changing]  # noqa: SIM118 # a row is no mapping
            assert [old[name] for name in names] == [new[name] for name in names]
            mine = old["resource_id"] == report["id"]
            cut = bytes(old["body"]).replace(f'"description":"About {SECRET}",'.encode(), b"")
            assert bytes(new["body"]) == cut
            assert (cut != bytes(old["body"])) is mine
            assert new["erased_at"] == (clock.now() if mine else None)
    feed = (await b.admin.get(f"/organizations/{b.id}/events"))["_embedded"]["items"]
    assert [item.get("erasedAt") for item in feed] == [moment(clock.now()), None, moment(clock.now())]
    one = await b.admin.get(f"/events/{feed[0]['id']}")
    assert one == feed[0]
    current = await b.admin.call("GET", f"/reports/{report['id']}")
    last = next(item for item in reversed(feed) if item["event"] == "reportStateChanged")
    assert {**last["payload"], "updatedAt": current.json()["updatedAt"]} == current.json()


async def test_a_replay_says_that_an_event_was_erased(working: Service) -> None:
    bordeaux = await city(await person(working.http))
    async with receiver(lambda received: 500 if b"Zufall" in received.body else 200) as there:
        webhook = await bordeaux.webhook("reportCreated", there.url)
        eve = await reported(working.http)
        (first,) = await there.wait_for(1)
        assert SECRET.encode() in first.body
        assert "tocsin-erased" not in first.headers
        await eve.delete(f"/people/{eve.id}")
        await bordeaux.admin.post(f"/webhooks/{webhook['id']}/replays", {"from": 1})
        _, second = await there.wait_for(2)
    assert SECRET.encode() not in second.body
    assert second.headers["tocsin-erased"].isdigit()
    for header in ("webhook-id", "tocsin-sequence", "tocsin-ordinal", "tocsin-event"):
        assert first.headers[header] == second.headers[header]


async def test_what_a_receiver_answered_is_gone_with_what_it_was_sent(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    eve = await reported(service.http)
    webhook = await bordeaux.webhook("reportCreated", "https://cmms.example.org/hook")
    values = {"webhook_id": webhook["id"], "sequence": 1, "ordinal": 1, "delivered": False, "started_at": 1}
    answered = {"outcome": "response", "status": 500, "total_us": 5, "response_body": f"no: {SECRET}".encode()}

    async def repeat(tx: Any) -> None:
        await tx.insert(attempts, {**values, **answered})

    await service.use_cases.context.storage.write(repeat)
    assert "attempts" in await traces(service)
    await eve.delete(f"/people/{eve.id}")
    assert await traces(service) == {}


async def test_whoever_is_erased_is_logged_out_and_cannot_come_back(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    eve, _ = await member(bordeaux, EVE, "AGENT")
    await eve.delete(f"/people/{eve.id}")
    assert (await eve.call("GET", "/organizations")).status_code == 401
    assert (await eve.call("POST", "/feedbacks/issues", {"geo": INSIDE})).status_code == 401
    login = await service.http.post("/security/login", json={"login": EVE, "password": PASSWORD})
    assert login.status_code == 401
    for path in ("/security/register", "/security/password/change-request"):
        body = {"email": f"{eve.id}@erased.invalid", "password": PASSWORD}
        body = body if path.endswith("register") else {"email": body["email"]}
        assert (await service.http.post(path, json=body)).status_code == 400
    members = await bordeaux.admin.get(f"/organizations/{bordeaux.id}/members")
    assert members["total"] == 1
    path = f"/organizations/{bordeaux.id}/members"
    assert (await bordeaux.admin.call("POST", path, {"person": eve.id})).status_code == 400
    again = await person(service.http, EVE)
    assert again.id != eve.id


async def test_the_last_admin_stays_and_the_organization_is_named(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    answer = await bordeaux.admin.call("DELETE", f"/people/{bordeaux.admin.id}")
    assert answer.status_code == 409
    assert f"Bordeaux ({bordeaux.id})" in answer.json()["message"]
    second, _ = await member(bordeaux, "second@example.org", "ADMIN")
    await bordeaux.admin.delete(f"/people/{bordeaux.admin.id}")
    assert (await second.call("DELETE", f"/people/{second.id}")).status_code == 409
    audit = (await second.get(f"/organizations/{bordeaux.id}/audit"))["_embedded"]["items"]
    told = {"actor": f"person:{bordeaux.admin.id}", "action": "personErased", "subject": f"person:{bordeaux.admin.id}"}
    assert told.items() <= audit[0].items()


async def test_only_oneself_is_erased(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    eve = await reported(service.http)
    assert (await bordeaux.admin.call("DELETE", f"/people/{eve.id}")).status_code == 403
    stranger = await person(service.http, "stranger@example.org")
    assert (await stranger.call("DELETE", f"/people/{eve.id}")).status_code == 404
    assert (await service.http.delete(f"/people/{eve.id}")).status_code == 401
    token = await bordeaux.admin.post(f"/organizations/{bordeaux.id}/tokens", {"name": "x"})
    headers = {"Authorization": f"Bearer {token['token']}"}
    assert (await service.http.delete(f"/people/{eve.id}", headers=headers)).status_code == 403


async def test_an_erasure_that_was_cut_short_is_finished_by_housekeeping(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    bordeaux = await city(await person(service.http))
    eve = await reported(service.http)

    async def dies(*_: Any) -> int:
        raise RuntimeError("the process ended")

    with monkeypatch.context() as broken:
        broken.setattr(Erasure, "_rewrite_stretch", dies)
        with pytest.raises(RuntimeError):
            await service.use_cases.erasure.erase_for(eve.id)
    assert set(await traces(service)) == {"events"}
    report = (await bordeaux.admin.get(f"/organizations/{bordeaux.id}/reports"))["_embedded"]["items"][0]
    await bordeaux.move(report, "accept")
    await service.use_cases.housekeeping.tidy()
    assert await traces(service) == {}
    async with service.use_cases.context.storage.read() as tx:
        (row,) = await tx.rows(select(erasures))
    assert (row["person_id"], row["events"], row["done_at"]) == (eve.id, 1, service.clock.now())


async def test_the_operator_erases_by_address_or_id(service: Service) -> None:
    await city(await person(service.http))
    await reported(service.http)
    erased = await service.use_cases.erasure.erase_for(EVE.upper())
    assert erased.events == 1
    assert await traces(service) == {}
    other = await person(service.http, "other@example.org")
    assert (await service.use_cases.erasure.erase_for(other.id)).events == 0


async def test_an_event_that_is_written_meanwhile_tells_nothing(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    eve = await reported(service.http)
    report = (await bordeaux.admin.get(f"/organizations/{bordeaux.id}/reports"))["_embedded"]["items"][0]
    await eve.delete(f"/people/{eve.id}")
    await bordeaux.move(report, "accept")
    last = (await logged(service, bordeaux))[-1]
    assert "description" not in json.loads(last["body"])["payload"]
    assert last["erased_at"] is None


async def test_what_is_said_at_the_same_moment_is_erased_or_refused(service: Service) -> None:
    await city(await person(service.http))
    eve = await reported(service.http)
    body = {"geo": INSIDE, "description": SECRET}
    path = f"/people/{eve.id}"
    said = [eve.call("POST", "/feedbacks/issues", body) for _ in range(6)]
    named = [eve.call("PATCH", path, {"familyName": "Zufall"}) for _ in range(2)]
    *answers, erased = await asyncio.gather(*said[:3], *named, *said[3:], eve.call("DELETE", path))
    assert erased.status_code == 204
    assert {answer.status_code for answer in answers} <= {200, 201, 401, 404}
    assert await traces(service) == {}


async def test_whoever_was_let_in_just_before_says_nothing_after(service: Service) -> None:
    """The calls below had their caller checked before the erasure, and come to their transaction after it."""
    await city(await person(service.http))
    eve = await reported(service.http)
    caller = await service.use_cases.authentication.caller(eve.token)
    await service.use_cases.erasure.erase_for(eve.id)
    with pytest.raises(Unauthenticated):
        await service.use_cases.feedbacks.post(caller, NewFeedback(Point(44.5, -0.5), description=SECRET))
    with pytest.raises(NotFound):
        await service.use_cases.people.change(caller, eve.id, {"family_name": "Zufall"})
    with pytest.raises(NotFound):
        await service.use_cases.erasure.erase_oneself(caller, eve.id)
    assert await traces(service) == {}
