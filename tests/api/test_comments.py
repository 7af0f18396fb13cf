"""Comments, contributions and the log of an operation through real HTTP."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.api.client import INSIDE, Person, city, person
from tests.api.test_access import NIL, member
from tests.conftest import ManualClock, Service, both_engines
from tests.pictures import png
from tocsin.storage.schema import comments, events, operation_logs

pytestmark = [pytest.mark.anyio, both_engines]

TEXT = 'é \U0001f525 </script> {"verb": "x"}'


async def pages(who: Person, path: str, limit: int) -> list[list[Any]]:
    """Every part of a stream, by its cursors."""
    found, cursor = [], ""
    while True:
        part = await who.get(f"{path}?limit={limit}" + (f"&cursor={cursor}" if cursor else ""))
        assert set(part) == {"duration", "next", "results"}
        assert part["duration"].endswith("ms")
        found.append(part["results"])
        cursor = part["next"]
        if cursor == "":
            return found


async def count(service: Service, table: Any) -> int:
    async with service.use_cases.context.storage.read() as tx:
        row = await tx.row(select(func.count().label("n")).select_from(table))
        assert row is not None
        return int(row["n"])


async def test_feedback_is_commented_on_and_read_newest_first(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    reporter = await person(service.http, "reporter@example.org")
    feedback = await reporter.post("/feedbacks/issues", {"geo": INSIDE})
    path = f"/feedbacks/{feedback['id']}/comments"
    assert await reporter.get(path) == {"duration": "0.00ms", "next": "", "results": []}
    for number in range(5):
        answer = await (reporter if number % 2 else bordeaux.admin).call("POST", path, {"text": f"{number} {TEXT}"})
        assert (answer.status_code, answer.json()) == (201, feedback)
    found = await pages(bordeaux.admin, path, 2)
    assert [len(part) for part in found] == [2, 2, 1]
    assert [one["message"][0] for part in found for one in part] == list("43210")
    assert found[0][1] == {
        "actor": f"person:{reporter.id}",
        "verb": "comment",
        "object": f"feedback:{feedback['id']}",
        "message": f"3 {TEXT}",
        "time": "2018-02-27T10:00:00+00:00",
    }
    assert len((await pages(reporter, path, 5))[0]) == 5
    sent_by_clients = await reporter.get(f"{path}?page=1&limit=10&order=desc")
    assert len(sent_by_clients["results"]) == 5


async def test_who_may_comment_on_feedback(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    stranger = await person(service.http, "eve@example.org")
    outsider = await city(stranger, "Elsewhere", {"type": "Polygon", "coordinates": [[[1, 1], [2, 1], [2, 2], [1, 1]]]})
    plain, _ = await member(bordeaux, "plain@example.org")
    machines = [
        Person(service.http, "", (await one.admin.post(f"/organizations/{one.id}/tokens", {"name": "CMMS"}))["token"])
        for one in (bordeaux, outsider)
    ]
    private = (await bordeaux.admin.post("/feedbacks/issues", {"geo": INSIDE}))["id"]
    public = (await bordeaux.admin.post("/feedbacks/issues", {"geo": INSIDE, "visibility": "VISIBILITY_PUBLIC"}))["id"]
    for who, feedback, status in (
        (plain, private, 201),
        (machines[0], private, 201),
        (machines[1], private, 404),
        (machines[1], public, 403),
        (stranger, private, 404),
        (stranger, public, 201),
    ):
        assert (await who.call("POST", f"/feedbacks/{feedback}/comments", {"text": "x"})).status_code == status
    assert (await service.http.post(f"/feedbacks/{public}/comments", json={"text": "x"})).status_code == 401
    actors = [one["actor"] for one in (await plain.get(f"/feedbacks/{private}/comments"))["results"]]
    assert actors[0].startswith("token:")
    assert actors[1] == f"person:{plain.id}"
    hidden = await stranger.call("GET", f"/feedbacks/{private}/comments")
    unknown = await stranger.call("GET", f"/feedbacks/{NIL}/comments")
    assert (hidden.status_code, hidden.content) == (404, unknown.content)


async def test_an_operation_is_commented_on_by_those_who_work_on_it(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    operator, member_id = await member(bordeaux, "operator@example.org", "OPERATOR")
    plain, _ = await member(bordeaux, "plain@example.org")
    stranger = await person(service.http, "eve@example.org")
    report = await bordeaux.report()
    operation = await bordeaux.operation(report)
    path = f"/operations/{operation['id']}/comments"
    assert (await operator.call("POST", path, {"text": "x"})).status_code == 403
    assigned = await bordeaux.admin.post(f"/operations/{operation['id']}/assign", {"member": member_id})
    before = await count(service, events)
    assert isinstance(service.clock, ManualClock)
    service.clock.advance(60)
    for who in (operator, bordeaux.admin):
        assert await who.post(path, {"text": "I need a ladder"}) == assigned
    assert await count(service, events) == before
    assert (await plain.call("POST", path, {"text": "x"})).status_code == 403
    for method in ("GET", "POST"):
        assert (await stranger.call(method, path, {"text": "x"} if method == "POST" else None)).status_code == 404
    found = (await plain.get(path))["results"]
    assert [one["actor"] for one in found] == [f"person:{bordeaux.admin.id}", f"person:{operator.id}"]
    assert found[0]["object"] == f"operation:{operation['id']}"
    await bordeaux.admin.delete(f"/operations/{operation['id']}")
    assert (await bordeaux.admin.call("GET", path)).status_code == 404
    assert await count(service, comments) == await count(service, operation_logs) == 0


async def test_a_wrong_comment_or_cursor_is_named(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    path = f"/feedbacks/{(await bordeaux.admin.post('/feedbacks/issues', {'geo': INSIDE}))['id']}"
    for body in ({}, {"text": ""}, {"text": None}, {"text": 7}, {"text": "x" * 4001}, {"text": "\0"}):
        answer = await bordeaux.admin.call("POST", f"{path}/comments", body)
        assert (answer.status_code, answer.json()["_embedded"]["errors"][0]["path"]) == (400, "text")
    for name in ("comments", "contributions"):
        for query, wrong in (
            ("cursor=x", "cursor"),
            ("cursor=-1", "cursor"),
            ("limit=0", "limit"),
            ("limit=101", "limit"),
        ):
            answer = await bordeaux.admin.call("GET", f"{path}/{name}?{query}")
            assert (answer.status_code, answer.json()["_embedded"]["errors"][0]["path"]) == (400, wrong)
    assert (await bordeaux.admin.call("GET", f"{path}/comments?cursor={2**63}")).status_code == 400


async def test_a_person_contributes_once(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    feedback = await bordeaux.admin.post("/feedbacks/issues", {"geo": INSIDE, "visibility": "VISIBILITY_PUBLIC"})
    path = f"/feedbacks/{feedback['id']}/contributions"
    assert await bordeaux.admin.get(path) == {"duration": "0.00ms", "next": "", "results": []}
    assert isinstance(service.clock, ManualClock)
    for number in range(13):
        if number in (1, 12):
            service.clock.advance(86_400)
        one = await person(service.http, f"{number}@example.org") if number else bordeaux.admin
        for answer in await asyncio.gather(*(one.call("POST", path) for _ in range(3))):
            assert (answer.status_code, answer.json()) == (201, feedback)
    found = [group for part in await pages(one, path, 1) for group in part]
    assert found == (await one.get(path))["results"]
    assert [(one["group"], one["activity_count"], one["actor_count"]) for one in found] == [
        ("contribute_2018-03-01", 1, 1),
        ("contribute_2018-02-28", 11, 11),
        ("contribute_2018-02-27", 1, 1),
    ]
    assert len(found[1]["activities"]) == 10
    assert len({one["id"] for one in found}) == 3
    assert found[2] == {
        "id": found[2]["id"],
        "group": "contribute_2018-02-27",
        "verb": "contribute",
        "activities": [
            {
                "actor": f"person:{bordeaux.admin.id}",
                "verb": "contribute",
                "object": f"feedback:{feedback['id']}",
                "message": "",
                "time": "2018-02-27T10:00:00+00:00",
            }
        ],
        "activity_count": 1,
        "actor_count": 1,
        "created_at": "2018-02-27T10:00:00+00:00",
        "updated_at": "2018-02-27T10:00:00+00:00",
    }


async def test_who_may_contribute(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    stranger = await person(service.http, "eve@example.org")
    private = (await bordeaux.admin.post("/feedbacks/issues", {"geo": INSIDE}))["id"]
    public = (await bordeaux.admin.post("/feedbacks/issues", {"geo": INSIDE, "visibility": "VISIBILITY_PUBLIC"}))["id"]
    token = (await bordeaux.admin.post(f"/organizations/{bordeaux.id}/tokens", {"name": "CMMS"}))["token"]
    machine = Person(service.http, "", token)
    for who, feedback, status in (
        (stranger, public, 201),
        (stranger, private, 404),
        (stranger, NIL, 404),
        (machine, private, 403),
    ):
        assert (await who.call("POST", f"/feedbacks/{feedback}/contributions")).status_code == status
    assert (await stranger.call("GET", f"/feedbacks/{private}/contributions")).status_code == 404
    assert (await service.http.post(f"/feedbacks/{public}/contributions")).status_code == 401


async def test_each_change_of_an_operation_is_logged(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    operator, member_id = await member(bordeaux, "operator@example.org", "OPERATOR")
    report = await bordeaux.report()
    operation = await bordeaux.operation(report)
    path = f"/operations/{operation['id']}"
    assert isinstance(service.clock, ManualClock)
    service.clock.advance(60)
    await bordeaux.admin.patch(
        path, {"duration": 30, "startDate": "2018-03-01T10:00:00+02:00", "name": operation["name"]}
    )
    await bordeaux.admin.post(f"{path}/assign", {"member": member_id})
    await operator.post(f"{path}/workflow/transition", {"transition": "progress"})
    illustrated = await operator.post(f"{path}/images", {"image": png()})
    image_id = illustrated["_links"]["image"]["iriTemplate"]["mapping"]["image"]
    await bordeaux.admin.delete(f"{path}/images/{image_id}")
    await bordeaux.admin.post(f"{path}/workflow/transition", {"transition": "reset"})
    refused = await bordeaux.admin.call("POST", f"{path}/workflow/transition", {"transition": "resolve"})
    assert refused.status_code == 409
    page = await operator.get(f"{path}/logs?order=asc")
    admin, own = f"person:{bordeaux.admin.id}", f"person:{operator.id}"
    entries = page["_embedded"]["items"]
    assert [(one["version"], one["action"], one["actor"], one["data"]) for one in entries] == [
        ("1", "create", admin, ["state: NEW", "name: Change the bulb"]),
        ("2", "update", admin, ["duration: 30", "startDate: 2018-03-01T08:00:00+00:00"]),
        ("3", "assign", admin, ["state: ASSIGNED", f"operator: {operator.id}"]),
        ("4", "progress", own, ["state: IN_PROGRESS"]),
        ("5", "addImage", own, [f"images: {image_id}"]),
        ("6", "removeImage", admin, ["images: "]),
        ("7", "reset", admin, ["state: NEW", "operator: none"]),
    ]
    assert {one["objectId"] for one in entries} == {operation["id"]}
    assert [one["loggedAt"] for one in entries[:2]] == ["2018-02-27T10:00:00+00:00", "2018-02-27T10:01:00+00:00"]
    newest = await operator.get(f"{path}/logs?limit=3")
    assert (newest["total"], newest["pages"]) == (7, 3)
    assert [one["version"] for one in newest["_embedded"]["items"]] == ["7", "6", "5"]
    await asyncio.gather(*(bordeaux.admin.patch(path, {"name": f"{number}"}) for number in range(5)))
    everything = (await operator.get(f"{path}/logs?limit=100"))["_embedded"]["items"]
    assert [int(one["version"]) for one in everything] == list(range(12, 0, -1))
    plain, _ = await member(bordeaux, "plain@example.org")
    stranger = await person(service.http, "eve@example.org")
    assert (await plain.call("GET", f"{path}/logs")).status_code == 200
    assert (await stranger.call("GET", f"{path}/logs")).status_code == 404


async def test_the_service_takes_feedback_through_its_states_and_nobody_else(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    stranger = await person(service.http, "eve@example.org")
    path = f"/feedbacks/{(await bordeaux.admin.post('/feedbacks/issues', {'geo': INSIDE}))['id']}"
    for method, route in (("PATCH", "state"), ("POST", "workflow/transition")):
        for name in ("publish", "process", "fail", "success", "dispatch", "deliver"):
            answer = await bordeaux.admin.call(method, f"{path}/{route}", {"transition": name})
            assert (answer.status_code, answer.json()["path"]) == (409, "transition")
            assert "DELIVERED" in answer.json()["message"]
        for body in ({"transition": "accept"}, {"transition": None}, {}):
            answer = await bordeaux.admin.call(method, f"{path}/{route}", body)
            assert (answer.status_code, answer.json()["_embedded"]["errors"][0]["path"]) == (400, "transition")
        hidden = await stranger.call(method, f"{path}/{route}", {"transition": "publish"})
        assert hidden.status_code == 404
    assert (await bordeaux.admin.get(path))["state"] == "DELIVERED"
