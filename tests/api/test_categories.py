"""Categories: created, changed by their admins, and refused with paths."""

from typing import Any

import pytest

from tests.api.client import City, city, person
from tests.conftest import Service, both_engines

pytestmark = [pytest.mark.anyio, both_engines]


@pytest.fixture
async def bordeaux(service: Service) -> City:
    return await city(await person(service.http))


async def lamps(bordeaux: City) -> Any:
    body = {"name": "Lamps", "color": "#fc0", "icon": "fa-bug"}
    return await bordeaux.admin.post(f"/organizations/{bordeaux.id}/categories", body)


async def test_every_member_of_a_category_changes_by_itself(bordeaux: City) -> None:
    category = await lamps(bordeaux)
    path = f"/categories/{category['id']}"
    shown = category
    for name, value in (
        ("name", "Lights"),
        ("color", "#FFcc00"),
        ("icon", "fa-lightbulb"),
        ("identificationNumber", "L-1"),
    ):
        nulls = dict.fromkeys(("name", "color", "icon", "identificationNumber"))
        changed = await bordeaux.admin.patch(path, {**shown, **nulls, name: value})
        assert changed == {**shown, name: value}
        assert await bordeaux.admin.get(path) == changed
        shown = changed
    assert (await bordeaux.admin.patch(path, {"identificationNumber": ""}))["identificationNumber"] == ""


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"color": "red"}, "color"),
        ({"color": "#fc"}, "color"),
        ({"color": "#fc0\n"}, "color"),
        ({"icon": ""}, "icon"),
        ({"identificationNumber": 7}, "identificationNumber"),
        ({"organization": "x"}, "organization"),
    ],
)
async def test_what_is_wrong_in_a_category_is_named(bordeaux: City, body: Any, path: str) -> None:
    category = await lamps(bordeaux)
    answer = await bordeaux.admin.call("PATCH", f"/categories/{category['id']}", body)
    assert answer.status_code == 400
    assert [one["path"] for one in answer.json()["_embedded"]["errors"]] == [path]
    assert await bordeaux.admin.get(f"/categories/{category['id']}") == category


async def test_only_admins_change_a_category_and_everybody_sees_it(service: Service, bordeaux: City) -> None:
    category = await lamps(bordeaux)
    path = f"/categories/{category['id']}"
    lyon = await city(await person(service.http, "lyon@example.org"), "Lyon")
    assert (await lyon.admin.call("PATCH", path, {"name": "Mine"})).status_code == 403
    assert await lyon.admin.get(path) == category
    assert (await service.http.patch(path, json={"name": "Mine"})).status_code == 401
    assert (await lyon.admin.call("PATCH", f"/categories/{lyon.id}", {"name": "x"})).status_code == 404
