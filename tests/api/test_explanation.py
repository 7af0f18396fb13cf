"""Why an event was or wasn't sent."""

import asyncio
import subprocess
from typing import Any

import pytest
import standardwebhooks

from tests.api.client import City, city, person
from tests.conftest import Service, both_engines
from tests.receiver import receiver

pytestmark = [pytest.mark.anyio, both_engines]

GOOD = "https://cmms.example.org/hook"


async def last_event(bordeaux: City) -> str:
    items = (await bordeaux.admin.get(f"/organizations/{bordeaux.id}/events"))["_embedded"]["items"]
    return str(items[-1]["id"])


async def explained(bordeaux: City, event: str, webhook: Any) -> Any:
    found = await bordeaux.admin.get(f"/events/{event}/explanation?webhook={webhook['id']}")
    (one,) = found["_embedded"]["webhooks"]
    return one


async def state(bordeaux: City, event: str, webhook: Any, wanted: str) -> Any:
    async with asyncio.timeout(10):
        while (found := await explained(bordeaux, event, webhook))["state"] != wanted:
            pass
    return found


async def test_why_an_event_was_not_sent(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    await bordeaux.report()
    event = await last_event(bordeaux)
    late = await bordeaux.webhook("reportCreated", GOOD)
    other = await bordeaux.webhook("operationCreated", GOOD)
    found = await explained(bordeaux, event, late)
    assert (found["state"], found["attempts"]) == ("none", [])
    assert found["why"] == "The webhook begins after this event: at ordinal 2; this one has 1."
    assert found["next"] == "Nothing by itself: replay it."
    found = await explained(bordeaux, event, other)
    assert found["why"] == "The webhook is for operationCreated; this is a reportCreated."
    await bordeaux.report()
    await bordeaux.report()
    event = await last_event(bordeaux)
    assert (await explained(bordeaux, event, late))["why"] == "Not sent yet: 1 events come before it."
    await bordeaux.admin.patch(f"/webhooks/{late['id']}", {"enabled": False})
    found = await explained(bordeaux, event, late)
    assert (found["state"], found["why"]) == (
        "pending",
        "It waits, because the webhook is disabled: Disabled by its owner.",
    )
    assert found["next"].startswith("Enable the webhook")
    await bordeaux.admin.patch(f"/webhooks/{late['id']}", {"enabled": True, "resume": "skip"})
    found = await explained(bordeaux, event, late)
    assert (found["state"], found["why"]) == ("skipped", "Skipped when the webhook was enabled again.")
    everyone = await bordeaux.admin.get(f"/events/{event}/explanation")
    assert (everyone["total"], everyone["event"], everyone["sequence"]) == (1, "reportCreated", 3)


async def test_what_was_tried_and_what_comes_next(working: Service) -> None:
    bordeaux = await city(await person(working.http))
    async with receiver(lambda one: 500 if one.headers["tocsin-sequence"] != "1" else 200) as there:
        webhook = await bordeaux.webhook("reportStateChanged", there.url)
        created = await bordeaux.webhook("reportCreated", there.url)
        report = await bordeaux.report()
        first = await last_event(bordeaux)
        found = await state(bordeaux, first, created, "delivered")
        assert (found["next"], len(found["attempts"])) == ("Nothing: it is done.", 1)
        assert found["attempts"][0]["durations"]["total"] > 0
        report = await bordeaux.move(report, "accept")
        second = await last_event(bordeaux)
        found = await state(bordeaux, second, webhook, "retrying")
        assert "The receiver answered 500. Attempt 1 failed" in found["why"]
        assert found["next"].startswith("Attempt 2 is due at 20")
        await bordeaux.move(report, "hold")
        third = await last_event(bordeaux)
        found = await state(bordeaux, third, webhook, "held")
        assert found["why"].startswith("It waits behind sequence 2 of the same resource: The receiver answered 500.")


async def test_the_command_by_hand_is_what_a_worker_would_send(working: Service) -> None:
    bordeaux = await city(await person(working.http))
    async with receiver() as there:
        headers = {"X-Quoted": 'it\'s; $(touch x) `y` "z"'}
        webhook = await bordeaux.webhook("reportCreated", there.url, headers=headers)
        report = await bordeaux.report()
        (sent,) = await there.wait_for(1)
        await bordeaux.admin.patch(f"/reports/{report['id']}", {"description": "it's $HOME"})
        found = await explained(bordeaux, sent.headers["webhook-id"], webhook)
        ran = await asyncio.to_thread(
            subprocess.run, ["sh", "-c", found["request"]], capture_output=True, timeout=20, check=True
        )
        assert b" 200 " in ran.stdout
        _, again = await there.wait_for(2)
    assert again.body == sent.body
    standardwebhooks.Webhook(webhook["secret"]).verify(again.body, again.headers)
    own = {"host", "accept", "content-length", "webhook-timestamp", "webhook-signature"}
    assert {n: v for n, v in again.headers.items() if n not in own} == {
        n: v for n, v in sent.headers.items() if n not in own
    }


async def test_no_signature_for_who_may_not_manage_webhooks_and_nothing_for_outsiders(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    webhook = await bordeaux.webhook("reportCreated", GOOD)
    await bordeaux.report()
    event = await last_event(bordeaux)
    assert "request" in await explained(bordeaux, event, webhook)
    grace = await person(service.http, "grace@example.org")
    path = f"/events/{event}/explanation"
    assert (await grace.call("GET", path)).status_code == 404
    await bordeaux.admin.post(f"/organizations/{bordeaux.id}/members", {"person": grace.id})
    (one,) = (await grace.get(path))["_embedded"]["webhooks"]
    assert "request" not in one
    paris = await city(grace, "Paris")
    theirs = await paris.webhook("reportCreated", GOOD)
    assert (await bordeaux.admin.call("GET", f"{path}?webhook={theirs['id']}")).status_code == 404
    assert (await grace.call("GET", f"{path}?webhook={theirs['id']}")).status_code == 404
