"""Signatures, by Standard Webhooks."""

import base64
from datetime import UTC, datetime

import pytest
import standardwebhooks
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from tocsin.delivery import signing
from tocsin.delivery.request import Recipient, fixed_head, head
from tocsin.delivery.target import parse
from tocsin.storage.records import LoggedEvent

KEY = bytes(range(32))
SECRET = signing.format_secret(KEY)
NOW = 1_700_000_000
EVENT = LoggedEvent("organization", 7, "reportCreated", 3, "the-id", "resource", NOW * 1_000_000, b'{"event":1}')


def headers(signature: str, timestamp: int = NOW) -> dict[str, str]:
    return {"webhook-id": "the-id", "webhook-timestamp": str(timestamp), "webhook-signature": signature}


@given(st.binary(min_size=24, max_size=64), st.binary())
def test_a_signature_verifies_by_its_own_secret_only(key: bytes, body: bytes) -> None:
    signature = signing.signatures([signing.HmacSigner(key)], "the-id", NOW, body)
    signing.verify(signing.format_secret(key), headers(signature), body, now=NOW)
    with pytest.raises(signing.SignatureError, match="no signature matches"):
        signing.verify(signing.format_secret(key), headers(signature), body + b".", now=NOW)
    other = bytes([key[0] ^ 1]) + key[1:]
    with pytest.raises(signing.SignatureError, match="no signature matches"):
        signing.verify(signing.format_secret(other), headers(signature), body, now=NOW)


def test_it_is_the_signature_that_the_reference_library_makes() -> None:
    at = datetime.fromtimestamp(NOW, UTC)
    expected = standardwebhooks.Webhook(SECRET).sign("the-id", at, "{}")
    assert signing.signatures([signing.HmacSigner(KEY)], "the-id", NOW, b"{}") == expected


def test_while_a_secret_rotates_both_sign() -> None:
    old = bytes(24)
    signature = signing.signatures([signing.HmacSigner(KEY), signing.HmacSigner(old)], "the-id", NOW, b"{}")
    for secret in (SECRET, signing.format_secret(old)):
        signing.verify(secret, headers(signature), b"{}", now=NOW)


def test_ed25519_verifies_by_the_public_key() -> None:
    signer = signing.signer("v1a", KEY)
    assert isinstance(signer, signing.Ed25519Signer)
    version, _, encoded = signer.sign(b"the-id.1.{}").partition(",")
    public = base64.b64decode(signer.public_key.removeprefix("whpk_"))
    key = Ed25519PublicKey.from_public_bytes(public)
    key.verify(base64.b64decode(encoded), b"the-id.1.{}")
    with pytest.raises(InvalidSignature):
        key.verify(base64.b64decode(encoded), b"the-id.2.{}")
    assert version == "v1a"


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_AAAA", "whsec_!", SECRET.removeprefix("whsec_"), "whsec_" + "A" * 88, SECRET + "x"]
)
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    with pytest.raises(signing.SecretError):
        signing.parse_secret(secret)


def test_a_secret_survives_its_text() -> None:
    assert signing.parse_secret(SECRET) == KEY


@pytest.mark.parametrize(
    ("given_headers", "message"),
    [
        ({}, "missing"),
        (headers("v1,x", NOW - 301), "too far"),
        ({**headers("v1,x"), "webhook-timestamp": "soon"}, "malformed"),
        (headers("v1,x"), "no signature"),
    ],
)
def test_a_refusal_says_why(given_headers: dict[str, str], message: str) -> None:
    with pytest.raises(signing.SignatureError, match=message):
        signing.verify(SECRET, given_headers, b"{}", now=NOW)


def test_the_head_of_a_notification_is_complete_and_signed() -> None:
    fixed = fixed_head("hook", {"X-Key": "value"}, "replay")
    recipient = Recipient(parse("https://example.org"), fixed, (signing.HmacSigner(KEY),))
    lines = head(recipient, EVENT, NOW * 1_000_000 + 999_999).decode("latin-1").split("\r\n")
    assert lines.pop() == ""
    found = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    assert len(found) == len(lines)
    signing.verify(SECRET, found, EVENT.body, now=NOW)
    assert found["tocsin-replay"] == "replay"
    assert (found["tocsin-sequence"], found["tocsin-ordinal"], found["x-key"]) == ("7", "3", "value")


def test_a_rotated_out_secret_never_signs() -> None:
    recipient = Recipient(
        parse("https://example.org"), b"", (signing.HmacSigner(KEY),), signing.HmacSigner(bytes(24)), previous_until=NOW
    )
    assert len(recipient.signers_at(NOW - 1)) == 2
    assert len(recipient.signers_at(NOW)) == 1


def test_an_event_that_was_erased_says_when() -> None:
    recipient = Recipient(parse("https://example.org"), b"", (signing.HmacSigner(KEY),))
    assert b"Tocsin-Erased" not in head(recipient, EVENT, NOW * 1_000_000)
    erased = EVENT._replace(erased_at=NOW * 1_000_000 + 999_999)
    assert f"\r\nTocsin-Erased: {NOW}\r\n".encode() in head(recipient, erased, NOW * 1_000_000)
