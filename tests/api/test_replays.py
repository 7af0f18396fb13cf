"""Replays: what a webhook has behind it, sent again."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.api.client import City, city, person
from tests.conftest import Service, both_engines, delivering, serving
from tests.receiver import Received, receiver
from tocsin.clock import SystemClock
from tocsin.storage.schema import retries

pytestmark = [pytest.mark.anyio, both_engines]

GOOD = "https://cmms.example.org/hook"


async def ended(bordeaux: City, path: str) -> Any:
    """The replay, as soon as it does not run any more."""
    async with asyncio.timeout(20):
        while True:
            found = await bordeaux.admin.get(path)
            if found["state"] != "running":
                return found


async def test_a_replay_sends_the_same_bytes_and_ids_in_order(working: Service) -> None:
    bordeaux = await city(await person(working.http))
    async with receiver() as there:
        webhook = await bordeaux.webhook("reportStateChanged", there.url, maxInFlight=4)
        report = await bordeaux.report()
        await bordeaux.move(report, "accept", "hold", "progress", "close")
        first = list(await there.wait_for(4))
        path = f"/webhooks/{webhook['id']}/replays"
        await delivered(bordeaux, webhook)
        replay = await bordeaux.admin.post(path, {"from": 3, "to": 5})
        assert (replay["total"], replay["state"], replay["onlyFailed"]) == (3, "running", False)
        again = (await there.wait_for(7))[4:]
        found = await ended(bordeaux, f"{path}/{replay['id']}")
    assert (found["done"], found["failed"], found["state"]) == (3, 0, "done")
    sent = {one.headers["tocsin-sequence"]: one for one in first}
    assert [one.headers["tocsin-sequence"] for one in again] == ["3", "4", "5"]
    for one in again:
        original = sent[one.headers["tocsin-sequence"]]
        assert (one.body, one.headers["webhook-id"]) == (original.body, original.headers["webhook-id"])
        assert one.headers["tocsin-replay"] == replay["id"]
        assert "tocsin-replay" not in original.headers
    page = await bordeaux.admin.get(path)
    assert [one["id"] for one in page["_embedded"]["items"]] == [replay["id"]]


async def test_a_new_webhook_can_be_given_what_was_before_it(working: Service) -> None:
    bordeaux = await city(await person(working.http))
    for _ in range(3):
        await bordeaux.report()
    async with receiver() as there:
        webhook = await bordeaux.webhook("reportCreated", there.url)
        path = f"/webhooks/{webhook['id']}/replays"
        counted = await bordeaux.admin.post(path, {"from": 0, "dryRun": True})
        assert (counted["total"], counted["dryRun"]) == (3, True)
        assert (await bordeaux.admin.get(path))["total"] == 0
        replay = await bordeaux.admin.post(path, {"from": "2018-01-01T00:00:00Z"})
        assert replay["total"] == 3
        await there.wait_for(3)
        await ended(bordeaux, f"{path}/{replay['id']}")


async def test_only_what_was_given_up_is_replayed_and_counts_as_delivered_then(
    tmp_path: Any, settings_of_engine: dict[str, str]
) -> None:
    broken = True

    def answer(received: Received) -> int:
        return 500 if broken and received.headers["tocsin-sequence"] in {"2", "4"} else 200

    async with (
        serving(tmp_path, SystemClock(), TOCSIN_RETRY_SCHEDULE="0", **settings_of_engine) as working,
        delivering(working),
        receiver(answer) as there,
    ):
        bordeaux = await city(await person(working.http))
        webhook = await bordeaux.webhook("reportCreated", there.url)
        for _ in range(5):
            await bordeaux.report()
        deliveries = f"/webhooks/{webhook['id']}/deliveries"
        async with asyncio.timeout(20):
            while len(given_up := await listed(bordeaux, f"{deliveries}?state=failed")) < 2:
                pass
            assert given_up == [4, 2]
        broken = False
        path = f"/webhooks/{webhook['id']}/replays"
        counted = await bordeaux.admin.post(path, {"from": 1, "onlyFailed": True, "dryRun": True})
        assert counted["total"] == 2
        already = len(there.received)
        replay = await bordeaux.admin.post(path, {"from": 1, "onlyFailed": True})
        found = await ended(bordeaux, f"{path}/{replay['id']}")
        assert (found["total"], found["done"], found["failed"]) == (2, 2, 0)
        assert [one.headers["tocsin-sequence"] for one in there.received[already:]] == ["2", "4"]
        assert await listed(bordeaux, f"{deliveries}?state=failed") == []
        assert await listed(bordeaux, f"{deliveries}?state=delivered") == [5, 4, 3, 2, 1]
        nothing = await bordeaux.admin.post(path, {"from": 1, "onlyFailed": True})
        assert (nothing["total"], nothing["state"]) == (0, "done")


async def listed(bordeaux: City, path: str) -> list[int]:
    return [one["sequence"] for one in (await bordeaux.admin.get(path))["_embedded"]["items"]]


async def test_what_fails_in_a_replay_is_tried_again_and_ends_it(
    tmp_path: Any, settings_of_engine: dict[str, str]
) -> None:
    failures = {"1": 2, "2": 99}

    def answer(received: Received) -> int:
        sequence = received.headers["tocsin-sequence"]
        if "tocsin-replay" in received.headers and failures.get(sequence, 0):
            failures[sequence] -= 1
            return 500
        return 200

    async with (
        serving(tmp_path, SystemClock(), TOCSIN_RETRY_SCHEDULE="0,0", **settings_of_engine) as working,
        delivering(working),
        receiver(answer) as there,
    ):
        bordeaux = await city(await person(working.http))
        webhook = await bordeaux.webhook("reportCreated", there.url)
        for _ in range(3):
            await bordeaux.report()
        await there.wait_for(3)
        await delivered(bordeaux, webhook)
        path = f"/webhooks/{webhook['id']}/replays"
        replay = await bordeaux.admin.post(path, {"from": 1})
        found = await ended(bordeaux, f"{path}/{replay['id']}")
        assert (found["state"], found["done"], found["failed"]) == ("done", 3, 1)
        assert await listed(bordeaux, f"/webhooks/{webhook['id']}/deliveries?state=delivered") == [3, 2, 1]


async def delivered(bordeaux: City, webhook: Any) -> None:
    async with asyncio.timeout(10):
        while (await bordeaux.admin.get(f"/webhooks/{webhook['id']}/status"))["pending"]:
            pass


async def test_a_failing_replay_holds_no_live_event_of_the_same_resource(working: Service) -> None:
    bordeaux = await city(await person(working.http))
    async with receiver(lambda one: 500 if "tocsin-replay" in one.headers else 200) as there:
        webhook = await bordeaux.webhook("reportStateChanged", there.url)
        report = await bordeaux.move(await bordeaux.report(), "accept")
        await there.wait_for(1)
        await delivered(bordeaux, webhook)
        await bordeaux.admin.post(f"/webhooks/{webhook['id']}/replays", {"from": 1})
        await there.wait_for(2)
        await bordeaux.move(report, "hold", "progress")
        received = await there.wait_for(4)
    live = [one.headers["tocsin-sequence"] for one in received if "tocsin-replay" not in one.headers]
    assert live == ["2", "3", "4"]


async def test_a_stopped_replay_sends_nothing_more(working: Service) -> None:
    bordeaux = await city(await person(working.http))
    async with receiver() as there:
        webhook = await bordeaux.webhook("reportCreated", there.url, maxInFlight=1)
        for _ in range(6):
            await bordeaux.report()
        await there.wait_for(6)
        await delivered(bordeaux, webhook)
        there.answer = lambda _: 500
        path = f"/webhooks/{webhook['id']}/replays"
        replay = await bordeaux.admin.post(path, {"from": 1})
        await there.wait_for(7)
        await bordeaux.admin.delete(f"{path}/{replay['id']}")
        there.answer = lambda _: 200
        await bordeaux.report()
        async with asyncio.timeout(10), there.changed:
            await there.changed.wait_for(lambda: there.received[-1].headers["tocsin-sequence"] == "7")
        assert (await bordeaux.admin.get(f"{path}/{replay['id']}"))["state"] == "stopped"
        async with working.use_cases.context.storage.read() as tx:
            row = await tx.row(select(func.count().label("found")).select_from(retries))
        assert row is not None
        assert row["found"] == 0


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "from"),
        ({"from": -1}, "from"),
        ({"from": "yesterday"}, "from"),
        ({"from": True}, "from"),
        ({"from": 1, "to": 2**63}, "to"),
        ({"from": 5, "to": 4}, "to"),
        ({"from": 1, "onlyFailed": "yes"}, "onlyFailed"),
    ],
)
async def test_a_wrong_range_is_refused_with_its_path(service: Service, body: Any, path: str) -> None:
    bordeaux = await city(await person(service.http))
    webhook = await bordeaux.webhook("reportCreated", GOOD)
    answer = await bordeaux.admin.call("POST", f"/webhooks/{webhook['id']}/replays", body)
    assert answer.status_code == 400
    assert [one["path"] for one in answer.json()["_embedded"]["errors"]] == [path]


async def test_a_disabled_webhook_and_too_many_replays_are_a_conflict(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    await bordeaux.report()
    webhook = await bordeaux.webhook("reportCreated", GOOD)
    path = f"/webhooks/{webhook['id']}/replays"
    for _ in range(10):
        await bordeaux.admin.post(path, {"from": 1})
    assert (await bordeaux.admin.call("POST", path, {"from": 1})).status_code == 409
    await bordeaux.admin.patch(f"/webhooks/{webhook['id']}", {"enabled": False})
    assert (await bordeaux.admin.call("POST", path, {"from": 1})).status_code == 409
    await bordeaux.admin.patch(f"/webhooks/{webhook['id']}", {"enabled": True, "resume": "skip"})
    states = {one["state"] for one in (await bordeaux.admin.get(f"{path}?limit=100"))["_embedded"]["items"]}
    assert states == {"stopped"}


async def test_a_replay_goes_along_to_a_new_url(working: Service) -> None:
    bordeaux = await city(await person(working.http))
    async with receiver(lambda _: 500) as before, receiver() as after:
        for _ in range(3):
            await bordeaux.report()
        webhook = await bordeaux.webhook("reportCreated", before.url)
        path = f"/webhooks/{webhook['id']}/replays"
        replay = await bordeaux.admin.post(path, {"from": 1})
        await before.wait_for(1)
        await bordeaux.admin.patch(f"/webhooks/{webhook['id']}", {"payloadUrl": after.url})
        found = await ended(bordeaux, f"{path}/{replay['id']}")
        assert found["done"] == 3
        assert {one.headers["tocsin-sequence"] for one in after.received} == {"1", "2", "3"}
