"""Answers: HAL bytes with a strong ETag, and 304 where the caller has them already (RFC 9110, sections 8.8 and 13.1)."""

import hashlib
from typing import Final

from fastapi import Request, Response

MEDIA_TYPE: Final = "application/hal+json;charset=UTF-8"
ETAG_BYTES: Final = 16


def etag(body: bytes) -> str:
    """Strong: the same for the same bytes, and only for them."""
    return f'"{hashlib.blake2b(body, digest_size=ETAG_BYTES).hexdigest()}"'


def hal(request: Request, body: bytes, *, status: int = 200, vary: bool = False) -> Response:
    """The representation `body`; `vary`: it may leave members out for some readers."""
    headers = {"Vary": "Authorization"} if vary else {}
    if request.method in {"GET", "HEAD"} and status == 200:
        tag = headers["ETag"] = etag(body)
        if matches(request.headers.get("if-none-match"), tag):
            return Response(None, 304, headers)
    return Response(body, status, headers, media_type=MEDIA_TYPE)


def no_content() -> Response:
    return Response(None, 204)


def matches(header: str | None, tag: str) -> bool:
    """Whether an If-None-Match names the tag; the comparison is weak, as RFC 9110 has it for GET."""
    if header is None:
        return False
    return header.strip() == "*" or tag in (one.strip().removeprefix("W/") for one in header.split(","))
