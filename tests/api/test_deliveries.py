"""What became of each event, and sending one again."""

import asyncio
from typing import Any

import pytest
import standardwebhooks

from tests.api.client import City, city, person
from tests.conftest import Service, both_engines
from tests.receiver import receiver

pytestmark = [pytest.mark.anyio, both_engines]

GOOD = "https://cmms.example.org/hook"


async def until(bordeaux: City, path: str, state: str) -> Any:
    """The delivery, as soon as it is in the state."""
    async with asyncio.timeout(10):
        while True:
            found = await bordeaux.admin.get(path)
            if found["state"] == state:
                return found


async def test_a_delivery_tells_what_became_of_it_and_can_be_sent_again(working: Service) -> None:
    bordeaux = await city(await person(working.http))
    async with receiver() as there:
        webhook = await bordeaux.webhook("reportCreated", there.url)
        report = await bordeaux.report()
        path = f"/webhooks/{webhook['id']}/deliveries/1"
        found = await until(bordeaux, path, "delivered")
        assert found["attempts"] == 1
        assert found["_links"]["resource"]["href"] == f"{working.url}/reports/{report['id']}"
        (attempt,) = (await bordeaux.admin.get(f"{path}/attempts"))["_embedded"]["items"]
        assert (attempt["number"], attempt["outcome"], attempt["statusCode"]) == (1, "response", 200)
        assert attempt["durations"]["total"] > 0
        again = await bordeaux.admin.call("POST", f"{path}/redeliver")
        assert (again.status_code, again.json()["state"]) == (202, "retrying")
        first, second = await there.wait_for(2)
        assert first.headers["webhook-id"] == second.headers["webhook-id"] == found["id"]
        assert (first.body, (await until(bordeaux, path, "delivered"))["attempts"]) == (second.body, 2)


async def test_a_failed_attempt_is_explained(working: Service) -> None:
    bordeaux = await city(await person(working.http))
    async with receiver(lambda _: 500) as there:
        webhook = await bordeaux.webhook("reportCreated", there.url)
        await bordeaux.report()
        path = f"/webhooks/{webhook['id']}/deliveries/1"
        found = await until(bordeaux, path, "retrying")
    assert "The receiver answered 500. Attempt 1 failed; the next is due in" in found["reason"]
    assert "nextAttemptAt" in found
    (attempt,) = (await bordeaux.admin.get(f"{path}/attempts"))["_embedded"]["items"]
    assert (attempt["statusCode"], attempt["responseBody"]) == (500, "")


async def test_deliveries_page_by_cursor_and_filter_by_state(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    await bordeaux.report()
    webhook = await bordeaux.webhook("reportCreated", GOOD)
    for _ in range(5):
        await bordeaux.report()
    path = f"/webhooks/{webhook['id']}"
    sequences, url = [], f"{path}/deliveries?limit=2&state=pending"
    while url:
        page = await bordeaux.admin.get(url)
        assert "total" not in page
        sequences += [one["sequence"] for one in page["_embedded"]["items"]]
        url = page["_links"].get("next", {}).get("href", "").removeprefix(service.url)
    assert sequences == [6, 5, 4, 3, 2]
    answer = await bordeaux.admin.call("POST", f"{path}/deliveries/2/redeliver")
    assert answer.status_code == 409
    for unknown in ("1", "7", "x", "9" * 30):
        assert (await bordeaux.admin.call("GET", f"{path}/deliveries/{unknown}")).status_code == 404
    await bordeaux.admin.patch(path, {"enabled": False})
    await bordeaux.admin.patch(path, {"enabled": True, "resume": "skip"})
    skipped = await bordeaux.admin.get(f"{path}/deliveries?state=skipped&limit=100")
    assert [one["sequence"] for one in skipped["_embedded"]["items"]] == [6, 5, 4, 3, 2]
    assert skipped["_embedded"]["items"][0]["reason"] == "Skipped when the webhook was enabled again."
    assert (await bordeaux.admin.get(f"{path}/deliveries?state=delivered"))["_embedded"]["items"] == []


async def test_while_a_secret_rotates_both_verify(working: Service) -> None:
    bordeaux = await city(await person(working.http))
    async with receiver() as there:
        webhook = await bordeaux.webhook("reportCreated", there.url)
        rotated = await bordeaux.admin.post(f"/webhooks/{webhook['id']}/secret", {"overlapSeconds": 3600})
        assert rotated["secret"] != webhook["secret"]
        await bordeaux.report()
        (received,) = await there.wait_for(1)
        for secret in (webhook["secret"], rotated["secret"]):
            standardwebhooks.Webhook(secret).verify(received.body, received.headers)
        last = await bordeaux.admin.post(f"/webhooks/{webhook['id']}/secret", {"overlapSeconds": 0})
        await bordeaux.report()
        received = (await there.wait_for(2))[-1]
        standardwebhooks.Webhook(last["secret"]).verify(received.body, received.headers)
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            standardwebhooks.Webhook(rotated["secret"]).verify(received.body, received.headers)


async def test_a_public_key_is_there_for_ed25519_only(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    v1, v1a = [await bordeaux.webhook("reportCreated", GOOD, signature=signature) for signature in ("v1", "v1a")]
    assert (await bordeaux.admin.call("GET", f"/webhooks/{v1['id']}/public-key")).status_code == 404
    key = await bordeaux.admin.get(f"/webhooks/{v1a['id']}/public-key")
    assert key["publicKey"].startswith("whpk_")


async def test_a_ping_is_sent_now_and_tells_what_happened(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    async with receiver() as there:
        webhook = await bordeaux.webhook("reportCreated", there.url, enabled=False)
        path = f"/webhooks/{webhook['id']}"
        attempt = await bordeaux.admin.post(f"{path}/ping")
        assert (attempt["outcome"], attempt["statusCode"]) == ("response", 200)
        (received,) = there.received
        representation = (await bordeaux.admin.call("GET", path)).content
        assert received.body == b'{"event":"ping","payload":' + representation + b"}"
        assert b"whsec_" not in received.body
        there.answer = lambda _: 503
        assert (await bordeaux.admin.post(f"{path}/ping"))["statusCode"] == 503
    refused = await bordeaux.admin.post(f"{path}/ping")
    assert refused["outcome"] == "connect_failed"
    assert (await bordeaux.admin.get(f"{path}/status"))["state"] == "disabled"
