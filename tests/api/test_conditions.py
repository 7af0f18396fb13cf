"""If-Match, If-None-Match and Idempotency-Key: two systems in step, and a client that asks again."""

import asyncio
import uuid
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from sqlalchemy import select

from tests.api.client import INSIDE, PASSWORD, City, Person, city, person
from tests.conftest import ManualClock, Service, both_engines
from tocsin.api.application import ROUTERS
from tocsin.api.conditional import UNKEYED
from tocsin.service.conditions import KEPT_SECONDS
from tocsin.storage.schema import answers, feedbacks, tokens, webhooks

pytestmark = [pytest.mark.anyio, both_engines]


@pytest.fixture
async def bordeaux(service: Service) -> City:
    return await city(await person(service.http))


async def rows(service: Service, table: Any) -> list[dict[str, Any]]:
    async with service.use_cases.context.storage.read() as tx:
        return [dict(row) for row in await tx.rows(select(table))]


async def send(who: Person, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
    """`headers` by their names with underscores for hyphens."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return await who.http.request(method, path, json=body, headers={**who.headers, **given})


async def tag(who: Person, path: str) -> str:
    return str((await who.call("GET", path)).headers["etag"])


async def test_a_change_of_the_version_that_was_read_is_done_once(bordeaux: City) -> None:
    report = await bordeaux.report()
    path = f"/reports/{report['id']}"
    read = await tag(bordeaux.admin, path)
    first = await send(bordeaux.admin, "PATCH", path, {"priority": 2}, If_Match=read)
    assert first.status_code == 200
    assert first.headers["etag"] == await tag(bordeaux.admin, path) != read
    second = await send(bordeaux.admin, "PATCH", path, {"priority": 3}, If_Match=read)
    assert second.status_code == 412
    assert second.headers["content-type"] == "application/vnd.error+json"
    assert (await bordeaux.admin.get(path))["priority"] == 2
    third = await send(bordeaux.admin, "PATCH", path, {"priority": 3}, If_Match=first.headers["etag"])
    assert third.status_code == 200


async def test_of_many_changes_of_one_version_one_is_done(bordeaux: City) -> None:
    report = await bordeaux.report()
    path = f"/reports/{report['id']}"
    read = await tag(bordeaux.admin, path)
    sent = [
        send(bordeaux.admin, "PATCH", path, {"identificationNumber": f"{number}"}, If_Match=read)
        for number in range(20)
    ]
    answered = [answer.status_code for answer in await asyncio.gather(*sent)]
    assert sorted(answered) == [200, *[412] * 19]


async def test_a_transition_from_an_old_version_is_refused_and_tells_nobody(bordeaux: City) -> None:
    report = await bordeaux.report()
    path = f"/reports/{report['id']}"
    old = await tag(bordeaux.admin, path)
    await bordeaux.admin.patch(path, {"priority": 5})
    last = (await bordeaux.admin.get(f"/organizations/{bordeaux.id}/events"))["last"]
    for method, tail in (("POST", "/workflow/transition"), ("PATCH", "/state"), ("POST", "/workflow")):
        answer = await send(bordeaux.admin, method, path + tail, {"transition": "accept"}, If_Match=old)
        assert answer.status_code == 412, tail
    assert (await bordeaux.admin.get(path))["state"] == "NEW"
    assert (await bordeaux.admin.get(f"/organizations/{bordeaux.id}/events"))["last"] == last
    present = await tag(bordeaux.admin, path)
    done = await send(bordeaux.admin, "POST", path + "/workflow/transition", {"transition": "accept"}, If_Match=present)
    assert (done.status_code, done.json()["state"]) == (200, "ACCEPTED")


async def test_the_version_counts_before_the_state_and_after_the_right(bordeaux: City) -> None:
    report = await bordeaux.report()
    path = f"/reports/{report['id']}"
    transition = f"{path}/workflow/transition"
    old = await tag(bordeaux.admin, path)
    await bordeaux.move(report, "accept")
    assert (await send(bordeaux.admin, "POST", transition, {"transition": "accept"}, If_Match=old)).status_code == 412
    present = await tag(bordeaux.admin, path)
    refused = await send(bordeaux.admin, "POST", transition, {"transition": "accept"}, If_Match=present)
    assert refused.status_code == 409
    unknown = await send(bordeaux.admin, "POST", transition, {"transition": "fly"}, If_Match=old)
    assert unknown.status_code == 400
    stranger = await person(bordeaux.admin.http, "eve@example.org")
    assert (await send(stranger, "PATCH", path, {"priority": 1}, If_Match=old)).status_code == 404
    plain = await person(bordeaux.admin.http, "plain@example.org")
    await bordeaux.admin.post(f"/organizations/{bordeaux.id}/members", {"person": plain.id})
    assert (await send(plain, "PATCH", path, {"priority": 1}, If_Match=old)).status_code == 403


async def test_an_operation_is_assigned_in_the_version_that_was_read(bordeaux: City) -> None:
    operation = await bordeaux.operation(await bordeaux.move(await bordeaux.report(), "accept"))
    path = f"/operations/{operation['id']}"
    read = await tag(bordeaux.admin, path)
    body = {"member": bordeaux.member_id}
    assert (await send(bordeaux.admin, "POST", f"{path}/assign", body, If_Match='"x"')).status_code == 412
    done = await send(bordeaux.admin, "POST", f"{path}/assign", body, If_Match=read)
    assert (done.status_code, done.headers["etag"]) == (200, await tag(bordeaux.admin, path))
    assert (await send(bordeaux.admin, "DELETE", path, If_Match=read)).status_code == 412
    assert (await send(bordeaux.admin, "DELETE", path, If_Match=done.headers["etag"])).status_code == 204


async def test_lists_stars_and_weak_tags_are_compared_as_the_rfc_has_it(bordeaux: City) -> None:
    path = f"/reports/{(await bordeaux.report())['id']}"
    for header, status in (
        ("*", 200),
        ('"a", {}', 200),
        ('"a,b" , {}', 200),
        ("W/{}", 412),
        ('"a"', 412),
        ('""', 412),
        ("a", 400),
        ('{} "b"', 400),
        ('"a', 400),
        (", ".join(['"x"'] * 101), 400),
    ):
        read = await tag(bordeaux.admin, path)
        answer = await send(bordeaux.admin, "PATCH", path, {"priority": 7}, If_Match=header.replace("{}", read))
        assert answer.status_code == status, header
    read = await tag(bordeaux.admin, path)
    for header, status in (("*", 412), (f"W/{read}", 412), ('"other"', 200)):
        answer = await send(bordeaux.admin, "PATCH", path, {"priority": 7}, If_None_Match=header)
        assert answer.status_code == status, header


async def test_what_is_known_is_not_sent_again_in_any_of_its_spellings(bordeaux: City) -> None:
    path = f"/reports/{(await bordeaux.report())['id']}"
    read = await tag(bordeaux.admin, path)
    for header in ("*", f'"a" , W/{read}', f'"a,b",{read}'):
        answer = await send(bordeaux.admin, "GET", path, If_None_Match=header)
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", read)
    assert (await send(bordeaux.admin, "GET", path, If_None_Match="nonsense")).status_code == 200
    two = [*bordeaux.admin.headers.items(), ("If-None-Match", '"a"'), ("If-None-Match", read)]
    assert (await bordeaux.admin.http.get(path, headers=two)).status_code == 304


async def test_each_kind_of_resource_is_changed_only_in_its_version(bordeaux: City) -> None:
    admin = bordeaux.admin
    organization = f"/organizations/{bordeaux.id}"
    category = await admin.post(f"{organization}/categories", {"name": "Lamps", "color": "#fc0", "icon": "fa-bug"})
    webhook = await bordeaux.webhook("reportCreated", "https://cmms.example.org/hook")
    for path, body in (
        (organization, {"description": "Everything in the streets"}),
        (f"{organization}/members/{bordeaux.member_id}", {"roles": ["ORGANIZATION:ADMIN", "ORGANIZATION:OPERATOR"]}),
        (f"/people/{admin.id}", {"givenName": "Ada"}),
        (f"/categories/{category['id']}", {"color": "#000"}),
        (f"/webhooks/{webhook['id']}", {"description": "CMMS"}),
    ):
        read = await tag(admin, path)
        assert (await send(admin, "PATCH", path, body, If_Match='"older"')).status_code == 412, path
        changed = await send(admin, "PATCH", path, body, If_Match=read)
        assert (changed.status_code, changed.headers["etag"]) == (200, await tag(admin, path)), path


async def test_each_kind_of_resource_is_removed_only_in_its_version(bordeaux: City) -> None:
    admin = bordeaux.admin
    token = await admin.post(f"/organizations/{bordeaux.id}/tokens", {"name": "CMMS"})
    webhook = await bordeaux.webhook("reportCreated", "https://cmms.example.org/hook")
    stranger = await person(admin.http, "eve@example.org")
    member = await admin.post(f"/organizations/{bordeaux.id}/members", {"person": stranger.id})
    for path in (
        f"/tokens/{token['id']}",
        f"/organizations/{bordeaux.id}/members/{member['id']}",
        f"/webhooks/{webhook['id']}",
    ):
        read = await tag(admin, path)
        assert (await send(admin, "DELETE", path, If_Match='"older"')).status_code == 412, path
        assert (await send(admin, "DELETE", path, If_Match=read)).status_code == 204, path
        assert (await send(admin, "DELETE", path, If_Match="*")).status_code == 404, path


# Idempotency-Key


def feedback(number: int = 1) -> dict[str, Any]:
    return {"geo": INSIDE, "description": f"Lamp {number}"}


def whole(answer: httpx.Response) -> tuple[int, bytes, str | None, str | None]:
    headers = answer.headers
    return answer.status_code, answer.content, headers.get("etag"), headers.get("location")


async def test_the_same_key_and_body_give_the_first_answer_again(service: Service, bordeaux: City) -> None:
    key = str(uuid.uuid4())
    first = await send(bordeaux.admin, "POST", "/feedbacks/issues", feedback(), Idempotency_Key=key)
    assert first.status_code == 201
    assert first.headers["location"].endswith(first.json()["id"])
    service.clock.advance(60)  # type: ignore[attr-defined] # a ManualClock
    again = await send(bordeaux.admin, "POST", "/feedbacks/issues", feedback(), Idempotency_Key=key)
    assert whole(again) == whole(first)
    assert (again.headers["idempotent-replayed"], "idempotent-replayed" in first.headers) == ("true", False)
    quoted = await send(bordeaux.admin, "POST", "/feedbacks/issues", feedback(), Idempotency_Key=f'"{key}"')
    assert whole(quoted) == whole(first)
    assert len(await rows(service, feedbacks)) == 1


async def test_fifty_at_once_are_one(service: Service, bordeaux: City) -> None:
    for round_number in range(1, 6):
        key = f"round-{round_number}"
        sent = [send(bordeaux.admin, "POST", "/feedbacks/issues", feedback(), Idempotency_Key=key) for _ in range(50)]
        answered = await asyncio.gather(*sent)
        assert {whole(answer) for answer in answered} == {whole(answered[0])}
        assert answered[0].status_code == 201
        assert sum("idempotent-replayed" not in answer.headers for answer in answered) == 1
        assert len(await rows(service, feedbacks)) == round_number
        feed = await bordeaux.admin.get(f"/organizations/{bordeaux.id}/events")
        assert len(feed["_embedded"]["items"]) == round_number


async def test_the_same_key_with_another_request_is_refused(service: Service, bordeaux: City) -> None:
    await send(bordeaux.admin, "POST", "/feedbacks/issues", feedback(), Idempotency_Key="k")
    for path, body in (
        ("/feedbacks/issues", feedback(2)),
        (f"/organizations/{bordeaux.id}/tokens", {"name": "CMMS"}),
        ("/feedbacks/issues?x=1", feedback()),
    ):
        answer = await send(bordeaux.admin, "POST", path, body, Idempotency_Key="k")
        assert answer.status_code == 422, path
        assert answer.headers["content-type"] == "application/vnd.error+json"
    other = await person(service.http, "eve@example.org")
    assert (await send(other, "POST", "/feedbacks/issues", feedback(2), Idempotency_Key="k")).status_code == 201


async def test_a_key_is_forgotten_after_a_day(service: Service, bordeaux: City, clock: ManualClock) -> None:
    first = await send(bordeaux.admin, "POST", "/feedbacks/issues", feedback(), Idempotency_Key="k")
    clock.advance(KEPT_SECONDS - 1)
    again = await person_again(service)
    assert whole(await send(again, "POST", "/feedbacks/issues", feedback(), Idempotency_Key="k")) == whole(first)
    clock.advance(2)
    again = await person_again(service)
    later = await send(again, "POST", "/feedbacks/issues", feedback(), Idempotency_Key="k")
    assert later.json()["id"] != first.json()["id"]
    await send(again, "POST", "/feedbacks/issues", feedback(), Idempotency_Key="another")
    clock.advance(KEPT_SECONDS + 1)
    await service.use_cases.housekeeping.tidy()
    assert await rows(service, answers) == []


async def person_again(service: Service) -> Person:
    """With a token of another day: a key is the person's, not the token's."""
    login = await service.http.post("/security/login", json={"login": "ada@example.org", "password": PASSWORD})
    return Person(service.http, login.json()["credentials"]["id"], login.json()["accessToken"])


async def test_a_refusal_is_not_kept(service: Service, bordeaux: City) -> None:
    report = await bordeaux.report()
    path = f"/reports/{report['id']}/workflow/transition"
    refused = await send(bordeaux.admin, "POST", path, {"transition": "close"}, Idempotency_Key="k")
    assert refused.status_code == 409
    assert await rows(service, answers) == []
    await bordeaux.move(report, "accept", "progress")
    assert (await send(bordeaux.admin, "POST", path, {"transition": "close"}, Idempotency_Key="k")).status_code == 200
    again = await send(bordeaux.admin, "POST", path, {"transition": "close"}, Idempotency_Key="k")
    assert (again.status_code, again.json()["state"]) == (200, "CLOSED")


async def test_a_key_is_stronger_than_a_version(bordeaux: City) -> None:
    """A client that lost the answer to its change asks again with what it knew then."""
    report = await bordeaux.report()
    path = f"/reports/{report['id']}"
    headers = {"If_Match": await tag(bordeaux.admin, path), "Idempotency_Key": "k"}
    body = {"transition": "accept"}
    first = await send(bordeaux.admin, "POST", f"{path}/workflow/transition", body, **headers)
    again = await send(bordeaux.admin, "POST", f"{path}/workflow/transition", body, **headers)
    assert (first.status_code, whole(again)) == (200, whole(first))
    stale = await send(
        bordeaux.admin, "POST", f"{path}/workflow/transition", body, If_Match=headers["If_Match"], Idempotency_Key="l"
    )
    assert stale.status_code == 412


async def test_a_secret_that_is_shown_once_is_shown_again_to_who_lost_it_and_stored_sealed(
    service: Service, bordeaux: City
) -> None:
    body = {"event": "reportCreated", "organization": bordeaux.id, "payloadUrl": "https://cmms.example.org/hook"}
    first = await send(bordeaux.admin, "POST", "/webhooks", body, Idempotency_Key="w")
    again = await send(bordeaux.admin, "POST", "/webhooks", body, Idempotency_Key="w")
    assert first.json()["secret"].startswith("whsec_")
    assert (whole(again), "etag" in first.headers) == (whole(first), False)
    path = f"/organizations/{bordeaux.id}/tokens"
    token = await send(bordeaux.admin, "POST", path, {"name": "CMMS"}, Idempotency_Key="t")
    assert whole(await send(bordeaux.admin, "POST", path, {"name": "CMMS"}, Idempotency_Key="t")) == whole(token)
    assert (len(await rows(service, webhooks)), len(await rows(service, tokens))) == (1, 1)
    stored = b"".join(row["answer"] for row in await rows(service, answers))
    assert first.json()["secret"].encode() not in stored
    assert token.json()["token"].encode() not in stored


async def test_registering_twice_by_accident_is_registering_once(service: Service) -> None:
    body = {"email": "grace@example.org", "password": PASSWORD}
    first = await service.http.post("/security/register", json=body, headers={"Idempotency-Key": "r"})
    again = await service.http.post("/security/register", json=body, headers={"Idempotency-Key": "r"})
    assert (first.status_code, whole(again)) == (201, whole(first))
    other = await service.http.post("/security/register", json=body)
    assert other.status_code == 400
    stored = (await rows(service, answers))[0]
    assert PASSWORD.encode() not in stored["answer"]
    assert stored["caller"] == "address:127.0.0.1"


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 256, '"', 'a"b', '""'])
async def test_a_key_is_a_bounded_word(bordeaux: City, key: str) -> None:
    headers: dict[str, Any] = {**bordeaux.admin.headers, "Idempotency-Key": key.encode()}
    answer = await bordeaux.admin.http.post("/feedbacks/issues", json=feedback(), headers=headers)
    assert answer.status_code == 400
    assert answer.json()["_embedded"]["errors"][0]["path"] == "Idempotency-Key"


async def test_a_login_has_no_key(service: Service) -> None:
    await person(service.http)
    body = {"login": "ada@example.org", "password": PASSWORD}
    for _ in range(2):
        answer = await service.http.post("/security/login", json=body, headers={"Idempotency-Key": "l"})
        assert (answer.status_code, "idempotent-replayed" in answer.headers) == (200, False)
    assert await rows(service, answers) == []
    paths = {route.path for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)}
    assert {"/security/login", "/webhooks/{webhook}/ping"} <= UNKEYED & paths


async def test_two_kinds_of_lock_are_taken_in_one_order(bordeaux: City) -> None:
    """Changes with a precondition and changes without one, of the same report and its operations, at once."""
    report = await bordeaux.move(await bordeaux.report(), "accept", "progress")
    operations = [await bordeaux.operation(report) for _ in range(3)]
    path = f"/reports/{report['id']}"
    sent = []
    for number in range(5):
        sent.append(send(bordeaux.admin, "PATCH", path, {"priority": number}, If_Match="*"))
        for operation in operations:
            body = {"name": f"Bulb {number}"}
            sent.append(send(bordeaux.admin, "PATCH", f"/operations/{operation['id']}", body, If_Match="*"))
            sent.append(send(bordeaux.admin, "PATCH", f"/operations/{operation['id']}", body))
    assert {answer.status_code for answer in await asyncio.gather(*sent)} == {200}
