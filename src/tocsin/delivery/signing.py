"""Signatures of notifications, by the Standard Webhooks specification. Pure: time and randomness are arguments.

`v1` is HMAC-SHA256 over `id.timestamp.body`, under a secret `whsec_<base64>`; `v1a` is ed25519 over the same text,
under a key whose public half is `whpk_<base64>`. While a secret rotates, each notification carries both signatures.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SECRET_PREFIX: Final = "whsec_"
PUBLIC_KEY_PREFIX: Final = "whpk_"
SECRET_MIN_BYTES: Final = 24
SECRET_MAX_BYTES: Final = 64
NEW_SECRET_BYTES: Final = 32
TOLERANCE_SECONDS: Final = 300


class SecretError(ValueError):
    """A secret is not `whsec_` followed by 24 to 64 bytes in base64."""


class SignatureError(Exception):
    """A notification is not what its sender signed; the text says why."""


class Signer(Protocol):
    def sign(self, message: bytes) -> str:
        """The signature of `id.timestamp.body`, with its version: `v1,<base64>`."""
        ...


HMAC_BLOCK_BYTES: Final = 64
"""Of SHA-256 (RFC 2104, section 2): no secret is longer."""
INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


class HmacSigner:
    """`v1`. The hash of the padded key is kept (RFC 2104, section 4), which halves the cost."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        assert len(key) <= HMAC_BLOCK_BYTES
        padded = key.ljust(HMAC_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(padded.translate(INNER))
        self._outer = hashlib.sha256(padded.translate(OUTER))

    def sign(self, message: bytes) -> str:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return "v1," + binascii.b2a_base64(outer.digest(), newline=False).decode("ascii")


class Ed25519Signer:
    """`v1a`. The private key is derived from the webhook's secret: one secret to keep, rotated as the others are."""

    __slots__ = ("_key",)

    def __init__(self, secret: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"tocsin ed25519\0" + secret).digest())

    def sign(self, message: bytes) -> str:
        return "v1a," + base64.b64encode(self._key.sign(message)).decode("ascii")

    @property
    def public_key(self) -> str:
        raw = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return PUBLIC_KEY_PREFIX + base64.b64encode(raw).decode("ascii")


def parse_secret(text: str) -> bytes:
    """The bytes of `whsec_…`. Raises SecretError."""
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(SECRET_PREFIX) or not SECRET_MIN_BYTES <= len(key) <= SECRET_MAX_BYTES:
        raise SecretError(f"a secret is {SECRET_PREFIX} and {SECRET_MIN_BYTES} to {SECRET_MAX_BYTES} bytes in base64")
    return key


def format_secret(key: bytes) -> str:
    return SECRET_PREFIX + base64.b64encode(key).decode("ascii")


def signer(signature: str, secret: bytes) -> Signer:
    """The signer of a webhook's `signature` member: v1 or v1a."""
    return Ed25519Signer(secret) if signature == "v1a" else HmacSigner(secret)


def signatures(signers: Sequence[Signer], webhook_id: str, timestamp: int, body: bytes) -> str:
    """The webhook-signature header: one signature for each signer. `timestamp`: seconds since the epoch."""
    message = b"%s.%d.%s" % (webhook_id.encode("ascii"), timestamp, body)
    if len(signers) == 1:
        return signers[0].sign(message)
    return " ".join(one.sign(message) for one in signers)


def verify(
    secret: str, headers: Mapping[str, str], body: bytes, *, now: int, tolerance_seconds: int = TOLERANCE_SECONDS
) -> None:
    """Check a `v1` notification as a receiver does. `now`: seconds since the epoch; header names in lower case.

    Raises SignatureError, saying what is wrong.
    """
    try:
        webhook_id, timestamp = headers["webhook-id"], int(headers["webhook-timestamp"])
        given = headers["webhook-signature"].split(" ")
    except (KeyError, ValueError):
        raise SignatureError("a webhook header is missing or malformed") from None
    if abs(now - timestamp) > tolerance_seconds:
        raise SignatureError("the timestamp is too far from now")
    expected = signatures([HmacSigner(parse_secret(secret))], webhook_id, timestamp, body)
    if not any(hmac.compare_digest(expected.encode(), one.encode()) for one in given):
        raise SignatureError("no signature matches")
