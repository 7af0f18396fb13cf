"""The event feed: every event, in order, without a gap, as the notifications have them."""

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import update

from tests.api.client import City, city, person
from tests.conftest import Service
from tests.receiver import receiver
from tocsin.domain.events import Event
from tocsin.storage.interface import Writing
from tocsin.storage.schema import logs

pytestmark = pytest.mark.anyio

WRITERS = 20


async def follow(bordeaux: City, count: int) -> list[Any]:
    """Read from the beginning, following `next`, until so many events came."""
    found: list[Any] = []
    url = f"/organizations/{bordeaux.id}/events?after=0&limit=7&wait=5"
    while len(found) < count:
        page = (await bordeaux.admin.call("GET", url)).json()
        found += page["_embedded"]["items"]
        url = "/" + page["_links"]["next"]["href"].split("/", 3)[3]
    return found


async def test_one_reader_follows_twenty_writers_without_gap_or_repeat(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    reports = [await bordeaux.report() for _ in range(WRITERS)]
    count = WRITERS * 4
    reading = asyncio.create_task(follow(bordeaux, count))
    await asyncio.gather(*(bordeaux.move(report, "accept", "hold", "progress") for report in reports))
    found = await reading
    assert [one["sequence"] for one in found] == list(range(1, count + 1))


async def test_the_feed_has_the_bytes_of_the_notification(working: Service) -> None:
    bordeaux = await city(await person(working.http))
    async with receiver() as there:
        await bordeaux.webhook("reportCreated", there.url)
        await bordeaux.report()
        (received,) = await there.wait_for(1)
    feed = await bordeaux.admin.call("GET", f"/organizations/{bordeaux.id}/events")
    assert received.body[1:] in feed.content
    (item,) = feed.json()["_embedded"]["items"]
    assert item["id"] == received.headers["webhook-id"]
    assert feed.json()["last"] == 1
    one = await bordeaux.admin.call("GET", f"/events/{item['id']}")
    assert one.json() == item
    assert json.loads(received.body) == {"event": item["event"], "payload": item["payload"]}


async def test_a_reader_may_wait_for_what_comes(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    path = f"/organizations/{bordeaux.id}/events"
    assert (await bordeaux.admin.get(path))["_embedded"]["items"] == []
    waiting = asyncio.create_task(bordeaux.admin.get(f"{path}?wait=20"))
    await bordeaux.admin.get("/organizations")
    assert not waiting.done()
    await bordeaux.report()
    assert [one["event"] for one in (await waiting)["_embedded"]["items"]] == ["reportCreated"]


async def test_the_feed_filters_by_event_and_goes_on_after_what_it_passed_over(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    await bordeaux.move(await bordeaux.report(), "accept")
    page = await bordeaux.admin.get(f"/organizations/{bordeaux.id}/events?event=operationCreated")
    assert (page["_embedded"]["items"], page["last"]) == ([], 2)
    assert page["_links"]["next"]["href"].endswith("?event=operationCreated&after=2")


async def test_before_the_retention_is_gone(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    await bordeaux.report()

    async def prune(tx: Writing) -> None:
        await tx.execute(update(logs).values(oldest_sequence=5))

    await service.use_cases.context.storage.write(prune)
    answer = await bordeaux.admin.call("GET", f"/organizations/{bordeaux.id}/events?after=3")
    assert (answer.status_code, answer.json()["oldest"]) == (410, 5)
    assert (await bordeaux.admin.call("GET", f"/organizations/{bordeaux.id}/events?after=4")).status_code == 200


async def test_strangers_see_no_events(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    await bordeaux.report()
    (item,) = (await bordeaux.admin.get(f"/organizations/{bordeaux.id}/events"))["_embedded"]["items"]
    stranger = await person(service.http, "eve@example.org")
    for path in (f"/organizations/{bordeaux.id}/events", f"/events/{item['id']}"):
        assert (await stranger.call("GET", path)).status_code == 404


async def test_event_types_have_schemas_and_examples(service: Service) -> None:
    admin = await person(service.http)
    items = (await admin.get("/event-types"))["_embedded"]["items"]
    assert [one["event"] for one in items] == list(Event)
    assert all(one["example"]["event"] == one["event"] and one["schema"]["type"] == "object" for one in items)
