"""`null` in a PATCH leaves a member as it was, for clients send it for each member that they don't set.

Every PATCH route, each of its members set to something before: with nothing but nulls, the same bytes are served after,
`updatedAt` and all, and nothing was done that a log would tell of.
"""

from typing import Any

import pytest
from sqlalchemy import func, select

from tests.api.cast import CLOSED_PORT, Cast, cast
from tests.api.client import SQUARE, Person
from tests.api.test_matrix import filled
from tests.conftest import ManualClock, Service, both_engines
from tests.pictures import png
from tocsin.api.application import routes
from tocsin.api.endpoints import members_of
from tocsin.storage.schema import audit, events, operation_logs

pytestmark = [pytest.mark.anyio, both_engines]

STATES = "/state"
PATCHED = {route.path: members_of(route) for route in routes() if "PATCH" in (route.methods or ())}
LOGS = (audit, events, operation_logs)


def set_before(path: str, of: Cast) -> dict[str, Any]:
    """Something of each member that the route takes."""
    values: dict[str, dict[str, Any]] = {
        "/organizations/{organization}": {
            "name": "Bordeaux métropole",
            "alternateName": "BM",
            "description": "A city",
            "billingEmailAddress": "pay@example.org",
            "notificationEmailAddress": "tell@example.org",
            "logo": png(),
        },
        "/organizations/{organization}/members/{member}": {"roles": ["ORGANIZATION:OPERATOR"]},
        "/people/{person}": {
            "givenName": "Ada",
            "familyName": "Byron",
            "email": "ada.byron@example.org",
            "jobTitle": "Engineer",
            "optIn": True,
            "image": png(),
            "preferences.messageEmailEnabled": False,
            "preferences.messagePushEnabled": False,
        },
        "/categories/{category}": {"name": "Signs", "color": "#123456", "icon": "fa-sign", "identificationNumber": "7"},
        "/places/{place}": {
            "name": "All",
            "polygon": SQUARE,
            "branchCode": "B-7",
            "elevation": 12.5,
            "geo": {"elevation": 12.5},
        },
        "/reports/{report}": {
            "category": of.ids["category"],
            "description": "Broken",
            "identificationNumber": "R-7",
            "priority": 7,
            "tags": ["lamp"],
        },
        "/operations/{operation}": {
            "name": "Change the bulb",
            "description": "It flickers",
            "identificationNumber": "O-7",
            "duration": 30,
            "startDate": "2018-02-27T10:00:00+02:00",
        },
        "/webhooks/{webhook}": {
            "event": "operationCreated",
            "payloadUrl": f"{CLOSED_PORT}other",
            "enabled": True,
            "resume": "skip",
            "description": "CMMS",
            "headers": {"X-Key": "secret"},
            "signature": "v1",
            "maxInFlight": 3,
            "ratePerSecond": 2.5,
        },
    }
    return values[path]


async def logged(service: Service) -> list[int]:
    async with service.use_cases.context.storage.read() as tx:
        rows = [await tx.row(select(func.count().label("n")).select_from(one)) for one in LOGS]
    return [int(row["n"]) for row in rows if row is not None]


async def unchanged(of: Cast, who: Person, path: str, body: Any, status: int) -> None:
    """A moment later the body is answered with the status, and nothing is otherwise than before."""
    read = path.removesuffix(STATES)
    before = await who.call("GET", read), await logged(of.service)
    assert isinstance(of.service.clock, ManualClock)
    of.service.clock.advance(1)
    answer = await who.call("PATCH", path, body)
    assert answer.status_code == status, f"{path}: {answer.text}"
    after = await who.call("GET", read), await logged(of.service)
    assert (after[0].status_code, after[0].content, after[1]) == (200, before[0].content, before[1]), path
    if status == 200:
        assert (answer.content, answer.headers["etag"]) == (after[0].content, after[0].headers["etag"]), path


async def test_nulls_change_nothing_of_anything(service: Service) -> None:
    of = await cast(service)
    for path, members in PATCHED.items():
        who, target = of.bordeaux.admin, filled(path, {**of.ids, "person": of.bordeaux.admin.id})
        if path.endswith(STATES):
            await unchanged(of, who, target, {"transition": None}, 400)
            continue
        given = set_before(path, of)
        assert given.keys() == set(members), f"{path} takes other members"
        before = await who.get(target)
        await who.patch(target, given)
        assert await who.get(target) != before, path
        for body in ({}, dict.fromkeys(members)):
            await unchanged(of, who, target, body, 200)
    assert len(PATCHED) > 10


async def test_nested_nulls_change_nothing_either(service: Service) -> None:
    of = await cast(service)
    who = of.bordeaux.admin
    preferences = dict.fromkeys(("messageEmailEnabled", "messagePushEnabled"))
    await unchanged(of, who, f"/people/{who.id}", {"preferences": preferences}, 200)
    await unchanged(of, who, f"/people/{who.id}", {"job": None, "preferences": None}, 200)
    place = f"/places/{of.ids['place']}"
    await unchanged(of, who, place, {"geo": {"polygon": None, "elevation": None}}, 200)
    await unchanged(of, who, place, {"geo": {}}, 200)
