"""Lists: every filter and search, pages, and what is refused (CONTRACT, sections 2 and 5)."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import update

from tests.api.client import City, Person, city, person
from tests.conftest import ManualClock, Service, both_engines
from tocsin.storage import partners, people
from tocsin.storage.interface import Writing
from tocsin.storage.schema import feedbacks, reports

pytestmark = [pytest.mark.anyio, both_engines]

INNER = {"type": "Polygon", "coordinates": [[[-0.6, 44.4], [-0.4, 44.4], [-0.5, 44.7], [-0.6, 44.4]]]}
TEXTS = ("Lampe cassée", "École ÉTEINTE", "50 % de nids_de_poule", "arbre [tombé] *")
POINTS = ((44.5, -0.5), (44.5001, -0.5), (44.9, -0.1), (44.69, -0.58))
"""The first two lie 11 m from each other in the inner place; the last lies in its bounding box only."""


@dataclass
class Town:
    """A city with a report for each text, an hour between them, and what tests narrow lists by."""

    city: City
    clock: ManualClock
    category_id: str
    place_id: str
    reports: list[Any]

    @property
    def admin(self) -> Person:
        return self.city.admin

    async def texts(self, query: str = "", of: str = "reports") -> list[str]:
        """The descriptions in a list of the city."""
        return await descriptions(self.admin, f"/organizations/{self.city.id}/{of}?{query}")


async def descriptions(who: Person, path: str) -> list[str]:
    page = await who.get(path)
    found = [one["description"] for one in page["_embedded"]["items"]]
    assert page["total"] == len(found), path
    return found


async def total(who: Person, path: str) -> int:
    return int((await who.get(path))["total"])


@pytest.fixture
async def town(service: Service, clock: ManualClock) -> Town:
    there = await city(await person(service.http))
    organization, admin = f"/organizations/{there.id}", there.admin
    body = {"name": "Lampes", "color": "#fc0", "icon": "fa-bug", "identificationNumber": "L-1"}
    category = await admin.post(f"{organization}/categories", body)
    inner = {"name": "Intérieur", "polygon": INNER, "branchCode": "INT", "elevation": 12}
    place = await admin.post(f"{organization}/places", inner)
    made = []
    for number, (text, (latitude, longitude)) in enumerate(zip(TEXTS, POINTS, strict=True)):
        said: dict[str, Any] = {
            "geo": {"point": {"latitude": latitude, "longitude": longitude}},
            "description": text,
            "visibility": "VISIBILITY_PUBLIC" if number < 2 else "VISIBILITY_PRIVATE",
            **({"category": category["id"]} if number == 0 else {}),
        }
        await admin.post("/feedbacks/issues", said)
        made.append((await admin.get(f"{organization}/reports?limit=1"))["_embedded"]["items"][0])
        clock.advance(3600)
    return Town(there, clock, category["id"], place["id"], made)


async def test_reports_are_narrowed_by_state_category_and_place(town: Town) -> None:
    await town.city.move(town.reports[0], "accept")
    await town.city.move(town.reports[1], "refuse")
    assert await town.texts() == list(TEXTS[::-1])
    assert await town.texts("order=asc") == list(TEXTS)
    assert await town.texts("state=ACCEPTED") == [TEXTS[0]]
    assert await town.texts("state=ACCEPTED,%20REFUSED&order=asc") == list(TEXTS[:2])
    assert await town.texts(f"category={town.category_id}") == [TEXTS[0]]
    assert await town.texts(f"place={town.place_id}") == [TEXTS[1], TEXTS[0]]
    assert await town.texts(f"place={town.place_id}&state=REFUSED") == [TEXTS[1]]
    assert await town.texts(f"category={town.reports[0]['id']}") == []


async def test_times_are_inclusive_in_every_form(town: Town) -> None:
    assert await town.texts("after=2018-02-27T12:00:00Z") == list(TEXTS[:1:-1])
    assert await town.texts("after=2018-02-27T14:00:00.000%2B02:00") == list(TEXTS[:1:-1])
    assert await town.texts("after=2018-02-27T14:00:00+02:00") == list(TEXTS[:1:-1])
    assert await town.texts("before=2018-02-27T10:59:59.999Z") == [TEXTS[0]]
    assert await town.texts("after=2018-02-27T11:00:00Z&before=2018-02-27T11:00:00Z") == [TEXTS[1]]


async def test_what_changed_since_an_earlier_reading_is_found(town: Town) -> None:
    changed = await town.admin.patch(f"/reports/{town.reports[1]['id']}", {"priority": 5})
    since = quote(changed["updatedAt"])
    assert await town.texts(f"updatedAfter={since}") == [TEXTS[1]]
    town.clock.advance(60)
    operation = await town.city.operation(town.reports[0])
    assert await town.texts(f"updatedAfter={since}&order=asc") == list(TEXTS[:2])
    path = f"/organizations/{town.city.id}/operations?updatedAfter="
    assert await total(town.admin, path + quote(operation["updatedAt"])) == 1
    assert await total(town.admin, path + "2018-02-27T14:02:00Z") == 0
    assert await total(town.admin, f"/reports/{town.reports[0]['id']}/operations?updatedAfter={since}") == 1


async def test_searches_find_parts_of_texts_in_any_case(town: Town) -> None:
    found: dict[str, tuple[int, ...]] = {
        "lampe": (0,), "LAMPE CASSÉE": (0,), "école éteinte": (1,), "ÉCOLE": (1,), "é": (3, 1, 0), "% de": (2,),
        "s_d": (2,), "[TOMBÉ] *": (3,), "*": (3,), "xyzzy": (), "_____": (), "\\": (), "é\\": (),
    }  # fmt: skip
    for text, numbers in found.items():
        assert await town.texts(f"search[description]={quote(text)}") == [TEXTS[number] for number in numbers], text
    assert await town.texts(f"search%5Bdescription%5D={quote('tombé')}") == [TEXTS[3]]
    await town.admin.patch(f"/reports/{town.reports[3]['id']}", {"identificationNumber": "CMMS-4711"})
    assert await town.texts("search[identificationNumber]=cmms-47") == [TEXTS[3]]
    assert await town.texts("search[identificationNumber]=cmms-47&search[description]=lampe") == []
    assert await town.texts("search[description]=lampe&page=1&limit=10&order=desc") == [TEXTS[0]]


async def test_operations_are_narrowed_by_state_and_searched(town: Town) -> None:
    body = {"report": town.reports[0]["id"], "name": "Réparer", "description": "d'abord", "identificationNumber": "W-1"}
    operation = await town.admin.post("/operations", body)
    for path in (f"/organizations/{town.city.id}/operations", f"/reports/{town.reports[0]['id']}/operations"):
        for query in (
            "",
            "state=NEW",
            "search[name]=RÉP",
            "search[description]=abord",
            "search[identificationNumber]=w-",
        ):
            page = await town.admin.get(f"{path}?{query}")
            assert [one["id"] for one in page["_embedded"]["items"]] == [operation["id"]], query
        for query in ("state=RESOLVED", "search[name]=rep", f"before={quote(town.reports[0]['createdAt'])}"):
            assert await total(town.admin, f"{path}?{query}") == 0


async def test_feedback_is_found_near_a_point_and_inside_geohashes(town: Town, service: Service) -> None:
    both = "visibility[]=VISIBILITY_PUBLIC&visibility[]=VISIBILITY_PRIVATE"
    near = {
        "geo_near=+44.5-0.5+5": [0],
        "geo_near=%2B44.5-0.5%2B12": [1, 0],
        "geo_near[radius]=12&geo_near[geo_coordinates]=+44.5-0.5": [1, 0],
        "geo_near%5Bradius%5D=5&geo_near%5Bgeo_coordinates%5D=44.5001-0.5": [1],
        "geo_near=44.9-0.1+100000": [3, 2, 1, 0],
        "geo_hash[]=u000&geo_hash[]=ezzp": [],
        "geo_hash[]=ez": [3, 2, 1, 0],
        "geo_hash[]=ezzxbnmw": [],
    }
    for query, numbers in near.items():
        assert await descriptions(town.admin, f"/feedbacks?{query}&{both}") == [TEXTS[n] for n in numbers], query
        public = [TEXTS[n] for n in numbers if n < 2]
        anonymous = (await service.http.get(f"/feedbacks?{query}")).json()
        assert [one["description"] for one in anonymous["_embedded"]["items"]] == public
    organization = f"organization={town.city.id}"
    assert await descriptions(town.admin, f"/feedbacks?geo_near=44.5-0.5+5&{organization}") == [TEXTS[0]]
    narrow = f"/feedbacks?geo_near=44.9-0.1+100000&geo_hash[]=ez&{organization}&{both}"
    assert await descriptions(town.admin, narrow) == list(TEXTS[::-1])


async def test_feedback_is_narrowed_and_shown_to_those_who_may_see_it(town: Town, service: Service) -> None:
    private = "visibility[]=VISIBILITY_PRIVATE"
    assert await descriptions(town.admin, f"/feedbacks?organization={town.city.id}") == [TEXTS[1], TEXTS[0]]
    assert await descriptions(town.admin, f"/feedbacks?category={town.category_id}") == [TEXTS[0]]
    of = f"category={town.category_id}&organization={town.city.id}"
    assert await descriptions(town.admin, f"/feedbacks?{of}") == [TEXTS[0]]
    assert await descriptions(town.admin, f"/feedbacks?{private}") == [TEXTS[3], TEXTS[2]]
    assert await descriptions(town.admin, "/feedbacks?state=NEW,FAILED") == []
    assert len(await descriptions(town.admin, "/feedbacks?state=")) == 2
    stranger = await person(service.http, "eve@example.org")
    lyon = await city(stranger, "Lyon")
    assert await descriptions(stranger, f"/feedbacks?{private}") == []
    assert await descriptions(stranger, f"/feedbacks?{private}&organization={town.city.id}") == []
    body = {"geo": {"point": {"latitude": 44.5, "longitude": -0.5}}, "description": "hers"}
    await stranger.post("/feedbacks/issues", body)  # both cities get a report of it
    for who, more in ((stranger, []), (town.admin, [TEXTS[3], TEXTS[2]])):
        assert await descriptions(who, f"/feedbacks?{private}") == ["hers", *more]
    assert await descriptions(stranger, f"/feedbacks?{private}&organization={town.city.id}") == ["hers"]
    assert await descriptions(stranger, f"/feedbacks?{private}&organization={lyon.id}&geo_hash[]=ez") == ["hers"]


async def test_delegated_reports_are_merged_in_order(town: Town, service: Service, clock: ManualClock) -> None:
    partner = await city(await person(service.http, "partner@example.org"), "Partner")
    body = {
        "geo": {"point": {"latitude": 44.5, "longitude": -0.5}},
        "description": "own",
        "visibility": "VISIBILITY_PRIVATE",
    }
    await partner.admin.post("/feedbacks/issues", body)

    async def delegate(tx: Writing) -> None:
        for number in (0, 2):
            report_id, owner = town.reports[number]["id"], town.city.id
            await tx.update(reports, report_id, {"delegated_to": partner.id, "delegated_from": owner})
            await partners.insert_delegation(tx, report_id, partner.id, owner, clock.now())

    await service.use_cases.context.storage.write(delegate)
    path = f"/organizations/{partner.id}/reports"
    assert await descriptions(partner.admin, path) == ["own", TEXTS[2], TEXTS[0]]
    for number in range(3):
        page = await partner.admin.get(f"{path}?limit=1&page={number + 1}")
        assert (page["total"], page["pages"]) == (3, 3)
        assert page["_embedded"]["items"][0]["description"] == ["own", TEXTS[2], TEXTS[0]][number]
    assert await descriptions(partner.admin, f"{path}?search[description]=lamp") == [TEXTS[0]]
    assert await descriptions(partner.admin, f"{path}?place={town.place_id}") == ["own", TEXTS[0]]
    private = "/feedbacks?visibility[]=VISIBILITY_PRIVATE"
    assert await descriptions(partner.admin, private) == ["own", TEXTS[2]]
    assert await descriptions(partner.admin, f"{private}&organization={partner.id}") == ["own", TEXTS[2]]
    await town.city.operation(town.reports[0])
    assert await total(partner.admin, f"/organizations/{partner.id}/operations") == 1
    people = await partner.admin.get("/people")
    assert people["total"] == 2, "whoever reported what was delegated is known, too"


async def test_places_organizations_categories_and_activities_are_narrowed(town: Town, service: Service) -> None:
    activity = (await town.admin.get("/businessactivities"))["_embedded"]["items"][0]["id"]
    water = await town.admin.post("/organizations", {"name": "Rivières", "businessActivity": activity})
    await town.admin.patch(f"/organizations/{town.city.id}", {"billingEmailAddress": "billing@example.org"})
    inside, outside = "+44.45-0.5", "+10.0+10.0"
    expected = {
        f"/places?geo_coordinates={inside}": 2,
        f"/places?geo_coordinates={outside}": 0,
        f"/places?geo_coordinates={inside}&geo_point=44.9-0.1": 1,
        f"/places?geo_elevation=12&organization={town.city.id}": 1,
        "/places?geo_elevation=%2B0": 1,
        f"/places?business_activity={activity}": 0,
        "/places?geo_hash[]=ezzx": 1,
        "/places?geo_hash[]=u0&geo_hash[]=ez": 2,
        "/places?geo_hash[]=ezzxbnmw": 1,
        "/places?search[name]=INTÉR": 1,
        "/places?search[branchCode]=int": 1,
        f"/organizations/{water['id']}/places": 0,
        f"/organizations?geo_coordinates={inside}": 1,
        f"/organizations?geo_point={outside}": 0,
        f"/organizations?business_activity={activity}": 1,
        f"/organizations?organization={water['id']}": 1,
        "/organizations?search[name]=RIVIÈ": 1,
        "/organizations?search[billingEmailAddress]=BILLING": 1,
        "/organizations?search[notificationEmailAddress]=billing": 0,
        f"/categories?geo_coordinates={inside}": 1,
        f"/categories?business_activity={activity}": 0,
        f"/categories?organization={town.city.id}&search[name]=lamp": 1,
        "/categories?search[color]=FC&search[icon]=bug&search[identificationNumber]=l-": 1,
        f"/organizations/{town.city.id}/categories?geo_point={outside}": 0,
        f"/businessactivities?organization={water['id']}": 1,
        f"/businessactivities?geo_coordinates={inside}": 0,
        "/businessactivities": 6,
        f"/organizations/{town.city.id}/members?search[email]=ADA": 1,
        f"/organizations/{town.city.id}/members?search[username]=eve": 0,
        f"/organizations/{town.city.id}/members?role=ORGANIZATION:AGENT": 0,
        "/people?search[email]=ada": 1,
    }
    for path, number in expected.items():
        assert await total(town.admin, path) == number, path
    around = (await town.admin.get(f"/places?geo_point={inside}"))["_embedded"]["items"]
    (outer,) = [place["id"] for place in around if place["id"] != town.place_id]
    for query in (f"parent={outer}", f"parents[]={outer}&parents[]={town.place_id}", f"parents%5B%5D={outer}"):
        assert await total(town.admin, f"/places?{query}") == 1
    eve = await person(service.http, "eve@example.org")
    assert await total(eve, "/organizations?search[billingEmailAddress]=billing") == 0


WRONG = {
    "/feedbacks": {
        "geo_near=44.5": "geo_near", "geo_near=91-0.5+5": "geo_near", "geo_near=44.5-0.5+2000000": "geo_near",
        "geo_near[radius]=5": "geo_near[geo_coordinates]", "geo_near[geo_coordinates]=44.5-0.5": "geo_near[radius]",
        "geo_near[radius]=x&geo_near[geo_coordinates]=44.5-0.5": "geo_near[radius]", "geo_hash[]=aaaa": "geo_hash[]",
        "geo_hash[]=ez&geo_hash[]=0123456789012": "geo_hash[]", "geo_hash[]=": "geo_hash[]", "state=OLD": "state",
        "visibility[]=ALL": "visibility[][0]", "category=x": "category", "organization=x": "organization",
        "order=up": "order", "page=0": "page", "limit=101": "limit", "after=yesterday": "after",
        "before=2018-02-30T00:00:00Z": "before",
    },
    "/places": {
        "geo_coordinates=44.5": "geo_coordinates", "geo_point=x": "geo_point", "geo_elevation=high": "geo_elevation",
        "parent=x": "parent", "parents[]=x": "parents[][0]", "business_activity=x": "business_activity",
        "search[name]=%00": "search[name]", "search[name]=" + "x" * 256: "search[name]",
    },
    "/organizations/{city}/reports": {
        "updatedAfter=2018": "updatedAfter", "place=x": "place", "state=NEW,OLD": "state",
        "place=0190b6a0-5b91-7c73-875e-000000000000": "place", "search[description]=a%00": "search[description]",
    },
    "/organizations/{city}/operations": {"updatedAfter=x": "updatedAfter", "state=CLOSED": "state"},
}  # fmt: skip


async def test_what_is_malformed_is_refused_by_its_name(town: Town) -> None:
    for path, queries in WRONG.items():
        for query, name in queries.items():
            answer = await town.admin.call("GET", f"{path.format(city=town.city.id)}?{query}")
            assert answer.status_code == 400, f"{path}?{query}: {answer.text}"
            assert [one["path"] for one in answer.json()["_embedded"]["errors"]] == [name], query


async def test_pages_hold_everything_once_and_keep_their_filters(town: Town) -> None:
    made = [await town.city.report() for _ in range(19)]
    for order in ("asc", "desc"):
        query = f"limit=4&order={order}&state=NEW&after=2018-02-27T14%3A00%3A00Z&search%5Bdescription%5D=lamp"
        url, found = f"/organizations/{town.city.id}/reports?{query}", []
        while True:
            page = await town.admin.get(url)
            found += [one["id"] for one in page["_embedded"]["items"]]
            assert (page["total"], page["pages"]) == (19, 5)
            if "next" not in page["_links"]:
                break
            url = page["_links"]["next"]["href"]
            assert "state=NEW" in url
            assert "search%5Bdescription%5D=lamp" in url
        assert found == sorted((one["id"] for one in made), reverse=order == "desc")
    unfiltered = f"/organizations/{town.city.id}/reports?limit=5&page="
    pages = [(await town.admin.get(f"{unfiltered}{number}"))["_embedded"]["items"] for number in range(1, 7)]
    assert [len(page) for page in pages] == [5, 5, 5, 5, 3, 0]
    everything = [one["id"] for page in pages for one in page]
    assert everything == [
        one["id"] for one in [*sorted(made, key=lambda one: one["id"], reverse=True), *town.reports[::-1]]
    ]
    beyond = f"/organizations/{town.city.id}/reports?search[description]=lamp&page=9"
    assert (await town.admin.get(beyond))["total"] == 20


async def test_a_place_that_holds_every_report_narrows_only_what_has_no_cell(town: Town, service: Service) -> None:
    places = await town.admin.get(f"/organizations/{town.city.id}/places")
    whole = next(one["id"] for one in places["_embedded"]["items"] if one["id"] != town.place_id)
    assert await town.texts(f"place={whole}") == await town.texts() == list(TEXTS[::-1])
    assert await town.texts(f"place={whole}&state=NEW&order=asc") == list(TEXTS)
    some = update(reports).where(reports.c.id == town.reports[0]["id"]).values(cell=None)
    await service.use_cases.context.storage.write(lambda tx: tx.execute(some))
    assert await town.texts(f"place={whole}") == list(TEXTS[:0:-1])


async def test_people_are_the_same_whichever_way_they_are_found(
    town: Town, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("bob", "eve"):
        other = await person(service.http, f"{name}@example.org")
        await other.post("/feedbacks/issues", {"geo": {"point": {"latitude": 44.5, "longitude": -0.5}}})
    await person(service.http, "stranger@example.org")
    by_leaps = await town.admin.get("/people?limit=100")
    monkeypatch.setattr(people, "FEW", 0)
    assert await town.admin.get("/people?limit=100") == by_leaps
    assert by_leaps["total"] == 3


async def test_what_an_older_node_has_left_out_is_filled_in(town: Town, service: Service) -> None:
    storage = service.use_cases.context.storage

    async def forget(tx: Writing) -> None:
        await tx.execute(update(feedbacks).values(cell=None))
        await tx.execute(update(reports).values(cell=None, public=None, reporter_id=None))

    await storage.write(forget)
    assert await town.texts() == list(TEXTS[::-1])
    assert await town.texts(f"place={town.place_id}") == []
    await service.use_cases.housekeeping.tidy()
    assert await town.texts(f"place={town.place_id}") == [TEXTS[1], TEXTS[0]]
    assert await descriptions(town.admin, "/feedbacks?geo_hash[]=ez") == [TEXTS[1], TEXTS[0]]
    assert await descriptions(town.admin, f"/feedbacks?organization={town.city.id}") == [TEXTS[1], TEXTS[0]]
    assert await total(town.admin, "/people") == 1
