"""Rate limits: who guesses, who floods, and who must not suffer from either."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from tests.api.client import PASSWORD, person
from tests.conftest import ManualClock, Service, both_engines, serving
from tocsin.api.calls import CALLS_MAX_PER_SECOND
from tocsin.service.limits import FAILED_LOGINS, REGISTRATIONS
from tocsin.storage.schema import tries

pytestmark = [pytest.mark.anyio, both_engines]

LOGIN = {"login": "ada@example.org", "password": PASSWORD}
WRONG = {"login": "ada@example.org", "password": "wrong horse"}


@pytest.fixture
async def limited(tmp_path: Path, clock: ManualClock, settings_of_engine: dict[str, str]) -> AsyncIterator[Service]:
    """The service with limits on, behind a proxy on this machine."""
    more = {**settings_of_engine, "TOCSIN_RATE_LIMITS": "on", "TOCSIN_TRUSTED_PROXIES": "127.0.0.0/8"}
    async with serving(tmp_path, clock, **more) as running:
        yield running


async def post(service: Service, path: str, body: Any, address: str = "192.0.2.1") -> httpx.Response:
    return await service.http.post(path, json=body, headers={"X-Forwarded-For": address})


async def login(service: Service, body: Any, address: str = "192.0.2.1") -> httpx.Response:
    return await post(service, "/security/login", body, address)


def slowly(clock: ManualClock) -> None:
    """So that calls a second are not what is met."""
    clock.advance(1)


async def test_after_ten_failures_an_address_waits_and_the_owner_elsewhere_does_not(
    limited: Service, clock: ManualClock
) -> None:
    await person(limited.http)
    began = clock.now()
    for _ in range(FAILED_LOGINS.quota):
        assert (await login(limited, WRONG)).status_code == 401
        slowly(clock)
    refused = await login(limited, LOGIN)
    assert refused.status_code == 429
    waited = (clock.now() - began) // 1_000_000
    assert int(refused.headers["retry-after"]) == FAILED_LOGINS.window_seconds - waited
    policies = refused.headers.get_list("ratelimit-policy")
    assert f'"failed-logins";q=10;w={FAILED_LOGINS.window_seconds}' in policies
    assert f'"failed-logins";r=0;t={refused.headers["retry-after"]}' in refused.headers.get_list("ratelimit")
    assert (await login(limited, LOGIN, "192.0.2.2")).status_code == 200
    assert (await login(limited, {**LOGIN, "login": "bob@example.org"})).status_code == 401
    clock.advance(int(refused.headers["retry-after"]) - 1)
    assert (await login(limited, LOGIN)).status_code == 429
    clock.advance(1)
    assert (await login(limited, LOGIN)).status_code == 200


async def test_an_unknown_account_is_limited_like_a_known_one(limited: Service, clock: ManualClock) -> None:
    await person(limited.http)
    answers = []
    for who in ("ada@example.org", "nobody@example.org"):
        for _ in range(FAILED_LOGINS.quota + 1):
            answers.append(await login(limited, {"login": who, "password": "wrong horse"}))
            slowly(clock)
    known, unknown = answers[: FAILED_LOGINS.quota + 1], answers[FAILED_LOGINS.quota + 1 :]
    assert [(one.status_code, one.content) for one in known] == [(one.status_code, one.content) for one in unknown]


async def test_spelling_an_account_or_an_ipv6_address_differently_is_no_way_around(
    limited: Service, clock: ManualClock
) -> None:
    await person(limited.http)
    for number in range(FAILED_LOGINS.quota):
        spelled = "Ada@Example.org" if number % 2 else "ada@example.org"
        answer = await login(limited, {**WRONG, "login": spelled}, f"2001:db8:1:2::{number:x}")
        assert answer.status_code == 401
        slowly(clock)
    assert (await login(limited, LOGIN, "2001:db8:1:2:ffff::1")).status_code == 429
    assert (await login(limited, LOGIN, "2001:db8:1:3::1")).status_code == 200


async def test_guessing_at_once_is_no_way_around(limited: Service) -> None:
    await person(limited.http)
    answered = await asyncio.gather(*(login(limited, WRONG) for _ in range(40)))
    assert sorted(one.status_code for one in answered) == [401] * 10 + [429] * 30


async def test_a_success_forgets_the_failures(limited: Service, clock: ManualClock) -> None:
    await person(limited.http)
    for _ in range(3):
        for _ in range(FAILED_LOGINS.quota - 1):
            assert (await login(limited, WRONG)).status_code == 401
            slowly(clock)
        assert (await login(limited, LOGIN)).status_code == 200


async def test_thirty_registrations_an_hour_from_one_address(limited: Service, clock: ManualClock) -> None:
    for number in range(REGISTRATIONS.quota):
        body = {"email": f"p{number % 28}@example.org", "password": PASSWORD}
        assert (await post(limited, "/security/register", body)).status_code == (201 if number < 28 else 400)
        slowly(clock)
    more = {"email": "more@example.org", "password": PASSWORD}
    refused = await post(limited, "/security/register", more)
    assert (refused.status_code, "retry-after" in refused.headers) == (429, True)
    assert (await post(limited, "/security/register", more, "192.0.2.2")).status_code == 201
    clock.advance(REGISTRATIONS.window_seconds)
    more = {"email": "later@example.org", "password": PASSWORD}
    assert (await post(limited, "/security/register", more)).status_code == 201


async def test_what_no_longer_counts_is_removed(limited: Service, clock: ManualClock) -> None:
    await person(limited.http)
    await login(limited, WRONG)
    clock.advance(2 * REGISTRATIONS.window_seconds)
    await limited.use_cases.housekeeping.tidy()
    async with limited.use_cases.context.storage.read() as tx:
        assert await tx.rows(select(tries)) == []


async def test_two_processes_count_failures_together(
    limited: Service, tmp_path: Path, clock: ManualClock, settings_of_engine: dict[str, str]
) -> None:
    await person(limited.http)
    more = {**settings_of_engine, "TOCSIN_RATE_LIMITS": "on", "TOCSIN_TRUSTED_PROXIES": "127.0.0.0/8"}
    async with serving(tmp_path, clock, **more) as second:
        for number in range(FAILED_LOGINS.quota):
            assert (await login(second if number % 2 else limited, WRONG)).status_code == 401
            slowly(clock)
        for each in (limited, second):
            assert (await login(each, LOGIN)).status_code == 429


# Calls a second


async def many(service: Service, count: int, headers: dict[str, str]) -> list[httpx.Response]:
    return [await service.http.get("/", headers=headers) for _ in range(count)]


async def test_a_token_has_a_hundred_calls_a_second(limited: Service, clock: ManualClock) -> None:
    ada = await person(limited.http)
    bob = await person(limited.http, "bob@example.org")
    await ada.get("/")
    clock.advance(1)
    answered = await many(limited, CALLS_MAX_PER_SECOND + 1, ada.headers)
    assert [one.status_code for one in answered] == [200] * CALLS_MAX_PER_SECOND + [429]
    assert answered[0].headers["ratelimit-policy"] == '"calls";q=100;w=1'
    assert answered[0].headers["ratelimit"] == '"calls";r=99;t=1'
    last = answered[-1]
    assert (last.headers["retry-after"], last.headers["content-type"]) == ("1", "application/vnd.error+json")
    assert last.headers.get_list("ratelimit")[-1] == '"calls";r=0;t=1'
    assert (await bob.call("GET", "/")).status_code == 200
    assert (await limited.http.get("/health/live")).status_code == 200
    clock.advance(0.5)
    answered = await many(limited, CALLS_MAX_PER_SECOND // 2 + 1, ada.headers)
    assert [one.status_code for one in answered] == [200] * (CALLS_MAX_PER_SECOND // 2) + [429]


async def test_made_up_tokens_count_for_their_address(limited: Service) -> None:
    answered = []
    for number in range(CALLS_MAX_PER_SECOND + 1):
        headers = {"Authorization": f"Bearer tocsin_{number}", "X-Forwarded-For": "192.0.2.9"}
        answered.append(await limited.http.get("/", headers=headers))
    assert [one.status_code for one in answered] == [401] * CALLS_MAX_PER_SECOND + [429]
    assert (await limited.http.get("/", headers={"X-Forwarded-For": "192.0.2.10"})).status_code == 200


async def test_nobody_says_where_they_come_from_unless_a_setting_trusts_them(
    tmp_path: Path, clock: ManualClock, settings_of_engine: dict[str, str]
) -> None:
    async with serving(tmp_path, clock, **settings_of_engine, TOCSIN_RATE_LIMITS="on") as service:
        await person(service.http)
        for number in range(FAILED_LOGINS.quota):
            assert (await login(service, WRONG, f"192.0.2.{number}")).status_code == 401
            slowly(clock)
        assert (await login(service, LOGIN, "192.0.2.99")).status_code == 429


async def test_limits_are_off_where_the_setting_says_so(service: Service) -> None:
    await person(service.http)
    answered = [await service.http.post("/security/login", json=WRONG) for _ in range(FAILED_LOGINS.quota + 5)]
    assert {one.status_code for one in answered} == {401}
    assert "ratelimit" not in answered[0].headers
