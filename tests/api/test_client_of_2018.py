"""Every route, as the client that was published in 2018 calls it (CONTRACT, section 1).

It sends the same headers with each call, `Content-Type` also where there is no body, `null` for every member that is
not set, a page of ten in descending order, and brackets percent-encoded. A route that is new is called by itself; where
its path has a variable that is not known here, say in `World` what it stands for.
"""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest

from tests.api.client import INSIDE, PASSWORD, City, Person, city, person
from tests.conftest import Service
from tocsin.api.routes.images import EXAMPLE

pytestmark = pytest.mark.anyio

HEADERS = {
    "Accept": "application/hal+json;charset=UTF-8",
    "Accept-Language": "fr-FR",
    "Content-Type": "application/json;charset=UTF-8",
    "X-Keyclic-App": "com.keyclic.app",
    "X-Keyclic-App-Version": "null",
}
PAGE: dict[str, Any] = {"page": "1", "limit": "10", "order": "desc"}
BODIES: dict[str, dict[str, Any]] = {
    "/feedbacks/issues": {"geo": {**INSIDE, "elevation": None}},
    "/security/login": {"login": "ada@example.org", "password": PASSWORD},
    "/security/register": {"email": "new@example.org"},
    "/feedbacks/{feedback}/workflow/transition": {"transition": "publish"},
}
"""Members that must be like this; else the description's example is sent."""
EVERYWHERE = ""
TO_A_PARTNER = ("/relationships", "/delegates")
RECEIVER = "http://127.0.0.1:65001/nobody-listens"


@dataclass
class World:
    """Something of everything, made anew for each call that changes it."""

    service: Service
    city: City
    known: dict[str, str]
    """What a variable of a path, or a member of a body, stands for."""
    stranger: Person

    @property
    def admin(self) -> Person:
        return self.city.admin

    async def send(self, method: str, path: str, body: Any = None, **query: str) -> httpx.Response:
        return await self.send_as(self.admin, method, path, body, **query)

    async def send_as(self, who: Person, method: str, path: str, body: Any = None, **query: str) -> httpx.Response:
        url = self.url(path) + (f"?{urlencode(query, quote_via=quote, safe='')}" if query else "")
        return await self.service.http.request(method, url, headers={**HEADERS, **who.headers}, json=body)

    def stands_for(self, variable: str, path: str) -> str:
        """An image is one of what comes before it in the path."""
        return self.known["feedback_image" if variable == "image" and "{feedback}" in path else variable]

    def url(self, path: str) -> str:
        return re.sub(r"{(\w+)}", lambda match: self.stands_for(match[1], path), path)


async def world(service: Service, number: int = 0, path: str = EVERYWHERE) -> World:
    """`path`: what it is for. What only images or partners need is made only for those."""
    admin = await person(service.http, f"ada{number}@example.org" if number else "ada@example.org")
    bordeaux = await city(admin, f"Bordeaux {number}")
    webhook = await bordeaux.webhook("reportCreated", RECEIVER, signature="v1a")
    report = await bordeaux.report()
    await admin.patch(f"/webhooks/{webhook['id']}", {"enabled": False})
    await admin.patch(f"/webhooks/{webhook['id']}", {"enabled": True, "resume": "skip"})
    operation = await bordeaux.operation(report)
    await admin.post(f"/operations/{operation['id']}/assign", {"member": bordeaux.member_id})
    stranger = await person(service.http, f"bob{number}@example.org")
    things = await known(service, bordeaux, report, operation, webhook, number)
    if "image" in path or path == EVERYWHERE:
        things |= await pictured(admin, things)
    if path.endswith(("{relationship}", *TO_A_PARTNER)) or path == EVERYWHERE:
        things["relationship"] = await partner_of(service, bordeaux, number)
    return World(service, bordeaux, {**things, "stranger": stranger.id}, stranger)


async def pictured(admin: Person, things: dict[str, str]) -> dict[str, str]:
    feedback = await admin.post(f"/feedbacks/{things['feedback']}/images", {"image": EXAMPLE})
    operation = await admin.post(f"/operations/{things['operation']}/images", {"image": EXAMPLE})
    await admin.patch(f"/organizations/{things['organization']}", {"logo": EXAMPLE})
    await admin.patch(f"/people/{admin.id}", {"image": EXAMPLE})
    return {
        "feedback_image": feedback["_links"]["image"]["iriTemplate"]["mapping"]["image"],
        "image": operation["_links"]["image"]["iriTemplate"]["mapping"]["image"],
        "width": "64",
        "height": "64",
    }


async def partner_of(service: Service, bordeaux: City, number: int) -> str:
    partner = await city(await person(service.http, f"zoe{number}@example.org"), f"Lyon {number}")
    await bordeaux.admin.post(f"/organizations/{bordeaux.id}/relationships", {"organization": partner.id})
    return partner.id


async def known(
    service: Service, bordeaux: City, report: Any, operation: Any, webhook: Any, number: int
) -> dict[str, str]:
    admin, organization = bordeaux.admin, f"/organizations/{bordeaux.id}"
    feedback = report["_links"]["feedback"]["iriTemplate"]["mapping"]["feedback"]
    plain = await person(service.http, f"eve{number}@example.org")
    member = await admin.post(f"{organization}/members", {"person": plain.id})
    category = await admin.post(f"{organization}/categories", {"name": "Lamps", "color": "#fc0", "icon": "fa-bug"})
    events = await admin.get(f"{organization}/events")
    replay = await admin.post(f"/webhooks/{webhook['id']}/replays", {"from": 1})
    activities = await admin.get("/businessactivities")
    places = await admin.get(f"{organization}/places")
    tokens = await admin.post(f"{organization}/tokens", {"name": "CMMS", "roles": []})
    return {
        "organization": bordeaux.id,
        "report": report["id"],
        "feedback": feedback,
        "operation": operation["id"],
        "webhook": webhook["id"],
        "member": member["id"],
        "person": admin.id,
        "category": category["id"],
        "event": events["_embedded"]["items"][0]["id"],
        "sequence": str(events["_embedded"]["items"][0]["sequence"]),
        "replay": replay["id"],
        "business_activity": activities["_embedded"]["items"][0]["id"],
        "place": places["_embedded"]["items"][0]["id"],
        "token": tokens["id"],
    }


async def described(service: Service, method: str) -> list[tuple[str, dict[str, Any]]]:
    paths = (await service.http.get("/openapi.json")).json()["paths"]
    return [(path, methods[method]) for path, methods in paths.items() if method in methods]


def is_id(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f-]{36}", value) is not None


def body_of(path: str, operation: dict[str, Any], schemas: dict[str, Any], of: World) -> Any:
    """What must be there as the example has it, with what is known here; `null` for everything else."""
    content = operation.get("requestBody", {}).get("content")
    if content is None:
        return None
    described_by = content["application/json"]
    schema = described_by["schema"]
    choices = schema.get("anyOf", [schema])
    found = schemas[choices[0]["$ref"].rpartition("/")[2]]
    required = found.get("required", [])
    example = described_by["example"]
    fitting = {
        **{name: of.known[name] for name, value in example.items() if name in of.known and is_id(value)},
        "person": of.known["stranger"],
        "member": of.city.member_id,
        **({"organization": of.known["relationship"]} if path.endswith(TO_A_PARTNER) else {}),
        **BODIES.get(path, {}),
    }
    return {name: fitting.get(name, example[name]) if name in required else None for name in found["properties"]}


async def test_every_get_is_answered(service: Service) -> None:
    everything = await world(service)
    routes = await described(service, "get")
    assert len(routes) > 30
    for path, operation in routes:
        names = [one["name"] for one in operation["parameters"] if one.get("in") == "query"]
        query: dict[str, Any] = {
            **(PAGE if "page" in names else {}),
            **{name: "1" for name in names if name.startswith("search[")},
        }
        answer = await everything.send("GET", path, **query)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        if "page" in names:
            assert (answer.json()["page"], answer.json()["limit"]) == (1, 10), path
            wanted = f"{quote('search[', safe='')}" if any("[" in name for name in query) else "page=1"
            assert wanted in answer.json()["_links"]["self"]["href"], path


async def test_brackets_come_encoded_or_not(service: Service) -> None:
    everything = await world(service)
    path = f"/organizations/{everything.city.id}/places"
    for query in ("search%5Bname%5D=cent", "search[name]=cent", "parents%5B%5D=" + everything.known["place"]):
        answer = await service.http.get(f"{path}?{query}", headers={**HEADERS, **everything.admin.headers})
        assert answer.status_code == 200, query
        assert answer.json()["total"] == (0 if "parents" in query else 1), query


async def test_null_leaves_every_member_of_every_resource_as_it_was(service: Service) -> None:
    everything = await world(service)
    everything.known["member"] = everything.city.member_id
    schemas = (await service.http.get("/openapi.json")).json()["components"]["schemas"]
    routes = await described(service, "patch")
    assert len(routes) > 7
    for path, operation in routes:
        if path.endswith("/state"):
            continue
        model = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        required = schemas[model].get("required", [])
        before = (await everything.send("GET", path)).json()
        nulls = {name: before[name] if name in required else None for name in schemas[model]["properties"]}
        answer = await everything.send("PATCH", path, nulls)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        after = answer.json()
        assert {**after, "updatedAt": None} == {**before, "updatedAt": None}, path


async def test_a_member_that_is_set_is_changed_beside_nulls(service: Service) -> None:
    everything = await world(service)
    path = f"/webhooks/{everything.known['webhook']}"
    body = {"event": "reportStateChanged", "payloadUrl": None}
    changed = await everything.send("PATCH", path, body)
    assert (changed.json()["event"], changed.json()["payloadUrl"]) == ("reportStateChanged", RECEIVER)


async def test_every_post_is_done(service: Service) -> None:
    schemas = (await service.http.get("/openapi.json")).json()["components"]["schemas"]
    routes = await described(service, "post")
    assert len(routes) > 15
    for number, (path, operation) in enumerate(routes):
        everything = await world(service, number, path)
        if path == "/security/password/change/{token}":
            everything.known["token"] = await link(service, everything.admin)
        body = body_of(path, operation, schemas, everything)
        answer = await everything.send("POST", path, body)
        done = [int(status) for status in operation["responses"] if status.startswith("2")]
        if path.startswith("/feedbacks") and path.endswith("/transition"):
            done = [409]  # the service takes feedback through its states by itself
        assert answer.status_code in done, f"{path}: {body} {answer.status_code} {answer.text}"


async def link(service: Service, who: Person) -> str:
    """What a mail would hold."""
    authentication = service.use_cases.authentication
    return await service.use_cases.context.storage.write(lambda tx: authentication.make_link(tx, who.id))


async def test_every_state_is_patched(service: Service) -> None:
    everything = await world(service)
    for path in ("/reports/{report}/state", "/operations/{operation}/state"):
        answer = await everything.send("PATCH", path, {"transition": "accept"})
        assert (answer.status_code, answer.json()["state"]) == (200, "ACCEPTED"), path


async def test_every_delete_is_done_though_it_says_that_its_empty_body_is_json(service: Service) -> None:
    routes = await described(service, "delete")
    assert len(routes) >= 5
    for number, (path, _) in enumerate(routes):
        everything = await world(service, number, path)
        who = everything.admin
        if path == "/people/{person}":  # an organization's last admin stays
            who, everything.known["person"] = everything.stranger, everything.stranger.id
        answer = await everything.send_as(who, "DELETE", path)
        assert (answer.status_code, answer.content) == (204, b""), f"{path}: {answer.text}"


async def test_dates_come_as_the_client_writes_them(service: Service) -> None:
    everything = await world(service)
    path = f"/operations/{everything.known['operation']}"
    changed = await everything.send("PATCH", path, {"startDate": "2018-07-20T08:00:00.000Z", "name": None})
    assert changed.json()["startDate"] == "2018-07-20T08:00:00+00:00"
    query = {**PAGE, "after": "2018-02-27T10:00:00.000Z", "before": "2018-02-27T11:00:00+01:00"}
    found = await everything.send("GET", "/organizations/{organization}/reports", **query)
    assert (found.status_code, found.json()["total"]) == (200, 1)
