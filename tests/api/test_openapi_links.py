"""The links of the description are true: what an answer holds is taken by the call that they lead to."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.api.cast import Cast, cast
from tests.api.client import INSIDE, SQUARE, person
from tests.api.test_matrix import bodies, filled, fresh
from tests.conftest import ManualClock, Service
from tests.pictures import png

pytestmark = pytest.mark.anyio

ANOTHER_ANSWER = {"ReplayCount.webhook"}
"""Of a call that was made for its other answer; tests/api/test_as_described.py makes it for this one."""
ONLY_SIGNED = "get_public_key"
"""A webhook has a public key where it signs with one, and its `signature` says so."""


def evaluated(expression: str, path: dict[str, str], body: Any) -> Any:
    """What a runtime expression of OpenAPI is; None: it is not there."""
    if expression.startswith("$request.path."):
        return path[expression.removeprefix("$request.path.")]
    found = body
    for part in expression.removeprefix("$response.body#/").split("/"):
        if isinstance(found, list):
            found = found[int(part)] if int(part) < len(found) else None
        else:
            found = found.get(part) if isinstance(found, dict) else None
    return found


def calls(description: Any) -> Iterator[tuple[str, str, Any]]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def links(description: Any, operation: Any, status: int) -> Iterator[tuple[str, Any]]:
    for one in operation["responses"][str(status)].get("links", {}).values():
        name = one["$ref"].rpartition("/")[2]
        yield name, description["components"]["links"][name]


SMALL = {"type": "Polygon", "coordinates": [[[-0.6, 44.4], [-0.5, 44.4], [-0.5, 44.5], [-0.6, 44.4]]]}


async def richer(of: Cast) -> dict[tuple[str, str], Any]:
    """Give the world one of each relation, newest of its list; the bodies of calls that are to give one, too."""
    assert isinstance(of.service.clock, ManualClock)
    of.service.clock.advance(1)
    admin, activity, organization = of.bordeaux.admin, of.ids["business_activity"], f"/organizations/{of.bordeaux.id}"
    named = {"name": "Works", "businessActivity": activity, "logo": png()}
    works = await admin.post("/organizations", named)
    await admin.post(f"/organizations/{works['id']}/places", {"name": "Here", "polygon": SQUARE})
    categories = f"/organizations/{works['id']}/categories"
    category = await admin.post(categories, {"name": "x", "color": "#fff", "icon": "x"})
    seen = await person(admin.http, "seen@example.org")
    await seen.patch(f"/people/{seen.id}", {"image": png()})
    await admin.post(f"{organization}/members", {"person": seen.id})
    report = await of.bordeaux.report()
    delegated = {"report": report["id"], "organization": of.partner.id}
    await admin.post(f"{organization}/delegates", delegated)
    for one in (report["id"], of.ids["report"]):
        await admin.patch(f"/reports/{one}", {"category": of.ids["category"]})
    of.service.clock.advance(1)
    await admin.post(f"{organization}/places", {"name": "Small", "polygon": SMALL})
    told = {"geo": INSIDE, "category": category["id"], "businessActivity": activity, "visibility": "VISIBILITY_PUBLIC"}
    feedback = await admin.post("/feedbacks/issues", told)
    await admin.post(f"/feedbacks/{feedback['id']}/images", {"image": png()})
    return {
        ("POST", "/organizations"): named,
        ("POST", "/organizations/{organization}/relationships"): {"organization": works["id"]},
        ("POST", "/organizations/{organization}/delegates"): {**delegated, "organization": works["id"]},
        ("POST", "/feedbacks/issues"): told,
    }


async def answered(of: Cast, method: str, path: str, body: Any) -> tuple[int, dict[str, str], Any]:
    """The status, what the path named, and what was answered."""
    names = filled(path, await fresh((method, path), of, of.ids))
    variables = {
        part[1:-1]: name for part, name in zip(path.split("/"), names.split("/"), strict=True) if part.startswith("{")
    }
    answer = await of.bordeaux.admin.call(method, names, body)
    json = "json" in answer.headers.get("content-type", "")
    return answer.status_code, variables, answer.json() if json else None


async def followed(callers: list[dict[str, str]], of: Cast, target: tuple[str, str], values: dict[str, Any]) -> int:
    """The status for the first of the callers who may follow; the last one's, if none may."""
    method, path = target
    values = {"width": 10, "height": 10, **values}
    url = re.sub(r"\{(\w+)\}", lambda found: quote(str(values[found[1]]), safe=""), path)
    query = {name: value for name, value in values.items() if f"{{{name}}}" not in path}
    status = 0
    for headers in callers:
        status = (await of.service.http.request(method, url, params=query, headers=headers)).status_code
        if status == 200:
            break
    return status


async def callers(of: Cast, body: Any) -> list[dict[str, str]]:
    """The admin, and others whose own an answer may show; with the account of a body, its person."""
    headers = [one.admin.headers for one in (of.bordeaux, of.partner, of.other)]
    if isinstance(body, dict) and "password" in body:
        account = {"login": body.get("email", body.get("login")), "password": body["password"]}
        login = (await of.service.http.post("/security/login", json=account)).json()
        headers.append({"Authorization": f"Bearer {login['accessToken']}"})
    return headers


async def test_every_link_leads_to_what_takes_it(service: Service) -> None:
    of = await cast(service)
    description = (await service.http.get("/openapi.json")).json()
    named = {one["operationId"]: (method, path) for method, path, one in calls(description)}
    sent = {**bodies(of), **await richer(of)}
    seen, wrong = set(), []
    for method, path, operation in sorted(calls(description), key=lambda one: one[0] != "GET"):
        body = sent.get((method, path))
        status, variables, got = await answered(of, method, path, body) if method != "DELETE" else (204, {}, None)
        for name, link in links(description, operation, status):
            target = named[link["operationId"]]
            asked = {**link.get("parameters", {}), **link.get("requestBody", {})}
            values = {one: evaluated(expression, variables, got) for one, expression in asked.items()}
            if name not in seen and None not in values.values():
                seen.add(name)
                if target[0] == "GET" and link["operationId"] != ONLY_SIGNED:
                    status = await followed(await callers(of, body), of, target, values)
                    wrong += [f"{method} {path}: {name}: {status}"] * (status != 200)
    assert wrong == []
    assert set(description["components"]["links"]) - seen == ANOTHER_ANSWER


async def test_a_link_names_parameters_that_its_call_takes(service: Service) -> None:
    description = (await service.http.get("/openapi.json")).json()
    named = {one["operationId"]: one for _, _, one in calls(description)}
    for name, link in description["components"]["links"].items():
        call = named[link["operationId"]]
        taken = {one["name"] for one in call["parameters"] if "name" in one}
        required = {one["name"] for one in call["parameters"] if one.get("in") == "path"} - {"width", "height"}
        assert required <= link.get("parameters", {}).keys() <= taken, name
        assert link["description"] == call["summary"]


async def test_what_names_something_hands_it_on(service: Service) -> None:
    """Every call with a name in its path is led to, and every body that creates leads on."""
    description = (await service.http.get("/openapi.json")).json()
    led_to = {link["operationId"] for link in description["components"]["links"].values()}
    by_mail = {"set_password"}
    for method, path, one in calls(description):
        assert "{" not in path or one["operationId"] in led_to | by_mail, f"{method} {path}"
        assert "201" not in one["responses"] or one["responses"]["201"].get("links"), f"{method} {path}"
