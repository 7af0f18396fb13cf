"""From a change to a receiver, through the real server, worker, sender and sockets."""

import pytest

from tests.api.client import city, person
from tests.conftest import Service
from tests.receiver import receiver

pytestmark = pytest.mark.anyio


async def test_a_change_reaches_its_webhook(working: Service) -> None:
    bordeaux = await city(await person(working.http))
    async with receiver() as there:
        await bordeaux.webhook("reportCreated", f"{there.url}/hook")
        report = await bordeaux.report()
        (received,) = await there.wait_for(1)
    assert received.path == "/hook"
    got = await bordeaux.admin.call("GET", f"/reports/{report['id']}")
    assert received.body == b'{"event":"reportCreated","payload":' + got.content + b"}"
