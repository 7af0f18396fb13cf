"""Answers: HAL bytes with a strong ETag, and 304 where the caller has them already (RFC 9110, sections 8.8, 13.1)."""

import hashlib
from collections.abc import Callable
from typing import Final, TypeVar

from fastapi import Request, Response

from tocsin.domain.page import Page
from tocsin.hal import Hal
from tocsin.hal.encoding import encode
from tocsin.hal.representation import Representation

T = TypeVar("T")

MEDIA_TYPE: Final = "application/hal+json;charset=UTF-8"
ETAG_BYTES: Final = 16


def etag(body: bytes) -> str:
    """Strong: the same for the same bytes, and only for them."""
    return f'"{hashlib.blake2b(body, digest_size=ETAG_BYTES).hexdigest()}"'


def page(
    request: Request, hal: Hal, found: Page[T], render: Callable[[T], Representation], *, vary: bool = False
) -> Response:
    """A page of a collection, its filters kept in the links."""
    paging = found.paging
    query = [(name, value) for name, value in request.query_params.multi_items() if name not in {"page", "limit"}]
    items = [render(item) for item in found.items]
    envelope = hal.page(
        request.url.path, items, number=paging.page, limit=paging.limit, total=found.total, filters=query
    )
    return answer(request, envelope, vary=vary)


def answer(request: Request, representation: Representation, *, status: int = 200, vary: bool = False) -> Response:
    """`vary`: the representation may leave members out for some readers."""
    return content(request, encode(representation), status=status, vary=vary)


def content(request: Request, body: bytes, *, status: int = 200, vary: bool = False) -> Response:
    """The bytes of a representation, as they are."""
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
