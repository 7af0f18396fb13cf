"""Who sees what, who may do what, and how they prove who they are."""

from typing import Any

import pytest

from tests.api.client import INSIDE, OUTSIDE, PASSWORD, City, Person, city, person
from tests.conftest import ManualClock, Service, serving

pytestmark = pytest.mark.anyio

NIL = "00000000-0000-0000-0000-000000000000"


async def status(who: Person, method: str, path: str, body: Any = None) -> int:
    return (await who.call(method, path, body)).status_code


async def member(bordeaux: City, email: str, *roles: str) -> tuple[Person, str]:
    """A new person with roles in the city, and its member's id."""
    one = await person(bordeaux.admin.http, email)
    path = f"/organizations/{bordeaux.id}/members"
    made = await bordeaux.admin.post(path, {"person": one.id})
    await bordeaux.admin.patch(f"{path}/{made['id']}", {"roles": [f"ORGANIZATION:{role}" for role in roles]})
    return one, made["id"]


async def test_what_a_stranger_may_not_see_is_like_a_random_id(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    report = await bordeaux.report()
    operation = await bordeaux.operation(report)
    webhook = await bordeaux.webhook("reportCreated", "https://example.org")
    feedback = report["_links"]["feedback"]["iriTemplate"]["mapping"]["feedback"]
    stranger = await person(service.http, "eve@example.org")
    for pattern, known in (
        ("/reports/{}", report["id"]),
        ("/reports/{}/tracking", report["id"]),
        ("/reports/{}/operations", report["id"]),
        ("/operations/{}", operation["id"]),
        ("/operations/{}/tracking", operation["id"]),
        ("/operations/{}/comments", operation["id"]),
        ("/operations/{}/logs", operation["id"]),
        ("/feedbacks/{}", feedback),
        ("/feedbacks/{}/tracking", feedback),
        ("/feedbacks/{}/comments", feedback),
        ("/feedbacks/{}/contributions", feedback),
        ("/webhooks/{}", webhook["id"]),
        ("/webhooks/{}/status", webhook["id"]),
        ("/people/{}", bordeaux.admin.id),
        ("/organizations/{}/reports", bordeaux.id),
        ("/organizations/{}/operations", bordeaux.id),
        ("/organizations/{}/members", bordeaux.id),
        ("/organizations/{}/tokens", bordeaux.id),
        ("/organizations/{}/webhooks", bordeaux.id),
    ):
        real = await stranger.call("GET", pattern.format(known))
        random = await stranger.call("GET", pattern.format(NIL))
        assert (real.status_code, real.content) == (404, random.content), pattern
    transition = {"transition": "accept"}
    assert await status(stranger, "POST", f"/reports/{report['id']}/workflow/transition", transition) == 404
    assert await status(stranger, "DELETE", f"/operations/{operation['id']}") == 404
    assert await status(stranger, "PATCH", f"/webhooks/{webhook['id']}", {"enabled": False}) == 404


async def test_a_member_without_a_role_sees_and_may_not_do(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    plain, _ = await member(bordeaux, "plain@example.org")
    report = await bordeaux.report()
    operation = await bordeaux.operation(report)
    assert (await plain.get(f"/reports/{report['id']}"))["state"] == "NEW"
    organization = f"/organizations/{bordeaux.id}"
    for method, path, body in (
        ("POST", f"/reports/{report['id']}/workflow/transition", {"transition": "accept"}),
        ("PATCH", f"/reports/{report['id']}", {"priority": 2}),
        ("POST", "/operations", {"report": report["id"]}),
        ("PATCH", f"/operations/{operation['id']}", {"name": "x"}),
        ("DELETE", f"/operations/{operation['id']}", None),
        ("POST", f"{organization}/categories", {"name": "x", "color": "#fff", "icon": "x"}),
        ("POST", f"{organization}/tokens", {"name": "x"}),
        ("POST", f"{organization}/members", {"person": plain.id}),
        ("POST", f"{organization}/webhooks", {"event": "reportCreated", "payloadUrl": "https://example.org"}),
        ("PATCH", organization, {"name": "x"}),
    ):
        assert await status(plain, method, path, body) == 403, f"{method} {path}"


async def test_an_operator_works_on_what_is_given_to_them_only(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    operator, member_id = await member(bordeaux, "operator@example.org", "OPERATOR")
    plain, plain_id = await member(bordeaux, "plain@example.org")
    report = await bordeaux.report()
    own, other = await bordeaux.operation(report), await bordeaux.operation(report)
    await bordeaux.admin.post(f"/operations/{own['id']}/assign", {"member": member_id})
    refused = await bordeaux.admin.call("POST", f"/operations/{other['id']}/assign", {"member": plain_id})
    assert refused.status_code == 400
    assert refused.json()["_embedded"]["errors"][0]["path"] == "member"
    moved = await operator.post(f"/operations/{own['id']}/workflow/transition", {"transition": "progress"})
    assert moved["state"] == "IN_PROGRESS"
    assert moved["_links"]["operator"]["iriTemplate"]["mapping"] == {"person": operator.id}
    assert await status(operator, "PATCH", f"/operations/{other['id']}", {"name": "x"}) == 403
    assert await status(operator, "POST", f"/operations/{own['id']}/assign", {"member": member_id}) == 403
    reset = {"transition": "reset"}
    assert await status(operator, "POST", f"/operations/{own['id']}/workflow/transition", reset) == 403
    assert await status(plain, "PATCH", f"/operations/{own['id']}", {"name": "x"}) == 403
    done = await bordeaux.admin.post(f"/operations/{own['id']}/workflow/transition", reset)
    assert "operator" not in done["_links"]


async def test_generic_assign_asks_for_a_member(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    operation = await bordeaux.operation(await bordeaux.report())
    answer = await bordeaux.admin.call("PATCH", f"/operations/{operation['id']}/state", {"transition": "assign"})
    assert (answer.status_code, answer.json()["_embedded"]["errors"][0]["path"]) == (400, "member")


async def test_the_last_admin_stays_and_an_agent_has_one_organization(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    own = f"/organizations/{bordeaux.id}/members/{bordeaux.member_id}"
    assert await status(bordeaux.admin, "DELETE", own) == 409
    assert await status(bordeaux.admin, "PATCH", own, {"roles": []}) == 409
    agent, agent_id = await member(bordeaux, "agent@example.org", "AGENT", "ADMIN")
    lyon = await city(bordeaux.admin, "Lyon")
    made = await lyon.admin.post(f"/organizations/{lyon.id}/members", {"person": agent.id})
    path = f"/organizations/{lyon.id}/members/{made['id']}"
    assert await status(lyon.admin, "PATCH", path, {"roles": ["ORGANIZATION:AGENT"]}) == 409
    assert await status(agent, "DELETE", own) == 204
    assert await status(bordeaux.admin, "GET", f"/organizations/{bordeaux.id}/members") == 404
    assert await status(agent, "GET", f"/organizations/{bordeaux.id}/members/{agent_id}") == 200


async def test_first_to_accept_wins(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    lyon = await city(await person(service.http, "lyon@example.org"), "Lyon")
    await bordeaux.admin.post("/feedbacks/issues", {"geo": INSIDE})
    (first,) = (await bordeaux.admin.get(f"/organizations/{bordeaux.id}/reports"))["_embedded"]["items"]
    (second,) = (await lyon.admin.get(f"/organizations/{lyon.id}/reports"))["_embedded"]["items"]
    await bordeaux.move(first, "accept")
    assert (await lyon.admin.get(f"/reports/{second['id']}"))["state"] == "REFUSED"
    answer = await lyon.admin.call("PATCH", f"/reports/{second['id']}/state", {"transition": "accept"})
    assert answer.status_code == 409


async def test_pro_mode_begins_accepted_and_only_in_ones_own_place(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    agent, _ = await member(bordeaux, "agent@example.org", "AGENT")
    assert await status(bordeaux.admin, "POST", "/feedbacks/issues", {"geo": INSIDE, "proMode": True}) == 403
    await agent.post("/feedbacks/issues", {"geo": INSIDE, "proMode": True})
    (report,) = (await bordeaux.admin.get(f"/organizations/{bordeaux.id}/reports"))["_embedded"]["items"]
    assert report["state"] == "ACCEPTED"
    for pro in (True, False):
        assert await status(agent, "POST", "/feedbacks/issues", {"geo": OUTSIDE, "proMode": pro}) == 409


async def test_feedback_is_public_when_it_says_so(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    public = await bordeaux.admin.post("/feedbacks/issues", {"geo": INSIDE, "visibility": "VISIBILITY_PUBLIC"})
    private = await bordeaux.admin.post("/feedbacks/issues", {"geo": INSIDE})
    listed = (await service.http.get("/feedbacks")).json()["_embedded"]["items"]
    assert [one["id"] for one in listed] == [public["id"]]
    both = await bordeaux.admin.get("/feedbacks?visibility[]=VISIBILITY_PUBLIC&visibility[]=VISIBILITY_PRIVATE")
    assert {one["id"] for one in both["_embedded"]["items"]} == {public["id"], private["id"]}
    stranger = await person(service.http, "eve@example.org")
    assert await status(stranger, "GET", f"/feedbacks/{public['id']}") == 200
    assert public["state"] == "DELIVERED"


async def test_a_token_acts_with_its_roles_until_it_is_revoked_or_expires(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    path = f"/organizations/{bordeaux.id}/tokens"
    body = {"name": "CMMS", "roles": ["ORGANIZATION:ADMIN"], "expiresAt": "2018-02-28T10:00:00+02:00"}
    made = await bordeaux.admin.post(path, body)
    assert made["token"].startswith("tocsin_")
    assert "token" not in await bordeaux.admin.get(f"/tokens/{made['id']}")
    machine = Person(service.http, "", made["token"])
    report = await bordeaux.report()
    await machine.post(f"/reports/{report['id']}/workflow/transition", {"transition": "accept"})
    lyon = await city(bordeaux.admin, "Lyon")
    assert await status(machine, "GET", f"/organizations/{lyon.id}/reports") == 404
    assert await status(machine, "POST", "/feedbacks/issues", {"geo": INSIDE}) == 403
    assert isinstance(service.clock, ManualClock)
    service.clock.advance(22 * 3600)
    assert await status(machine, "GET", f"/reports/{report['id']}") == 401
    other = await bordeaux.admin.post(path, {"name": "CMMS"})
    weak = Person(service.http, "", other["token"])
    assert await status(weak, "PATCH", f"/reports/{report['id']}", {"priority": 2}) == 403
    await bordeaux.admin.delete(f"/tokens/{other['id']}")
    assert await status(weak, "GET", f"/reports/{report['id']}") == 401


async def test_a_login_lasts_a_day_and_gives_nothing_away(service: Service) -> None:
    ada = await person(service.http)
    wrong = {"login": "ada@example.org", "password": "wrong wrong"}
    unknown = {"login": "nobody@example.org", "password": "wrong wrong"}
    answers = [await service.http.post("/security/login", json=body) for body in (wrong, unknown)]
    assert answers[0].status_code == answers[1].status_code == 401
    assert answers[0].content == answers[1].content
    login = await service.http.post("/security/login", json={"login": "ADA@example.org", "password": PASSWORD})
    assert login.json()["credentials"] == {
        "id": ada.id,
        "login": "ada@example.org",
        "roles": ["ROLE_USER"],
        "administratorOf": [],
        "memberOf": [],
    }
    assert isinstance(service.clock, ManualClock)
    service.clock.advance(86_400 - 1)
    assert await status(ada, "GET", "/organizations") == 200
    service.clock.advance(1)
    assert await status(ada, "GET", "/organizations") == 401


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", "Basic YTpi", "Bearer tocsin_x", "Bearer a.b.c"])
async def test_a_bad_credential_is_401(service: Service, header: str) -> None:
    answer = await service.http.get("/organizations", headers={"Authorization": header})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_only_the_operator_creates_organizations_unless_they_are_open(tmp_path: Any) -> None:
    async with serving(tmp_path, TOCSIN_ORGANIZATIONS="operator") as closed:
        ada = await person(closed.http)
        answer = await ada.call("POST", "/organizations", {"name": "Mine"})
        assert answer.status_code == 403
        assert "tocsin organization create" in answer.json()["message"]
        created = await closed.use_cases.organizations.create_for("Bordeaux", "new@example.org")
        link = created.password_link
        for _ in range(2):
            answer = await closed.http.post(f"/security/password/change/{link}", json={"password": PASSWORD})
        assert answer.status_code == 404
        login = await closed.http.post("/security/login", json={"login": "new@example.org", "password": PASSWORD})
        assert login.json()["credentials"]["memberOf"][0]["roles"] == ["ORGANIZATION:ADMIN"]


async def test_addresses_are_the_members_business(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    await bordeaux.admin.patch(f"/organizations/{bordeaux.id}", {"billingEmailAddress": "b@example.org"})
    stranger = await person(service.http, "eve@example.org")
    answer = await stranger.call("GET", f"/organizations/{bordeaux.id}")
    assert "billingEmailAddress" not in answer.json()
    assert answer.headers["vary"] == "Authorization"
    assert (await bordeaux.admin.get(f"/organizations/{bordeaux.id}"))["billingEmailAddress"] == "b@example.org"


async def test_a_person_changes_itself_only(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    plain, _ = await member(bordeaux, "plain@example.org")
    body = {"job": "Lamplighter", "preferences": {"messageEmailEnabled": False}, "givenName": "Ada", "familyName": None}
    changed = await plain.patch(f"/people/{plain.id}", body)
    assert (changed["jobTitle"], changed["preferences"]["messageEmailEnabled"]) == ("Lamplighter", False)
    dotted = await plain.patch(f"/people/{plain.id}", {"preferences.messageEmailEnabled": True})
    assert dotted["preferences"]["messageEmailEnabled"] is True
    assert await status(bordeaux.admin, "PATCH", f"/people/{plain.id}", {"givenName": "Eve"}) == 403
    assert await status(plain, "PATCH", f"/people/{plain.id}", {"email": "ada@example.org"}) == 400
