"""A webhook made ready for sending: its secrets opened, its URL parsed, its fixed header lines rendered."""

from dataclasses import dataclass
from typing import Protocol

import orjson

from tocsin.delivery import signing
from tocsin.delivery.request import Recipient, fixed_head
from tocsin.delivery.target import parse


class Opener(Protocol):
    def open(self, sealed: bytes, purpose: str) -> bytes:
        """The plain bytes of a sealed value. Raises ValueError where the key does not open it."""
        ...


@dataclass(frozen=True, slots=True)
class Sealed:
    """What is stored of a webhook for sending, still sealed. `previous_secret_until`: microseconds."""

    webhook_id: str
    url: str
    signature: str
    headers: bytes
    secret: bytes
    previous_secret: bytes | None = None
    previous_secret_until: int | None = None
    replay_id: str = ""


def secret_purpose(webhook_id: str) -> str:
    return f"webhook-secret:{webhook_id}"


def headers_purpose(webhook_id: str) -> str:
    return f"webhook-headers:{webhook_id}"


def ready(one: Sealed, vault: Opener) -> Recipient:
    """Raises ValueError where a secret does not open, RefusedUrl where the URL is refused by now."""
    secret = vault.open(one.secret, secret_purpose(one.webhook_id))
    headers = orjson.loads(vault.open(one.headers, headers_purpose(one.webhook_id)))
    previous = None
    if one.previous_secret is not None:
        opened = vault.open(one.previous_secret, secret_purpose(one.webhook_id))
        previous = signing.signer(one.signature, opened)
    return Recipient(
        parse(one.url),
        fixed_head(one.webhook_id, headers, one.replay_id),
        (signing.signer(one.signature, secret),),
        previous,
        one.previous_secret_until or 0,
    )
