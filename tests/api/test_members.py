"""Members and their roles: what each role lets one do, the last admin, an agent's one organization; also in races."""

import asyncio
from typing import Any

import pytest

from tests.api.client import INSIDE, City, Person, city, person
from tests.conftest import Service, both_engines
from tocsin.domain.roles import Role

pytestmark = [pytest.mark.anyio, both_engines]


@pytest.fixture
async def bordeaux(service: Service) -> City:
    return await city(await person(service.http))


def members(bordeaux: City) -> str:
    return f"/organizations/{bordeaux.id}/members"


async def join(bordeaux: City, email: str, *roles: Role) -> tuple[Person, str]:
    """A new person, and its member's path."""
    one = await person(bordeaux.admin.http, email)
    made = await bordeaux.admin.post(members(bordeaux), {"person": one.id})
    assert (made["roles"], made["_embedded"]["availableRoles"]) == ([], list(Role))
    path = f"{members(bordeaux)}/{made['id']}"
    if roles:
        assert (await bordeaux.admin.patch(path, {"roles": list(roles)}))["roles"] == list(roles)
    return one, path


async def status(who: Person, method: str, path: str, body: Any = None) -> int:
    return (await who.call(method, path, body)).status_code


@pytest.mark.parametrize("role", [None, *Role])
async def test_each_role_may_what_its_row_says(bordeaux: City, role: Role | None) -> None:
    one, path = await join(bordeaux, "grace@example.org", *([role] if role else []))
    _, plain = await join(bordeaux, "plain@example.org")
    report = await bordeaux.report()
    operation = await bordeaux.operation(report)
    place = (await bordeaux.admin.get(f"/organizations/{bordeaux.id}/places"))["_embedded"]["items"][0]
    category = await bordeaux.admin.post(
        f"/organizations/{bordeaux.id}/categories", {"name": "Lamps", "color": "#fc0", "icon": "fa-bug"}
    )
    as_admin = 200 if role is Role.ADMIN else 403
    for method, what, body in (
        ("PATCH", f"/organizations/{bordeaux.id}", {"description": "x"}),
        ("PATCH", plain, {"roles": ["ORGANIZATION:EXPORT"]}),
        ("PATCH", f"/places/{place['id']}", {"name": "x"}),
        ("PATCH", f"/categories/{category['id']}", {"name": "x"}),
        ("PATCH", f"/reports/{report['id']}", {"priority": 2}),
        ("PATCH", f"/operations/{operation['id']}", {"name": "x"}),
        ("POST", f"/reports/{report['id']}/workflow/transition", {"transition": "accept"}),
    ):
        assert await status(one, method, what, body) == as_admin, f"{method} {what}"
    pro = await status(one, "POST", "/feedbacks/issues", {"geo": INSIDE, "proMode": True})
    assert pro == (201 if role is Role.AGENT else 403)
    given = await status(
        bordeaux.admin, "POST", f"/operations/{operation['id']}/assign", {"member": path.rpartition("/")[2]}
    )
    assert given == (200 if role in (Role.ADMIN, Role.OPERATOR) else 400)
    assert await status(one, "GET", path) == 200


async def test_an_operator_works_on_its_own_operations_until_it_is_none(bordeaux: City) -> None:
    grace, path = await join(bordeaux, "grace@example.org", Role.OPERATOR)
    report = await bordeaux.report()
    for transitions in (("accept", "progress", "resolve"), ("refuse",)):
        operation = await bordeaux.operation(report)
        what = f"/operations/{operation['id']}"
        transition = f"{what}/workflow/transition"
        assert await status(grace, "POST", transition, {"transition": "progress"}) == 403
        await bordeaux.admin.post(f"{what}/assign", {"member": path.rpartition("/")[2]})
        assert (await grace.patch(what, {"name": "Mine", "duration": 5}))["name"] == "Mine"
        for one in transitions:
            await grace.post(transition, {"transition": one})
        assert await status(grace, "DELETE", what) == 403
        assert await status(grace, "POST", transition, {"transition": "reset"}) == 403
    operation = await bordeaux.operation(report)
    await bordeaux.admin.post(f"/operations/{operation['id']}/assign", {"member": path.rpartition("/")[2]})
    await bordeaux.admin.patch(path, {"roles": []})
    assert await status(grace, "PATCH", f"/operations/{operation['id']}", {"name": "x"}) == 403
    await bordeaux.admin.delete(path)
    assert await status(grace, "PATCH", f"/operations/{operation['id']}", {"name": "x"}) == 404


async def test_a_member_is_added_once_changed_and_removed(service: Service, bordeaux: City) -> None:
    grace, path = await join(bordeaux, "grace@example.org")
    for body, where in (
        ({"person": bordeaux.id}, "person"),
        ({"person": "x"}, "person"),
        ({}, "person"),
        ({"person": None}, "person"),
    ):
        answer = await bordeaux.admin.call("POST", members(bordeaux), body)
        assert (answer.status_code, answer.json()["_embedded"]["errors"][0]["path"]) == (400, where)
    assert await status(bordeaux.admin, "POST", members(bordeaux), {"person": grace.id}) == 409
    answer = await bordeaux.admin.call("PATCH", path, {"roles": ["ORGANIZATION:READ_ONLY"]})
    assert (answer.status_code, answer.json()["_embedded"]["errors"][0]["path"]) == (400, "roles[0]")
    twice = [Role.EXPORT.value, Role.ANALYTICS.value, Role.EXPORT.value]
    assert (await bordeaux.admin.patch(path, {"roles": twice}))["roles"] == [Role.ANALYTICS, Role.EXPORT]
    lyon = await city(await person(service.http, "lyon@example.org"), "Lyon")
    foreign = path.replace(bordeaux.id, lyon.id)
    for method in ("GET", "PATCH", "DELETE"):
        changes: Any = {"roles": []} if method == "PATCH" else None
        assert await status(lyon.admin, method, foreign, changes) == 404
        assert await status(lyon.admin, method, path, changes) == 404
    assert await status(bordeaux.admin, "DELETE", path) == 204
    assert await status(bordeaux.admin, "GET", path) == 404
    assert await status(bordeaux.admin, "DELETE", path) == 404
    assert await status(grace, "GET", members(bordeaux)) == 404


async def test_of_admins_who_remove_each_other_one_stays(bordeaux: City) -> None:
    paths = {bordeaux.admin.id: f"{members(bordeaux)}/{bordeaux.member_id}"}
    everybody = [bordeaux.admin]
    for number in range(5):
        one, path = await join(bordeaux, f"{number}@example.org", Role.ADMIN)
        everybody.append(one)
        paths[one.id] = path
    calls = []
    for number, one in enumerate(everybody):
        for other in everybody:
            if number % 2:
                calls.append(one.call("DELETE", paths[other.id]))
            else:
                calls.append(one.call("PATCH", paths[other.id], {"roles": ["ORGANIZATION:OPERATOR"]}))
    answers = await asyncio.gather(*calls)
    assert {one.status_code for one in answers} <= {200, 204, 403, 404, 409}
    left = []
    for one in everybody:
        answer = await one.call("GET", f"{members(bordeaux)}?role=ORGANIZATION:ADMIN")
        if answer.status_code == 200:
            left = answer.json()["_embedded"]["items"]
    assert len(left) == 1


async def test_an_agent_of_several_organizations_at_once_is_one_of_one(bordeaux: City) -> None:
    grace, path = await join(bordeaux, "grace@example.org")
    asked = [(bordeaux.admin, path)]
    for number in range(7):
        other = await city(bordeaux.admin, f"City {number}")
        made = await other.admin.post(members(other), {"person": grace.id})
        asked.append((other.admin, f"{members(other)}/{made['id']}"))
    body = {"roles": [Role.AGENT.value]}
    answers = await asyncio.gather(*(who.call("PATCH", what, body) for who, what in asked))
    assert sorted(one.status_code for one in answers) == [200, *[409] * 7]
    refused = next(one for one in answers if one.status_code == 409)
    assert refused.json()["path"] == "roles"
    agents = await grace.get(f"/people/{grace.id}/memberships?role=ORGANIZATION:AGENT")
    assert agents["total"] == 1
    (winner,) = [what for (_, what), one in zip(asked, answers, strict=True) if one.status_code == 200]
    assert await status(bordeaux.admin, "PATCH", winner, {"roles": []}) == 200
    loser = next(what for (_, what), one in zip(asked, answers, strict=True) if one.status_code == 409)
    assert await status(bordeaux.admin, "PATCH", loser, body) == 200
