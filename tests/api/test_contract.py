"""Each call of the API of 2018 that is served answers as the reference of endpoints says, and refuses what is wrong."""

from typing import Any

import httpx
import pytest

from tests.api.cast import Cast, cast, random_id
from tests.api.client import Person, person
from tests.api.test_matrix import bodies, filled, fresh, randomly
from tests.conftest import Service
from tocsin.api.endpoints import CALLS, Call

pytestmark = pytest.mark.anyio

SERVED = [call for call in CALLS if not call.left_out]
SHAPES = {
    "Tracking": {"state", "progression", "time", "checkpoints"},
    "activities": {"duration", "next", "results"},
    "aggregated activities": {"duration", "next", "results"},
    "schema of metadata": set[str](),
}
"""What has no `type`: members that it has."""


def fits(call: Call, answer: httpx.Response) -> bool:
    """Whether the answer is what the reference says: a status, and a resource, a page of them, or nothing."""
    status, _, what = call.answer.partition(":")[0].partition(";")[0].partition(",")[0].partition(" ")
    if answer.status_code != int(status):
        return False
    if int(status) >= 400 or not what:
        return bool(answer.content) is (int(status) >= 400)
    body = answer.json()
    if what.startswith("page of "):
        return is_page(body, what.removeprefix("page of "))
    return SHAPES[what] <= set(body) if what in SHAPES else body["type"] == what


def is_page(body: Any, of: str) -> bool:
    """`of`: the type of its items; entries of a log have none."""
    items = body["_embedded"]["items"]
    typed = of == "LogEntry" or all(one["type"] == of for one in items)
    return {"page", "limit", "pages", "total", "_links"} <= set(body) and typed


async def anew(call: Call, of: Cast) -> tuple[Person, dict[str, str], Any]:
    """Who calls, for what, with which body, where what is there already would be in the way."""
    ids = await fresh((call.method, call.path), of, of.ids)
    body, admin = bodies(of).get((call.method, call.path)), of.bordeaux.admin
    transition = call.path.endswith(("/state", "/workflow/transition"))
    if call.path == "/people/{person}":
        return admin, {**ids, "person": admin.id}, body
    if call.path == "/organizations/{organization}/members" and call.method == "POST":
        return admin, ids, {"person": (await person(admin.http, f"{random_id()}@example.org")).id}
    if call.path == "/organizations/{organization}/delegates":
        return admin, ids, {"report": (await of.bordeaux.report())["id"], "organization": of.partner.id}
    if transition and "{report}" in call.path:
        return admin, {**ids, "report": (await of.bordeaux.report())["id"]}, body
    if transition and "{operation}" in call.path:
        made = await admin.post("/operations", {"report": ids["report"]})
        await admin.post(f"/operations/{made['id']}/assign", {"member": of.operator_member})
        return admin, {**ids, "operation": made["id"]}, body
    return admin, ids, body


async def test_what_is_served_answers_as_the_reference_says(service: Service) -> None:
    of, wrong = await cast(service), []
    for call in SERVED:
        caller, ids, body = await anew(call, of)
        answer = await caller.call(call.method, filled(call.path, ids), body)
        if not fits(call, answer):
            wrong.append(f"{call.method} {call.path}: {answer.status_code} {answer.text[:200]}, not {call.answer}")
    assert wrong == []


async def test_what_is_not_there_is_404_and_what_is_wrong_is_400(service: Service) -> None:
    of, wrong = await cast(service), []
    nothing, admin = randomly(of.ids, of.ids), of.bordeaux.admin
    for call in SERVED:
        body = bodies(of).get((call.method, call.path))
        refusals = []
        if "{" in call.path:
            refusals.append((filled(call.path, nothing), body, 404))
        if " page of " in call.answer:
            refusals.append((f"{filled(call.path, of.ids)}?page=0", None, 400))
            refusals.append((f"{filled(call.path, of.ids)}?limit=101", None, 400))
        if body is not None:
            refusals.append((filled(call.path, of.ids), {**body, "nobody knows": 1}, 400))
        assert refusals, f"{call.method} {call.path} is refused nothing"
        for path, sent, status in refusals:
            answer = await admin.call(call.method, path, sent)
            error = answer.json()
            named = status == 404 or error["_embedded"]["errors"][0]["path"] in {"page", "limit", "nobody knows"}
            if (answer.status_code, named, error["message"] != "") != (status, True, True):
                wrong.append(f"{call.method} {path}: {answer.status_code}, not {status}")
    assert wrong == []
