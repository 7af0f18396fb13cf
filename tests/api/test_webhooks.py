"""Webhooks as their owners manage them."""

from typing import Any

import pytest
from sqlalchemy import select

from tests.api.client import City, city, person
from tests.conftest import Service, both_engines
from tocsin.storage.schema import endpoints, webhooks

pytestmark = [pytest.mark.anyio, both_engines]

GOOD = "https://cmms.example.org/hook"


async def refused(bordeaux: City, **members: Any) -> list[tuple[str, str]]:
    """(path, message) of each violation."""
    body = {"event": "reportCreated", "organization": bordeaux.id, "payloadUrl": GOOD, **members}
    answer = await bordeaux.admin.call("POST", "/webhooks", body)
    assert answer.status_code == 400, answer.text
    return [(one["path"], one["message"]) for one in answer.json()["_embedded"]["errors"]]


async def test_a_secret_is_shown_once_and_stored_sealed(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    made = await bordeaux.webhook("reportCreated", GOOD, headers={"Authorization": "Bearer token-of-theirs"})
    assert made["secret"].startswith("whsec_")
    path = f"/webhooks/{made['id']}"
    for answer in (await bordeaux.admin.get(path), await bordeaux.admin.patch(path, {"description": "x"})):
        assert "secret" not in answer
    async with service.use_cases.context.storage.read() as tx:
        row = await tx.row(select(webhooks))
    assert row is not None
    assert b"token-of-theirs" not in b"".join(value for value in (row["secret"], row["headers"]))
    given = await bordeaux.webhook("reportCreated", GOOD, secret="whsec_" + "A" * 32)
    assert given["secret"] == "whsec_" + "A" * 32


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://example.org", "scheme"),
        ("http://user@example.org", "user_info"),
        ("http://example.org/#x", "fragment"),
        ("http://example.org:22", "port"),
        ("http://10.0.0.1", "private"),
        ("http://[::1]", "loopback"),
        ("http://169.254.169.254/latest", "link_local"),
        ("http://2130706433/", "host"),
        ("nonsense", "malformed"),
    ],
)
async def test_a_url_that_is_not_sent_to_is_refused_with_the_reason(service: Service, url: str, reason: str) -> None:
    bordeaux = await city(await person(service.http))
    ((path, message),) = await refused(bordeaux, payloadUrl=url)
    assert path == "payloadUrl"
    assert f"({reason})" in message
    made = await bordeaux.webhook("reportCreated", GOOD)
    answer = await bordeaux.admin.call("PATCH", f"/webhooks/{made['id']}", {"payloadUrl": url})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "x"},
        {"content-length": "1"},
        {"Content-Type": "text/plain"},
        {"Transfer-Encoding": "chunked"},
        {"Connection": "close"},
        {"webhook-id": "x"},
        {"Tocsin-Event": "x"},
        {"X": "a\r\nY: b"},
        {"X\r\nY": "b"},
        {"X": "a\x7f"},
        {"": "x"},
        {"X": " padded "},
        {"X": "日本"},
        {"X": "a" * 1025},
        {"a": "1", "A": "2"},
        {f"X-{number}": "x" for number in range(21)},
    ],
)
async def test_headers_that_could_do_harm_are_refused(service: Service, headers: dict[str, str]) -> None:
    bordeaux = await city(await person(service.http))
    ((path, _),) = await refused(bordeaux, headers=headers)
    assert path == "headers"


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("event", "reportExploded"),
        ("maxInFlight", 0),
        ("maxInFlight", 101),
        ("maxInFlight", 1.5),
        ("ratePerSecond", 0),
        ("ratePerSecond", 10_001),
        ("enabled", "yes"),
        ("signature", "v2"),
        ("secret", "whsec_short"),
        ("description", "x" * 256),
        ("organization", "00000000-0000-0000-0000-000000000000"),
        ("unknown", 1),
    ],
)
async def test_a_wrong_member_is_named(service: Service, member: str, value: Any) -> None:
    bordeaux = await city(await person(service.http))
    assert member in {path for path, _ in await refused(bordeaux, **{member: value})}


async def test_webhooks_are_listed_filtered_and_deleted(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    made = [await bordeaux.webhook(event, GOOD) for event in ("reportCreated", "operationRemoved", "reportCreated")]
    await bordeaux.admin.patch(f"/webhooks/{made[0]['id']}", {"enabled": False})
    base = f"/organizations/{bordeaux.id}/webhooks"
    for query, expected in (("", 3), ("?event=reportCreated", 2), ("?enabled=true", 2), ("?enabled=false", 1)):
        assert (await bordeaux.admin.get(base + query))["total"] == expected
    async with service.use_cases.context.storage.read() as tx:
        assert len(await tx.rows(select(endpoints))) == 1
    for one in made:
        await bordeaux.admin.delete(f"/webhooks/{one['id']}")
        assert (await bordeaux.admin.call("GET", f"/webhooks/{one['id']}")).status_code == 404
    async with service.use_cases.context.storage.read() as tx:
        assert await tx.rows(select(endpoints)) == []


async def test_a_changed_event_begins_at_its_head_and_skips_what_waits(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    webhook = await bordeaux.webhook("reportCreated", GOOD)
    path = f"/webhooks/{webhook['id']}"
    report = await bordeaux.report()
    await bordeaux.move(report, "accept")
    before = await bordeaux.admin.get(f"{path}/status")
    assert (before["cursor"], before["head"], before["pending"], before["state"]) == (0, 1, 1, "active")
    tag = (await bordeaux.admin.call("GET", path)).headers["etag"]
    await bordeaux.move(report, "progress")
    assert (await bordeaux.admin.call("GET", path)).headers["etag"] == tag
    changed = await bordeaux.admin.patch(path, {"event": "reportStateChanged"})
    assert changed["event"] == "reportStateChanged"
    after = await bordeaux.admin.get(f"{path}/status")
    assert (after["cursor"], after["head"], after["pending"]) == (2, 2, 0)


async def test_resume_goes_with_enabling_only(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    webhook = await bordeaux.webhook("reportCreated", GOOD)
    answer = await bordeaux.admin.call("PATCH", f"/webhooks/{webhook['id']}", {"resume": "skip"})
    assert (answer.status_code, answer.json()["_embedded"]["errors"][0]["path"]) == (400, "resume")
