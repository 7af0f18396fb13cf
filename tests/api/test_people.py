"""People: who may know of whom, what is theirs, and how one changes oneself."""

import asyncio
from typing import Any

import pytest

from tests.api.client import INSIDE, PASSWORD, City, Person, city, person
from tests.conftest import Service, both_engines

pytestmark = [pytest.mark.anyio, both_engines]

AT_ONCE = 10


@pytest.fixture
async def bordeaux(service: Service) -> City:
    return await city(await person(service.http))


async def join(bordeaux: City, one: Person, *roles: str) -> str:
    """The id of the new member."""
    path = f"/organizations/{bordeaux.id}/members"
    made = await bordeaux.admin.post(path, {"person": one.id})
    await bordeaux.admin.patch(f"{path}/{made['id']}", {"roles": [f"ORGANIZATION:{role}" for role in roles]})
    return str(made["id"])


async def ids(who: Person, path: str, **query: str) -> set[str]:
    answer = await who.call("GET", path, params=query)
    assert answer.status_code == 200, answer.text
    return {one["id"] for one in answer.json()["_embedded"]["items"]}


async def errors(who: Person, path: str, body: Any) -> list[str]:
    answer = await who.call("PATCH", path, body)
    assert answer.status_code == 400, answer.text
    return [one["path"] for one in answer.json()["_embedded"]["errors"]]


async def log_in(service: Service, email: str) -> int:
    body = {"login": email, "password": PASSWORD}
    return (await service.http.post("/security/login", json=body)).status_code


async def test_one_knows_oneself_fellows_and_reporters_and_nobody_else(service: Service, bordeaux: City) -> None:
    ada = bordeaux.admin
    fellow = await person(service.http, "grace@example.org")
    reporter = await person(service.http, "rita@example.org")
    stranger = await person(service.http, "eve@example.org")
    await join(bordeaux, fellow)
    await reporter.post("/feedbacks/issues", {"geo": INSIDE})
    assert await ids(ada, "/people") == {ada.id, fellow.id, reporter.id}
    assert await ids(fellow, "/people") == {ada.id, fellow.id, reporter.id}
    assert await ids(reporter, "/people") == {reporter.id}
    for who, known in (
        (ada, [ada, fellow, reporter]),
        (fellow, [ada, reporter]),
        (reporter, [reporter]),
        (stranger, []),
    ):
        for other in (ada, fellow, reporter):
            for path in ("", "/memberships", "/operations", "/feedbacks"):
                status = (await who.call("GET", f"/people/{other.id}{path}")).status_code
                assert status == (200 if other in known or who is other else 404), (who.id, other.id, path)
    assert (await ada.call("PATCH", f"/people/{stranger.id}", {"jobTitle": "x"})).status_code == 404
    assert (await ada.call("PATCH", f"/people/{reporter.id}", {"jobTitle": "x"})).status_code == 403


async def test_people_and_members_are_searched_by_each_member_in_any_case(service: Service, bordeaux: City) -> None:
    grace = await person(service.http, "Grace.Hopper@example.org")
    await join(bordeaux, grace)
    await grace.patch(f"/people/{grace.id}", {"givenName": "Grace", "familyName": "Hopper", "job": "Rear admiral"})
    for field, text in (
        ("givenName", "GRA"),
        ("familyName", "opp"),
        ("jobTitle", "admiral"),
        ("username", "hopper@"),
        ("email", "grace."),
    ):
        assert await ids(bordeaux.admin, "/people", **{f"search[{field}]": text}) == {grace.id}, field
        listed = await bordeaux.admin.call(
            "GET", f"/organizations/{bordeaux.id}/members", params={f"search[{field}]": text}
        )
        (member,) = listed.json()["_embedded"]["items"]
        assert member["_links"]["person"]["href"].endswith(grace.id)
    for both in ({"search[username]": "grace", "search[email]": "ada"}, {"search[givenName]": "%"}):
        assert await ids(bordeaux.admin, "/people", **both) == set()
    admins = await bordeaux.admin.get(f"/organizations/{bordeaux.id}/members?role=ORGANIZATION:ADMIN")
    assert [one["id"] for one in admins["_embedded"]["items"]] == [bordeaux.member_id]


async def test_a_person_sends_back_what_it_read_with_something_changed(bordeaux: City) -> None:
    ada, path = bordeaux.admin, f"/people/{bordeaux.admin.id}"
    shown = await ada.get(path)
    changed = await ada.patch(path, {**shown, "givenName": "Ada", "optIn": True, "familyName": None})
    assert (changed["givenName"], changed["optIn"], "familyName" in changed) == ("Ada", True, False)
    preferences = {"preferences": {"messageEmailEnabled": False, "messagePushEnabled": None}}
    assert (await ada.patch(path, preferences))["preferences"] == {
        "messageEmailEnabled": False,
        "messagePushEnabled": True,
    }
    dotted = await ada.patch(path, {"preferences.messageEmailEnabled": "true", "preferences.messagePushEnabled": False})
    assert dotted["preferences"] == {"messageEmailEnabled": True, "messagePushEnabled": False}
    assert (await ada.patch(path, {"job": "Analyst"}))["jobTitle"] == "Analyst"
    assert (await ada.patch(path, {"jobTitle": "Engineer"}))["jobTitle"] == "Engineer"
    assert "givenName" not in await ada.patch(path, {"givenName": ""})


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"givenName": "x" * 51}, "givenName"),
        ({"familyName": 7}, "familyName"),
        ({"job": "x" * 256}, "jobTitle"),
        ({"email": "nobody"}, "email"),
        ({"email": "x" * 180 + "@example.org"}, "email"),
        ({"optIn": "yes"}, "optIn"),
        ({"preferences": 1}, "preferences"),
        ({"preferences": {"messageEmailEnabled": 1}}, "preferences.messageEmailEnabled"),
        ({"preferences": {"unknown": True}}, "preferences.unknown"),
        ({"roles": ["ORGANIZATION:ADMIN"]}, "roles"),
    ],
)
async def test_what_is_wrong_in_a_person_is_named(bordeaux: City, body: Any, path: str) -> None:
    assert await errors(bordeaux.admin, f"/people/{bordeaux.admin.id}", body) == [path]


async def test_a_login_goes_with_its_address_and_a_taken_one_is_refused(service: Service) -> None:
    await person(service.http)
    grace = await person(service.http, "grace@example.org")
    path = f"/people/{grace.id}"
    for taken in ("ada@example.org", "ADA@Example.org"):
        assert await errors(grace, path, {"email": taken, "givenName": "Grace"}) == ["email"]
    assert "givenName" not in await grace.get(path)
    changed = await grace.patch(path, {"email": "Hopper@example.org"})
    assert (changed["email"], changed["username"]) == ("Hopper@example.org", "Hopper@example.org")
    assert await log_in(service, "hopper@example.org") == 200
    assert await log_in(service, "grace@example.org") == 401
    assert (await grace.call("GET", path)).status_code == 200
    assert (await grace.patch(path, {"email": "hopper@example.org"}))["email"] == "hopper@example.org"
    again = await person(service.http, "grace@example.org")
    assert again.id != grace.id


async def test_of_those_who_take_one_address_at_once_one_has_it(service: Service) -> None:
    several = [await person(service.http, f"{number}@example.org") for number in range(AT_ONCE)]
    answers = await asyncio.gather(
        *(one.call("PATCH", f"/people/{one.id}", {"email": "one@example.org"}) for one in several),
        service.http.post("/security/register", json={"email": "ONE@example.org", "password": PASSWORD}),
    )
    refused = [one for one in answers if one.status_code == 400]
    assert len(refused) == AT_ONCE
    assert {error["path"] for one in refused for error in one.json()["_embedded"]["errors"]} == {"email"}


async def test_memberships_are_shown_as_far_as_the_caller_belongs(service: Service, bordeaux: City) -> None:
    grace = await person(service.http, "grace@example.org")
    lyon = await city(grace, "Lyon")
    member_id = await join(bordeaux, grace, "OPERATOR", "EXPORT")
    path = f"/people/{grace.id}/memberships"
    assert await ids(grace, path) == {member_id, lyon.member_id}
    assert await ids(bordeaux.admin, path) == {member_id}
    assert await ids(grace, path, role="ORGANIZATION:ADMIN") == {lyon.member_id}
    assert await ids(grace, path, role="ORGANIZATION:EXPORT") == {member_id}
    pages = [await ids(grace, path, **{"search[email]": "GRACE", "limit": "1", "page": page}) for page in ("1", "2")]
    assert sorted(map(len, pages)) == [1, 1]
    assert pages[0] | pages[1] == {member_id, lyon.member_id}
    assert await ids(grace, path, **{"search[email]": "ada"}) == set()
    answer = await bordeaux.admin.call("GET", path)
    assert answer.headers["vary"] == "Authorization"
    first = answer.json()["_embedded"]["items"][0]
    assert first == await bordeaux.admin.get(f"/organizations/{bordeaux.id}/members/{member_id}")


async def test_operations_of_a_person_are_those_given_to_it(service: Service, bordeaux: City) -> None:
    grace = await person(service.http, "grace@example.org")
    member_id = await join(bordeaux, grace, "OPERATOR")
    report = await bordeaux.report()
    given = [await bordeaux.operation(report) for _ in range(2)]
    await bordeaux.operation(report)
    for one in given:
        await bordeaux.admin.post(f"/operations/{one['id']}/assign", {"member": member_id})
    await grace.post(f"/operations/{given[0]['id']}/workflow/transition", {"transition": "progress"})
    path = f"/people/{grace.id}/operations"
    for who in (grace, bordeaux.admin):
        assert await ids(who, path) == {one["id"] for one in given}
        assert await ids(who, path, state="IN_PROGRESS") == {given[0]["id"]}
        assert await ids(who, path, **{"search[name]": "BULB", "state": "ASSIGNED,NEW"}) == {given[1]["id"]}
    assert await ids(bordeaux.admin, f"/people/{bordeaux.admin.id}/operations") == set()
    lyon = await city(await person(service.http, "lyon@example.org"), "Lyon")
    await join(lyon, grace)
    assert await ids(lyon.admin, path) == set(), "what another organization owns is not shown"
    await bordeaux.admin.delete(f"/organizations/{bordeaux.id}/members/{member_id}")
    assert await ids(grace, path) == set(), "whoever left sees it no more"


async def test_feedback_of_a_person_is_what_the_caller_may_see_of_it(service: Service, bordeaux: City) -> None:
    rita = await person(service.http, "rita@example.org")
    category = await bordeaux.admin.post(
        f"/organizations/{bordeaux.id}/categories", {"name": "Lamps", "color": "#fc0", "icon": "fa-bug"}
    )
    public = await rita.post(
        "/feedbacks/issues", {"geo": INSIDE, "visibility": "VISIBILITY_PUBLIC", "category": category["id"]}
    )
    private = await rita.post("/feedbacks/issues", {"geo": INSIDE})
    await bordeaux.admin.post("/feedbacks/issues", {"geo": INSIDE})
    path = f"/people/{rita.id}/feedbacks"
    for who in (rita, bordeaux.admin):
        assert await ids(who, path) == {public["id"], private["id"]}
        assert await ids(who, path, **{"visibility[]": "VISIBILITY_PRIVATE"}) == {private["id"]}
        assert await ids(who, path, category=category["id"], organization=bordeaux.id) == {public["id"]}
        assert await ids(who, path, state="DELIVERED,NEW") == {public["id"], private["id"]}
        assert await ids(who, path, state="FAILED") == set()
    late = await city(await person(service.http, "lyon@example.org"), "Lyon")
    await join(late, rita)
    assert await ids(late.admin, path) == {public["id"]}
    wrong = await rita.call("GET", f"{path}?state=GONE")
    assert (wrong.status_code, wrong.json()["_embedded"]["errors"][0]["path"]) == (400, "state")
