"""Business activities: found by organization and point, and their schemas held against the metadata of feedback."""

from typing import Any

import pytest

from tests.api.client import INSIDE, City, Person, city, person
from tests.conftest import Service, both_engines, serving
from tocsin.domain.business_activities import SEEDED
from tocsin.domain.resources import BusinessActivity
from tocsin.storage.places import insert_activity
from tocsin.storage.schema import business_activities

pytestmark = [pytest.mark.anyio, both_engines]

ROADS = next(one for one in SEEDED if one.name == "Roads")
REQUIRING = BusinessActivity(
    "0190b6a0-0000-7000-8000-0000000000ff",
    "Bridges",
    metadata_schema={
        "required": ["bridge", "span"],
        "properties": {
            "bridge": {"type": "string"},
            "span": {
                "type": "integer",
                "conditions": {"allOf": [{"operator": "in", "path": "bridge", "value": ["long"]}]},
            },
        },
    },
)


async def of(admin: Person, activity_id: str) -> City:
    """An organization of the activity, around the same square as any."""
    made = await city(admin, "Roads of Bordeaux")
    other = await admin.post("/organizations", {"name": "Roads", "businessActivity": activity_id})
    polygon = (await admin.get(f"/organizations/{made.id}/places"))["_embedded"]["items"][0]["geo"]["polygon"]
    await admin.post(f"/organizations/{other['id']}/places", {"name": "All", "polygon": polygon})
    return City(admin, other["id"], "")


async def names(who: Person, **query: str) -> list[str]:
    answer = await who.call("GET", "/businessactivities", params=query)
    assert answer.status_code == 200, answer.text
    return [one["name"] for one in answer.json()["_embedded"]["items"]]


async def errors(who: Person, feedback: Any) -> dict[str, str]:
    answer = await who.call("POST", "/feedbacks/issues", {"geo": INSIDE, **feedback})
    assert answer.status_code == 400, answer.text
    return {one["path"]: one["message"] for one in answer.json()["_embedded"]["errors"]}


async def test_activities_are_found_by_organization_and_by_point(service: Service) -> None:
    ada = await person(service.http)
    roads = await of(ada, ROADS.id)
    everything = await names(ada)
    assert everything == sorted(one.name for one in SEEDED)
    assert await names(ada, organization=roads.id) == ["Roads"]
    plain = (await ada.get("/organizations?search[name]=Bordeaux"))["_embedded"]["items"][0]["id"]
    assert await names(ada, organization=plain) == []
    assert await names(ada, organization=ROADS.id) == []
    assert await names(ada, geo_coordinates="+44.5-0.5") == ["Roads"]
    assert await names(ada, geo_point=" 44.5-0.5", organization=roads.id) == ["Roads"]
    assert await names(ada, geo_point="+10.0+10.0") == []
    page = await ada.get("/businessactivities?page=2&limit=4&order=asc")
    assert (page["total"], page["pages"], len(page["_embedded"]["items"])) == (len(SEEDED), 2, len(SEEDED) - 4)
    for query in ("geo_point=here", "organization=x", "limit=0"):
        assert (await ada.call("GET", f"/businessactivities?{query}")).status_code == 400
    assert (await service.http.get("/businessactivities")).status_code == 401


async def test_a_schema_is_shown_whole_wherever_it_is(service: Service) -> None:
    ada = await person(service.http)
    activity = await ada.get(f"/businessactivities/{ROADS.id}")
    assert activity["metadataSchema"] == ROADS.metadata_schema
    schema = await ada.get(activity["_links"]["schema"]["href"])
    assert (schema["required"], schema["properties"]) == ([], ROADS.metadata_schema["properties"])
    assert (await ada.call("GET", f"/businessactivities/{ada.id}")).status_code == 404


async def test_metadata_is_held_against_the_schema_and_each_wrong_member_named(service: Service) -> None:
    ada = await person(service.http)
    await of(ada, ROADS.id)
    good = {"damage": "pothole", "depth": "12.5", "affected": ["cars", "cycles"], "nobody": None}
    posted = await ada.post("/feedbacks/issues", {"geo": INSIDE, "businessActivity": ROADS.id, "metadata": good})
    assert posted["metadata"] == {"damage": "pothole", "depth": "12.5", "affected": "cars,cycles"}
    assert await ada.get(f"/feedbacks/{posted['id']}") == posted
    bad = {"damage": "hole", "depth": "deep", "affected": "cars,trams", "colour": "red"}
    found = await errors(ada, {"businessActivity": ROADS.id, "metadata": bad})
    assert set(found) == {f"metadata.{name}" for name in bad}
    assert found["metadata.damage"] == "'hole' is none of pothole, crack, sign, marking, kerb, other."
    only = await errors(ada, {"businessActivity": ROADS.id, "metadata": {"damage": "sign", "depth": "3"}})
    assert only == {"metadata.depth": "This is asked for only where damage is pothole or crack."}
    reports = await ada.get(f"/people/{ada.id}/feedbacks")
    assert reports["total"] == 1, "what is refused is not kept"


async def test_metadata_without_an_activity_is_any_texts(service: Service) -> None:
    ada = (await city(await person(service.http))).admin
    posted = await ada.post("/feedbacks/issues", {"geo": INSIDE, "metadata": {"anything": "goes", "empty": ""}})
    assert posted["metadata"] == {"anything": "goes"}
    for metadata, path in (
        ({"a": ["b"]}, "metadata.a"),
        ({"a": 7}, "metadata.a"),
        ({"a": {"b": "c"}}, "metadata.a"),
        ({"a": ["b", 7]}, "metadata.a"),
        ({"a": ["b"] * 51}, "metadata.a"),
        ({"a": "x" * 256}, "metadata.a"),
        ({str(number): "x" for number in range(51)}, "metadata"),
        (["a"], "metadata"),
    ):
        assert list(await errors(ada, {"metadata": metadata})) == [path], metadata


async def test_what_a_schema_requires_is_asked_for(service: Service) -> None:
    async def insert(tx: Any) -> None:
        await insert_activity(tx, REQUIRING)

    await service.use_cases.context.storage.write(insert)
    ada = await person(service.http)
    await of(ada, REQUIRING.id)
    named = {"businessActivity": REQUIRING.id}
    assert await errors(ada, named) == {"metadata.bridge": "This is required."}
    assert await errors(ada, {**named, "metadata": {"bridge": ""}}) == {"metadata.bridge": "This is required."}
    assert await errors(ada, {**named, "metadata": {"bridge": "long"}}) == {"metadata.span": "This is required."}
    for metadata in ({"bridge": "short"}, {"bridge": "long", "span": "80"}):
        posted = await ada.post("/feedbacks/issues", {"geo": INSIDE, **named, "metadata": metadata})
        assert posted["metadata"] == metadata


async def test_activities_of_an_older_version_get_their_schemas_and_others_keep_theirs(
    service: Service, settings_of_engine: dict[str, str], tmp_path: Any
) -> None:
    own = '{"required": [], "properties": {"mine": {"type": "string"}}}'

    async def change(tx: Any) -> None:
        await tx.update(business_activities, ROADS.id, {"metadata_schema": '{"required": [], "properties": {}}'})
        await tx.update(business_activities, SEEDED[0].id, {"metadata_schema": own})

    await service.use_cases.context.storage.write(change)
    async with serving(tmp_path, service.clock, **settings_of_engine) as again:
        ada = await person(again.http)
        roads = await ada.get(f"/businessactivities/{ROADS.id}")
        assert roads["metadataSchema"] == ROADS.metadata_schema
        kept = await ada.get(f"/businessactivities/{SEEDED[0].id}")
        assert list(kept["metadataSchema"]["properties"]) == ["mine"]
