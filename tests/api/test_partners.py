"""Partners of an organization: named by its admins, one way."""

import asyncio
from typing import Any

import pytest

from tests.api.client import City, Person, city, person
from tests.conftest import Service, both_engines

pytestmark = [pytest.mark.anyio, both_engines]

NIL = "00000000-0000-0000-0000-000000000000"


async def error(who: Person, method: str, path: str, body: Any = None) -> tuple[int, str | None]:
    """The status, and the path of the (first) field that is at fault."""
    answer = await who.call(method, path, body)
    told = answer.json()
    inner = told.get("_embedded", {}).get("errors", [told])[0]
    return answer.status_code, inner.get("path")


@pytest.fixture
async def bordeaux(service: Service) -> City:
    return await city(await person(service.http))


@pytest.fixture
async def lyon(service: Service) -> City:
    return await city(await person(service.http, "bob@example.org"), "Lyon")


async def test_a_partnership_is_one_way_and_ends(bordeaux: City, lyon: City) -> None:
    path = f"/organizations/{bordeaux.id}/relationships"
    await lyon.admin.patch(f"/organizations/{lyon.id}", {"billingEmailAddress": "money@lyon.example.org"})
    answer = await bordeaux.admin.call("POST", path, {"organization": lyon.id})
    assert (answer.status_code, answer.json()["type"], answer.json()["id"]) == (200, "Organization", lyon.id)
    assert "billingEmailAddress" not in answer.json()
    page = await bordeaux.admin.get(path)
    assert [one["id"] for one in page["_embedded"]["items"]] == [lyon.id]
    assert (await lyon.admin.get(f"/organizations/{lyon.id}/relationships"))["total"] == 0
    assert (await bordeaux.admin.call("DELETE", f"{path}/{lyon.id}")).status_code == 204
    assert (await bordeaux.admin.get(path))["total"] == 0
    assert (await bordeaux.admin.call("DELETE", f"{path}/{lyon.id}")).status_code == 404
    audit = await bordeaux.admin.get(f"/organizations/{bordeaux.id}/audit")
    told = [(one["action"], one["subject"]) for one in audit["_embedded"]["items"]][:2]
    assert told == [("partnerRemoved", f"organization:{lyon.id}"), ("partnerAdded", f"organization:{lyon.id}")]


async def test_naming_a_partner_again_changes_nothing_also_at_once(bordeaux: City, lyon: City) -> None:
    path = f"/organizations/{bordeaux.id}/relationships"
    body = {"organization": lyon.id}
    answers = await asyncio.gather(*(bordeaux.admin.call("POST", path, body) for _ in range(8)))
    assert [one.status_code for one in answers] == [200] * 8
    assert (await bordeaux.admin.get(path))["total"] == 1


async def test_partners_are_filtered_as_organizations_are(bordeaux: City, lyon: City) -> None:
    path = f"/organizations/{bordeaux.id}/relationships"
    nice = await bordeaux.admin.post("/organizations", {"name": "Nice"})
    for partner in (lyon.id, nice["id"]):
        await bordeaux.admin.post(path, {"organization": partner})
    for query, expected in (
        ("search[name]=LYO", {lyon.id}),
        (f"organization={nice['id']}", {nice["id"]}),
        (f"organization={bordeaux.id}", set()),
        ("geo_coordinates=%2B44.5-0.5", {lyon.id}),
        (f"business_activity={NIL}", set()),
    ):
        page = await bordeaux.admin.get(f"{path}?{query}")
        assert {one["id"] for one in page["_embedded"]["items"]} == expected, query


async def test_a_partner_that_can_be_none_is_refused(bordeaux: City) -> None:
    path = f"/organizations/{bordeaux.id}/relationships"
    for body in ({"organization": NIL}, {"organization": bordeaux.id}, {"organization": "x"}, {}):
        assert await error(bordeaux.admin, "POST", path, body) == (400, "organization"), body


async def test_only_admins_have_to_do_with_partners(bordeaux: City, lyon: City) -> None:
    path = f"/organizations/{bordeaux.id}/relationships"
    plain = await person(bordeaux.admin.http, "plain@example.org")
    await bordeaux.admin.post(f"/organizations/{bordeaux.id}/members", {"person": plain.id})
    body = {"organization": lyon.id}
    delegate = {"organization": lyon.id, "report": NIL}
    for method, target, sent in (
        ("GET", path, None),
        ("POST", path, body),
        ("DELETE", f"{path}/{lyon.id}", None),
        ("POST", f"/organizations/{bordeaux.id}/delegates", delegate),
    ):
        assert (await plain.call(method, target, sent)).status_code == 403, f"{method} {target}"
        assert (await lyon.admin.call(method, target, sent)).status_code == 404, f"{method} {target}"
        stranger = await bordeaux.admin.call(method, target.replace(bordeaux.id, NIL), sent)
        assert stranger.status_code == 404
