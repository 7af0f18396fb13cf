"""Answers: HAL bytes with a strong ETag, and 304 where the caller has them already (RFC 9110, sections 8.8, 13.1)."""

import hashlib
from collections.abc import Callable
from typing import Final, TypeVar

from fastapi import Request, Response

from tocsin.api.entity_tags import matches_weakly
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


def answer(
    request: Request, representation: Representation, *, status: int = 200, vary: bool = False, tagged: bool = True
) -> Response:
    """`vary`: the representation may leave members out for some readers; `tagged`: GET would answer the same."""
    response = content(request, encode(representation), status=status, vary=vary, tagged=tagged)
    location = representation.get("_links", {}).get("self")
    if status == 201 and location is not None:
        response.headers["Location"] = location["href"]
    return response


def content(request: Request, body: bytes, *, status: int = 200, vary: bool = False, tagged: bool = True) -> Response:
    """The bytes of a representation, as they are. After a change the ETag is that of what it made."""
    headers = {"Vary": "Authorization"} if vary else {}
    if tagged and status in {200, 201}:
        tag = headers["ETag"] = etag(body)
        known = ", ".join(request.headers.getlist("if-none-match"))
        if request.method in {"GET", "HEAD"} and known and matches_weakly(known, tag):
            return Response(None, 304, headers)
    return Response(body, status, headers, media_type=MEDIA_TYPE)


def no_content() -> Response:
    return Response(None, 204)
