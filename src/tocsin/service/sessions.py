"""JSON Web Tokens of people: RS256 and nothing else, valid for exactly a day (CONTRACT, section 1)."""

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Session:
    person_id: str
    issued_at: int
    """Seconds."""
    expires_at: int


class Sessions:
    """Issues and checks tokens with one key. Times are seconds since the epoch."""

    def __init__(self, key: RSAKey) -> None:
        self._key = key
        self._verified: dict[str, Session] = {}

    def issue(self, person_id: str, username: str, roles: list[str], ip: str, now: int) -> str:
        claims: dict[str, Any] = {
            "sub": person_id,
            "username": username,
            "roles": roles,
            "ip": ip,
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
        }
        return jwt.encode({"alg": ALGORITHM, "typ": "JWT"}, claims, self._key, algorithms=[ALGORITHM])

    def check(self, token: str, now: int) -> Session:
        """Who the token is of. Raises Unauthenticated."""
        session = self._verified.get(token) or self._verify(token)
        if now >= session.expires_at:
            self._verified.pop(token, None)
            raise Unauthenticated("The token has expired.")
        return session

    def _verify(self, token: str) -> Session:
        try:
            claims = jwt.decode(token, self._key, algorithms=[ALGORITHM]).claims
            session = Session(str(claims["sub"]), int(claims["iat"]), int(claims["exp"]))
        except (JoseError, ValueError, KeyError, TypeError):
            raise Unauthenticated("The token is not one of ours.") from None
        if len(self._verified) >= VERIFIED_MAX:
            self._verified.clear()
        self._verified[token] = session
        return session


def new_key() -> bytes:
    """A new private key in PEM form."""
    return RSAKey.generate_key(KEY_BITS, private=True).as_pem(private=True)


def load_key(pem: bytes) -> RSAKey:
    return RSAKey.import_key(pem)
