"""Images through real HTTP: who adds and sees them, what links to them, how they may be kept, what is refused."""

import asyncio
from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image
from sqlalchemy import func, select

from tests.api.client import INSIDE, City, Person, city, person
from tests.api.test_access import NIL, member
from tests.conftest import ManualClock, Service, both_engines
from tests.pictures import bomb, data_uri, encoded, halves, noisy, plain, png, png_of, where_it_was
from tocsin.domain.pictures import PICTURE_MAX_PIXELS
from tocsin.service import pictures
from tocsin.service.images import IMAGES_MAX
from tocsin.storage.interface import Row
from tocsin.storage.schema import events, images

pytestmark = [pytest.mark.anyio, both_engines]


async def feedback_of(who: Person, **more: Any) -> Any:
    return await who.post("/feedbacks/issues", {"geo": INSIDE, **more})


def path_of(link: Any) -> str:
    return httpx.URL(link["href"]).path


def size(response: httpx.Response) -> tuple[int, int]:
    assert response.status_code == 200, response.text
    with Image.open(BytesIO(response.content)) as image:
        image.load()
        assert Image.MIME[image.format or ""] == response.headers["content-type"]
        return image.size


async def stored(service: Service) -> int:
    async with service.use_cases.context.storage.read() as tx:
        row = await tx.row(select(func.count().label("n")).select_from(images))
        assert row is not None
        return int(row["n"])


async def logged(service: Service) -> list[Row]:
    async with service.use_cases.context.storage.read() as tx:
        return list(await tx.rows(select(events).order_by(events.c.sequence)))


async def test_feedback_is_illustrated_and_links_to_its_images(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    feedback = await feedback_of(bordeaux.admin)
    assert "image" not in feedback["_links"]
    assert "images" not in feedback["_links"]
    path = f"/feedbacks/{feedback['id']}"
    first = await bordeaux.admin.post(f"{path}/images", {"image": png()})
    second = await bordeaux.admin.post(f"{path}/images", {"image": data_uri(encoded(halves(), "WEBP"))})
    links = second["_links"]
    assert first["_links"]["image"] == links["image"] == links["images"][0]
    mapping = links["image"]["iriTemplate"]["mapping"]
    assert mapping == {"image": mapping["image"], "feedback": feedback["id"]}
    assert links["image"]["href"] == f"{service.url}{path}/images/{mapping['image']}"
    assert [size(await bordeaux.admin.call("GET", path_of(one))) for one in links["images"]] == [(40, 30), (40, 20)]
    assert await bordeaux.admin.get(path) == second
    listed = await bordeaux.admin.get("/feedbacks?visibility[]=VISIBILITY_PRIVATE")
    assert listed["_embedded"]["items"][0]["_links"]["images"] == links["images"]


async def test_an_image_is_served_to_be_kept(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    public = await feedback_of(bordeaux.admin, visibility="VISIBILITY_PUBLIC")
    private = await feedback_of(bordeaux.admin)
    for feedback, keeping in ((public, "public"), (private, "private")):
        illustrated = await bordeaux.admin.post(f"/feedbacks/{feedback['id']}/images", {"image": png()})
        path = path_of(illustrated["_links"]["image"])
        for one in (path, f"{path}/20/20"):
            answer = await bordeaux.admin.call("GET", one)
            assert answer.headers["cache-control"] == f"{keeping}, max-age=86400, immutable"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers.get("vary") == (None if keeping == "public" else "Authorization")
            headers = {**bordeaux.admin.headers, "If-None-Match": answer.headers["etag"]}
            known = await service.http.get(one, headers=headers)
            assert (known.status_code, known.content) == (304, b"")
            assert known.headers["cache-control"] == answer.headers["cache-control"]
            headers["If-None-Match"] = '"another"'
            assert (await service.http.get(one, headers=headers)).content == answer.content


async def test_a_sized_version_keeps_the_proportions(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    feedback = await feedback_of(bordeaux.admin)
    for kind in ("PNG", "JPEG", "WEBP"):
        body = {"image": data_uri(encoded(noisy(400, 200), kind))}
        links = (await bordeaux.admin.post(f"/feedbacks/{feedback['id']}/images", body))["_links"]
        path = path_of(links["images"][-1])
        for box, expected in (
            ("100/100", (100, 50)),
            ("2048/20", (40, 20)),
            ("1/1", (1, 1)),
            ("2048/2048", (400, 200)),
        ):
            assert size(await bordeaux.admin.call("GET", f"{path}/{box}")) == expected
    for box, wrong in (("0/10", "width"), ("10/2049", "height"), ("x/10", "width"), ("10/-1", "height")):
        refused = await bordeaux.admin.call("GET", f"{path}/{box}")
        assert (refused.status_code, refused.json()["_embedded"]["errors"][0]["path"]) == (400, wrong)


async def test_an_image_is_seen_by_whoever_sees_what_it_is_of(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    reporter = await person(service.http, "reporter@example.org")
    stranger = await person(service.http, "eve@example.org")
    plain_member, _ = await member(bordeaux, "plain@example.org")
    private = await feedback_of(reporter)
    public = await feedback_of(reporter, visibility="VISIBILITY_PUBLIC")
    links = [
        (await reporter.post(f"/feedbacks/{one['id']}/images", {"image": png()}))["_links"]["image"]
        for one in (private, public)
    ]
    hidden, shown = (path_of(link) for link in links)
    for path in (hidden, f"{hidden}/10/10"):
        for who in (reporter, bordeaux.admin, plain_member):
            assert (await who.call("GET", path)).status_code == 200
        unknown = await stranger.call("GET", path.replace(private["id"], NIL))
        for answer in (await stranger.call("GET", path), await service.http.get(path)):
            assert (answer.status_code, answer.content) == (404, unknown.content)
    for path in (shown, f"{shown}/10/10"):
        assert (await stranger.call("GET", path)).status_code == 200
        assert (await service.http.get(path)).status_code == 200
    image_id = links[0]["iriTemplate"]["mapping"]["image"]
    elsewhere = f"/feedbacks/{public['id']}/images/{image_id}"
    assert (await reporter.call("GET", elsewhere)).status_code == 404


async def test_feedback_is_illustrated_by_its_reporter_and_its_admins(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    reporter = await person(service.http, "reporter@example.org")
    stranger = await person(service.http, "eve@example.org")
    plain_member, _ = await member(bordeaux, "plain@example.org")
    private = f"/feedbacks/{(await feedback_of(reporter))['id']}/images"
    public = f"/feedbacks/{(await feedback_of(reporter, visibility='VISIBILITY_PUBLIC'))['id']}/images"
    for who, path, status in (
        (reporter, private, 200),
        (bordeaux.admin, private, 200),
        (plain_member, private, 403),
        (stranger, private, 404),
        (stranger, public, 403),
    ):
        assert (await who.call("POST", path, {"image": png()})).status_code == status
    assert (await service.http.post(public, json={"image": png()})).status_code == 401
    assert (await stranger.call("POST", public, {"image": "not even read"})).status_code == 403


async def operation_of(bordeaux: City) -> tuple[Any, Any]:
    report = await bordeaux.report()
    return report, await bordeaux.operation(report)


async def test_an_image_of_an_operation_changes_it_without_an_event(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    report, operation = await operation_of(bordeaux)
    before = await logged(service)
    assert isinstance(service.clock, ManualClock)
    service.clock.advance(60)
    path = f"/operations/{operation['id']}"
    illustrated = await bordeaux.admin.post(f"{path}/images", {"image": png()})
    assert illustrated == await bordeaux.admin.get(path)
    later = "2018-02-27T10:01:00+00:00"
    assert illustrated["updatedAt"] == (await bordeaux.admin.get(f"/reports/{report['id']}"))["updatedAt"] == later
    link = illustrated["_links"]["image"]
    mapping = link["iriTemplate"]["mapping"]
    assert mapping == {"image": mapping["image"], "operation": operation["id"]}
    assert size(await bordeaux.admin.call("GET", path_of(link))) == (40, 30)
    assert size(await bordeaux.admin.call("GET", f"{path_of(link)}/20/20")) == (20, 15)
    found = await bordeaux.admin.get(
        f"/organizations/{bordeaux.id}/operations?updatedAfter={later.replace('+', '%2B')}"
    )
    assert [one["_links"]["image"] for one in found["_embedded"]["items"]] == [link]
    assert len(await logged(service)) == len(before)
    await bordeaux.admin.post(f"{path}/assign", {"member": bordeaux.member_id})
    told = (await logged(service))[-1]["body"]
    assert told == b'{"event":"operationStateChanged","payload":%s}' % (await bordeaux.admin.call("GET", path)).content
    assert link["href"].encode() in told


async def test_an_image_is_removed_from_an_operation_and_with_it(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    report, operation = await operation_of(bordeaux)
    path = f"/operations/{operation['id']}"
    for _ in range(2):
        links = (await bordeaux.admin.post(f"{path}/images", {"image": png()}))["_links"]
    first, second = (path_of(one) for one in links["images"])
    assert isinstance(service.clock, ManualClock)
    service.clock.advance(60)
    assert (await bordeaux.admin.call("DELETE", first)).status_code == 204
    for gone in (first, f"{first}/10/10"):
        assert (await bordeaux.admin.call("GET", gone)).status_code == 404
    assert (await bordeaux.admin.call("DELETE", first)).status_code == 404
    left = await bordeaux.admin.get(path)
    assert [path_of(one) for one in left["_links"]["images"]] == [second]
    updated = (await bordeaux.admin.get(f"/reports/{report['id']}"))["updatedAt"]
    assert left["updatedAt"] == updated == "2018-02-27T10:01:00+00:00"
    assert await stored(service) == 1
    await bordeaux.admin.delete(path)
    assert (await bordeaux.admin.call("GET", second)).status_code == 404
    assert await stored(service) == 0


async def test_an_operation_is_illustrated_by_admins_and_its_own_operator(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    operator, member_id = await member(bordeaux, "operator@example.org", "OPERATOR")
    stranger = await person(service.http, "eve@example.org")
    _, operation = await operation_of(bordeaux)
    path = f"/operations/{operation['id']}"
    body = {"image": png()}
    assert (await operator.call("POST", f"{path}/images", body)).status_code == 403
    await bordeaux.admin.post(f"{path}/assign", {"member": member_id})
    link = (await operator.post(f"{path}/images", body))["_links"]["image"]
    assert (await stranger.call("POST", f"{path}/images", body)).status_code == 404
    plain_member, _ = await member(bordeaux, "plain@example.org")
    assert (await plain_member.call("GET", path_of(link))).status_code == 200
    assert (await plain_member.call("DELETE", path_of(link))).status_code == 403
    for who in (await stranger.call("GET", path_of(link)), await stranger.call("DELETE", path_of(link))):
        assert who.status_code == 404
    assert (await service.http.get(path_of(link))).status_code == 401
    assert (await operator.call("DELETE", path_of(link))).status_code == 204


async def test_a_logo_is_set_changed_and_taken_away(service: Service) -> None:
    admin = await person(service.http)
    stranger = await person(service.http, "eve@example.org")
    made = await admin.post("/organizations", {"name": "Bordeaux", "logo": png()})
    path = f"/organizations/{made['id']}"
    link = {"href": f"{service.url}{path}/logo", "iriTemplate": {"mapping": {"organization": made["id"]}}}
    assert made["_links"]["logo"] == link
    first = await stranger.call("GET", f"{path}/logo")
    assert size(first) == (40, 30)
    assert (first.headers["cache-control"], first.headers["vary"]) == ("private, no-cache", "Authorization")
    assert size(await stranger.call("GET", f"{path}/logo/10/10")) == (10, 8)
    assert (await service.http.get(f"{path}/logo")).status_code == 401
    changed = await admin.patch(path, {"logo": data_uri(encoded(halves(), "JPEG"))})
    assert changed["_links"]["logo"] == link
    second = await stranger.call("GET", f"{path}/logo")
    assert size(second) == (40, 20)
    assert second.headers["etag"] != first.headers["etag"]
    assert await admin.patch(path, {"logo": None, "description": "x"}) == await admin.get(path)
    assert await stored(service) == 1
    assert (await stranger.call("PATCH", path, {"logo": png()})).status_code == 403
    assert "logo" not in (await admin.patch(path, {"logo": ""}))["_links"]
    assert (await admin.call("GET", f"{path}/logo")).status_code == 404
    assert await stored(service) == 0
    without = await admin.post("/organizations", {"name": "Lyon"})
    assert "logo" not in without["_links"]


async def test_of_logos_that_come_at_once_one_stays(service: Service) -> None:
    admin = await person(service.http)
    path = f"/organizations/{(await admin.post('/organizations', {'name': 'Bordeaux', 'logo': png()}))['id']}"
    sent = [{"logo": data_uri(encoded(plain(side, side), "PNG"))} for side in range(10, 16)]
    answers = await asyncio.gather(*(admin.call("PATCH", path, body) for body in sent))
    assert {one.status_code for one in answers} == {200}
    assert size(await admin.call("GET", f"{path}/logo")) in [(side, side) for side in range(10, 16)]
    assert await stored(service) == 1


async def test_a_person_has_an_image_of_its_own(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    plain_member, _ = await member(bordeaux, "plain@example.org")
    stranger = await person(service.http, "eve@example.org")
    path = f"/people/{plain_member.id}"
    changed = await plain_member.patch(path, {"image": png(), "givenName": "Ada"})
    assert changed["_links"]["image"] == {
        "href": f"{service.url}{path}/image",
        "iriTemplate": {"mapping": {"person": plain_member.id}},
    }
    assert size(await bordeaux.admin.call("GET", f"{path}/image")) == (40, 30)
    assert size(await bordeaux.admin.call("GET", f"{path}/image/20/20")) == (20, 15)
    assert (await stranger.call("GET", f"{path}/image")).status_code == 404
    assert (await bordeaux.admin.call("PATCH", path, {"image": png()})).status_code == 403
    assert (await bordeaux.admin.call("GET", f"/people/{bordeaux.admin.id}/image")).status_code == 404
    await plain_member.patch(path, {"image": data_uri(encoded(halves(), "WEBP"))})
    assert size(await bordeaux.admin.call("GET", f"{path}/image")) == (40, 20)
    assert await stored(service) == 1


HOSTILE: dict[str, tuple[str, int]] = {
    "a pixel bomb": (data_uri(bomb()), 413),
    "too many pixels by one row": (data_uri(png_of(PICTURE_MAX_PIXELS // 1000 + 1, 1000)), 413),
    "cut short": (data_uri(encoded(noisy(), "PNG")[:-100]), 400),
    "a gif called png": (data_uri(encoded(plain(), "GIF")), 400),
    "svg": (data_uri(b'<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml"), 400),
    "0 by 0": (data_uri(png_of(0, 0)), 400),
    "a URL": ("http://127.0.0.1/lamp.png", 400),
    "a path": ("file:///etc/passwd", 400),
    "no base64": ("data:image/png;base64,<script>", 400),
    "50,000 characters": ("x" * 50_000, 400),
    "an animation": (
        data_uri(encoded(plain(9, 9), "PNG", save_all=True, append_images=[plain(9, 9, (0, 250, 0))])),
        400,
    ),
}


async def test_a_hostile_image_is_refused_wherever_it_is_sent(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    report, operation = await operation_of(bordeaux)
    routes = (
        ("POST", f"/feedbacks/{report['_links']['feedback']['iriTemplate']['mapping']['feedback']}/images", "image"),
        ("POST", f"/operations/{operation['id']}/images", "image"),
        ("PATCH", f"/organizations/{bordeaux.id}", "logo"),
        ("PATCH", f"/people/{bordeaux.admin.id}", "image"),
        ("POST", "/organizations", "logo"),
    )
    for name, (uri, status) in HOSTILE.items():
        for method, path, field in routes:
            answer = await bordeaux.admin.call(
                method, path, {"name": "Lyon", field: uri} if field == "logo" else {field: uri}
            )
            assert answer.status_code == status, f"{name} on {method} {path}: {answer.text}"
            error = answer.json() if status == 413 else answer.json()["_embedded"]["errors"][0]
            assert (error["path"], bool(error["message"])) == (field, True)
    for body in ({"image": ""}, {"image": None}, {}, {"image": 7}):
        answer = await bordeaux.admin.call("POST", routes[0][1], body)
        assert (answer.status_code, answer.json()["_embedded"]["errors"][0]["path"]) == (400, "image")
    huge = data_uri(b"\x89PNG\r\n\x1a\n" + bytes(8 * 1024 * 1024))
    assert (await bordeaux.admin.call("POST", routes[0][1], {"image": huge})).status_code == 413
    assert await stored(service) == 0
    assert (await bordeaux.admin.get(f"/operations/{operation['id']}")) == operation
    (only,) = (await bordeaux.admin.get("/organizations"))["_embedded"]["items"]
    assert only["name"] == "Bordeaux"


async def test_where_a_picture_was_taken_is_nobodys_business(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    path = f"/feedbacks/{(await feedback_of(bordeaux.admin))['id']}/images"
    for kind in ("JPEG", "PNG", "WEBP"):
        sent = encoded(halves(), kind, exif=where_it_was())
        assert b"Found by Ada" in sent
        links = (await bordeaux.admin.post(path, {"image": data_uri(sent)}))["_links"]
        served = await bordeaux.admin.call("GET", path_of(links["images"][-1]))
        assert size(served) == (20, 40)
        with Image.open(BytesIO(served.content)) as image:
            assert not image.getexif()
        assert b"Ada" not in served.content


async def test_a_resource_has_a_limit_of_images_also_when_they_come_at_once(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    path = f"/feedbacks/{(await feedback_of(bordeaux.admin))['id']}/images"
    body = {"image": png()}
    answers = await asyncio.gather(*(bordeaux.admin.call("POST", path, body) for _ in range(IMAGES_MAX + 4)))
    statuses = sorted(one.status_code for one in answers)
    assert statuses == [200] * IMAGES_MAX + [409] * 4
    feedback = await bordeaux.admin.get(path.removesuffix("/images"))
    assert len(feedback["_links"]["images"]) == IMAGES_MAX == await stored(service)


async def test_who_finds_too_many_waiting_is_asked_to_come_again(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    bordeaux = await city(await person(service.http))
    path = f"/feedbacks/{(await feedback_of(bordeaux.admin))['id']}/images"
    link = (await bordeaux.admin.post(path, {"image": png()}))["_links"]["image"]
    monkeypatch.setattr(pictures, "WAITING_MAX", 0)
    added = await bordeaux.admin.call("POST", path, {"image": png()})
    sized = await bordeaux.admin.call("GET", f"{path_of(link)}/10/10")
    for answer in (added, sized):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert size(await bordeaux.admin.call("GET", path_of(link))) == (40, 30)


async def test_the_service_answers_while_pictures_are_decoded(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    path = f"/feedbacks/{(await feedback_of(bordeaux.admin))['id']}/images"
    large = data_uri(encoded(plain(5000, 4000), "JPEG"))
    uploads = [asyncio.create_task(bordeaux.admin.call("POST", path, {"image": large})) for _ in range(4)]
    answered = 0
    while not all(one.done() for one in uploads):
        assert (await service.http.get("/health/live")).status_code == 200
        answered += 1
    assert [one.result().status_code for one in uploads] == [200] * 4
    assert answered > 4
