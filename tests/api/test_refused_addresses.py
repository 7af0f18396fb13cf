"""An address that must not be reached is refused wherever something would be sent there, not only at creation."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.api.client import City, city, person
from tests.conftest import delivering, serving
from tests.receiver import receiver
from tocsin.clock import SystemClock

pytestmark = pytest.mark.anyio

GOOD = "https://cmms.example.org/hook"
ANYWHERE = "127.0.0.0/8"
NOWHERE = "192.0.2.0/24"


async def refused(bordeaux: City, webhook: Any, sequence: int, attempts: int) -> Any:
    """The last attempt, as soon as there are so many."""
    path = f"/webhooks/{webhook['id']}/deliveries/{sequence}/attempts"
    async with asyncio.timeout(10):
        while len(found := (await bordeaux.admin.get(path))["_embedded"]["items"]) < attempts:
            pass
    return found[-1]


async def test_delivery_ping_redelivery_and_replay_vet_the_address_anew(tmp_path: Path) -> None:
    async with receiver() as there:
        async with serving(tmp_path, SystemClock(), TOCSIN_ALLOW_NETWORKS=ANYWHERE) as allowing:
            bordeaux = await city(await person(allowing.http))
            webhook = await bordeaux.webhook("reportCreated", there.url)
            async with delivering(allowing):
                await bordeaux.report()
                await there.wait_for(1)
        more = {"TOCSIN_ALLOW_NETWORKS": NOWHERE, "TOCSIN_RETRY_SCHEDULE": "0"}
        async with serving(tmp_path, SystemClock(), **more) as strict, delivering(strict):
            bordeaux.admin.http = strict.http
            path = f"/webhooks/{webhook['id']}"
            attempt = await bordeaux.admin.post(f"{path}/ping")
            assert (attempt["outcome"], "loopback" in attempt["reason"]) == ("refused_address", True)
            await bordeaux.admin.post(f"{path}/deliveries/1/redeliver")
            attempt = await refused(bordeaux, webhook, 1, 2)
            assert (attempt["outcome"], "loopback" in attempt["reason"]) == ("refused_address", True)
            await bordeaux.admin.post(f"{path}/replays", {"from": 1})
            attempt = await refused(bordeaux, webhook, 1, 4)
            assert attempt["outcome"] == "refused_address"
            await bordeaux.report()
            attempt = await refused(bordeaux, webhook, 2, 1)
            assert attempt["outcome"] == "refused_address"
        assert len(there.received) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::ffff:10.0.0.1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://user:secret@example.org/",
        "ftp://example.org/",
        "https://example.org:22/",
    ],
)
async def test_a_change_of_url_is_vetted_as_creation_is(tmp_path: Path, url: str) -> None:
    async with serving(tmp_path, TOCSIN_ALLOW_NETWORKS=NOWHERE) as strict:
        bordeaux = await city(await person(strict.http))
        webhook = await bordeaux.webhook("reportCreated", GOOD)
        answer = await bordeaux.admin.call("PATCH", f"/webhooks/{webhook['id']}", {"payloadUrl": url})
        assert answer.status_code == 400
        assert [one["path"] for one in answer.json()["_embedded"]["errors"]] == ["payloadUrl"]
        assert (await bordeaux.admin.get(f"/webhooks/{webhook['id']}"))["payloadUrl"] == GOOD
