"""Who did what, for an organization's admins."""

from typing import Any

import pytest

from tests.api.client import City, city, person
from tests.conftest import Service, both_engines

pytestmark = [pytest.mark.anyio, both_engines]

GOOD = "https://cmms.example.org/hook"


async def entries(bordeaux: City) -> list[Any]:
    """Oldest first."""
    found: list[Any] = []
    url = f"/organizations/{bordeaux.id}/audit?limit=3"
    while url:
        page = await bordeaux.admin.get(url)
        found += page["_embedded"]["items"]
        url = page["_links"].get("next", {}).get("href", "")
        url = url and "/" + url.split("/", 3)[3]
    return found[::-1]


async def test_what_was_done_with_webhooks_is_told_with_who_did_it(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    webhook = await bordeaux.webhook("reportCreated", GOOD, headers={"X-Key": "s3cr3t-value"})
    path = f"/webhooks/{webhook['id']}"
    await bordeaux.report()
    await bordeaux.admin.patch(path, {"description": "mine", "headers": {"X-Key": "an0ther-value"}})
    await bordeaux.admin.patch(path, {"enabled": False})
    await bordeaux.admin.patch(path, {"enabled": True, "resume": "skip"})
    rotated = await bordeaux.admin.post(f"{path}/secret", {"overlapSeconds": 60})
    await bordeaux.admin.post(f"{path}/deliveries/1/redeliver")
    replay = await bordeaux.admin.post(f"{path}/replays", {"from": 1})
    await bordeaux.admin.delete(f"{path}/replays/{replay['id']}")
    await bordeaux.admin.delete(path)
    found = await entries(bordeaux)
    assert [one["action"] for one in found] == [
        "organizationCreated",
        "webhookCreated",
        "webhookChanged",
        "webhookChanged",
        "webhookChanged",
        "secretRotated",
        "deliveryRepeated",
        "replayStarted",
        "replayStopped",
        "webhookRemoved",
    ]
    assert {one["actor"] for one in found} == {f"person:{bordeaux.admin.id}"}
    assert {one["subject"] for one in found[1:]} == {f"webhook:{webhook['id']}"}
    assert found[2]["details"] == {"members": ["description", "headers"]}
    assert found[4]["details"] == {"members": ["enabled", "resume"], "enabled": True, "resume": "skip"}
    text = str(found)
    for secret in ("s3cr3t-value", "an0ther-value", webhook["secret"], rotated["secret"]):
        assert secret not in text


async def test_members_and_tokens_are_told_of(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    grace = await person(service.http, "grace@example.org")
    organization = f"/organizations/{bordeaux.id}"
    token = await bordeaux.admin.post(f"{organization}/tokens", {"name": "CMMS", "roles": ["ORGANIZATION:ADMIN"]})
    member = await bordeaux.admin.post(f"{organization}/members", {"person": grace.id})
    await bordeaux.admin.patch(f"{organization}/members/{member['id']}", {"roles": ["ORGANIZATION:OPERATOR"]})
    await bordeaux.admin.delete(f"{organization}/members/{member['id']}")
    await bordeaux.admin.delete(f"/tokens/{token['id']}")
    found = await entries(bordeaux)
    assert [one["action"] for one in found[1:]] == [
        "tokenCreated",
        "memberAdded",
        "memberChanged",
        "memberRemoved",
        "tokenRemoved",
    ]
    assert found[3]["details"] == {"person": grace.id, "roles": ["ORGANIZATION:OPERATOR"]}
    assert token["token"] not in str(found)


async def test_only_admins_read_it(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    grace = await person(service.http, "grace@example.org")
    path = f"/organizations/{bordeaux.id}/audit"
    assert (await grace.call("GET", path)).status_code == 404
    member = await bordeaux.admin.post(f"/organizations/{bordeaux.id}/members", {"person": grace.id})
    assert (await grace.call("GET", path)).status_code == 403
    await bordeaux.admin.patch(
        f"/organizations/{bordeaux.id}/members/{member['id']}", {"roles": ["ORGANIZATION:ADMIN"]}
    )
    assert (await grace.call("GET", path)).status_code == 200
