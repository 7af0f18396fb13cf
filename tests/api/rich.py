"""A rich data set: some of everything that the service knows, in each of its states, as an admin of it sees it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.api.cast import FAR, image_of
from tests.api.client import INSIDE, City, Person, city, person
from tests.conftest import Service, delivering
from tests.pictures import png
from tests.receiver import Received, receiver
from tocsin.domain.business_activities import SEEDED
from tocsin.domain.events import Event
from tocsin.domain.roles import Role

ROADS = next(one for one in SEEDED if one.name == "Roads")
REFUSED_AT = "/refusing"
"""The path of the receiver that answers 500 there, 200 elsewhere."""


@dataclass(frozen=True)
class Rich:
    """`ids`: one of each thing, by the variables of links; images have two owners. `removed`: an operation's id."""

    bordeaux: City
    ids: dict[str, str]
    image_of_feedback: str
    image_of_operation: str
    removed: str


async def rich(service: Service) -> Rich:
    """The data set; when it is there nothing is on its way any more."""
    admin = await person(service.http)
    bordeaux = await city(admin)
    path = f"/organizations/{bordeaux.id}"
    await admin.patch(path, {"logo": png(), "description": "A city", "billingEmailAddress": "pay@example.org"})
    await admin.patch(f"/people/{admin.id}", {"image": png(), "givenName": "Ada", "familyName": "Byron"})
    async with receiver(_answer) as there, delivering(service):
        webhooks = [await bordeaux.webhook(event, f"{there.url}/good", signature="v1a") for event in Event]
        failing = await bordeaux.webhook(Event.REPORT_CREATED, f"{there.url}{REFUSED_AT}", description="CMMS")
        members = await _members(bordeaux)
        category = await _directory(bordeaux)
        feedback = await _feedback(bordeaux, members[Role.AGENT][0], category)
        operation, removed = await _work(bordeaux, members[Role.OPERATOR])
        await _partners(service, bordeaux)
        await _delivered(bordeaux, webhooks, failing)
        replay = await admin.post(f"/webhooks/{webhooks[0]['id']}/replays", {"from": 1})
        path_of_replay = f"/webhooks/{webhooks[0]['id']}/replays/{replay['id']}"
        await _until(bordeaux, path_of_replay, lambda one: one["state"] != "running")
    events = await admin.get(f"{path}/events")
    tokens = [await admin.post(f"{path}/tokens", {"name": f"CMMS {number}", "roles": list(Role)}) for number in "12"]
    places = await admin.get(f"{path}/places?order=asc")
    ids = {
        "organization": bordeaux.id,
        "member": bordeaux.member_id,
        "token": tokens[0]["id"],
        "person": admin.id,
        "businessActivity": ROADS.id,
        "category": category,
        "place": places["_embedded"]["items"][1]["id"],
        "feedback": feedback["id"],
        "report": operation["_links"]["report"]["iriTemplate"]["mapping"]["report"],
        "operation": operation["id"],
        "webhook": webhooks[0]["id"],
        "sequence": "1",
        "replay": replay["id"],
        "event": events["_embedded"]["items"][0]["id"],
        "width": "10",
        "height": "10",
    }
    return Rich(bordeaux, ids, image_of(feedback), image_of(operation), removed)


def _answer(received: Received) -> int:
    return 500 if received.path == REFUSED_AT else 200


async def _members(bordeaux: City) -> dict[Role, tuple[Person, str]]:
    """One of each role, more than one page of them."""
    found, path = {}, f"/organizations/{bordeaux.id}/members"
    for number, role in enumerate([*Role, *Role, None]):
        one = await person(bordeaux.admin.http, f"member-{number}@example.org")
        made = await bordeaux.admin.post(path, {"person": one.id})
        if role is not None:
            await bordeaux.admin.patch(f"{path}/{made['id']}", {"roles": [role]})
            found[role] = (one, made["id"])
    return found


async def _directory(bordeaux: City) -> str:
    """Categories and places, more than a page of each; places within places. The id of a category."""
    path = f"/organizations/{bordeaux.id}"
    for number in range(11):
        side = 0.4 - number * 0.02
        ring = [[-0.5 - side, 44.5 - side], [-0.5 + side, 44.5 - side], [-0.5, 44.5 + side], [-0.5 - side, 44.5 - side]]
        place = {"name": f"Place {number}", "branchCode": f"{number}", "elevation": number}
        await bordeaux.admin.post(f"{path}/places", {**place, "polygon": {"type": "Polygon", "coordinates": [ring]}})
        category = {"name": f"Lamps {number}", "color": "#fc0", "icon": "fa-bug"}
        made = await bordeaux.admin.post(f"{path}/categories", category)
    await bordeaux.admin.post("/organizations", {"name": "Roads of Bordeaux", "businessActivity": ROADS.id})
    return str(made["id"])


async def _feedback(bordeaux: City, agent: Person, category: str) -> Any:
    """Of several reporters, public and not; the last with comments, contributions and images."""
    admin = bordeaux.admin
    roads = (await admin.get(f"/organizations?business_activity={ROADS.id}"))["_embedded"]["items"][0]["id"]
    ring = [[-0.55, 44.45], [-0.45, 44.45], [-0.45, 44.55], [-0.55, 44.55], [-0.55, 44.45]]
    await admin.post(
        f"/organizations/{roads}/places", {"name": "All", "polygon": {"rings": [{"points": _points(ring)}]}}
    )
    await admin.post(
        "/feedbacks/issues",
        {"geo": INSIDE, "businessActivity": ROADS.id, "metadata": {"damage": "pothole", "depth": "12.5"}},
    )
    await agent.post("/feedbacks/issues", {"geo": INSIDE, "proMode": True})
    for number in range(11):
        visibility = "VISIBILITY_PUBLIC" if number % 2 else "VISIBILITY_PRIVATE"
        body = {"geo": INSIDE, "description": f"lamp {number}", "category": category, "visibility": visibility}
        made = await admin.post("/feedbacks/issues", body)
    path = f"/feedbacks/{made['id']}"
    for number in range(3):
        await admin.post(f"{path}/comments", {"text": f"comment {number}"})
        made = await admin.post(f"{path}/images", {"image": png()})
    await agent.post(f"{path}/contributions")
    return made


def _points(ring: list[list[float]]) -> list[dict[str, float]]:
    return [{"longitude": longitude, "latitude": latitude} for longitude, latitude in ring]


async def _work(bordeaux: City, operator: tuple[Person, str]) -> tuple[Any, str]:
    """Reports and operations in each of their states: an operation with everything, and one that was removed."""
    admin, (_, member) = bordeaux.admin, operator
    ways = ((), ("refuse",), ("accept",), ("accept", "hold"), ("accept", "progress"), ("accept", "progress", "close"))
    for way in ways:
        report = await bordeaux.move(await bordeaux.report(), *way)
        await admin.patch(f"/reports/{report['id']}", {"tags": ["lamp"], "identificationNumber": f"R-{len(way)}"})
    report = await bordeaux.move(await bordeaux.report(), "accept")
    for assigned, *transitions in (
        (0,),
        (1,),
        (1, "accept"),
        (1, "refuse"),
        (1, "progress"),
        (1, "progress", "resolve"),
    ):
        made = await bordeaux.operation(report)
        if assigned:
            await admin.post(f"/operations/{made['id']}/assign", {"member": member})
        for transition in transitions:
            await admin.post(f"/operations/{made['id']}/workflow/transition", {"transition": transition})
    for _ in range(2):
        await admin.post(f"/operations/{made['id']}/comments", {"text": "Done at last"})
        made = await admin.post(f"/operations/{made['id']}/images", {"image": png()})
    for number in range(11):
        await admin.patch(f"/operations/{made['id']}", {"name": f"Bulb {number}"})
    removed = await bordeaux.operation(report)
    await admin.delete(f"/operations/{removed['id']}")
    return made, str(removed["id"])


async def _partners(service: Service, bordeaux: City) -> None:
    """A report delegated to a partner, and one that came from another."""
    water = await city(await person(service.http, "water@example.org"), "Water works", FAR)
    lyon = await city(await person(service.http, "lyon@example.org"), "Lyon", FAR)
    for one, partner in ((bordeaux, water), (lyon, bordeaux)):
        await one.admin.post(f"/organizations/{one.id}/relationships", {"organization": partner.id})
    there = {"point": {"latitude": 50.1, "longitude": 10.5}}
    await lyon.admin.post("/feedbacks/issues", {"geo": there})
    (theirs,) = (await lyon.admin.get(f"/organizations/{lyon.id}/reports"))["_embedded"]["items"]
    for one, partner, report in ((bordeaux, water, await bordeaux.report()), (lyon, bordeaux, theirs)):
        body = {"report": report["id"], "organization": partner.id}
        await one.admin.post(f"/organizations/{one.id}/delegates", body)


async def _delivered(bordeaux: City, webhooks: list[Any], failing: Any) -> None:
    """Until everything is delivered, and what fails was tried."""
    for webhook in webhooks:
        await _until(bordeaux, f"/webhooks/{webhook['id']}/status", lambda status: not status["pending"])
    await _until(bordeaux, f"/webhooks/{failing['id']}/status", lambda status: status["parked"])


async def _until(bordeaux: City, path: str, reached: Callable[[Any], Any]) -> None:
    async with asyncio.timeout(20):
        while not reached(await bordeaux.admin.get(path)):
            pass
