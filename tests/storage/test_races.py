"""Many at once: exactly one wins where only one may, and nobody gets a 5xx for having been slower."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import select

from tests.api.client import PASSWORD, City, Person, city, person
from tests.conftest import Service, both_engines
from tocsin.storage.schema import endpoints

pytestmark = [pytest.mark.anyio, both_engines]

AT_ONCE = 12
URL = "https://cmms.example.org/hook"


async def together(caller: Person, method: str, path: str, body: Any = None) -> Counter[int]:
    """The statuses of the same request, made many times at once."""
    answers = await asyncio.gather(*(caller.call(method, path, body) for _ in range(AT_ONCE)))
    return Counter(one.status_code for one in answers)


@pytest.fixture
async def bordeaux(service: Service) -> City:
    return await city(await person(service.http))


async def test_one_registration_of_an_address_wins(service: Service) -> None:
    body = {"email": "grace@example.org", "password": PASSWORD}
    answers = await asyncio.gather(*(service.http.post("/security/register", json=body) for _ in range(AT_ONCE)))
    statuses = Counter(one.status_code for one in answers)
    assert statuses[201] == 1
    assert max(statuses) < 500


async def test_one_transition_of_a_report_wins_and_appends_one_event(bordeaux: City) -> None:
    report = await bordeaux.report()
    path = f"/reports/{report['id']}/workflow/transition"
    assert await together(bordeaux.admin, "POST", path, {"transition": "accept"}) == {200: 1, 409: AT_ONCE - 1}
    feed = await bordeaux.admin.get(f"/organizations/{bordeaux.id}/events")
    assert [one["event"] for one in feed["_embedded"]["items"]] == ["reportCreated", "reportStateChanged"]


async def test_one_membership_of_a_person_wins(service: Service, bordeaux: City) -> None:
    grace = await person(service.http, "grace@example.org")
    path = f"/organizations/{bordeaux.id}/members"
    assert await together(bordeaux.admin, "POST", path, {"person": grace.id}) == {201: 1, 409: AT_ONCE - 1}


async def test_of_two_admins_one_stays(service: Service, bordeaux: City) -> None:
    grace = await person(service.http, "grace@example.org")
    path = f"/organizations/{bordeaux.id}/members"
    second = await bordeaux.admin.post(path, {"person": grace.id})
    await bordeaux.admin.patch(f"{path}/{second['id']}", {"roles": ["ORGANIZATION:ADMIN"]})
    members = (bordeaux.member_id, second["id"])
    answers = await asyncio.gather(
        *(grace.call("PATCH", f"{path}/{one}", {"roles": []}) for one in members for _ in range(4))
    )
    assert max(one.status_code for one in answers) < 500
    left = (await bordeaux.admin.get(path))["_embedded"]["items"]
    assert len([one for one in left if "ORGANIZATION:ADMIN" in one["roles"]]) == 1


async def test_webhooks_of_one_url_share_one_endpoint(service: Service, bordeaux: City) -> None:
    body = {"event": "reportCreated", "organization": bordeaux.id, "payloadUrl": URL}
    assert await together(bordeaux.admin, "POST", "/webhooks", body) == {201: AT_ONCE}
    async with service.use_cases.context.storage.read() as tx:
        assert len(await tx.rows(select(endpoints))) == 1


async def test_tokens_keep_to_their_limit(bordeaux: City) -> None:
    path = f"/organizations/{bordeaux.id}/tokens"
    for _ in range(100 - 4):
        await bordeaux.admin.post(path, {"name": "one more"})
    assert await together(bordeaux.admin, "POST", path, {"name": "too many"}) == {201: 4, 409: AT_ONCE - 4}


async def test_owners_and_workers_do_not_block_each_other(working: Service) -> None:
    """Changes of webhooks, while each of them is delivered to: no deadlock reaches anybody."""
    bordeaux = await city(await person(working.http))
    made = [await bordeaux.webhook("reportCreated", "http://127.0.0.1:9999/") for _ in range(4)]

    async def owner(webhook: Any) -> set[int]:
        path, seen = f"/webhooks/{webhook['id']}", set()
        for number in range(10):
            changes = {"maxInFlight": number + 1} if number % 3 else {"enabled": bool(number % 2)}
            seen.add((await bordeaux.admin.call("PATCH", path, changes)).status_code)
            seen.add((await bordeaux.admin.call("POST", f"{path}/secret")).status_code)
        return seen

    async def reporter() -> set[int]:
        for _ in range(10):
            await bordeaux.report()
        return {200}

    statuses = await asyncio.gather(*(owner(one) for one in made), reporter())
    assert set().union(*statuses) == {200}
