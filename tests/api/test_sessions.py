"""Tokens of people: one algorithm, keys that take turns, and what ends a token before its day is over."""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path
from typing import Any, Literal

import pytest
from argon2 import PasswordHasher
from joserfc import jwt
from joserfc.jwk import RSAKey
from sqlalchemy import select

from tests.api.client import PASSWORD, Person, person
from tests.conftest import FAST_HASHER, ManualClock, Service, both_engines, serving
from tocsin.domain.errors import Unavailable
from tocsin.service import passwords
from tocsin.service.passwords import Passwords
from tocsin.service.sessions import AHEAD_SECONDS, LIFETIME_SECONDS, RELOAD_SECONDS, ROTATION_SECONDS
from tocsin.storage.schema import secrets

pytestmark = pytest.mark.anyio


def part(value: Any) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    head, body, signature = token.split(".")
    read = [json.loads(urlsafe_b64decode(one + "=" * (-len(one) % 4))) for one in (head, body)]
    return read[0], read[1], signature


async def status(service: Service, token: str) -> int:
    return (await service.http.get("/people", headers={"Authorization": f"Bearer {token}"})).status_code


async def log_in(service: Service, password: str = PASSWORD) -> str:
    answer = await service.http.post("/security/login", json={"login": "ada@example.org", "password": password})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["accessToken"])


async def keys(service: Service) -> dict[str, RSAKey]:
    """The service's own keys, as somebody would have them who has everything."""
    context = service.use_cases.context
    async with context.storage.read() as tx:
        rows = await tx.rows(select(secrets))
    return {row["name"]: RSAKey.import_key(context.vault.open(row["value"], row["name"])) for row in rows}


async def test_a_token_is_valid_for_exactly_a_day(service: Service, clock: ManualClock) -> None:
    ada = await person(service.http)
    head, claims, _ = parts(ada.token)
    assert (head["alg"], claims["exp"] - claims["iat"], claims["username"]) == ("RS256", 86_400, "ada@example.org")
    assert claims["roles"] == ["ROLE_USER"]
    clock.advance(LIFETIME_SECONDS - 1)
    assert await status(service, ada.token) == 200
    clock.advance(1)
    refused = await ada.call("GET", "/people")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")


async def test_a_token_that_was_changed_or_made_elsewhere_is_none_of_ours(service: Service) -> None:
    ada = await person(service.http)
    eve = await person(service.http, "eve@example.org")
    head, claims, signature = parts(ada.token)
    eves_head, eves_claims, _ = parts(eve.token)
    own = RSAKey.generate_key(2048, private=True)
    key = (await keys(service))["jwt-key"]
    plain = f"{part({**head, 'alg': 'HS256'})}.{part(claims)}"
    code = hmac.digest(key.as_pem(private=False), plain.encode(), "sha256")
    signed = {
        name: jwt.encode({**head, "alg": algorithm}, claims, by, algorithms=[algorithm])
        for name, algorithm, by in (
            ("by another key", "RS256", own),
            ("with another hash", "RS512", key),
            ("with another padding", "PS256", key),
        )
    }
    changed = {
        "with the public key as a secret": f"{plain}.{urlsafe_b64encode(code).rstrip(b'=').decode()}",
        "tampered claims": f"{part(head)}.{part({**claims, 'sub': eves_claims['sub']})}.{signature}",
        "no signature": f"{part(head)}.{part(claims)}.",
        "none": f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}.",
        "None": f"{part({**head, 'alg': 'None'})}.{part(claims)}.{signature}",
        "no algorithm": f"{part({'typ': 'JWT'})}.{part(claims)}.{signature}",
        "another's signature": ".".join([*eve.token.split(".")[:2], signature]),
        "an unknown key": jwt.encode({**head, "kid": "another"}, claims, key, algorithms=["RS256"]),
        "a key that is no text": f"{part({**head, 'kid': [1]})}.{part(claims)}.{signature}",
        "claims without an end": jwt.encode(head, {"sub": ada.id, "iat": 1}, key, algorithms=["RS256"]),
        "two parts": f"{part(head)}.{part(claims)}",
        "a long one": ada.token + "A" * 100_000,
        "nothing like it": "x",
    }
    assert await status(service, ada.token) == 200
    for name, token in {**signed, **changed}.items():
        if len(token) < 60_000:
            assert await status(service, token) == 401, name
    with pytest.raises(Exception, match="not one of ours"):
        service.use_cases.authentication.sessions.check(changed["a long one"], 0)
    assert await status(service, jwt.encode(eves_head, eves_claims, key, algorithms=["RS256"])) == 200


async def test_a_token_of_before_tokens_named_their_key_goes_on_to_work(service: Service) -> None:
    ada = await person(service.http)
    head, claims, _ = parts(ada.token)
    del head["kid"], claims["pwd"]
    old = jwt.encode(head, claims, (await keys(service))["jwt-key"], algorithms=["RS256"])
    assert await status(service, old) == 200


async def new_password(service: Service, who: Person, password: str) -> None:
    authentication = service.use_cases.authentication
    link = await service.use_cases.context.storage.write(lambda tx: authentication.make_link(tx, who.id))
    answer = await service.http.post(f"/security/password/change/{link}", json={"password": password})
    assert answer.status_code == 204


async def test_a_new_password_ends_every_token_even_of_the_same_second(service: Service, clock: ManualClock) -> None:
    ada = await person(service.http)
    clock.advance(0.2)
    await new_password(service, ada, "another horse")
    assert await status(service, ada.token) == 401
    after = await log_in(service, "another horse")
    assert await status(service, after) == 200


async def test_a_token_given_for_a_password_that_is_no_more_is_worth_nothing(service: Service) -> None:
    """A login whose password was changed while it was checked."""
    ada = await person(service.http)
    _, claims, _ = parts(ada.token)
    late = service.use_cases.authentication.sessions.issue(
        ada.id, "ada@example.org", [], "", claims["iat"], claims["pwd"] - 1
    )
    assert await status(service, late) == 401


async def rotate(service: Service) -> None:
    await service.use_cases.authentication.rotate()


@both_engines
async def test_keys_take_turns_and_nobody_is_logged_out(service: Service, clock: ManualClock) -> None:
    await person(service.http)
    clock.advance(ROTATION_SECONDS - 1)
    await rotate(service)
    assert list(await keys(service)) == ["jwt-key"]
    clock.advance(1)
    await rotate(service)
    await rotate(service)
    (second,) = set(await keys(service)) - {"jwt-key"}
    before = await log_in(service)
    assert parts(before)[0]["kid"] == "jwt-key"
    clock.advance(AHEAD_SECONDS)
    after = await log_in(service)
    assert parts(after)[0]["kid"] == second
    assert [await status(service, one) for one in (before, after)] == [200, 200]
    clock.advance(LIFETIME_SECONDS + AHEAD_SECONDS - 1)
    await rotate(service)
    assert set(await keys(service)) == {"jwt-key", second}
    clock.advance(1)
    await rotate(service)
    assert set(await keys(service)) == {second}
    assert await status(service, await log_in(service)) == 200
    assert await status(service, before) == 401


@both_engines
async def test_another_process_knows_a_key_before_it_is_used(
    service: Service, tmp_path: Path, clock: ManualClock, settings_of_engine: dict[str, str]
) -> None:
    await person(service.http)
    async with serving(tmp_path, clock, **settings_of_engine) as second:
        clock.advance(ROTATION_SECONDS)
        await rotate(service)
        clock.advance(AHEAD_SECONDS)
        assert RELOAD_SECONDS < AHEAD_SECONDS
        for here, there in ((service, second), (second, service)):
            token = await log_in(here)
            assert parts(token)[0]["kid"] != "jwt-key"
            assert await status(there, token) == 200


async def test_housekeeping_rotates(service: Service, clock: ManualClock) -> None:
    clock.advance(ROTATION_SECONDS)
    await service.use_cases.housekeeping.tidy()
    assert len(await keys(service)) == 2


class CountingHasher(PasswordHasher):
    """Knows what it was asked to compare."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.compared: list[str | bytes] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 # argon2's name
        self.compared.append(hash)
        return super().verify(hash, password)


async def test_an_unknown_account_costs_as_much_as_a_wrong_password() -> None:
    """The same hash with the same parameters, once."""
    hasher = CountingHasher()
    checked = Passwords(hasher)
    known = await checked.hash(PASSWORD)
    assert not await checked.matches(None, PASSWORD)
    assert not await checked.matches(None, "nobody has this password")
    assert not await checked.matches(known, "wrong horse")
    assert await checked.matches(known, PASSWORD)
    assert len(hasher.compared) == 4
    costs = {str(one).split("$")[3] for one in hasher.compared}
    assert len(costs) == 1


async def test_so_many_passwords_are_checked_at_once_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "WAITING_MAX", 0)
    with pytest.raises(Unavailable):
        await Passwords(FAST_HASHER).hash(PASSWORD)
