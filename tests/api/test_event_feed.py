"""The event feed: every event, in order, without a gap, as the notifications have them."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from tests.api.client import City, city, person
from tests.conftest import Service, both_engines, serving
from tests.receiver import receiver
from tocsin.domain.events import Event
from tocsin.storage.interface import Writing
from tocsin.storage.schema import logs

pytestmark = [pytest.mark.anyio, both_engines]

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


async def test_one_reader_follows_twenty_writers_without_gap_or_repeat(working: Service) -> None:
    bordeaux = await city(await person(working.http))
    reports = [await bordeaux.report() for _ in range(WRITERS)]
    count = WRITERS * 4
    async with receiver() as there:
        await bordeaux.webhook("reportStateChanged", there.url)
        reading = asyncio.create_task(follow(bordeaux, count))
        await asyncio.gather(*(bordeaux.move(report, "accept", "hold", "progress") for report in reports))
        found = await reading
        received = await there.wait_for(WRITERS * 3)
    assert [one["sequence"] for one in found] == list(range(1, count + 1))
    feed = await bordeaux.admin.call("GET", f"/organizations/{bordeaux.id}/events?limit=100")
    assert len(received) == WRITERS * 3
    assert all(one.body[1:] in feed.content for one in received)
    assert {one.headers["webhook-id"] for one in received} == {one["id"] for one in found[WRITERS:]}


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


@dataclass
class Streamed:
    """What a reader of the stream got."""

    ids: list[int]
    items: list[bytes]


async def stream(bordeaux: City, count: int, headers: dict[str, str], query: str = "") -> Streamed:
    """Read server-sent events until so many came."""
    got = Streamed([], [])
    headers = {**bordeaux.admin.headers, "Accept": "text/event-stream", **headers}
    path = f"/organizations/{bordeaux.id}/events{query}"
    async with asyncio.timeout(20), bordeaux.admin.http.stream("GET", path, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if line.startswith("id: "):
                got.ids.append(int(line[4:]))
            if line.startswith("data: "):
                got.items.append(line[6:].encode())
                if len(got.items) == count:
                    break
    return got


async def test_a_stream_gives_what_is_there_and_what_comes_and_resumes(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    report = await bordeaux.report()
    reading = asyncio.create_task(stream(bordeaux, 3, {}))
    await asyncio.sleep(0)
    await bordeaux.move(report, "accept", "hold")
    got = await reading
    assert got.ids == [1, 2, 3]
    feed = await bordeaux.admin.call("GET", f"/organizations/{bordeaux.id}/events")
    assert all(item in feed.content for item in got.items)
    assert (await stream(bordeaux, 1, {"Last-Event-ID": "2"}, "?after=0")).ids == [3]
    assert (await stream(bordeaux, 2, {}, "?event=reportStateChanged")).ids == [2, 3]


async def test_a_stream_is_refused_as_the_feed_is(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    path = f"/organizations/{bordeaux.id}/events"
    accept = {"Accept": "text/event-stream"}
    assert (await service.http.get(path, headers=accept)).status_code == 401
    headers = {**bordeaux.admin.headers, **accept, "Last-Event-ID": "x"}
    assert (await service.http.get(path, headers=headers)).status_code == 400
    grace = await person(service.http, "grace@example.org")
    assert (await service.http.get(path, headers={**grace.headers, **accept})).status_code == 404


async def test_a_stopping_service_lets_readers_of_a_stream_go(
    tmp_path: Path, settings_of_engine: dict[str, str]
) -> None:
    async with serving(tmp_path, None, **settings_of_engine) as running:
        bordeaux = await city(await person(running.http))
        headers = {**bordeaux.admin.headers, "Accept": "text/event-stream"}
        ended = asyncio.Event()

        async def read() -> None:
            path = f"{running.url}/organizations/{bordeaux.id}/events"
            async with httpx.AsyncClient() as http, http.stream("GET", path, headers=headers) as answer:
                started.set()
                async for _ in answer.aiter_bytes():
                    pass
            ended.set()

        started = asyncio.Event()
        reading = asyncio.create_task(read())
        await started.wait()
    async with asyncio.timeout(5):
        await ended.wait()
    await reading
