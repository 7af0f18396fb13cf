"""Places: polygons as they are sent, nested by containment whatever happens, and found by the points inside."""

import asyncio
import random
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from tests.api.client import OUTSIDE, SQUARE, City, Person, city, person
from tests.conftest import Service, both_engines
from tests.unit.test_nesting import Box, area, expected
from tocsin.service import directory
from tocsin.storage import place_index
from tocsin.storage.schema import place_cells, places

pytestmark = [pytest.mark.anyio, both_engines]

HOLE = [[-0.6, 44.4], [-0.4, 44.4], [-0.4, 44.6], [-0.6, 44.6], [-0.6, 44.4]]
OUTER = [[-1.0, 44.0], [0.0, 44.0], [0.0, 45.0], [-1.0, 45.0], [-1.0, 44.0]]


def box(west: float, south: float, east: float, north: float) -> Any:
    """An open ring."""
    return {"type": "Polygon", "coordinates": [[[west, south], [east, south], [east, north], [west, north]]]}


def at(longitude: float, latitude: float) -> Any:
    return {"geo": {"point": {"longitude": longitude, "latitude": latitude}}}


@pytest.fixture
async def bordeaux(service: Service) -> City:
    return await city(await person(service.http))


def parent(place: Any) -> str | None:
    link = place["_links"].get("containedInPlace")
    return None if link is None else str(link["iriTemplate"]["mapping"]["place"])


async def create(bordeaux: City, name: str, polygon: Any) -> Any:
    return await bordeaux.admin.post(f"/organizations/{bordeaux.id}/places", {"name": name, "polygon": polygon})


async def get(bordeaux: City, place: Any) -> Any:
    return await bordeaux.admin.get(f"/places/{place['id']}")


async def children(bordeaux: City, place: Any) -> set[str]:
    path = place["_links"]["containsPlaces"]["href"]
    return {one["id"] for one in (await bordeaux.admin.get(path))["_embedded"]["items"]}


async def test_every_form_of_a_polygon_makes_the_same_place(bordeaux: City) -> None:
    geometry = {"type": "Polygon", "coordinates": [OUTER, HOLE[:-1]]}
    feature = {"type": "Feature", "properties": {"name": "x"}, "geometry": geometry}
    rings = [
        {"points": [{"longitude": longitude, "latitude": latitude} for longitude, latitude in ring]}
        for ring in (OUTER, HOLE)
    ]
    made = [
        await create(bordeaux, "Ring", polygon)
        for polygon in (
            {"rings": rings, "srid": None},
            geometry,
            feature,
            {"type": "FeatureCollection", "features": [feature]},
            {"type": "MultiPolygon", "coordinates": [[OUTER, HOLE]]},
        )
    ]
    shown = [one["geo"]["polygon"]["features"][0]["geometry"] for one in made]
    assert shown == [{"type": "Polygon", "coordinates": [OUTER, HOLE]}] * 5
    again = await create(bordeaux, "As it is shown", made[0]["geo"]["polygon"])
    assert again["geo"] == made[0]["geo"]


async def test_a_wrong_polygon_is_refused_with_its_reason_and_changes_nothing(bordeaux: City) -> None:
    bow = {"type": "Polygon", "coordinates": [[[0, 0], [2, 2], [2, 0], [0, 2]]]}
    place = await create(bordeaux, "Good", box(0, 0, 1, 1))
    for method, path in (("POST", f"/organizations/{bordeaux.id}/places"), ("PATCH", f"/places/{place['id']}")):
        answer = await bordeaux.admin.call(method, path, {"name": "Bow", "polygon": bow})
        assert answer.status_code == 400
        (error,) = answer.json()["_embedded"]["errors"]
        assert (error["path"], error["message"]) == (
            "polygon.coordinates[0]",
            "This ring crosses or touches itself, near longitude 1, latitude 1.",
        )
    sent_back = {**place, "geo": {"polygon": bow, "elevation": 3}}
    answer = await bordeaux.admin.call("PATCH", f"/places/{place['id']}", sent_back)
    assert answer.json()["_embedded"]["errors"][0]["path"] == "geo.polygon.coordinates[0]"
    assert await get(bordeaux, place) == place


async def test_a_place_is_changed_and_nulls_leave_it_as_it_was(bordeaux: City) -> None:
    place = await create(bordeaux, "Quay", box(0, 0, 1, 1))
    path = f"/places/{place['id']}"
    nulls = {"name": None, "polygon": None, "branchCode": None, "elevation": None}
    assert (await bordeaux.admin.patch(path, nulls))["name"] == "Quay"
    changed = await bordeaux.admin.patch(path, {"name": "Quays", "branchCode": "Q1", "elevation": 12})
    assert (changed["name"], changed["branchCode"], changed["geo"]["elevation"]) == ("Quays", "Q1", 12.0)
    assert changed["geo"]["polygon"] == place["geo"]["polygon"]
    moved = await bordeaux.admin.patch(path, {**changed, "geo": {"polygon": box(5, 5, 6, 6), "elevation": 0.5}})
    assert moved["geo"]["polygon"]["features"][0]["geometry"]["coordinates"][0][0] == [5.0, 5.0]
    assert (moved["name"], moved["geo"]["elevation"]) == ("Quays", 0.5)
    assert (await bordeaux.admin.patch(path, {"branchCode": ""}))["branchCode"] == ""
    for body, wrong in (({"name": ""}, "name"), ({"elevation": "1"}, "elevation"), ({"parent": 1}, "parent")):
        answer = await bordeaux.admin.call("PATCH", path, body)
        assert answer.status_code == 400
        assert answer.json()["_embedded"]["errors"][0]["path"].startswith(wrong)


async def test_only_admins_change_places_and_an_unknown_one_is_a_404(service: Service, bordeaux: City) -> None:
    place = await create(bordeaux, "Quay", box(0, 0, 1, 1))
    stranger = await person(service.http, "eve@example.org")
    assert (await stranger.call("PATCH", f"/places/{place['id']}", {"name": "Mine"})).status_code == 403
    assert (await bordeaux.admin.call("PATCH", f"/places/{bordeaux.id}", {"name": "x"})).status_code == 404
    assert (await service.http.patch(f"/places/{place['id']}", json={"name": "x"})).status_code == 401
    assert (await stranger.get(f"/places/{place['id']}"))["name"] == "Quay"


async def test_a_place_put_between_two_others_grown_and_shrunk_finds_its_parent(
    service: Service, bordeaux: City
) -> None:
    outer = await create(bordeaux, "City", box(0, 0, 10, 10))
    inner = await create(bordeaux, "Square", box(4, 4, 5, 5))
    assert parent(inner) == outer["id"]
    between = await create(bordeaux, "District", box(3, 3, 7, 7))
    assert (parent(between), parent(await get(bordeaux, inner))) == (outer["id"], between["id"])
    assert await children(bordeaux, outer) == {between["id"]}
    path = f"/places/{between['id']}"
    shrunk = await bordeaux.admin.patch(path, {"polygon": box(6, 6, 7, 7)})
    assert (parent(shrunk), parent(await get(bordeaux, inner))) == (outer["id"], outer["id"])
    grown = await bordeaux.admin.patch(path, {"polygon": box(-1, -1, 11, 11)})
    assert (parent(grown), parent(await get(bordeaux, outer))) == (None, between["id"])
    assert await children(bordeaux, between) == {outer["id"]}
    elsewhere = await city(await person(service.http, "lyon@example.org"), "Lyon", box(4.2, 4.2, 4.3, 4.3))
    (theirs,) = (await elsewhere.admin.get(f"/organizations/{elsewhere.id}/places"))["_embedded"]["items"]
    assert parent(theirs) is None, "places of other organizations are no parents"


async def shape(bordeaux: City, made: list[Any], chance: random.Random) -> None:
    """One more place, or another polygon for one that is there."""
    west, south = chance.randint(0, 8), chance.randint(0, 8)
    polygon = box(west, south, west + chance.randint(1, 9), south + chance.randint(1, 9))
    if made and chance.random() < 0.4:
        await bordeaux.admin.patch(f"/places/{chance.choice(made)['id']}", {"polygon": polygon})
    else:
        made.append(await create(bordeaux, "Place", polygon))


async def nested(bordeaux: City) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """The parents as they are, and as the definition has them, from the corners alone."""
    listed = (await bordeaux.admin.get(f"/organizations/{bordeaux.id}/places?limit=100"))["_embedded"]["items"]
    ordered = sorted(listed, key=lambda one: str(one["id"]))
    boxes: list[Box] = []
    for one in ordered:
        ring = one["geo"]["polygon"]["features"][0]["geometry"]["coordinates"][0]
        (west, south), (east, north) = ring[0], ring[2]
        boxes.append((west, south, east, north))
    ids = {f"{number:04d}": str(one["id"]) for number, one in enumerate(ordered)}
    wanted = expected({one.id: one for one in (area(number, found) for number, found in enumerate(boxes))})
    as_they_are = {str(one["id"]): parent(one) for one in listed}
    return as_they_are, {ids[one]: None if above is None else ids[above] for one, above in wanted.items()}


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_the_changes_places_are_nested_by_the_definition(bordeaux: City, seed: int) -> None:
    made: list[Any] = []
    chance = random.Random(seed)
    for _ in range(40):
        await shape(bordeaux, made, chance)
    as_they_are, wanted = await nested(bordeaux)
    assert as_they_are == wanted
    assert sum(above is not None for above in wanted.values()) > 5


async def test_places_created_and_changed_at_once_are_nested_as_one_after_the_other(bordeaux: City) -> None:
    chance = random.Random(4)
    made: list[Any] = []
    for _ in range(6):
        await asyncio.gather(*(shape(bordeaux, made, chance) for _ in range(8)))
    as_they_are, wanted = await nested(bordeaux)
    assert as_they_are == wanted


async def test_feedback_reaches_those_whose_place_contains_its_point(service: Service, bordeaux: City) -> None:
    ring = {"type": "Polygon", "coordinates": [OUTER, HOLE]}
    lyon = await city(await person(service.http, "lyon@example.org"), "Lyon", ring)
    for point, organizations in (
        ((-0.5, 44.5), {bordeaux.id}),
        ((-0.7, 44.5), {bordeaux.id, lyon.id}),
        ((-0.6, 44.4), {bordeaux.id, lyon.id}),
        ((0.0, 45.0), {bordeaux.id, lyon.id}),
    ):
        near = {"geo_point": f"{point[1]:+}{point[0]:+}"}
        found = (await bordeaux.admin.call("GET", "/organizations", params=near)).json()
        assert {one["id"] for one in found["_embedded"]["items"]} == organizations, point
        feedback = await bordeaux.admin.post("/feedbacks/issues", at(*point))
        listed = [await one.admin.get(f"/organizations/{one.id}/reports") for one in (bordeaux, lyon)]
        held = [
            city_.id
            for city_, page in zip((bordeaux, lyon), listed, strict=True)
            if any(feedback["id"] in one["_links"]["feedback"]["href"] for one in page["_embedded"]["items"])
        ]
        assert set(held) == organizations, point
    assert (await bordeaux.admin.call("POST", "/feedbacks/issues", {"geo": OUTSIDE})).status_code == 409


async def forget_cells(service: Service) -> None:
    """As an older version left them."""

    async def change(tx: Any) -> None:
        await tx.execute(delete(place_cells))
        await tx.execute(update(places).values(area=None))

    await service.use_cases.context.storage.write(change)


async def count(service: Service, table: Any, *conditions: Any) -> int:
    async with service.use_cases.context.storage.read() as tx:
        row = await tx.row(select(func.count().label("n")).select_from(table).where(*conditions))
    assert row is not None
    return int(row["n"])


async def test_places_of_an_older_version_are_found_nested_and_given_cells(
    service: Service, bordeaux: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place_index, "BATCH", 2)
    outer = await create(bordeaux, "City", box(10, 10, 20, 20))
    inner = await create(bordeaux, "Square", box(14, 14, 15, 15))
    await forget_cells(service)
    await bordeaux.admin.post("/feedbacks/issues", at(14.5, 14.5))
    assert (await bordeaux.admin.call("POST", "/feedbacks/issues", at(9, 14))).status_code == 409
    between = await create(bordeaux, "District", box(13, 13, 17, 17))
    assert (parent(between), parent(await get(bordeaux, inner))) == (outer["id"], between["id"])
    await forget_cells(service)
    await service.use_cases.housekeeping.tidy()
    assert await count(service, places, places.c.area.is_(None)) == 0
    assert await count(service, place_cells) > 4
    await bordeaux.admin.post("/feedbacks/issues", at(14.5, 14.5))
    assert (await bordeaux.admin.call("POST", "/feedbacks/issues", at(9, 14))).status_code == 409


async def test_an_organization_has_only_so_many_places(bordeaux: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "PLACES_MAX", 3)
    path = f"/organizations/{bordeaux.id}/places"
    body = {"name": "One more", "polygon": SQUARE}
    answers = await asyncio.gather(*(bordeaux.admin.call("POST", path, body) for _ in range(6)))
    assert sorted(one.status_code for one in answers) == [201, 201, 409, 409, 409, 409]


async def test_a_token_of_the_organization_may_change_places(service: Service, bordeaux: City) -> None:
    made = await bordeaux.admin.post(
        f"/organizations/{bordeaux.id}/tokens", {"name": "GIS", "roles": ["ORGANIZATION:ADMIN"]}
    )
    machine = Person(service.http, "", made["token"])
    place = await create(bordeaux, "Quay", box(0, 0, 1, 1))
    assert (await machine.patch(f"/places/{place['id']}", {"name": "Quays"}))["name"] == "Quays"
