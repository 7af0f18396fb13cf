"""Clients that mean harm: half-open connections, endless heads, bodies that don't come, texts made to take long."""

import asyncio
import contextlib
import resource
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.api.client import City, city, person
from tests.api.test_client_of_2018 import described, world
from tests.conftest import Service, both_engines
from tocsin.api import body
from tocsin.cli import connections
from tocsin.cli.connections import HEAD_MAX_BYTES

pytestmark = pytest.mark.anyio

HALF_OPEN = 1_000
LONG = 50_000
CPU_SECONDS = 0.1
"""For one answer, client and server together."""


@pytest.fixture
def many_files() -> Iterator[None]:
    """Both ends of every connection are in this process."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], min(before[1], 4 * HALF_OPEN)), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def connected(service: Service, count: int) -> AsyncIterator[list[Connection]]:
    port = int(service.url.rpartition(":")[2])
    found = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
    try:
        yield found
    finally:
        for _, writer in found:
            writer.close()


@pytest.mark.usefixtures("many_files")
async def test_half_open_connections_hold_nobody_up_and_are_closed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    bordeaux = await city(await person(service.http))
    report = await bordeaux.report()
    monkeypatch.setattr(connections, "HEAD_SECONDS", 3.0)
    async with connected(service, HALF_OPEN) as half_open:
        for number, (_, writer) in enumerate(half_open):
            writer.write((b"", b"GET ", b"POST /reports HTTP/1.1\r\nHost: x\r\nX-", b"\r\n")[number % 4])
        for _ in range(20):
            assert (await bordeaux.admin.get(f"/reports/{report['id']}"))["state"] == "NEW"
        async with asyncio.timeout(30):
            answers = await asyncio.gather(*(reader.read() for reader, _ in half_open))
        assert {answer[:12] for answer in answers} == {b"HTTP/1.1 408"}
    assert (await bordeaux.admin.get("/"))["_links"]


async def test_a_head_has_a_size(service: Service) -> None:
    async with connected(service, 3) as found:
        for (reader, writer), begun in zip(found, (b"GET /", b"GET / HTTP/1.1\r\nX: ", b""), strict=True):
            writer.write(begun + b"a" * (2 * HEAD_MAX_BYTES))
            with contextlib.suppress(ConnectionError):
                assert (await reader.read())[:12] in {b"HTTP/1.1 431", b"HTTP/1.1 400"}


async def test_connections_beyond_the_limit_are_closed_at_once(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 5)
    async with connected(service, 4) as found:
        await service.http.get("/health/live")
        async with connected(service, 3) as more:
            closed = [reader for reader, _ in more]
            with contextlib.suppress(ConnectionError):
                assert b"".join([await reader.read() for reader in closed]) == b""
        found[0][1].write(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await found[0][0].read()).startswith(b"HTTP/1.1 200")


async def test_a_body_that_does_not_come_is_not_waited_for(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "BODY_PART_SECONDS", 0.2)
    head = b"POST /security/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    async with connected(service, 1) as ((reader, writer),):
        writer.write(head + b'{"login": ')
        assert (await reader.readline()).startswith(b"HTTP/1.1 408")


async def test_the_next_request_of_a_connection_has_its_own_time(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    async with connected(service, 1) as ((reader, writer),):
        for _ in range(3):
            writer.write(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.readuntil(b"alive\n")).startswith(b"HTTP/1.1 200")
        writer.write(b"GET /health/live HTTP/1.1\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 408")


# Texts

SLOW = {
    "one letter": "a" * LONG,
    "addresses": "a@" * (LONG // 2),
    "dots": "a." * (LONG // 2),
    "digits": "1" * LONG,
    "dashes": "a-" * (LONG // 2),
    "blanks": " " * (LONG - 1) + "x",
    "brackets": "[(" * (LONG // 2),
    "commas": "a," * (LONG // 2),
    "signs": "+-" * (LONG // 2),
    "percents": "%2" * (LONG // 2),
    "a URL": "https://" + "a." * (LONG // 2),
    "a secret": "whsec_" + "A" * LONG,
    "a picture": "data:image/png;base64," + "A" * LONG,
}


async def timed(http: httpx.AsyncClient, method: str, url: str, what: str, **more: Any) -> httpx.Response:
    """Once more where it took long: what else the process did meanwhile does not happen twice."""
    for tried in (1, 2, 3):
        began = time.process_time()
        answer = await http.request(method, url, **more)
        took = time.process_time() - began
        if took < CPU_SECONDS:
            break
        assert tried < 3, f"{method} {url[:60]} {what}: {took:.3f} s"
    assert answer.status_code < 500, f"{method} {url[:60]} {what}: {answer.text[:200]}"
    return answer


def texts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the texts in an example are."""
    if isinstance(value, str):
        yield path
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from texts(one, (*path, key))


def changed(value: Any, path: tuple[Any, ...], text: str) -> Any:
    if not path:
        return text
    key, *rest = path
    if isinstance(value, dict):
        return {**value, key: changed(value[key], tuple(rest), text)}
    return [changed(one, tuple(rest), text) if number == key else one for number, one in enumerate(value)]


async def test_a_long_text_in_any_member_is_answered_quickly(service: Service) -> None:
    everything = await world(service)
    headers = everything.admin.headers
    for method in ("post", "patch"):
        for path, operation in await described(service, method):
            if "requestBody" not in operation:
                continue
            url = path.format_map(everything.known)
            example = operation["requestBody"]["content"]["application/json"]["example"]
            for number, place in enumerate(texts(example)):
                for offset in range(3):
                    name = list(SLOW)[(3 * number + offset) % len(SLOW)]
                    sent = changed(example, place, SLOW[name])
                    await timed(service.http, method.upper(), url, f"{place} {name}", json=sent, headers=headers)


async def test_a_long_text_in_each_member_that_is_parsed_is_answered_quickly(service: Service) -> None:
    everything = await world(service)
    headers = everything.admin.headers
    organization = everything.city.id
    for path, members in (
        ("/security/register", {"email": "", "password": "x" * 10}),
        ("/organizations", {"name": "x", "billingEmailAddress": ""}),
        ("/webhooks", {"event": "reportCreated", "organization": organization, "payloadUrl": "", "secret": ""}),
        (f"/organizations/{organization}/categories", {"name": "x", "icon": "x", "color": ""}),
        (f"/organizations/{organization}/tokens", {"name": "x", "expiresAt": ""}),
        ("/operations", {"report": "", "startDate": ""}),
        (f"/webhooks/{everything.known['webhook']}/replays", {"from": ""}),
    ):
        for name, text in SLOW.items():
            sent = {member: text if value == "" else value for member, value in members.items()}
            answer = await timed(service.http, "POST", path, name, json=sent, headers=headers)
            assert answer.status_code == 400


async def test_a_long_text_in_any_filter_is_answered_quickly(service: Service) -> None:
    everything = await world(service)
    for path, operation in await described(service, "get"):
        url = path.format_map(everything.known)
        filters = [one["name"] for one in operation["parameters"] if one.get("in") == "query" and one["name"] != "wait"]
        for number, name in enumerate(filters):
            for offset in range(2):
                text = list(SLOW.values())[(2 * number + offset) % (len(SLOW) - 2)]
                query = f"{quote(name)}={quote(text[: LONG // 3])}"
                await timed(service.http, "GET", f"{url}?{query}", name, headers=everything.admin.headers)


async def test_a_long_text_in_any_header_is_answered_quickly(service: Service) -> None:
    everything = await world(service)
    path = f"/reports/{everything.known['report']}"
    for name in (
        "Accept", "Accept-Language", "Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match",
        "X-Forwarded-For", "X-Keyclic-App", "X-Keyclic-App-Version",
    ):  # fmt: skip
        for text in (
            "a" * LONG,
            "a," * (LONG // 2),
            '"a",' * (LONG // 4),
            "Bearer " + "a.b" * (LONG // 3),
            ";q=" * 9999,
        ):
            headers = {**everything.admin.headers, name: text.strip()}
            await timed(service.http, "PATCH", path, name, json={"priority": 1}, headers=headers)


LONG_HEADERS = ("a" * LONG, "a," * (LONG // 2), '"a",' * (LONG // 4), ";q=" * (LONG // 3))
METACHARACTERS = "'; DROP TABLE reports; -- \" OR 1=1 %_\\ <script>alert(1)</script> ${7*7} {{7*7}} \u202e\U0001f600"


@both_engines
async def test_metacharacters_are_text_in_every_member(service: Service) -> None:
    everything = await world(service)
    stored = 0
    for method in ("post", "patch"):
        for path, operation in await described(service, method):
            if "requestBody" not in operation:
                continue
            url = path.format_map(everything.known)
            example = operation["requestBody"]["content"]["application/json"]["example"]
            for place in texts(example):
                sent = changed(example, place, METACHARACTERS)
                answer = await everything.admin.call(method.upper(), url, sent)
                assert answer.status_code < 500, f"{method} {path} {place}"
                assert "json" in answer.headers["content-type"] or answer.status_code == 204
                stored += answer.is_success and answer.json() is not None and METACHARACTERS in _texts(answer.json())
    assert stored > 10
    assert (await everything.admin.get(f"/organizations/{everything.city.id}/reports"))["total"] >= 1


def _texts(value: Any) -> set[str]:
    if isinstance(value, str):
        return {value}
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {text for one in inner for text in _texts(one)}


@both_engines
async def test_metacharacters_are_text_in_every_filter(service: Service) -> None:
    everything = await world(service)
    for path, operation in await described(service, "get"):
        url = path.format_map(everything.known)
        names = [one["name"] for one in operation["parameters"] if one.get("in") == "query"]
        searches = [name for name in names if name.startswith("search[")]
        for text in (METACHARACTERS, "%", "_", "\\", "'", '"', "\0", "1' OR '1'='1") if searches else ():
            query = "&".join(f"{quote(name)}={quote(text)}" for name in searches)
            answer = await everything.admin.call("GET", f"{url}?{query}")
            assert answer.status_code in {200, 400}, f"{path} {text!r}: {answer.text}"
            assert answer.status_code == 400 or answer.json()["total"] == 0, f"{path} {text!r}"
        for name in set(names) - set(searches):
            for text in (METACHARACTERS, "\0"):
                answer = await everything.admin.call("GET", f"{url}?{quote(name)}={quote(text)}")
                assert answer.status_code in {200, 400}, f"{path} {name} {text!r}: {answer.text}"


async def test_metacharacters_are_unknown_ids(service: Service) -> None:
    bordeaux: City = (await world(service)).city
    for path, _ in await described(service, "get"):
        if "{" in path:
            for text in (METACHARACTERS, "\0", "%00", "' OR 1=1", "0" * (LONG // 2)):
                sized = path.replace("{width}", "64").replace("{height}", "64")
                parts = [quote(text, safe="") if part.startswith("{") else part for part in sized.split("/")]
                answer = await bordeaux.admin.call("GET", "/".join(parts))
                assert answer.status_code == 404, f"{path} {text!r}: {answer.status_code}"
