"""Every route with every kind of caller: what is answered is what the table of access says."""

import re
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests.api.cast import CLOSED_PORT, Actor, Cast, cast, image_of, password_link, random_id
from tests.api.client import INSIDE, PASSWORD, SQUARE, person
from tests.conftest import Service
from tests.pictures import png
from tocsin.api.access import ACCESS, Credential, Own, Rule, Sight, Tokens
from tocsin.api.application import routes
from tocsin.api.openapi import credential
from tocsin.domain.roles import Permission, allows

pytestmark = pytest.mark.anyio

ALLOWED = "allowed"
"""2xx, or a 409: what is past the question of rights meets the state of things."""
ERASURE = ("DELETE", "/people/{person}")
OUTSIDERS = ("the admin of another organization", "another organization's token", "a stranger", "nobody")
"""To whom what is there and what is not must look the same; the first tries conditions, too."""
FEW = (
    "an admin",
    "its operator",
    "a plain member",
    "the admin of the partner",
    "another organization's token",
    "nobody",
)


def test_every_route_is_in_the_table_and_nothing_else() -> None:
    served = [(method, route.path) for route in routes() for method in sorted(route.methods or ())]
    assert sorted(served) == sorted(ACCESS)


def test_a_route_takes_the_credential_that_the_table_says() -> None:
    taken = {(method, route.path): credential(route.dependant) for route in routes() for method in route.methods or ()}
    assert taken == {call: rule.credential.value for call, rule in ACCESS.items()}


def expected(rule: Rule, who: Actor, of: Cast, *, public: bool) -> int | str:
    """What the table says of this caller. Public feedback was not delegated: its partner does not hold it."""
    who = replace(who, delegate=None) if public else who
    if rule.credential is Credential.NONE:
        return ALLOWED
    if who.refused or (who.credential is None and rule.credential is Credential.NEEDED):
        return 401
    if not sees(rule.sight, who, of, public=public):
        return rule.unseen
    return ALLOWED if may(rule, who, of) else 403


def holds(who: Actor) -> bool:
    return who.roles is not None or who.delegate is not None


def sees(sight: Sight, who: Actor, of: Cast, *, public: bool) -> bool:
    return {
        Sight.ALL: True,
        Sight.MEMBERS: who.roles is not None,
        Sight.HOLDERS: holds(who),
        Sight.FEEDBACK: public or holds(who) or who.person_id == of.reporter,
        Sight.PERSON: who.roles is not None or who.person_id == of.ids["person"],
    }[sight]


def may(rule: Rule, who: Actor, of: Cast) -> bool:
    if who.machine and (rule.tokens is Tokens.NEVER or (rule.tokens is Tokens.OF_HOLDERS and not holds(who))):
        return False
    if rule.permission is None and rule.own is None:
        return True
    roles = [*(who.roles or ()), *((who.delegate or ()) if rule.sight in {Sight.HOLDERS, Sight.FEEDBACK} else ())]
    own = {
        None: False,
        Own.ONESELF: who.person_id == of.ids["person"],
        Own.REPORTER: who.person_id == of.reporter,
        Own.OPERATOR: who.person_id == of.own_operator and allows(roles, Permission.WORK_ON_OPERATIONS),
    }
    return own[rule.own] or (rule.permission is not None and allows(roles, rule.permission))


def bodies(of: Cast) -> dict[tuple[str, str], Any]:
    """What each route that takes a body is sent."""
    organization, report = of.ids["organization"], of.ids["report"]
    accept, progress = {"transition": "accept"}, {"transition": "progress"}
    hook = {"event": "reportCreated", "payloadUrl": CLOSED_PORT}
    member = {"member": of.operator_member}
    return {
        ("POST", "/security/register"): {"email": f"{random_id()}@example.org", "password": PASSWORD},
        ("POST", "/security/login"): {"login": "spare@example.org", "password": PASSWORD},
        ("POST", "/security/password/change-request"): {"email": "spare@example.org"},
        ("POST", "/security/password/change/{token}"): {"password": PASSWORD},
        ("POST", "/organizations"): {"name": "Mine"},
        ("PATCH", "/organizations/{organization}"): {"description": "x"},
        ("POST", "/organizations/{organization}/members"): {"person": of.spare},
        ("PATCH", "/organizations/{organization}/members/{member}"): {"roles": []},
        ("POST", "/organizations/{organization}/tokens"): {"name": "x"},
        ("POST", "/organizations/{organization}/relationships"): {"organization": of.partner.id},
        ("POST", "/organizations/{organization}/delegates"): {"report": report, "organization": of.partner.id},
        ("PATCH", "/people/{person}"): {"givenName": "Ada"},
        ("POST", "/organizations/{organization}/categories"): {"name": "x", "color": "#fff", "icon": "x"},
        ("PATCH", "/categories/{category}"): {"name": "x"},
        ("POST", "/organizations/{organization}/places"): {"name": "x", "polygon": SQUARE},
        ("PATCH", "/places/{place}"): {"name": "x"},
        ("POST", "/feedbacks/issues"): {"geo": INSIDE},
        ("POST", "/feedbacks/{feedback}/workflow/transition"): {"transition": "publish"},
        ("PATCH", "/feedbacks/{feedback}/state"): {"transition": "publish"},
        ("PATCH", "/reports/{report}"): {"priority": 2},
        ("POST", "/reports/{report}/workflow/transition"): accept,
        ("PATCH", "/reports/{report}/state"): accept,
        ("POST", "/reports/{report}/workflow"): accept,
        ("POST", "/operations"): {"report": report},
        ("PATCH", "/operations/{operation}"): {"name": "x"},
        ("POST", "/operations/{operation}/assign"): member,
        ("POST", "/operations/{operation}/workflow/transition"): progress,
        ("PATCH", "/operations/{operation}/state"): progress,
        ("POST", "/operations/{operation}/workflow"): progress,
        ("POST", "/feedbacks/{feedback}/comments"): {"text": "x"},
        ("POST", "/operations/{operation}/comments"): {"text": "x"},
        ("POST", "/feedbacks/{feedback}/images"): {"image": png()},
        ("POST", "/operations/{operation}/images"): {"image": png()},
        ("POST", "/webhooks"): {**hook, "organization": organization},
        ("POST", "/organizations/{organization}/webhooks"): hook,
        ("PATCH", "/webhooks/{webhook}"): {"description": "x"},
        ("POST", "/webhooks/{webhook}/replays"): {"from": 1},
    }


async def fresh(call: tuple[str, str], of: Cast, ids: dict[str, str]) -> dict[str, str]:
    """The variables of a call that is to succeed: something new where it takes away what it is for."""
    admin, organization = of.bordeaux.admin, f"/organizations/{of.bordeaux.id}"
    match call:
        case ("POST" | "GET", "/security/password/change/{token}"):
            return {**ids, "token": await password_link(of.service, of.spare)}
        case ("DELETE", "/organizations/{organization}/members/{member}"):
            one = await person(admin.http, f"{random_id()}@example.org")
            return {**ids, "member": (await admin.post(f"{organization}/members", {"person": one.id}))["id"]}
        case ("DELETE", "/tokens/{token}"):
            return {**ids, "token": (await admin.post(f"{organization}/tokens", {"name": "new"}))["id"]}
        case (
            _,
            "/organizations/{organization}/relationships/{relationship}" | "/organizations/{organization}/delegates",
        ):
            await admin.post(f"{organization}/relationships", {"organization": of.partner.id})
            return ids
        case ("DELETE", "/operations/{operation}" | "/operations/{operation}/images/{image}"):
            made = await admin.post("/operations", {"report": ids["report"]})
            await admin.post(f"/operations/{made['id']}/assign", {"member": of.operator_member})
            made = await admin.post(f"/operations/{made['id']}/images", {"image": png()})
            return {**ids, "operation": made["id"], "image of operation": image_of(made)}
        case ("DELETE", "/webhooks/{webhook}"):
            return {**ids, "webhook": (await of.bordeaux.webhook("reportCreated", CLOSED_PORT))["id"]}
        case _:
            return ids


def filled(path: str, ids: dict[str, str]) -> str:
    ids = {**ids, "image": ids["image of operation" if path.startswith("/operations") else "image of feedback"]}
    return re.sub(r"\{(\w+)\}", lambda found: ids[found[1]], path)


def randomly(value: Any, ids: dict[str, str]) -> Any:
    """With an id of nothing for each that names something."""
    known = {one for one in ids.values() if len(one) == 36}
    if isinstance(value, dict):
        return {name: randomly(one, ids) for name, one in value.items()}
    return random_id() if isinstance(value, str) and value in known else value


def told(answer: httpx.Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    return answer.status_code, answer.content, [one for one in answer.headers.items() if one[0] != "date"]


async def differs(of: Cast, who: Actor, call: tuple[str, str], path: str, body: Any) -> bool:
    """Whether what one may not know of is told apart from what there is not."""
    method, pattern = call
    nothing = filled(pattern, randomly(of.ids, of.ids))
    conditions = (
        [{"If-Match": "*"}, {"Idempotency-Key": random_id()}]
        if method != "GET" and who is of.actors[OUTSIDERS[0]]
        else []
    )
    for more in ({}, *conditions):
        headers = {**who.headers, **more}
        real = await of.service.http.request(method, path, headers=headers, json=body)
        if "Idempotency-Key" in more:
            headers["Idempotency-Key"] = random_id()
        random = await of.service.http.request(method, nothing, headers=headers, json=randomly(body, of.ids))
        if told(real) != told(random):
            return True
    return False


async def walk(of: Cast, names: list[str]) -> list[str]:
    """What is not as the table says: those who are refused first, since what is allowed may take things away."""
    wrong = []
    for call in sorted(ACCESS, key=lambda one: one == ERASURE):
        variants = [(of.ids, False), *([(of.public, True)] if "{feedback}" in call[1] else [])]
        for ids, public in variants:
            outcomes = {name: expected(ACCESS[call], of.actors[name], of, public=public) for name in names}
            for name in sorted(names, key=lambda name: outcomes[name] == ALLOWED):
                wrong += await judged(of, call, name, outcomes[name], ids)
    return wrong


async def judged(of: Cast, call: tuple[str, str], name: str, outcome: int | str, ids: dict[str, str]) -> list[str]:
    method, pattern = call
    who, body = of.actors[name], bodies(of).get(call)
    path = filled(pattern, await fresh(call, of, ids) if outcome == ALLOWED else ids)
    answer = await of.service.http.request(method, path, headers=who.headers, json=body)
    got = ALLOWED if answer.is_success or answer.status_code == 409 else answer.status_code
    wrong = [] if got == outcome else [f"{name}: {method} {pattern}: {answer.status_code}, not {outcome}"]
    hidden = outcome == ACCESS[call].unseen and name in OUTSIDERS
    if hidden and await differs(of, who, call, path, body):
        wrong.append(f"{name}: {method} {pattern}: tells that it is there")
    return wrong


async def test_every_route_answers_every_caller_as_the_table_says(service: Service) -> None:
    of = await cast(service)
    assert await walk(of, list(of.actors)) == []


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
async def test_it_is_so_on_postgresql_too(service: Service) -> None:
    assert await walk(await cast(service), list(FEW)) == []


async def test_what_is_anothers_is_not_found_under_ones_own(service: Service) -> None:
    of = await cast(service)
    admin = of.other.admin
    nested = [(method, path) for method, path in ACCESS if path.count("{") > 1 and "{sequence}" not in path]
    for method, path in nested:
        if not path.startswith(tuple(f"/{kind}" for kind in ("organizations", "webhooks", "feedbacks", "operations"))):
            continue
        if "{width}" in path and "{image}" not in path:
            continue
        body = bodies(of).get((method, path))
        real = await admin.call(method, filled(path, {**of.ids, **of.others}), body)
        random = await admin.call(method, filled(path, {**randomly(of.ids, of.ids), **of.others}), body)
        assert real.status_code == 404, f"{method} {path}: {real.status_code}"
        assert told(real) == told(random), f"{method} {path}"
