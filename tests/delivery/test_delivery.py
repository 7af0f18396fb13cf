"""From a change to a receiver, through the real server, worker, sender and sockets."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from statistics import median

import pytest
import standardwebhooks
import svix
from sqlalchemy import select

from tests.api.client import City, city, person
from tests.conftest import Service, both_engines, delivering, serving
from tests.receiver import Received, receiver
from tocsin.clock import SystemClock
from tocsin.storage.interface import Row
from tocsin.storage.schema import attempts

pytestmark = [pytest.mark.anyio, both_engines]


async def recorded(service: Service) -> Sequence[Row]:
    async with service.use_cases.context.storage.read() as tx:
        return await tx.rows(select(attempts).order_by(attempts.c.id))


async def settled(bordeaux: City, webhook_id: str, seconds: float = 10) -> None:
    """Wait until nothing is pending or parked for a webhook."""
    async with asyncio.timeout(seconds):
        while True:
            status = await bordeaux.admin.get(f"/webhooks/{webhook_id}/status")
            if status["pending"] == status["parked"] == 0:
                return


@pytest.fixture
async def impatient(tmp_path: Path, settings_of_engine: dict[str, str]) -> AsyncIterator[Service]:
    """A service that retries at once, with its worker."""
    async with (
        serving(tmp_path, SystemClock(), TOCSIN_RETRY_SCHEDULE="0,0,0", **settings_of_engine) as running,
        delivering(running),
    ):
        yield running


async def test_a_change_reaches_its_webhook(working: Service) -> None:
    bordeaux = await city(await person(working.http))
    async with receiver() as there:
        webhook = await bordeaux.webhook("reportCreated", f"{there.url}/hook?a=b", headers={"X-Key": "é"})
        report = await bordeaux.report()
        (received,) = await there.wait_for(1)
        await settled(bordeaux, webhook["id"])
    assert received.path == "/hook?a=b"
    got = await bordeaux.admin.call("GET", f"/reports/{report['id']}")
    assert received.body == b'{"event":"reportCreated","payload":' + got.content + b"}"
    expected = {
        "content-type": "application/json",
        "tocsin-event": "reportCreated",
        "tocsin-sequence": "1",
        "tocsin-ordinal": "1",
        "tocsin-webhook": webhook["id"],
        "x-key": "é",
        "host": there.url.removeprefix("http://"),
    }
    assert expected.items() <= received.headers.items()
    assert received.headers["user-agent"].startswith("tocsin/")
    (attempt,) = await recorded(working)
    assert (attempt["delivered"], attempt["outcome"], attempt["status"], attempt["reason"]) == (
        1,
        "response",
        200,
        None,
    )


async def test_the_signature_verifies_with_others_libraries(working: Service) -> None:
    bordeaux = await city(await person(working.http))
    async with receiver() as there:
        webhook = await bordeaux.webhook("reportCreated", there.url)
        await bordeaux.report()
        (received,) = await there.wait_for(1)
    other = "whsec_" + "A" * 32
    for library in (standardwebhooks, svix):
        library.Webhook(webhook["secret"]).verify(received.body, received.headers)
        with pytest.raises(library.WebhookVerificationError):
            library.Webhook(other).verify(received.body, received.headers)
        with pytest.raises(library.WebhookVerificationError):
            library.Webhook(webhook["secret"]).verify(received.body.replace(b"NEW", b"OLD"), received.headers)


async def test_two_webhooks_for_the_same_event_and_url_both_fire(working: Service) -> None:
    bordeaux = await city(await person(working.http))
    async with receiver() as there:
        ids = {(await bordeaux.webhook("reportCreated", there.url))["id"] for _ in range(2)}
        await bordeaux.report()
        received = await there.wait_for(2)
    assert {one.headers["tocsin-webhook"] for one in received} == ids
    assert len({one.headers["webhook-id"] for one in received}) == 1


async def test_of_200_webhooks_all_fire_and_one_that_hangs_delays_nobody(working: Service) -> None:
    bordeaux = await city(await person(working.http))
    hangs = "/0"
    async with receiver(lambda received: None if received.path == hangs else 200) as there:
        for number in range(200):
            await bordeaux.webhook("reportCreated", f"{there.url}/{number}")
        for count in (1, 2):
            called_at = asyncio.get_running_loop().time()
            await bordeaux.report()
            received = await there.wait_for(200 if count == 1 else 399)
            latencies = [one.at - called_at for one in received[-199:] if one.path != hangs]
    assert {one.path for one in received} == {f"/{number}" for number in range(200)}
    print(f"\nof 199 beside one that hangs: median {median(latencies):.3f} s, last {max(latencies):.3f} s")
    assert max(latencies) < 10


async def test_events_of_one_resource_arrive_in_order_over_all_webhooks(impatient: Service) -> None:
    bordeaux = await city(await person(impatient.http))
    failed: set[str] = set()

    def fails_once(received: Received) -> int:
        if received.headers["webhook-id"] in failed:
            return 200
        failed.add(received.headers["webhook-id"])
        return 500

    async with receiver(fails_once) as there:
        for event in ("reportCreated", "reportStateChanged"):
            await bordeaux.webhook(event, there.url, maxInFlight=10)
        first, second = await bordeaux.report(), await bordeaux.report()
        await bordeaux.move(first, "accept", "progress")
        await bordeaux.move(second, "refuse")
        async with asyncio.timeout(30):
            while len([one for one in there.received if one.headers["webhook-id"] in failed]) < 10:
                await there.wait_for(len(there.received) + 1)
    states: dict[str, list[str]] = {first["id"]: [], second["id"]: []}
    delivered: set[str] = set()
    for one in there.received:
        payload = json.loads(one.body)["payload"]
        if one.headers["webhook-id"] in delivered:
            states[payload["id"]].append(payload["state"])
        delivered.add(one.headers["webhook-id"])
    assert states == {first["id"]: ["NEW", "ACCEPTED", "IN_PROGRESS"], second["id"]: ["NEW", "REFUSED"]}


async def test_what_keeps_failing_is_given_up_and_holds_back_only_its_resource(impatient: Service) -> None:
    bordeaux = await city(await person(impatient.http))
    poison: set[str] = set()
    async with receiver(lambda one: 500 if json.loads(one.body)["payload"]["id"] in poison else 200) as there:
        webhook = await bordeaux.webhook("reportCreated", there.url)
        changed = await bordeaux.webhook("reportStateChanged", there.url)
        report = await bordeaux.report()
        await there.wait_for(1)
        poison.add(report["id"])
        poisoned = await bordeaux.move(report, "accept")
        for _ in range(3):
            await bordeaux.report()
        received = await there.wait_for(1 + 4 + 3)
        await settled(bordeaux, webhook["id"])
        await settled(bordeaux, changed["id"])
    of_poison = [one for one in received if poisoned["id"].encode() in one.body]
    assert [one.headers["tocsin-event"] for one in of_poison][-4:] == ["reportStateChanged"] * 4
    failures = [row for row in await recorded(impatient) if not row["delivered"]]
    assert len(failures) == 4
    assert "was the last: given up" in failures[-1]["reason"]


async def test_a_disabled_webhook_is_sent_nothing_and_catches_up(working: Service) -> None:
    bordeaux = await city(await person(working.http))
    async with receiver() as there:
        webhook = await bordeaux.webhook("reportCreated", there.url)
        path = f"/webhooks/{webhook['id']}"
        await bordeaux.admin.patch(path, {"enabled": False})
        for _ in range(3):
            await bordeaux.report()
        status = await bordeaux.admin.get(f"{path}/status")
        assert (status["state"], status["pending"], there.received) == ("disabled", 3, [])
        await bordeaux.admin.patch(path, {"enabled": True})
        received = await there.wait_for(3)
        assert [one.headers["tocsin-ordinal"] for one in received] == ["1", "2", "3"]
        await bordeaux.admin.patch(path, {"enabled": False})
        await bordeaux.report()
        await bordeaux.admin.patch(path, {"enabled": True, "resume": "skip"})
        await bordeaux.report()
        received = await there.wait_for(4)
        assert received[-1].headers["tocsin-ordinal"] == "5"


async def test_a_gone_endpoint_is_disabled(working: Service) -> None:
    bordeaux = await city(await person(working.http))
    async with receiver(lambda _: 410) as there:
        webhook = await bordeaux.webhook("reportCreated", there.url)
        await bordeaux.report()
        await there.wait_for(1)
        async with asyncio.timeout(5):
            while (await bordeaux.admin.get(f"/webhooks/{webhook['id']}"))["enabled"]:
                pass
        status = await bordeaux.admin.get(f"/webhooks/{webhook['id']}/status")
    assert (status["state"], status["pending"]) == ("disabled", 1)
    assert "410 Gone" in status["reason"]


async def test_what_waits_follows_a_changed_url(working: Service) -> None:
    bordeaux = await city(await person(working.http))
    async with receiver(lambda _: 503) as bad, receiver() as good:
        webhook = await bordeaux.webhook("reportCreated", bad.url)
        await bordeaux.report()
        await bad.wait_for(1)
        await bordeaux.admin.patch(f"/webhooks/{webhook['id']}", {"payloadUrl": good.url})
        await bordeaux.report()
        received = await good.wait_for(2)
    assert {one.headers["tocsin-ordinal"] for one in received} == {"1", "2"}


async def test_no_more_are_in_flight_than_the_smallest_limit_of_an_endpoint(working: Service) -> None:
    bordeaux = await city(await person(working.http))
    async with receiver() as there:
        there.takes_seconds = 0.01
        webhook = await bordeaux.webhook("reportCreated", there.url, maxInFlight=3)
        await bordeaux.webhook("reportStateChanged", there.url, maxInFlight=50)
        await bordeaux.admin.patch(f"/webhooks/{webhook['id']}", {"enabled": False})
        for _ in range(20):
            await bordeaux.report()
        await bordeaux.admin.patch(f"/webhooks/{webhook['id']}", {"enabled": True})
        await there.wait_for(20)
    assert there.most_in_flight == 3


async def test_metrics_count_what_was_done_and_what_waits(working: Service) -> None:
    bordeaux = await city(await person(working.http))
    async with receiver() as there:
        webhook = await bordeaux.webhook("reportCreated", there.url)
        waiting = await bordeaux.webhook("reportCreated", "http://10.0.0.1.example.org/")
        await bordeaux.admin.patch(f"/webhooks/{waiting['id']}", {"enabled": False})
        await bordeaux.report()
        await settled(bordeaux, webhook["id"])
    text = (await working.http.get("/metrics")).text
    for line in (
        'tocsin_attempts_total{outcome="response"} 1.0',
        'tocsin_deliveries_total{decision="delivered"} 1.0',
        "tocsin_delivery_latency_seconds_count 1.0",
        "tocsin_events_appended 1.0",
        "tocsin_deliveries_pending 0.0",
        "tocsin_open_breakers 0.0",
    ):
        assert f"\n{line}\n" in text, line
    assert there.url not in text


async def test_a_webhook_begins_at_the_head(working: Service) -> None:
    bordeaux = await city(await person(working.http))
    await bordeaux.report()
    async with receiver() as there:
        await bordeaux.webhook("reportCreated", there.url)
        await bordeaux.report()
        (received,) = await there.wait_for(1)
    assert received.headers["tocsin-ordinal"] == "2"


async def test_a_stopping_worker_interrupts_what_does_not_end_and_spends_nothing(
    tmp_path: Path, settings_of_engine: dict[str, str]
) -> None:
    async with serving(tmp_path, SystemClock(), **settings_of_engine) as service:
        bordeaux = await city(await person(service.http))
        async with receiver(lambda _: None) as there:
            webhook = await bordeaux.webhook("reportCreated", there.url)
            async with delivering(service):
                await bordeaux.report()
                await there.wait_for(1)
                stopped_at = asyncio.get_running_loop().time()
            assert asyncio.get_running_loop().time() - stopped_at < 10
            (attempt,) = await recorded(service)
            assert (attempt["delivered"], attempt["outcome"]) == (0, "interrupted")
            status = await bordeaux.admin.get(f"/webhooks/{webhook['id']}/status")
            assert (status["state"], status["pending"], status["parked"]) == ("active", 1, 0)
            there.answer = lambda _: 200
            async with delivering(service):
                await there.wait_for(2)
                await settled(bordeaux, webhook["id"])
