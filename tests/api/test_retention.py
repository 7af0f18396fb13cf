"""What age takes, and what it must not take silently."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.api.client import City, city, person
from tests.conftest import ManualClock, Service, both_engines, delivering, serving
from tests.receiver import receiver
from tocsin.clock import Clock, SystemClock
from tocsin.storage.schema import attempts, endpoints, events, replays, retries, webhooks

pytestmark = [pytest.mark.anyio, both_engines]

DAY = 86_400
GOOD = "https://cmms.example.org/hook"


class ShiftedClock:
    """Goes on by itself, and can be moved."""

    def __init__(self) -> None:
        self.system, self.seconds = SystemClock(), 0.0

    def now(self) -> int:
        return self.system.now() + round(self.seconds * 1_000_000)

    def monotonic(self) -> float:
        return self.system.monotonic()


async def count(service: Service, table: Any) -> int:
    async with service.use_cases.context.storage.read() as tx:
        row = await tx.row(select(func.count().label("found")).select_from(table))
    assert row is not None
    return int(row["found"])


async def feed(bordeaux: City, after: int) -> Any:
    return await bordeaux.admin.call("GET", f"/organizations/{bordeaux.id}/events?after={after}")


async def log_in_again(bordeaux: City) -> None:
    """Tokens do not live as long as what is kept."""
    body = {"login": "ada@example.org", "password": "correct horse"}
    bordeaux.admin.token = (await bordeaux.admin.http.post("/security/login", json=body)).json()["accessToken"]


async def test_events_that_nobody_needs_go_after_thirty_days(service: Service, clock: ManualClock) -> None:
    bordeaux = await city(await person(service.http))
    for _ in range(3):
        await bordeaux.report()
    clock.advance(20 * DAY)
    await log_in_again(bordeaux)
    await bordeaux.report()
    await service.use_cases.housekeeping.tidy()
    assert len((await feed(bordeaux, 0)).json()["_embedded"]["items"]) == 4
    clock.advance(11 * DAY)
    await log_in_again(bordeaux)
    await service.use_cases.housekeeping.tidy()
    gone = await feed(bordeaux, 0)
    assert (gone.status_code, gone.json()["oldest"]) == (410, 4)
    assert [one["sequence"] for one in (await feed(bordeaux, 3)).json()["_embedded"]["items"]] == [4]
    clock.advance(40 * DAY)
    await log_in_again(bordeaux)
    await service.use_cases.housekeeping.tidy()
    assert await count(service, events) == 0
    assert (await feed(bordeaux, 3)).json().get("oldest") == 5
    report = await bordeaux.report()
    items = (await feed(bordeaux, 4)).json()["_embedded"]["items"]
    assert [(one["sequence"], one["ordinal"], one["payload"]["id"]) for one in items] == [(5, 5, report["id"])]


async def test_what_a_webhook_waits_for_is_kept_longer_and_then_lost_visibly(
    service: Service, clock: ManualClock
) -> None:
    bordeaux = await city(await person(service.http))
    await bordeaux.report()
    waiting = await bordeaux.webhook("reportCreated", GOOD, enabled=False)
    other = await bordeaux.webhook("operationCreated", GOOD)
    for _ in range(3):
        await bordeaux.report()
    clock.advance(89 * DAY)
    await log_in_again(bordeaux)
    await service.use_cases.housekeeping.tidy()
    assert await count(service, events) == 3, "only what came before the webhook went"
    assert (await bordeaux.admin.get(f"/webhooks/{waiting['id']}/status"))["lost"] == 0
    clock.advance(2 * DAY)
    await log_in_again(bordeaux)
    await bordeaux.report()
    await service.use_cases.housekeeping.tidy()
    assert await count(service, events) == 1
    status = await bordeaux.admin.get(f"/webhooks/{waiting['id']}/status")
    assert (status["lost"], status["cursor"], status["pending"]) == (3, 4, 1)
    assert (await bordeaux.admin.get(f"/webhooks/{other['id']}/status"))["lost"] == 0
    audit = (await bordeaux.admin.get(f"/organizations/{bordeaux.id}/audit"))["_embedded"]["items"]
    assert [(one["action"], one["actor"], one["details"]) for one in audit[:1]] == [
        ("eventsLost", "service", {"event": "reportCreated", "first": 2, "last": 4, "count": 3})
    ]
    assert b"tocsin_deliveries_lost_total 3.0" in (await service.http.get("/metrics")).content
    await service.use_cases.housekeeping.tidy()
    assert (await bordeaux.admin.get(f"/webhooks/{waiting['id']}/status"))["lost"] == 3


async def test_attempts_go_with_their_events_and_pings_by_their_age(
    tmp_path: Path, settings_of_engine: dict[str, str]
) -> None:
    clock = ShiftedClock()
    the_clock: Clock = clock
    async with serving(tmp_path, the_clock, **settings_of_engine) as running, receiver() as there:
        bordeaux = await city(await person(running.http))
        webhook = await bordeaux.webhook("reportCreated", there.url)
        removed = await bordeaux.webhook("reportCreated", there.url)
        async with delivering(running):
            for _ in range(3):
                await bordeaux.report()
            await there.wait_for(6)
        await bordeaux.admin.post(f"/webhooks/{webhook['id']}/ping")
        await bordeaux.admin.delete(f"/webhooks/{removed['id']}")
        await running.use_cases.housekeeping.tidy()
        assert await count(running, attempts) == 7
        clock.seconds = 31 * DAY
        await running.use_cases.housekeeping.tidy()
        assert await count(running, events) == 0
        assert await count(running, attempts) == 0


async def test_what_is_parked_keeps_its_event_until_the_last_limit(
    tmp_path: Path, settings_of_engine: dict[str, str]
) -> None:
    clock = ShiftedClock()
    async with serving(tmp_path, clock, **settings_of_engine) as running, receiver(lambda _: 500) as there:
        bordeaux = await city(await person(running.http))
        webhook = await bordeaux.webhook("reportCreated", there.url)
        async with delivering(running):
            await bordeaux.report()
            await there.wait_for(1)
        assert await count(running, retries) == 1
        clock.seconds = 60 * DAY
        await running.use_cases.housekeeping.tidy()
        assert (await count(running, events), await count(running, attempts)) == (1, 1)
        clock.seconds = 91 * DAY
        await log_in_again(bordeaux)
        await running.use_cases.housekeeping.tidy()
        assert (await count(running, events), await count(running, retries)) == (0, 0)
        assert (await bordeaux.admin.get(f"/webhooks/{webhook['id']}/status"))["lost"] == 1


async def test_a_running_replay_keeps_its_range_until_the_last_limit(service: Service, clock: ManualClock) -> None:
    bordeaux = await city(await person(service.http))
    for _ in range(3):
        await bordeaux.report()
    webhook = await bordeaux.webhook("reportCreated", GOOD)
    replay = await bordeaux.admin.post(f"/webhooks/{webhook['id']}/replays", {"from": 2})
    clock.advance(31 * DAY)
    await log_in_again(bordeaux)
    await service.use_cases.housekeeping.tidy()
    assert await count(service, events) == 2
    clock.advance(60 * DAY)
    await log_in_again(bordeaux)
    await service.use_cases.housekeeping.tidy()
    assert await count(service, events) == 0
    found = await bordeaux.admin.get(f"/webhooks/{webhook['id']}/replays/{replay['id']}")
    assert found["state"] == "stopped"
    clock.advance(31 * DAY)
    await service.use_cases.housekeeping.tidy()
    assert await count(service, replays) == 0


async def test_an_endpoint_that_no_webhook_names_goes(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    webhook = await bordeaux.webhook("reportCreated", GOOD)
    await bordeaux.admin.patch(f"/webhooks/{webhook['id']}", {"payloadUrl": f"{GOOD}/2"})
    assert await count(service, endpoints) == 2
    await service.use_cases.housekeeping.tidy()
    assert await count(service, endpoints) == 1
    assert await count(service, webhooks) == 1
