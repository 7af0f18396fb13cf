"""JSON Web Tokens of people: RS256 and nothing else, valid for exactly a day (CONTRACT, section 1).

A token names the key that signed it (`kid`) and the password that it was given for (`pwd`: when that was set). Keys
take turns: a new one is made well before it signs, so that every process knows it by then, and an old one is kept for
as long as a token that it signed may be valid.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from tocsin.domain.errors import Unauthenticated

ALGORITHM: Final = "RS256"
LIFETIME_SECONDS: Final = 86_400
KEY_BITS: Final = 2048
VERIFIED_MAX: Final = 10_000
"""Tokens whose signature is remembered as checked."""
TOKEN_MAX_CHARACTERS: Final = 8_192

ROTATION_SECONDS: Final = 30 * 86_400
"""How long a key signs."""
AHEAD_SECONDS: Final = 3_600
"""How long a key is known before it signs."""
LOADED_MAX: Final = 16
"""Keys that a process holds, of which hardly more than three are in use."""
RELOAD_SECONDS: Final = 600
"""How often a process looks for new keys: often enough to know one before it is used."""
KEEP_SECONDS: Final = LIFETIME_SECONDS + AHEAD_SECONDS
"""How long a key is kept after the next one has begun to sign."""


@dataclass(frozen=True, slots=True)
class Session:
    person_id: str
    issued_at: int
    """Seconds."""
    expires_at: int
    password_set_at: int | None
    """Microseconds; None in a token of a version that did not say."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """`name`: the token's `kid`; `made_at`: seconds."""

    name: str
    made_at: int
    key: RSAKey


def signs(keys: Iterable[SigningKey], now: int) -> SigningKey:
    """The newest that every process knows by now; the oldest where none is that old."""
    ordered = sorted(keys, key=lambda one: (one.made_at, one.name))
    known = [one for one in ordered if one.made_at + AHEAD_SECONDS <= now]
    return known[-1] if known else ordered[0]


def due(made: Iterable[int], now: int) -> bool:
    """Whether it is time to make a new key, so that it signs as soon as the newest has signed long enough."""
    return max(made) + ROTATION_SECONDS <= now


def spent(made: dict[str, int], now: int) -> list[str]:
    """The keys of which no valid token can be left."""
    names = sorted(made, key=lambda name: (made[name], name))
    return [name for name, after in pairwise(names) if made[after] + AHEAD_SECONDS + KEEP_SECONDS <= now]


class Sessions:
    """Issues and checks tokens. Times are seconds since the epoch."""

    def __init__(self, keys: Iterable[SigningKey]) -> None:
        self._keys: dict[str, SigningKey] = {}
        self._verified: dict[str, Session] = {}
        self.replace(keys)

    def replace(self, keys: Iterable[SigningKey]) -> None:
        """From now on these are the keys; what a key that is gone has signed is worth nothing."""
        found = {one.name: one for one in keys}
        if not self._keys.keys() <= found.keys():
            self._verified.clear()
        self._keys = found

    def issue(
        self, person_id: str, username: str, roles: list[str], ip: str, now: int, password_set_at: int | None = None
    ) -> str:
        claims: dict[str, Any] = {
            "sub": person_id,
            "username": username,
            "roles": roles,
            "ip": ip,
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
        }
        if password_set_at is not None:
            claims["pwd"] = password_set_at
        one = signs(self._keys.values(), now)
        return jwt.encode({"alg": ALGORITHM, "typ": "JWT", "kid": one.name}, claims, one.key, algorithms=[ALGORITHM])

    def check(self, token: str, now: int) -> Session:
        """Who the token is of. Raises Unauthenticated."""
        session = self._verified.get(token) or self._verify(token)
        if now >= session.expires_at:
            self._verified.pop(token, None)
            raise Unauthenticated("The token has expired.")
        return session

    def _verify(self, token: str) -> Session:
        if len(token) > TOKEN_MAX_CHARACTERS:
            raise Unauthenticated("The token is not one of ours.")
        try:
            claims = jwt.decode(token, self._key_of, algorithms=[ALGORITHM]).claims
            password_set_at = None if "pwd" not in claims else int(claims["pwd"])
            session = Session(str(claims["sub"]), int(claims["iat"]), int(claims["exp"]), password_set_at)
        except (JoseError, ValueError, KeyError, TypeError):
            raise Unauthenticated("The token is not one of ours.") from None
        if len(self._verified) >= VERIFIED_MAX:
            self._verified.clear()
        self._verified[token] = session
        return session

    def _key_of(self, token: Any) -> RSAKey:
        """The key that the token names; a token of a version that named none: of the oldest. Raises KeyError."""
        name = token.headers().get("kid")
        if name is None:
            return min(self._keys.values(), key=lambda one: (one.made_at, one.name)).key
        return self._keys[name].key


def new_key() -> bytes:
    """A new private key in PEM form."""
    return RSAKey.generate_key(KEY_BITS, private=True).as_pem(private=True)


@lru_cache(maxsize=LOADED_MAX)
def load_key(pem: bytes) -> RSAKey:
    """Looking for new keys does not check again those that are in use: it would hold everybody up."""
    return RSAKey.import_key(pem)
