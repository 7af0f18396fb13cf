"""Every POST that creates something, sent twice with one key."""

import pytest

from tests.api.client import Person
from tests.api.test_client_of_2018 import body_of, described, world
from tests.conftest import Service
from tocsin.api.conditional import takes_key

pytestmark = pytest.mark.anyio


def without_nulls(value: dict[str, object] | None) -> dict[str, object] | None:
    return None if value is None else {name: one for name, one in value.items() if one is not None}


async def test_every_post_that_creates_something_gives_its_first_answer_again(service: Service) -> None:
    schemas = (await service.http.get("/openapi.json")).json()["components"]["schemas"]
    routes = [(path, operation) for path, operation in await described(service, "post") if takes_key("POST", path)]
    assert len(routes) > 12
    for number, (path, operation) in enumerate(routes):
        everything = await world(service, number, path)
        body = without_nulls(body_of(path, operation, schemas, everything))
        url = everything.url(path)
        first, again = [await keyed(everything.admin, url, body) for _ in range(2)]
        assert first[0] in {200, 201, 202}, f"{path}: {first}"
        assert again[:4] == first[:4], path
        assert (first[4], again[4]) == (None, "true"), path


async def keyed(who: Person, url: str, body: object) -> tuple[int, bytes, str | None, str | None, str | None]:
    headers = {**who.headers, "Idempotency-Key": "the-same"}
    answer = await who.http.post(url, json=body, headers=headers)
    given = answer.headers
    return (
        answer.status_code,
        answer.content,
        given.get("etag"),
        given.get("location"),
        given.get("idempotent-replayed"),
    )
