"""Every link of every representation answers 200, and what it leads to links to itself."""

import asyncio
from typing import Any

import pytest
from halchemy import Api

from tests.api.client import City, city, person
from tests.conftest import Service
from tests.pictures import png

pytestmark = pytest.mark.anyio

PAGES_MAX = 500
IMAGES = {"image", "images", "logo"}
"""Relations to what is no HAL."""


async def fill(bordeaux: City) -> None:
    """Something of everything that can be linked to."""
    admin = bordeaux.admin
    organization = f"/organizations/{bordeaux.id}"
    category = await admin.post(f"{organization}/categories", {"name": "Lamps", "color": "#fc0", "icon": "fa-bug"})
    inner = {"type": "Polygon", "coordinates": [[[-0.6, 44.4], [-0.4, 44.4], [-0.4, 44.6], [-0.6, 44.4]]]}
    await admin.post(f"{organization}/places", {"name": "Inner", "polygon": inner})
    activities = await admin.get("/businessactivities")
    activity = activities["_embedded"]["items"][0]["id"]
    second = await admin.post("/organizations", {"name": "Water works", "businessActivity": activity})
    assert second["_links"]["businessActivity"]["iriTemplate"]["mapping"] == {"businessActivity": activity}
    await admin.post(f"{organization}/tokens", {"name": "CMMS", "roles": ["ORGANIZATION:ADMIN"]})
    for number in range(12):
        where = {"point": {"latitude": 44.5, "longitude": -0.5}}
        visibility = "VISIBILITY_PUBLIC" if number % 2 else "VISIBILITY_PRIVATE"
        feedback = {"geo": where, "description": f"lamp {number}", "category": category["id"], "visibility": visibility}
        await admin.post("/feedbacks/issues", feedback)
    report = await bordeaux.move(await bordeaux.report(), "accept")
    operation = await bordeaux.operation(report)
    await admin.post(f"/operations/{operation['id']}/assign", {"member": bordeaux.member_id})
    await admin.post(f"/operations/{operation['id']}/images", {"image": png()})
    feedback_id = report["_links"]["feedback"]["iriTemplate"]["mapping"]["feedback"]
    for _ in range(2):
        await admin.post(f"/feedbacks/{feedback_id}/images", {"image": png()})
    await admin.patch(f"/people/{admin.id}", {"image": png()})
    await admin.patch(organization, {"logo": png()})
    await bordeaux.webhook("reportCreated", "https://cmms.example.org/hook", description="CMMS")


def links_of(representation: Any, *, images: bool = False) -> set[str]:
    """Every href in a representation, embedded ones too, to what is no image; or those to what is one."""
    found: set[str] = set()
    if isinstance(representation, dict):
        for name, relation in representation.get("_links", {}).items():
            if (name in IMAGES) is images:
                found |= {one["href"] for one in (relation if isinstance(relation, list) else [relation])}
        for value in representation.values():
            found |= links_of(value, images=images)
    if isinstance(representation, list):
        for item in representation:
            found |= links_of(item, images=images)
    return found


def crawl(root: str, token: str) -> dict[str, Any]:
    """Follow every link, embedded ones too, with an off-the-shelf HAL client, each once."""
    api = Api(root, headers={"Authorization": f"Bearer {token}"})
    seen: dict[str, Any] = {}
    waiting = [(f"{root}/", api.home)]
    while waiting:
        url, requester = waiting.pop()
        if url in seen:
            continue
        assert len(seen) < PAGES_MAX, "the crawl does not end"
        resource = requester.get()
        assert resource._halchemy.response.status_code == 200, f"{url}: {resource._halchemy.response.body}"
        seen[url] = resource
        waiting += [
            (resource["_links"][relation]["href"], api.follow(resource).to(relation))
            for relation in resource.links
            if isinstance(resource["_links"][relation], dict) and relation not in IMAGES
        ]
        waiting += [(href, api.using_endpoint(href)) for href in links_of(resource)]
    return seen


async def test_a_crawl_from_the_root_finds_no_broken_link(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    await fill(bordeaux)
    seen = await asyncio.to_thread(crawl, service.url, bordeaux.admin.token)
    types = {one["type"] for one in seen.values() if "type" in one}
    everything = "BusinessActivity Category Feedback Operation Organization Person Place Report Webhook"
    assert types == set(everything.split())
    for url, representation in seen.items():
        links = representation.get("_links", {})
        if "self" in links and "page" not in representation:
            assert links["self"]["href"] == url
        for link in links.values():
            mapping = link.get("iriTemplate", {}).get("mapping", {}) if isinstance(link, dict) else {}
            assert all(value in link["href"] for value in mapping.values())
    images = {href for one in seen.values() for href in links_of(one, images=True)}
    assert len(images) == 5
    for href in images:
        answer = await service.http.get(href, headers=bordeaux.admin.headers)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png"), href


async def test_a_page_links_to_its_neighbours_and_keeps_its_filters(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    for _ in range(5):
        await bordeaux.report()
    page = await bordeaux.admin.get(f"/organizations/{bordeaux.id}/reports?page=2&limit=2&state=NEW&order=asc")
    assert (page["page"], page["limit"], page["pages"], page["total"]) == (2, 2, 3, 5)
    base = f"{service.url}/organizations/{bordeaux.id}/reports"
    assert {name: link["href"] for name, link in page["_links"].items()} == {
        "self": f"{base}?page=2&limit=2&state=NEW&order=asc",
        "first": f"{base}?page=1&limit=2&state=NEW&order=asc",
        "last": f"{base}?page=3&limit=2&state=NEW&order=asc",
        "next": f"{base}?page=3&limit=2&state=NEW&order=asc",
        "previous": f"{base}?page=1&limit=2&state=NEW&order=asc",
    }


async def test_an_empty_page_is_one_page(service: Service) -> None:
    admin = await person(service.http)
    page = await admin.get("/categories?search[name]=nothing%25")
    assert (page["pages"], page["total"], page["_embedded"]["items"]) == (1, 0, [])
    assert set(page["_links"]) == {"self", "first", "last"}


async def test_an_answer_that_is_known_is_not_sent_again(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    report = await bordeaux.report()
    path = f"/reports/{report['id']}"
    first = await bordeaux.admin.call("GET", path)
    assert first.headers["etag"].startswith('"')
    assert first.headers["content-type"] == "application/hal+json;charset=UTF-8"
    headers = {**bordeaux.admin.headers, "If-None-Match": f'"other", W/{first.headers["etag"]}'}
    second = await service.http.get(path, headers=headers)
    assert (second.status_code, second.content, second.headers["etag"]) == (304, b"", first.headers["etag"])
    await bordeaux.move(report, "accept")
    third = await service.http.get(path, headers=headers)
    assert third.status_code == 200
